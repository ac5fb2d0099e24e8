//! Orders at a replica that stands by.

use super::*;
use crate::journal::Holder;
use crate::model::{Epoch, Seq};

const PAUSE: &str = "/api/v1/clusters/web/pause";
const WHY: &str = r#"{"reason":"incident 7"}"#;

/// A server whose cluster is led by the replica at this address.
fn standing_by(address: Option<String>) -> Server {
    led_from(address, server())
}

fn led_from(address: Option<String>, server: Server) -> Server {
    let mut cluster = story::status();
    let (owner, since) = (format!("{}/1/other", Holder::machine()), cluster.at);
    cluster.journal.leader = Some(Holder { owner, epoch: Epoch(2), since, address });
    server.publisher.publish(cluster, SystemClock.now());
    server
}

/// Lets a server answer on a port of its own.
async fn listening(server: &Server) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn recorded(server: &Server) -> Vec<String> {
    let rows = server.ledger.lock().await.rows(None, 9).await.unwrap();
    let line =
        |row: crate::access::Row| format!("{} {} {}", row.deed.actor, row.deed.action, row.result);
    rows.into_iter().rev().map(line).collect()
}

async fn problem(response: Response<Body>) -> Problem {
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn an_order_is_judged_recorded_and_obeyed_once_by_the_replica_that_leads() {
    let mut leads = running();
    let waits = standing_by(Some(listening(&leads).await));
    let asking = waits.router.clone().oneshot(request("POST", PAUSE, &SIGNED, WHY));
    let obeying = async {
        let ordered = leads.inbox.next().await;
        assert_eq!(ordered.command.actor, "ada");
        ordered.done.send(Ok(Seq(42))).unwrap();
    };
    let (response, ()) = tokio::join!(asking, obeying);
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["x-frame-options"], "DENY");
    assert_eq!(text(response).await, r#"{"seq":42,"changes":[]}"#);
    assert!(leads.inbox.waiting().is_none(), "it came once");
    assert_eq!(recorded(&leads).await, ["ada pause begun", "ada pause done"]);
    assert!(recorded(&waits).await.is_empty());
}

#[tokio::test]
async fn whoever_is_not_permitted_here_or_there_is_refused() {
    let leads = running();
    let waits = standing_by(Some(listening(&leads).await));
    let stranger = [SIGNED[0], ("authorization", "Bearer 0123456789abcdefx"), SIGNED[2]];
    let told = send(&waits, request("POST", PAUSE, &stranger, WHY)).await;
    assert_eq!(told.status(), 401);
    // Known here alone, as where replicas share no record.
    let bearer =
        format!("Bearer {}", roles::token(&waits, crate::model::Role::Admin).await.reveal());
    let here = [SIGNED[0], ("authorization", bearer.as_str()), SIGNED[2]];
    let told = problem(send(&waits, request("POST", PAUSE, &here, WHY)).await).await;
    assert_eq!((told.status, told.code.as_str()), (401, "bad_token"));
}

#[tokio::test]
async fn an_order_goes_no_further_than_to_one_other_replica() {
    let nowhere = standing_by(Some("http://127.0.0.1:9".to_owned()));
    let waits = standing_by(Some(listening(&nowhere).await));
    let told = problem(send(&waits, request("POST", PAUSE, &SIGNED, WHY)).await).await;
    assert_eq!((told.status, told.code.as_str()), (503, "standing_by"));
    let told = problem(send(&nowhere, request("POST", PAUSE, &SIGNED, WHY)).await).await;
    assert_eq!((told.status, told.code.as_str()), (503, "leader_unreachable"));
    assert!(told.detail.contains("/1/other leads at http://127.0.0.1:9"), "{}", told.detail);
}

/// Whoever asks it at its own address, which the leader does not answer to.
#[tokio::test]
async fn the_address_of_a_replica_is_not_passed_on() {
    let mut leads = running();
    let access = Access {
        token: Token::new(TOKEN).unwrap(),
        hosts: std::collections::BTreeSet::from(["10.0.1.8".to_owned()]),
        ledger: Arc::new(tokio::sync::Mutex::new(Ledger::in_memory().unwrap())),
        alb: None,
        open_to_readers: false,
    };
    let waits = led_from(Some(listening(&leads).await), served(access));
    let headers = [("host", "10.0.1.8:8080"), SIGNED[1], SIGNED[2]];
    let asking = waits.router.clone().oneshot(request("POST", PAUSE, &headers, WHY));
    tokio::select! {
        response = asking => panic!("{}", text(response.unwrap()).await),
        _ordered = leads.inbox.next() => {}
    }
}

#[tokio::test]
async fn what_is_asked_is_answered_here_and_says_who_leads() {
    let waits = standing_by(Some("http://127.0.0.1:9".to_owned()));
    let (status, body) = get(&waits, "/api/v1/clusters").await;
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let owner = format!("{}/1/other", Holder::machine());
    assert_eq!(body["clusters"][0]["leader"]["owner"], owner);
    assert_eq!(body["clusters"][0]["leader"]["address"], "http://127.0.0.1:9");
}

/// Here it would lead to this replica itself, or to whatever else listens there.
#[test]
fn a_loopback_address_counts_on_its_own_machine_only() {
    let here = format!("{}/1/other", Holder::machine());
    let longer = format!("{}2/1/other", Holder::machine());
    for (owner, address, counts) in [
        (here.as_str(), "http://127.0.0.1:8080", true),
        (&longer, "http://127.0.0.1:8080", false),
        (&longer, "http://[::1]:8080", false),
        (&longer, "http://localhost:8080", false),
        (&longer, "http://0.0.0.0:8080", false),
        (&longer, "http://10.0.1.7:8080", true),
        (&longer, "https://tidegate.internal", true),
    ] {
        let (epoch, since) = (Epoch(2), SystemClock.now());
        let (owner, told) = (owner.to_owned(), Some(address.to_owned()));
        let holder = Holder { owner, epoch, since, address: told };
        assert_eq!(holder.reached_from_here(), counts.then_some(address), "{holder:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_unreachable() {
    let waits = standing_by(Some("10.0.1.7:8080".to_owned()));
    let told = problem(send(&waits, request("POST", PAUSE, &SIGNED, WHY)).await).await;
    assert_eq!((told.status, told.code.as_str()), (503, "leader_unreachable"));
}

/// It may have carried the order out, so nothing is sent again.
#[tokio::test]
async fn a_leader_that_breaks_off_is_not_asked_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let waits = standing_by(Some(format!("http://{}", listener.local_addr().unwrap())));
    let asked = tokio::spawn(async move {
        let mut asked = 0;
        while let Ok((stream, _)) = listener.accept().await {
            stream.readable().await.unwrap();
            asked += usize::from(stream.try_read(&mut [0; 64]).is_ok());
            if asked > 1 {
                break;
            }
        }
        asked
    });
    let told = problem(send(&waits, request("POST", PAUSE, &SIGNED, WHY)).await).await;
    assert_eq!((told.status, told.code.as_str()), (503, "leader_silent"));
    assert!(!asked.is_finished(), "it was asked once");
    asked.abort();
}

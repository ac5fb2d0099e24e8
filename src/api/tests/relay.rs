//! Orders at a replica that stands by.

use super::*;
use crate::journal::Holder;
use crate::model::{Epoch, Seq};

const PAUSE: &str = "/api/v1/clusters/web/pause";
const WHY: &str = r#"{"reason":"incident 7"}"#;

/// A server whose cluster is led by the replica at this address.
fn standing_by(address: Option<String>) -> Server {
    let server = server();
    let mut cluster = story::status();
    let (owner, since) = ("other/1".into(), cluster.at);
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
    assert!(told.detail.contains("other/1 leads at http://127.0.0.1:9"), "{}", told.detail);
}

#[tokio::test]
async fn what_is_asked_is_answered_here_and_says_who_leads() {
    let waits = standing_by(Some("http://127.0.0.1:9".to_owned()));
    let (status, body) = get(&waits, "/api/v1/clusters").await;
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["clusters"][0]["leader"]["owner"], "other/1");
    assert_eq!(body["clusters"][0]["leader"]["address"], "http://127.0.0.1:9");
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

//! What the record says of requests, and what waits for it.

use expect_test::expect;

use super::roles::token;
use super::*;
use crate::access::Row;
use crate::model::{Role, Seq};

const PAUSE: &str = "/api/v1/clusters/web/pause";

async fn rows(server: &Server) -> Vec<Row> {
    let mut rows = server.ledger.lock().await.rows(None, 99).await.unwrap();
    rows.reverse();
    rows
}

/// One line for each row that is not the making of a test's token.
async fn told(server: &Server) -> String {
    let mut text = String::new();
    for row in rows(server).await.into_iter().filter(|row| row.deed.request != "r0") {
        let (deed, result) = (&row.deed, row.result);
        let detail = row.detail.unwrap_or_default();
        let (before, after) = (&deed.before, &deed.after);
        let change =
            [before, after].map(|json| json.as_ref().map_or("-".into(), |j| j.to_string()));
        let line = format!(
            "{} ({}, {}) {} {} `{}` {} {result} {detail}",
            deed.actor,
            deed.method,
            deed.role,
            deed.action,
            deed.scope,
            deed.reason,
            change.join(" -> ")
        );
        text += line.trim_end();
        text += "\n";
    }
    text
}

/// Posts while a loop answers, if the order comes to it.
async fn post(server: &mut Server, path: &str, body: &str, answer: Result<Seq, String>) -> u16 {
    let asking = server.router.clone().oneshot(request("POST", path, &SIGNED, body));
    tokio::pin!(asking);
    let response = tokio::select! {
        response = &mut asking => response,
        ordered = server.inbox.next() => {
            ordered.done.send(answer).unwrap();
            asking.await
        }
    };
    response.unwrap().status().as_u16()
}

/// A record on a disk that takes nothing more.
async fn full_disk() -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    drop(Ledger::open_unchecked(dir.path()).unwrap());
    let db = rusqlite::Connection::open(dir.path().join("access.record")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON rows
                BEGIN SELECT RAISE(FAIL, 'no space is left'); END";
    db.execute_batch(full).unwrap();
    drop(db);
    let server = running();
    server.publisher.publish(story::releasing(), SystemClock.now());
    *server.ledger.lock().await = Ledger::open(dir.path()).await.unwrap();
    (server, dir)
}

#[tokio::test]
async fn a_change_is_recorded_before_it_is_done_and_after() {
    let mut server = running();
    let mode = "/api/v1/clusters/web/mode";
    assert_eq!(post(&mut server, PAUSE, r#"{"reason":"incident 7"}"#, Ok(Seq(42))).await, 200);
    let raise = r#"{"mode":"act","reason":"over"}"#;
    assert_eq!(post(&mut server, mode, raise, Err("disk full".into())).await, 503);
    expect![[r#"
        ada (start_token, admin) pause web `incident 7` - -> - begun
        ada (start_token, admin) pause web `incident 7` - -> - done journal 42
        ada (start_token, admin) set_mode web `over` {"mode":"act"} -> {"mode":"act"} begun
        ada (start_token, admin) set_mode web `over` {"mode":"act"} -> {"mode":"act"} failed disk full
    "#]].assert_eq(&told(&server).await);
    let rows = rows(&server).await;
    assert_eq!(rows[0].deed.request, rows[1].deed.request);
    assert_ne!(rows[1].deed.request, rows[2].deed.request);
}

#[tokio::test]
async fn a_refusal_is_recorded_with_its_name_and_once_a_minute() {
    let server = running();
    let bearer = format!("Bearer {}", token(&server, Role::Viewer).await.reveal());
    let headers = [
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("x-tidegate-actor", "somebody else"),
    ];
    for (method, path) in [("POST", PAUSE), ("POST", PAUSE), ("GET", "/api/v1/audit")] {
        let response = send(&server, request(method, path, &headers, "{}")).await;
        assert_eq!(response.status(), 403);
    }
    for n in 0..20 {
        let path = format!("/api/v1/clusters/{n}{}/pause", "x".repeat(500));
        assert_eq!(send(&server, request("POST", &path, &headers, "{}")).await.status(), 403);
    }
    let refused = rows(&server).await.into_iter().filter(|row| row.deed.action.len() > 200).count();
    assert_eq!(refused, 8, "with the two before ten within the minute");
    // Whoever is not known leaves no row: it could be anybody, as often as they like.
    let nobody = request("POST", PAUSE, &[("host", "localhost")], "{}");
    assert_eq!(send(&server, nobody).await.status(), 401);
    let told = told(&server).await;
    let first: Vec<_> = told.lines().take(2).collect();
    expect![[r#"
        viewer (token, viewer) POST /api/v1/clusters/web/pause  `` - -> - refused needs operator
        viewer (token, viewer) GET /api/v1/audit  `` - -> - refused needs operator
    "#]]
    .assert_eq(&(first.join("\n") + "\n"));
}

#[tokio::test]
async fn without_a_record_only_what_stops_something_is_done() {
    let (mut server, _dir) = full_disk().await;
    for (path, body) in [
        ("resume", r#"{"reason":"x"}"#),
        ("handover", r#"{"reason":"x","pools":["workers"],"apply":true}"#),
    ] {
        let path = format!("/api/v1/clusters/web/{path}");
        let response = send(&server, request("POST", &path, &SIGNED, body)).await;
        let problem: Problem = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!((problem.status, problem.code.as_str()), (503, "no_record"), "{path}");
        assert!(problem.detail.contains("no space is left"), "{}", problem.detail);
    }
    assert!(server.inbox.waiting().is_none());
    for (path, body) in [
        ("pause", r#"{"reason":"x"}"#),
        ("mode", r#"{"mode":"observe","reason":"x"}"#),
        ("releases/mail/abort", r#"{"reason":"x"}"#),
    ] {
        let path = format!("/api/v1/clusters/web/{path}");
        assert_eq!(post(&mut server, &path, body, Ok(Seq(1))).await, 200, "{path}");
    }
    let create = r#"{"name":"ci","role":"viewer","reason":"x"}"#;
    let asking = request("POST", "/api/v1/tokens", &SIGNED, create);
    assert_eq!(send(&server, asking).await.status(), 503);
    assert_eq!(server.ledger.lock().await.tokens().all().count(), 0);
}

#[tokio::test]
async fn a_token_is_shown_once_counts_at_once_and_can_be_taken_back() {
    let server = running();
    let ask = async |method, path: &str, body| {
        let response = send(&server, request(method, path, &SIGNED, body)).await;
        (response.status().as_u16(), text(response).await)
    };
    let create = r#"{"name":"ci","role":"operator","expires_in_seconds":3600,"reason":"deploys"}"#;
    let (_, body) = ask("POST", "/api/v1/tokens", create).await;
    let created: serde_json::Value = serde_json::from_str(&body).unwrap();
    let secret = created["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {secret}");
    let by_ci = async |path| {
        let headers = [("host", "localhost"), ("authorization", bearer.as_str())];
        send(&server, request("GET", path, &headers, "")).await.status().as_u16()
    };
    assert_eq!([by_ci("/metrics").await, by_ci("/api/v1/tokens").await], [200, 403]);
    assert_eq!(ask("POST", "/api/v1/tokens", create).await.0, 409);

    let (_, list) = ask("GET", "/api/v1/tokens", "").await;
    assert!(!list.contains(&secret));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let ci = &list["tokens"][0];
    assert_eq!(
        (&ci["name"], &ci["role"], &ci["good"]),
        (&"ci".into(), &"operator".into(), &true.into())
    );
    assert!(ci["last_used"].is_string(), "{ci}");

    let gone = "/api/v1/tokens/ci/revoke";
    assert_eq!(ask("POST", gone, r#"{"reason":"leaked"}"#).await.0, 200);
    assert_eq!(ask("POST", "/api/v1/tokens/cd/revoke", r#"{"reason":"leaked"}"#).await.0, 404);
    assert_eq!(by_ci("/metrics").await, 401);
    let (_, audit) = ask("GET", "/api/v1/audit?limit=9", "").await;
    assert!(!audit.contains(&secret));
    let told = told(&server).await;
    let lines = told.lines().filter_map(|line| line.rsplit_once('`'));
    let lines: Vec<_> = lines.map(|(who_and_what, _change)| who_and_what).collect();
    expect![[r#"
        ada (start_token, admin) token_create tokens/ci `deploys
        ci (token, operator) GET /api/v1/tokens  `
        ada (start_token, admin) token_revoke tokens/ci `leaked"#]]
    .assert_eq(&lines.join("\n"));
    let (_, verified) = ask("GET", "/api/v1/audit/verify", "").await;
    assert!(verified.starts_with(r#"{"intact":true,"head":{"seq":3"#), "{verified}");
}

/// So that a new route cannot forget it.
#[tokio::test]
async fn every_order_that_reaches_the_loop_has_begun_in_the_record() {
    let mut server = running();
    // Answered by nobody, so that none ends in the record meanwhile.
    let mut ordered = Vec::new();
    for (path, body) in [
        ("mode", r#"{"mode":"act","reason":"x"}"#),
        ("pause", r#"{"reason":"x"}"#),
        ("resume", r#"{"reason":"x"}"#),
        ("handover", r#"{"reason":"x","pools":["workers"],"apply":true}"#),
        (
            "releases/shop",
            r#"{"image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:2","reason":"x"}"#,
        ),
    ] {
        let before = rows(&server).await.len();
        let path = format!("/api/v1/clusters/web/{path}");
        let router = server.router.clone();
        let asking = router.oneshot(request("POST", &path, &SIGNED, body));
        tokio::select! {
            response = asking => panic!("{path}: {}", text(response.unwrap()).await),
            next = server.inbox.next() => ordered.push(next),
        }
        assert_eq!(rows(&server).await.len(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn an_order_ends_in_the_record_although_whoever_gave_it_has_hung_up() {
    let mut server = running();
    let asking =
        server.router.clone().oneshot(request("POST", PAUSE, &SIGNED, r#"{"reason":"x"}"#));
    let ordered = tokio::select! {
        response = asking => panic!("{}", text(response.unwrap()).await),
        ordered = server.inbox.next() => ordered,
    };
    ordered.done.send(Ok(Seq(7))).unwrap();
    while rows(&server).await.len() < 2 {
        tokio::task::yield_now().await;
    }
    expect![[r#"
        ada (start_token, admin) pause web `x` - -> - begun
        ada (start_token, admin) pause web `x` - -> - done journal 7
    "#]]
    .assert_eq(&told(&server).await);
}

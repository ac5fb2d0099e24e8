//! Commands on their way to the loop and back.

use expect_test::expect;

use super::*;
use crate::journal::Holder;
use crate::model::{Epoch, Seq};

/// Posts while a loop answers; gives what the loop was told and what the person was.
async fn post(server: &mut Server, path: &str, body: &str) -> String {
    let asking = request("POST", path, &SIGNED, body);
    send_and_answer(server, asking, Ok(Seq(42))).await
}

async fn send_and_answer(
    server: &mut Server,
    request: Request<Body>,
    answer: Result<Seq, String>,
) -> String {
    let asking = async {
        let response = server.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        format!("{status} {}", text(response).await)
    };
    let answering = async {
        let ordered = server.inbox.next().await;
        ordered.done.send(answer).unwrap();
        let command = ordered.command;
        format!("{} `{}` {:?}", command.actor, command.reason, command.order)
    };
    let (told, ordered) = tokio::join!(asking, answering);
    format!("{ordered}: {told}")
}

#[tokio::test]
async fn commands_reach_the_loop_with_name_and_reason() {
    let mut server = running();
    let mut told = String::new();
    for (path, body) in [
        ("mode", r#"{"mode":"act","reason":" first week "}"#),
        ("pause", r#"{"reason":"incident 7"}"#),
        ("resume", r#"{"reason":"over"}"#),
        ("resume", r#"{"reason":"over","pool":"spot-fleet/sfr-1"}"#),
        ("handover", r#"{"reason":"go","pools":["workers"],"apply":true}"#),
    ] {
        let path = format!("/api/v1/clusters/web/{path}");
        told += &post(&mut server, &path, body).await;
        told += "\n";
    }
    expect![[r#"
        ada `first week` SetMode { mode: Act }: 200 {"seq":42,"changes":[]}
        ada `incident 7` Pause: 200 {"seq":42,"changes":[]}
        ada `over` Resume { pool: None }: 200 {"seq":42,"changes":[]}
        ada `over` Resume { pool: Some(SpotFleet("sfr-1")) }: 200 {"seq":42,"changes":[]}
        ada `go` Handover { pools: [AutoScalingGroup("workers")] }: 200 {"seq":42,"changes":[]}
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn a_replica_that_stands_by_takes_no_orders() {
    let server = server();
    let mut cluster = story::status();
    let (owner, since) = ("other/1".into(), cluster.at);
    cluster.journal.leader = Some(Holder { owner, epoch: Epoch(2), since, address: None });
    server.publisher.publish(cluster, SystemClock.now());
    let path = "/api/v1/clusters/web/pause";
    let told = send(&server, request("POST", path, &SIGNED, r#"{"reason":"now"}"#)).await;
    assert_eq!(told.status(), 503);
    let text = text(told).await;
    assert!(text.contains("this replica stands by; other/1 leads"), "{text}");
}

#[tokio::test]
async fn without_a_name_the_token_is_the_actor() {
    let mut server = running();
    let asking = request("POST", "/api/v1/clusters/web/pause", &SIGNED[..3], r#"{"reason":"x"}"#);
    let told = send_and_answer(&mut server, asking, Ok(Seq(1))).await;
    assert!(told.starts_with("token `x` Pause"), "{told}");
}

#[tokio::test]
async fn commands_that_cannot_be_read_reach_nobody() {
    let mut server = running();
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(70_000));
    for (path, body, status) in [
        ("mode", r#"{"mode":"attack","reason":"x"}"#, 422),
        ("mode", r#"{"mode":"act"}"#, 422),
        ("mode", "", 422),
        ("pause", r#"{"reason":" "}"#, 422),
        ("pause", r#"{"reason":"two\nlines"}"#, 422),
        ("pause", r#"{"reason":"x","until":"tomorrow"}"#, 422),
        ("resume", r#"{"reason":"x","pool":""}"#, 422),
        ("pause", long.as_str(), 422),
        ("pause", huge.as_str(), 413),
    ] {
        let path = format!("/api/v1/clusters/web/{path}");
        let response = send(&server, request("POST", &path, &SIGNED, body)).await;
        assert_eq!(response.status().as_u16(), status, "{path} {body:.60}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    assert!(server.inbox.waiting().is_none());
}

#[tokio::test]
async fn a_command_the_journal_did_not_take_is_a_problem() {
    let mut server = running();
    let path = "/api/v1/clusters/web/pause";
    let asking = request("POST", path, &SIGNED, r#"{"reason":"x"}"#);
    let told = send_and_answer(&mut server, asking, Err("disk full".into())).await;
    assert!(told.contains("503"), "{told}");
    assert!(told.contains(r#""detail":"disk full","code":"not_recorded""#), "{told}");
}

#[tokio::test]
async fn a_loop_that_has_ended_takes_no_commands() {
    let server = running();
    drop(server.inbox);
    let path = "/api/v1/clusters/web/pause";
    let asking = request("POST", path, &SIGNED, r#"{"reason":"x"}"#);
    let response = server.router.oneshot(asking).await.unwrap();
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn a_cluster_that_is_not_here_takes_no_commands() {
    let server = running();
    for command in ["pause", "handover"] {
        let path = format!("/api/v1/clusters/shop/{command}");
        let asking = request("POST", &path, &SIGNED, r#"{"reason":"x"}"#);
        assert_eq!(send(&server, asking).await.status(), 404);
    }
}

#[tokio::test]
async fn a_handover_is_shown_before_it_is_ordered() {
    let mut server = running();
    let mut status = story::status();
    let steps = vec!["workers suspend AlarmNotification".to_owned()];
    status.pools[0].handover = steps;
    server.publisher.publish(status, SystemClock.now());
    let path = "/api/v1/clusters/web/handover";
    let look = request("POST", path, &SIGNED, r#"{"reason":"look"}"#);
    let shown = text(send(&server, look).await).await;
    expect![[r#"{"seq":null,"changes":["workers suspend AlarmNotification"]}"#]].assert_eq(&shown);
    let ordered = post(&mut server, path, r#"{"reason":"go","apply":true}"#).await;
    expect![[r#"ada `go` Handover { pools: [AutoScalingGroup("workers")] }: 200 {"seq":42,"changes":["workers suspend AlarmNotification"]}"#]].assert_eq(&ordered);
    let unknown = request("POST", path, &SIGNED, r#"{"reason":"x","pools":["other"]}"#);
    let refused = text(send(&server, unknown).await).await;
    assert!(refused.contains(r#""hint":"known pools: workers""#), "{refused}");
}

#[tokio::test]
async fn a_handback_is_shown_before_it_is_ordered_and_names_a_side_where_a_cutover_is_open() {
    let mut server = running();
    server.publisher.publish(story::cutting(), SystemClock.now());
    let path = "/api/v1/clusters/web/handback";
    let mut told = String::new();
    for body in [
        r#"{"reason":"look"}"#,
        r#"{"reason":"go","apply":true}"#,
        r#"{"reason":"go","pool":"other"}"#,
        r#"{"reason":"go","cutover":"other"}"#,
        r#"{"reason":"go","pool":"workers","cutover":"break"}"#,
    ] {
        told += &text(send(&server, request("POST", path, &SIGNED, body)).await).await;
        told += "\n";
    }
    let body = r#"{"reason":"go","side":"blue","apply":true}"#;
    told += &post(&mut server, path, body).await;
    told += "\n";
    expect![[r#"
        {"seq":null,"changes":["reactivate i-0c"]}
        {"type":"urn:tidegate:problem:side_missing","title":"Conflict","status":409,"detail":"cutover `break` is open, and no side is named","code":"side_missing","hint":"--side blue leads its routes back; --side green leaves them where they are wholly on green"}
        {"type":"urn:tidegate:problem:unknown_pool","title":"Unprocessable Entity","status":422,"detail":"`other` is no pool of cluster `web`","code":"unknown_pool","hint":"known pools: workers"}
        {"type":"urn:tidegate:problem:unknown_cutover","title":"Unprocessable Entity","status":422,"detail":"`other` is no cutover of cluster `web`","code":"unknown_cutover","hint":"known cutovers: break"}
        {"type":"urn:tidegate:problem:bad_body","title":"Unprocessable Entity","status":422,"detail":"`pool` and `cutover` exclude each other","code":"bad_body","hint":"name one of them, or neither for the whole cluster"}
        ada `go` Handback { scope: Cluster, side: Some(Blue) }: 200 {"seq":42,"changes":["reactivate i-0c"]}
    "#]].assert_eq(&told);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_answer_makes_the_asker_give_up() {
    let server = running();
    let asking = request("POST", "/api/v1/clusters/web/pause", &SIGNED, r#"{"reason":"x"}"#);
    let response = send(&server, asking).await;
    let problem: Problem = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem.code, "busy");
}

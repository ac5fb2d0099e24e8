//! Cutovers: what is told of them, and the orders on their way.

use expect_test::expect;

use super::*;
use crate::control::status::ClusterStatus;
use crate::model::{CutoverOrder, Order, Seq};

fn showing(status: ClusterStatus) -> Server {
    let server = server();
    server.publisher.publish(status, SystemClock.now());
    server
}

async fn json(server: &Server, path: &str) -> serde_json::Value {
    let (status, body) = get(server, &format!("/api/v1/clusters/web/{path}")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn cutovers_are_told_with_weights_gates_holds_and_history() {
    let server = showing(story::cutting());
    let all = json(&server, "cutovers").await;
    let one = json(&server, "cutovers/break").await;
    assert_eq!(all["cutovers"][0], one);
    let users = &one["routes"][0];
    assert_eq!((&users["stage"], &users["percent"]), (&"shifting".into(), &50.into()));
    expect![[r#"[{"lag_seconds":0,"limit":"at least 1","name":"healthy targets","value":"2","verdict":"pass"},{"lag_seconds":120,"limit":"at least 100","name":"requests","value":"15000","verdict":"pass"},{"lag_seconds":120,"limit":"1.00 %","name":"5xx share","value":"0.00 % of 15000","verdict":"pass"},{"lag_seconds":120,"limit":"80 ms","name":"latency p95","value":"20 ms","verdict":"pass"},{"lag_seconds":120,"limit":"110 ms","name":"latency p99","value":"40 ms","verdict":"pass"}]"#]].assert_eq(&users["gates"].to_string());
    expect![[r#"[{"asks":false,"code":"baking","why":"watched until 2026-11-21 09:24:00Z"}]"#]]
        .assert_eq(&users["held"].to_string());
    expect![[r#"[{"bake_seconds":600,"exposed":1463,"percent":5,"worst_case":"if green is wholly broken at 5 %, about 1,463 requests fail before rollback (lag 195 s)"},{"bake_seconds":600,"exposed":14625,"percent":50,"worst_case":"if green is wholly broken at 50 %, about 14,625 requests fail before rollback (lag 195 s)"},{"bake_seconds":600,"exposed":29250,"percent":100,"worst_case":"if green is wholly broken at 100 %, about 29,250 requests fail before rollback (lag 195 s)"}]"#]].assert_eq(&users["steps"].to_string());
    assert!(one.to_string().find("t0ken").is_none(), "the probe's secret is not told");
    let history = json(&server, "cutovers/break/history").await;
    assert_eq!(history["history"], one["history"]);
    assert_eq!(history["history"][0]["stage"], "shifting", "newest first");
}

/// Posts while a loop answers, if the order comes to it.
async fn order(server: &mut Server, verb: &str, body: &str) -> String {
    let path = format!("/api/v1/clusters/web/cutovers/{verb}");
    let asking = server.router.clone().oneshot(request("POST", &path, &SIGNED, body));
    let answering = async {
        let ordered = server.inbox.next().await;
        ordered.done.send(Ok(Seq(42))).unwrap();
        ordered.command.order
    };
    tokio::pin!(asking);
    tokio::select! {
        response = &mut asking => text(response.unwrap()).await,
        order = answering => {
            assert_eq!(asking.await.unwrap().status(), 200);
            let Order::Cutover { cutover, steer } = order else { panic!("{order:?}") };
            match steer {
                CutoverOrder::Start { token, routes } => {
                    assert_eq!(token.len(), 32, "128 random bits in hex");
                    format!("{cutover} start {routes:?}")
                }
                steer => format!("{cutover} {steer:?}"),
            }
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, clippy::type_complexity, reason = "one table")]
async fn orders_reach_the_loop_and_those_that_would_do_nothing_do_not() {
    let plain = r#"{"reason":"x"}"#;
    let table: [(&str, ClusterStatus, &[(&str, &str)]); 5] = [
        (
            "not started",
            story::before_cutting(),
            &[
                ("break/start", plain),
                ("break/pause", plain),
                ("break/undo", plain),
                ("other/start", plain),
                ("break/stop", plain),
            ],
        ),
        (
            "shifting",
            story::cutting(),
            &[
                ("break/start", plain),
                ("break/pause", plain),
                ("break/resume", plain),
                ("break/promote", r#"{"reason":"x","route":"users","full":true}"#),
                ("break/promote", r#"{"reason":"x","route":"posts"}"#),
                ("break/rollback", r#"{"reason":"x","route":"threads"}"#),
                ("break/rollback", r#"{"reason":"x","route":"users"}"#),
                ("break/abort", plain),
                ("break/abort", r#"{"reason":"x","route":"users"}"#),
                ("break/pause", r#"{"reason":"x","full":true}"#),
                ("break/pause", r#"{"reason":" "}"#),
                ("break/finalize", plain),
                ("break/undo", plain),
            ],
        ),
        ("stopped", story::stopped(), &[("break/resume", plain)]),
        ("kept warm", story::kept_warm(), &[("break/promote", plain), ("break/finalize", plain)]),
        ("rolled back", story::rolled_back(), &[("break/rollback", plain), ("break/start", plain)]),
    ];
    let mut told = String::new();
    for (state, status, orders) in table {
        let mut server = showing(status);
        told += &format!("{state}\n");
        for (verb, body) in orders {
            let said = order(&mut server, verb, body).await;
            let said = match serde_json::from_str::<Problem>(&said) {
                Ok(Problem { status, code, detail, hint, .. }) => {
                    format!("{status} {code}: {detail}; {hint}")
                }
                Err(_) => said,
            };
            told += &format!("  {verb}: {said}\n");
        }
    }
    expect![[r#"
        not started
          break/start: break start [ServiceName("users"), ServiceName("posts")]
          break/pause: 409 not_started: cutover `break` was not started; `tidegate cutover start` begins it
          break/undo: 409 not_started: cutover `break` was not started; `tidegate cutover start` begins it
          other/start: 404 unknown_cutover: cluster `web` has no cutover `other`; known cutovers: break
          break/stop: 404 no_such_route: there is nothing at /api/v1/clusters/web/cutovers/break/stop; GET /api/v1/openapi.json lists what there is
        shifting
          break/start: 409 already_open: cutover `break` is under way; `tidegate cutover status` shows where it stands
          break/pause: break Pause
          break/resume: 409 not_paused: cutover `break` is not paused; nothing has to be done
          break/promote: break Promote { route: Some(ServiceName("users")), full: true }
          break/promote: break Promote { route: Some(ServiceName("posts")), full: false }
          break/rollback: 422 unknown_route: cutover `break` has no route to `threads`; its routes: users, posts
          break/rollback: break Rollback { route: Some(ServiceName("users")) }
          break/abort: break Abort
          break/abort: 422 bad_body: `route` is only for promote and rollback; GET /api/v1/openapi.json describes the body
          break/pause: 422 bad_body: `full` is only for promote; GET /api/v1/openapi.json describes the body
          break/pause: 422 bad_text: `reason` must be 1 to 500 bytes of text without control characters; say in a few words who you are and why
          break/finalize: 409 not_baked: cutover `break` is not baked: users is shifting, posts is probed; finalize gives the old service up, so every route has to be baked first
          break/undo: 409 not_finalized: cutover `break` is not finalized; before finalize, `tidegate cutover rollback` leads back at once
        stopped
          break/resume: break Resume
        kept warm
          break/promote: 409 nothing_to_promote: cutover `break` has no route that waits or shifts; `tidegate cutover status` shows what its routes wait for
          break/finalize: break Finalize
        rolled back
          break/rollback: 409 not_open: cutover `break` has been rolled back; `tidegate cutover start` begins it anew
          break/start: break start [ServiceName("users"), ServiceName("posts")]
    "#]].assert_eq(&told);
}

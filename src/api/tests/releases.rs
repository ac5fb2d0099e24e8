//! Releases: what is told of them, and the orders on their way.

use expect_test::expect;

use super::*;
use crate::control::status::ClusterStatus;
use crate::model::{Order, ReleaseOrder, Seq};

fn showing(status: ClusterStatus) -> Server {
    let server = server();
    server.publisher.publish(status, SystemClock.now());
    server
}

#[tokio::test]
async fn releases_are_told_with_stage_revisions_counts_and_verdict() {
    let server = showing(story::releasing());
    let get = async |path: &str| {
        let (status, body) = get(&server, &format!("/api/v1/clusters/web/{path}")).await;
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let (_, all) = get("releases").await;
    let (status, one) = get("releases/mail").await;
    assert_eq!(status, 200);
    assert_eq!(all["releases"][0], one);
    assert_eq!((&one["stage"], &one["open"]), (&"deploying".into(), &true.into()));
    expect![[r#"{"desired":2,"failed":0,"pending":0,"running":1,"running_before":2}"#]]
        .assert_eq(&one["tasks"].to_string());
    let (status, none) = get("releases/shop").await;
    assert_eq!((status, &none["code"]), (404.try_into().unwrap(), &"no_release".into()));
    let server = showing(story::gone_back());
    let (_, body) = super::get(&server, "/api/v1/clusters/web/releases/mail").await;
    let one: serde_json::Value = serde_json::from_str(&body).unwrap();
    expect![[r#"{"cause":{"cause":"exited","container":"mail","exit_code":1},"code":"crash_loop","failed":3,"text":"crash loop: mail exited with code 1 (3 failed tasks)"}"#]].assert_eq(&one["verdict"].to_string());
}

/// Posts while a loop answers, if the order comes to it.
async fn order(server: &mut Server, path: &str, body: &str) -> String {
    let path = format!("/api/v1/clusters/web/releases/{path}");
    let asking = server.router.clone().oneshot(request("POST", &path, &SIGNED, body));
    let answering = async {
        let ordered = server.inbox.next().await;
        ordered.done.send(Ok(Seq(42))).unwrap();
        ordered.command.order
    };
    tokio::pin!(asking);
    tokio::select! {
        response = &mut asking => {
            let body: serde_json::Value =
                serde_json::from_str(&text(response.unwrap()).await).unwrap();
            body["code"].as_str().unwrap_or_default().to_owned()
        }
        order = answering => {
            assert_eq!(asking.await.unwrap().status(), 200);
            let Order::Release { service, steer } = order else { panic!("{order:?}") };
            match steer {
                ReleaseOrder::Start { image, container } => {
                    format!("{service} to {image} in {container:?}")
                }
                ReleaseOrder::Abort => format!("{service} aborted"),
            }
        }
    }
}

#[tokio::test]
async fn orders_reach_the_loop_and_those_that_would_do_nothing_do_not() {
    let start = r#"{"image":"shop:v2","reason":"x"}"#;
    let abort = r#"{"reason":"x"}"#;
    let mut said = String::new();
    for (title, status) in [("under way", story::releasing()), ("over", story::gone_back())] {
        said += &format!("{title}\n");
        let mut server = showing(status);
        for (path, body) in [
            ("shop", start),
            ("shop", r#"{"image":"shop:v2","container":"app","reason":"x"}"#),
            ("shop", r#"{"image":"shop v2","reason":"x"}"#),
            ("shop", r#"{"image":"shop:v2"}"#),
            ("none", start),
            ("mail", start),
            ("shop/abort", abort),
            ("mail/abort", abort),
        ] {
            said += &format!("  {path} {}\n", order(&mut server, path, body).await);
        }
    }
    expect![[r#"
        under way
          shop shop to shop:v2 in None
          shop shop to shop:v2 in Some("app")
          shop bad_image
          shop bad_body
          none unknown_service
          mail already_releasing
          shop/abort not_releasing
          mail/abort mail aborted
        over
          shop shop to shop:v2 in None
          shop shop to shop:v2 in Some("app")
          shop bad_image
          shop bad_body
          none unknown_service
          mail mail to shop:v2 in None
          shop/abort not_releasing
          mail/abort not_releasing
    "#]]
    .assert_eq(&said);
}

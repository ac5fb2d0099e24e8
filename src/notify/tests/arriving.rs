//! What arrives at a receiver, and what becomes of what does not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::{DateTime, Utc};
use expect_test::expect;
use tokio_util::sync::CancellationToken;

use crate::config::notify::{Receiver, Secret, Target};
use crate::control::Clock;
use crate::control::status::{Deliveries, Publisher, story};
use crate::model::{Mode, Moment, build};
use crate::notify::wire::letter;
use crate::notify::{Notice, Post, SendError, Wire, run};

/// A clock that never moves and lets nobody wait, but notes for how long they would.
#[derive(Clone, Debug, Default)]
struct AtOnce(Arc<Mutex<Vec<u64>>>);

impl Clock for AtOnce {
    fn now(&self) -> DateTime<Utc> {
        build::now()
    }

    fn moment(&self) -> Moment {
        Moment { wall: build::now(), steady: Duration::ZERO }
    }

    async fn sleep(&self, time: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(time.as_secs());
        tokio::task::yield_now().await;
    }
}

type Got = tokio::sync::mpsc::UnboundedReceiver<(HeaderMap, String)>;

/// A receiver that gives these answers in turn and the last of them for ever; its address.
async fn receiver(answers: &[u16]) -> (String, Got) {
    let (heard, got) = tokio::sync::mpsc::unbounded_channel();
    let mut answers: VecDeque<_> =
        answers.iter().map(|code| StatusCode::from_u16(*code).unwrap()).collect();
    let mut last = StatusCode::OK;
    let answers = Arc::new(Mutex::new(move || {
        last = answers.pop_front().unwrap_or(last);
        last
    }));
    let hook = post(async move |headers: HeaderMap, body: String| {
        heard.send((headers, body)).unwrap();
        let answer = (answers.lock().unwrap())();
        (answer, [("location", "/elsewhere")])
    });
    let router = Router::new().route("/hook", hook);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

/// A secret in a file that goes with the folder.
fn secret(folder: &tempfile::TempDir, text: &str) -> Secret {
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    Secret::File(path.display().to_string())
}

fn notice() -> Notice {
    Notice::test(build::now())
}

#[tokio::test]
async fn a_webhook_gets_json_with_a_signature_over_time_and_body() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut got) = receiver(&[200]).await;
    let to = Receiver::Webhook { url, secret: secret(&folder, "a secret of the two of us\n") };
    Wire::new().unwrap().send(&to, &notice(), build::now()).await.unwrap();
    let (headers, body) = got.recv().await.unwrap();
    expect![[r#"{"at":"2026-11-21T09:00:00Z","cluster":null,"event":"test","id":"fb5ead1efde75754","text":"If you read this, notifications arrive."}"#]]
    .assert_eq(&body);
    assert_eq!(headers["x-tidegate-timestamp"], build::now().timestamp().to_string());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"a secret of the two of us");
    let digits = headers["x-tidegate-signature"].to_str().unwrap().strip_prefix("v1=").unwrap();
    let tag: Vec<_> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let signed = format!("{}.{body}", build::now().timestamp());
    ring::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
}

#[tokio::test]
async fn slack_gets_one_line_without_markup() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut got) = receiver(&[200]).await;
    let to = Receiver::Slack { url: secret(&folder, &url) };
    let notice = Notice { text: "5 -> 6 & <done>".to_owned(), ..notice() };
    Wire::new().unwrap().send(&to, &notice, build::now()).await.unwrap();
    expect![[r#"{"text":"Tidegate: test: 5 -&gt; 6 &amp; &lt;done&gt;"}"#]]
        .assert_eq(&got.recv().await.unwrap().1);
}

#[tokio::test]
async fn an_answer_says_whether_to_try_again_and_no_redirect_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let wire = Wire::new().unwrap();
    for (answer, again) in [(302, false), (400, false), (403, false), (429, true), (503, true)] {
        let (url, mut got) = receiver(&[answer]).await;
        let to = Receiver::Webhook { url, secret: secret(&folder, "a secret") };
        let error = wire.send(&to, &notice(), build::now()).await.unwrap_err();
        assert_eq!(matches!(error, SendError::Again(_)), again, "{answer}: {error}");
        assert!(got.recv().await.is_some() && got.try_recv().is_err());
    }
}

#[test]
fn an_address_that_is_a_secret_is_judged_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let to = Receiver::Slack { url: secret(&folder, "http://hooks.example.com/T0/B0/xyz") };
    let error = letter(&to, &notice(), build::now()).unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, SendError::Never(_)) && !told.contains("xyz"), "{told}");
}

/// Runs the outbox while `happening` publishes; gives the counts when they are complete.
async fn delivered(target: Target, clock: AtOnce, wanted: u64) -> Deliveries {
    let (publisher, mut status) = Publisher::new(["web".into()], build::now());
    publisher.publish(story::status(), build::now());
    let stop = CancellationToken::new();
    let (watched, wire) = (status.clone(), Wire::new().unwrap());
    let (counted, until) = (publisher.clone(), stop.clone());
    let outbox = tokio::spawn(run(vec![target], wire, watched, counted, clock, until));
    let ready = status.wait_for(|status| status.notifications.contains_key("ops")).await;
    drop(ready.unwrap());
    // The mode goes down, and nothing else happens.
    let mut lower = story::status();
    lower.at += chrono::TimeDelta::seconds(15);
    lower.mode.effective = Mode::Observe;
    publisher.publish(lower, build::now());
    let all = status.wait_for(|status| {
        let counts = status.notifications["ops"];
        counts.delivered + counts.lost == wanted
    });
    let counts = all.await.unwrap().notifications["ops"];
    stop.cancel();
    outbox.await.unwrap();
    counts
}

#[tokio::test]
async fn a_receiver_that_is_down_for_a_while_hears_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut got) = receiver(&[503, 500, 200]).await;
    let to = Receiver::Webhook { url, secret: secret(&folder, "a secret") };
    let clock = AtOnce::default();
    let target = Target { name: "ops".into(), to };
    let counts = delivered(target, clock.clone(), 1).await;
    assert_eq!(counts, Deliveries { delivered: 1, lost: 0 });
    assert_eq!(*clock.0.lock().unwrap(), [1, 5]);
    let mut ids = Vec::new();
    while let Ok((headers, _)) = got.try_recv() {
        ids.push(headers["x-tidegate-delivery"].clone());
    }
    assert_eq!(ids, [ids[0].clone(), ids[0].clone(), ids[0].clone()], "one notice, one id");
}

#[tokio::test]
async fn what_cannot_be_delivered_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, pauses) in [(500, &[1, 5, 25, 90, 300][..]), (404, &[])] {
        let (url, _got) = receiver(&[answer]).await;
        let to = Receiver::Webhook { url, secret: secret(&folder, "a secret") };
        let clock = AtOnce::default();
        let target = Target { name: "ops".into(), to };
        let counts = delivered(target, clock.clone(), 1).await;
        assert_eq!(counts, Deliveries { delivered: 0, lost: 1 });
        assert_eq!(*clock.0.lock().unwrap(), pauses);
    }
}

#[tokio::test]
async fn a_topic_gets_the_json_under_a_line_for_people() {
    let (telling, mut told) = tokio::sync::mpsc::unbounded_channel();
    let publish = move |post: Post| -> futures::future::BoxFuture<'static, _> {
        telling.send(post).unwrap();
        Box::pin(std::future::ready(Ok(())))
    };
    let to = Receiver::Sns { topic: "arn:aws:sns:eu-west-1:111122223333:news".to_owned() };
    let mut notice = notice();
    notice.text = format!("naïve\n{}", "x".repeat(200));
    let without = Wire::new().unwrap();
    let refused = without.send(&to, &notice, build::now()).await.unwrap_err();
    assert!(matches!(refused, SendError::Never(_)), "{refused}");
    let wire = without.with_topics(Arc::new(publish));
    wire.send(&to, &notice, build::now()).await.unwrap();
    let Post { topic, subject, message } = told.recv().await.unwrap();
    assert_eq!(topic, "arn:aws:sns:eu-west-1:111122223333:news");
    assert!(subject.starts_with("Tidegate: ") && subject.contains("na?ve?x"), "{subject}");
    assert!(subject.len() == 100 && subject.is_ascii());
    let json: serde_json::Value = serde_json::from_str(&message).unwrap();
    assert_eq!(json["text"], notice.text);
}

//! People in browsers: logged in by a load balancer, or with a token the browser remembers.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use expect_test::expect;
use serde_json::json;

use super::*;
use crate::access::tests::alb::{KEY_ID, Signer, claims, expected, header};

const PAUSE: &str = "/api/v1/clusters/web/pause";

/// A place that publishes `answer` under the id of the key; counts who asks for what.
async fn key_server(answer: axum::response::Response<String>) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let (parts, body) = answer.into_parts();
    let serve = move |path: axum::extract::Path<String>| {
        counter.fetch_add(1, Ordering::Relaxed);
        let found = path.0 == KEY_ID;
        let (status, headers) = (parts.status, parts.headers.clone());
        let status = if found { status } else { StatusCode::NOT_FOUND };
        let answer = (status, headers, body.clone());
        async { answer }
    };
    let app = Router::new().route("/keys/{id}", axum::routing::get(serve));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/keys", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    (base, asked)
}

fn behind_alb(keys: &str) -> Server {
    // The one thing that differs from life: these keys come without TLS.
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let keys = Keys::new(keys, http.build().unwrap());
    let access = Access {
        token: Token::new(TOKEN).unwrap(),
        hosts: std::collections::BTreeSet::from(["tidegate.internal".to_owned()]),
        ledger: Arc::new(tokio::sync::Mutex::new(Ledger::in_memory().unwrap())),
        alb: Some(Alb::new(expected(), keys)),
        open_to_readers: false,
    };
    let server = served(access);
    server.publisher.publish(story::status(), SystemClock.now());
    server
}

fn soon() -> DateTime<Utc> {
    SystemClock.now() + TimeDelta::minutes(2)
}

/// What a browser sends for our own script, and the identity the load balancer puts in.
fn from_page(identity: &str) -> [(&str, &str); 6] {
    [
        ("host", "tidegate.internal"),
        ("origin", "https://tidegate.internal"),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
        ("x-tidegate-page", "1"),
        ("x-amzn-oidc-data", identity),
    ]
}

#[tokio::test]
async fn whoever_the_load_balancer_logged_in_is_recorded_by_the_name_it_gives() {
    let signer = Signer::new();
    let (keys, asked) = key_server(axum::response::Response::new(signer.pem())).await;
    let mut server = behind_alb(&keys);
    let identity = signer.token(&header(soon()), &claims(soon()));
    let headers = from_page(&identity);
    assert_eq!(send(&server, request("GET", "/", &headers[..1], "")).await.status(), 401);
    assert_eq!(send(&server, request("GET", "/", &headers, "")).await.status(), 200);
    let start = request("POST", "/api/v1/clusters/web/resume", &headers, r#"{"reason":"x"}"#);
    assert_eq!(send(&server, start).await.status(), 403, "on-call is operator");
    let router = server.router.clone();
    let pause = request("POST", PAUSE, &headers, r#"{"reason":"incident"}"#);
    tokio::select! {
        _response = router.oneshot(pause) => panic!("it waits for the loop"),
        ordered = server.inbox.next() => assert_eq!(ordered.command.actor, "ada@example.com"),
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the key is kept");
}

#[tokio::test]
async fn an_identity_without_role_may_not_look_and_a_forged_one_is_nobody() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let (keys, asked) = key_server(axum::response::Response::new(signer.pem())).await;
    let server = behind_alb(&keys);
    let mut chess = claims(soon());
    chess["groups"] = json!(["chess"]);
    let mut evil = header(soon());
    evil["kid"] = json!("../../evil");
    let mut other = header(soon());
    other["kid"] = json!("00000000-0000-0000-0000-000000000000");
    let mut told = String::new();
    for (what, identity) in [
        ("none of their groups has a role", signer.token(&header(soon()), &chess)),
        ("signed by somebody else", stranger.token(&header(soon()), &claims(soon()))),
        ("a path as key id", stranger.token(&evil, &claims(soon()))),
        ("a key nobody has", stranger.token(&other, &claims(soon()))),
        ("the same again", stranger.token(&other, &claims(soon()))),
        ("not even a token", "x".to_owned()),
    ] {
        let response = send(&server, request("GET", "/metrics", &from_page(&identity), "")).await;
        let problem: Problem = serde_json::from_str(&text(response).await).unwrap();
        told += &format!("{what}: {} {}: {}\n", problem.status, problem.code, problem.detail);
    }
    expect![[r#"
        none of their groups has a role: 403 no_role: none of the groups of `ada@example.com` has a role here
        signed by somebody else: 401 bad_identity: the load balancer's word on who you are is not believed: its signature is wrong
        a path as key id: 401 bad_identity: the load balancer's word on who you are is not believed: its key id is no UUID
        a key nobody has: 401 bad_identity: the load balancer's word on who you are is not believed: the key it names cannot be had: the key server answered 404 Not Found
        the same again: 401 bad_identity: the load balancer's word on who you are is not believed: the key it names cannot be had: the key server answered 404 Not Found
        not even a token: 401 bad_identity: the load balancer's word on who you are is not believed: it cannot be read
    "#]].assert_eq(&told);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the good key and the missing one, once each");
}

#[tokio::test]
async fn a_key_server_that_redirects_or_talks_on_is_not_followed() {
    let signer = Signer::new();
    let redirect = axum::response::Response::builder().status(302).header("location", "/keys/x");
    let redirect = redirect.body(String::new()).unwrap();
    let long = axum::response::Response::new(signer.pem() + &"x".repeat(10_000));
    let page = axum::response::Response::new("<html>".to_owned());
    for (answer, why) in [(redirect, "302"), (long, "too long"), (page, "no PEM")] {
        let (keys, _) = key_server(answer).await;
        let server = behind_alb(&keys);
        let identity = signer.token(&header(soon()), &claims(soon()));
        let response = send(&server, request("GET", "/", &from_page(&identity), "")).await;
        assert_eq!(response.status(), 401);
        let told = text(response).await;
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn identity_headers_are_nothing_without_a_load_balancer() {
    let server = running();
    let signer = Signer::new();
    let identity = signer.token(&header(soon()), &claims(soon()));
    let response = send(&server, request("POST", PAUSE, &from_page(&identity), "{}")).await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn what_a_browser_sends_by_itself_is_believed_only_from_our_own_page() {
    let server = running();
    let basic = format!("Basic {}", STANDARD.encode(format!("anybody:{TOKEN}")));
    let good = [
        ("host", "localhost:1"),
        ("content-type", "application/json"),
        ("authorization", basic.as_str()),
    ];
    let page = ("x-tidegate-page", "1");
    let site = |site| ("sec-fetch-site", site);
    let ours = ("origin", "http://localhost:1");
    for (more, status) in [
        (vec![], 403),
        (vec![page], 403),
        (vec![site("same-origin")], 403),
        (vec![ours], 403),
        (vec![page, site("same-origin")], 422),
        (vec![page, ours], 422),
        (vec![page, ours, site("same-origin")], 422),
        (vec![page, ours, site("cross-site")], 403),
        (vec![page, ours, site("same-site")], 403),
        (vec![page, ours, site("none")], 403),
        (vec![page, ("origin", "https://evil.example"), site("same-origin")], 403),
    ] {
        let headers: Vec<_> = good.into_iter().chain(more.clone()).collect();
        let response = send(&server, request("POST", PAUSE, &headers, "{}")).await;
        assert_eq!(response.status().as_u16(), status, "{more:?}");
    }
    let look = send(&server, request("GET", "/", &good, "")).await;
    assert_eq!(look.status(), 200);
    let wrong = [("host", "localhost"), ("authorization", "Basic bm9uZQ==")];
    assert_eq!(send(&server, request("GET", "/", &wrong, "")).await.status(), 401);
}

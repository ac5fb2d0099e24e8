//! What a request says of who asks and from where.
//!
//! The text is a request as it stands on the wire: method and path, headers, an empty line, a body.
//! A pair of lines of JSON instead is what a load balancer says of somebody, and is signed by its
//! key.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tidegate::access::alb::{Claimed, Forged, KeyId, PublicKey, Recognised};
use tidegate::access::{Ledger, Token};
use tidegate::api::{Access, Alb, ApiState, Keys, router};
use tidegate::config::AlbOidc;
use tidegate::control::inbox::inbox;
use tidegate::control::status::Publisher;
use tidegate::model::Role;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Requests that one server gets: its record of refusals grows.
const REQUESTS_MAX: u32 = 500;

pub(super) fn law(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if text.starts_with('{') {
        let (header, claims) = text.split_once('\n').unwrap_or((text, ""));
        only_what_the_balancer_says_counts(header, claims.trim_end());
        return;
    }
    as_a_secret_or_key(text);
    if let Some((request, method, body)) = request(text) {
        let asked = request.headers().clone();
        let host = request.uri().authority().map(ToString::to_string);
        let path = request.uri().path().to_owned();
        let response = answer(request);
        judge(&method, &path, host.as_deref(), &asked, body, &response);
    }
}

/// Text that is no request is tried wherever else text comes from outside.
fn as_a_secret_or_key(text: &str) {
    let expected = expected();
    if let Ok(claimed) = Claimed::read(text, &expected, super::at(0)) {
        assert_eq!(KeyId::new(claimed.key.as_str()), Ok(claimed.key.clone()));
        let verified = claimed.verify(&public(&PAIR), &expected);
        assert_eq!(verified, Err(Forged::Signature), "nobody signed it");
    }
    if let Ok(key) = PublicKey::from_pem(text) {
        assert!(text.contains("BEGIN PUBLIC KEY"), "{key:?}");
    }
}

fn request(text: &str) -> Option<(Request<Body>, String, &str)> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(path);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    let request = request.body(Body::from(body.to_owned())).ok()?;
    Some((request, method.to_owned(), body))
}

/// What a request may come to, by what it says.
fn judge(
    method: &str,
    path: &str,
    target: Option<&str>,
    headers: &HeaderMap,
    body: &str,
    response: &Response<Body>,
) {
    let status = response.status();
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path} {headers:?} {body}");
    assert_eq!(response.headers()[header::X_FRAME_OPTIONS], "DENY");
    let probe = ["/healthz", "/livez", "/readyz"].contains(&path);
    if probe || status.is_client_error() {
        return;
    }
    let text = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    let hosts = text("host");
    let host = hosts.first().map(String::as_str).or(target).unwrap_or_default();
    assert!(hosts.len() < 2, "two hosts");
    assert!(is_ours(host), "answers as `{host}`");
    for origin in text("origin") {
        let from = origin.split_once("://").map(|(_, from)| from).unwrap_or_default();
        assert!(from.eq_ignore_ascii_case(host), "answers a page of `{origin}`");
    }
    if !["GET", "HEAD"].contains(&method) {
        let shown = text("authorization").into_iter().next().unwrap_or_default();
        let basic = shown.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair.trim()).ok());
        let pair = String::from_utf8(basic.unwrap_or_default()).unwrap_or_default();
        assert!(shown.contains(TOKEN) || pair.ends_with(TOKEN), "changes without a token");
        assert!(text("content-type").concat().to_ascii_lowercase().contains("application/json"));
    }
}

/// Loopback, or a name that was given; with or without a port.
fn is_ours(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    bare.parse().is_ok_and(loopback)
        || ["localhost", "tidegate.internal"].contains(&bare.to_ascii_lowercase().as_str())
}

thread_local! {
    static SERVER: RefCell<Option<(Runtime, Router, u32)>> = const { RefCell::new(None) };
}

/// Of a server that has just started, whose loop takes no orders.
fn answer(request: Request<Body>) -> Response<Body> {
    SERVER.with_borrow_mut(|server| {
        let fresh = server.take().filter(|(_, _, asked)| *asked < REQUESTS_MAX);
        let (runtime, router, asked) = fresh.unwrap_or_else(start);
        let response = runtime.block_on(router.clone().oneshot(request));
        *server = Some((runtime, router, asked + 1));
        response.unwrap_or_else(|never| match never {})
    })
}

fn start() -> (Runtime, Router, u32) {
    let token = Token::new(TOKEN).unwrap_or_else(|error| panic!("{error}"));
    let ledger = Ledger::in_memory().unwrap_or_else(|error| panic!("{error}"));
    // A client that asks over TLS alone never gets to a plain address.
    let client = Keys::client().unwrap_or_else(|error| panic!("{error}"));
    let access = Access {
        token,
        hosts: BTreeSet::from(["tidegate.internal".to_owned()]),
        ledger: Arc::new(Mutex::new(ledger)),
        alb: Some(Alb::new(expected(), Keys::new("http://localhost", client))),
        open_to_readers: true,
    };
    let (_publisher, status) = Publisher::new(["web".into()], super::at(0));
    let (orders, _) = inbox();
    let orders = BTreeMap::from([("web".into(), orders)]);
    let state = ApiState::new(status, orders, access, CancellationToken::new());
    let runtime = Builder::new_current_thread().enable_all().build();
    (runtime.unwrap_or_else(|error| panic!("{error}")), router(state, Router::new()), 0)
}

fn expected() -> AlbOidc {
    AlbOidc {
        alb_arn: "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/ops/50dc6c".to_owned(),
        issuer: "https://login.example.com".to_owned(),
        client_id: "tidegate".to_owned(),
        claim: "groups".to_owned(),
        roles: BTreeMap::from([
            ("everyone".to_owned(), Role::Viewer),
            ("on-call".to_owned(), Role::Operator),
        ]),
    }
}

/// The load balancer's key, made anew for each process.
static PAIR: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
    let document = document.unwrap_or_else(|error| panic!("{error}"));
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
        .unwrap_or_else(|error| panic!("{error}"))
});

/// As the key server gives it.
fn public(pair: &EcdsaKeyPair) -> PublicKey {
    let mut der = vec![0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02];
    der.extend([0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03]);
    der.extend([0x42, 0x00]);
    der.extend(pair.public_key().as_ref());
    let der = STANDARD.encode(der);
    PublicKey::from_pem(&format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Whoever is let in is named by text that is signed, by our balancer, for us, and in time.
fn only_what_the_balancer_says_counts(header: &str, claims: &str) {
    let (expected, now) = (expected(), super::at(0));
    let signed = format!("{}.{}", URL_SAFE.encode(header), URL_SAFE.encode(claims));
    let signature = PAIR.sign(&SystemRandom::new(), signed.as_bytes());
    let signature = signature.unwrap_or_else(|error| panic!("{error}"));
    let token = format!("{signed}.{}", URL_SAFE.encode(signature));
    let Ok(claimed) = Claimed::read(&token, &expected, now) else { return };
    for wanted in [&expected.alb_arn, &expected.issuer, &expected.client_id] {
        let json: serde_json::Value = serde_json::from_str(header).unwrap_or_default();
        let said = json.as_object().into_iter().flatten().any(|(_, value)| value == wanted);
        assert!(said, "believed without `{wanted}`: {header}");
    }
    match claimed.verify(&public(&PAIR), &expected) {
        Ok(Recognised::Somebody(who)) => {
            assert!(!who.name.trim().is_empty() && who.ambient && who.role < Role::Admin);
        }
        Ok(Recognised::WithoutRole(name)) => assert!(!name.trim().is_empty()),
        Err(refused) => assert_eq!(refused, Forged::Nameless, "we signed it ourselves"),
    }
    let (head, tail) = token.split_at(token.len() / 2);
    let changed = format!("{head}{}", tail.replacen(['A', 'a', '0'], "B", 1));
    if changed != token
        && let Ok(claimed) = Claimed::read(&changed, &expected, now)
    {
        assert!(claimed.verify(&public(&PAIR), &expected).is_err(), "a changed token is believed");
    }
}

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use expect_test::{expect, expect_file};
use futures::StreamExt;
use tower::ServiceExt;

use super::*;
use crate::access::{Ledger, Token};
use crate::control::inbox::{Inbox, inbox};
use crate::control::status::{Publisher, story};
use crate::control::{Clock, SystemClock};

mod access;
mod audit;
mod browser;
mod commands;
mod cutovers;
mod relay;
mod releases;
mod roles;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A server of cluster `web`, with the far ends of its channels.
struct Server {
    router: Router,
    publisher: Publisher,
    inbox: Inbox,
    stop: CancellationToken,
    ledger: Arc<tokio::sync::Mutex<Ledger>>,
}

fn server() -> Server {
    let access = Access {
        token: Token::new(TOKEN).unwrap(),
        hosts: std::collections::BTreeSet::from(["tidegate.internal".to_owned()]),
        ledger: Arc::new(tokio::sync::Mutex::new(Ledger::in_memory().unwrap())),
        alb: None,
        open_to_readers: true,
    };
    served(access)
}

/// As the access says.
fn served(access: Access) -> Server {
    let started = SystemClock.now();
    let (publisher, status) = Publisher::new(["web".into()], started);
    let (orders, inbox) = inbox();
    let orders = BTreeMap::from([("web".into(), orders)]);
    let stop = CancellationToken::new();
    let ledger = access.ledger.clone();
    let state = ApiState::new(status, orders, access, stop.clone());
    let pages = Router::new().route("/", axum::routing::get(async || "page"));
    Server { router: router(state, pages), publisher, inbox, stop, ledger }
}

/// A server whose loop has published the story.
fn running() -> Server {
    let server = server();
    server.publisher.publish(story::status(), SystemClock.now());
    server
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn send(server: &Server, request: Request<Body>) -> Response<Body> {
    server.router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

async fn get(server: &Server, path: &str) -> (StatusCode, String) {
    let response = send(server, request("GET", path, &[("host", "localhost:1")], "")).await;
    (response.status(), text(response).await)
}

const SIGNED: [(&str, &str); 4] = [
    ("host", "127.0.0.1:7070"),
    ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
    ("content-type", "application/json"),
    ("x-tidegate-actor", "ada"),
];

#[test]
fn the_description_lists_every_route_and_is_the_committed_one() {
    let description = described().to_openapi();
    let mut routes = Vec::new();
    let json = serde_json::to_value(&description).unwrap();
    for (path, methods) in json["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let guarded = if operation["security"].is_null() { "" } else { " (token)" };
            routes.push(format!("{method} {path}{guarded}"));
        }
    }
    expect![[r#"
        get /api/v1/audit (token)
        get /api/v1/audit/verify (token)
        get /api/v1/clusters
        get /api/v1/clusters/{name}
        get /api/v1/clusters/{name}/cutovers
        get /api/v1/clusters/{name}/cutovers/{cutover}
        get /api/v1/clusters/{name}/cutovers/{cutover}/history
        post /api/v1/clusters/{name}/cutovers/{cutover}/{order} (token)
        get /api/v1/clusters/{name}/decisions
        get /api/v1/clusters/{name}/decisions/{id}
        post /api/v1/clusters/{name}/handback (token)
        post /api/v1/clusters/{name}/handover (token)
        post /api/v1/clusters/{name}/mode (token)
        post /api/v1/clusters/{name}/pause (token)
        get /api/v1/clusters/{name}/plan
        get /api/v1/clusters/{name}/releases
        get /api/v1/clusters/{name}/releases/{service}
        post /api/v1/clusters/{name}/releases/{service} (token)
        post /api/v1/clusters/{name}/releases/{service}/abort (token)
        post /api/v1/clusters/{name}/resume (token)
        get /api/v1/stream
        get /api/v1/tokens (token)
        post /api/v1/tokens (token)
        post /api/v1/tokens/{token}/revoke (token)
        get /healthz
        get /livez
        get /metrics
        get /readyz"#]]
    .assert_eq(&routes.join("\n"));
    let pretty = description.to_pretty_json().unwrap() + "\n";
    expect_file!["../../docs/openapi.json"].assert_eq(&pretty);
}

#[tokio::test]
async fn clusters_are_summed_up() {
    let server = running();
    let (status, body) = get(&server, "/api/v1/clusters").await;
    assert_eq!(status, 200);
    expect![[r#"{"clusters":[{"name":"web","region":"eu-west-1","at":"2026-11-21T09:00:03Z","mode":{"ceiling":"act","stored":"act","effective":"act"},"pause":null,"seen":{"taken_at":"2026-11-21T09:00:00Z","age_seconds":3,"complete":true,"gaps":[]},"hosts":{"all":5,"usable":2,"launching":1,"draining":1,"agent_lost":1,"other":0},"reservation":{"cpu_percent":81.3,"memory_percent":55.9,"cpu_ceiling_percent":85,"memory_ceiling_percent":90,"hosts":2,"registered":{"cpu_units":4096,"memory_mib":15564},"reserved":{"cpu_units":3328,"memory_mib":8704},"largest_hole":{"cpu_units":512,"memory_mib":3686}},"tasks":{"desired":8,"running":6,"pending":0,"unplaced":2,"unplaced_since":"2026-11-21T08:59:19Z"},"cost":{"now_micro_usd_per_hour":480000,"after_micro_usd_per_hour":576000,"if_allowed_micro_usd_per_hour":480000,"unpriced_hosts":0},"leader":null}],"awaited":[]}"#]].assert_eq(&body);
}

#[tokio::test]
async fn the_plan_is_told_with_every_why() {
    let server = running();
    let (_, body) = get(&server, "/api/v1/clusters/web/plan").await;
    let plan: serde_json::Value = serde_json::from_str(&body).unwrap();
    expect![[r#"{"held":[{"hold":{"reason":{"code":"standalone_task","group":"family:<report>"},"subject":{"host":"i-0b"},"wants":"scale_in"},"since":"2026-11-21T08:48:00Z","subject":"i-0b","wants":"scale_in","why":"family:<report> is a standalone task that nobody would start again"}],"not_allowed":[{"kind":"repair","needs":"repair in `allow`","planned":{"action":"set_host_status","by":"capacity","hosts":["i-0d"],"kind":"repair","now":"draining","was":"active","why":{"code":"agent_lost","since":"2026-11-21T08:54:00Z"}},"text":"drain i-0d","why":"agent disconnected since 08:54:00Z"}],"would_do":[{"kind":"scale_out","planned":{"action":"set_pool_capacity","by":"capacity","kind":"scale_out","now":6,"pool":"workers","was":5,"why":{"code":"short","hosts":1,"rejected":[],"shortfalls":[{"best_free":{"cpu_units":512,"memory_mib":3686},"count":2,"kind":"tasks","needs":{"cpu_units":768,"memory_mib":2048},"of":"shop"}]}},"text":"workers desired capacity 5 -> 6","why":"shop: 2 tasks fit on no host, each needs 768 cpu 2048 MiB; best free is 512 cpu 3686 MiB: 1 host"}]}"#]].assert_eq(&plan["plan"].to_string());
}

#[tokio::test]
async fn a_decision_is_found_by_its_id() {
    let server = running();
    let (_, list) = get(&server, "/api/v1/clusters/web/decisions?limit=5").await;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let first = &list["decisions"][0];
    let path = format!("/api/v1/clusters/web/decisions/{}", first["id"].as_str().unwrap());
    let (_, one) = get(&server, &path).await;
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(&one, first);
    assert_eq!(one["actions"][0]["fate"], "outcome");
    let (_, none) = get(&server, "/api/v1/clusters/web/decisions?limit=0").await;
    assert_eq!(none, r#"{"decisions":[]}"#);
}

#[tokio::test]
async fn problems_say_what_to_do() {
    let server = running();
    let mut told = String::new();
    for path in [
        "/api/v1/clusters/shop",
        "/api/v1/clusters/web/decisions/d-1",
        "/nowhere",
        "/api/v1/clusters/web/mode",
    ] {
        told += &get(&server, path).await.1;
        told += "\n";
    }
    expect![[r#"
        {"type":"urn:tidegate:problem:unknown_cluster","title":"Not Found","status":404,"detail":"there is no cluster `shop` here","code":"unknown_cluster","hint":"known clusters: web"}
        {"type":"urn:tidegate:problem:unknown_decision","title":"Not Found","status":404,"detail":"there is no decision `d-1` among the last 100","code":"unknown_decision","hint":"GET /api/v1/clusters/web/decisions lists them"}
        {"type":"urn:tidegate:problem:no_such_route","title":"Not Found","status":404,"detail":"there is nothing at /nowhere","code":"no_such_route","hint":"GET /api/v1/openapi.json lists what there is"}
        {"type":"urn:tidegate:problem:no_such_method","title":"Method Not Allowed","status":405,"detail":"/api/v1/clusters/web/mode does not take GET","code":"no_such_method","hint":"GET /api/v1/openapi.json lists what there is"}
    "#]].assert_eq(&told);
}

#[tokio::test]
async fn probes_follow_the_loop() {
    let server = server();
    let probes = async || {
        let mut all = vec![];
        for path in ["/healthz", "/livez", "/readyz"] {
            all.push(get(&server, path).await.0.as_u16());
        }
        all
    };
    assert_eq!(probes().await, [200, 200, 503], "nothing observed yet");
    assert_eq!(get(&server, "/api/v1/clusters/web").await.0, 503);
    server.publisher.publish(story::status(), SystemClock.now());
    assert_eq!(probes().await, [200, 200, 200]);
    let long_ago = SystemClock.now() - chrono::TimeDelta::minutes(6);
    server.publisher.publish(story::status(), long_ago);
    assert_eq!(probes().await, [200, 503, 200], "the loop is silent");
}

#[tokio::test(start_paused = true)]
async fn the_stream_tells_each_publication_beats_and_ends_with_the_server() {
    let server = running();
    let open = request("GET", "/api/v1/stream", &[("host", "localhost")], "");
    let response = send(&server, open).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let mut next = async || {
        let bytes = events.next().await?.unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(first.starts_with("event: status\nid: 1\ndata: {\"generation\":1,"), "{first}");
    assert_eq!(next().await.unwrap().trim(), "event: heartbeat\ndata: alive");
    server.publisher.narrate("evening");
    assert!(next().await.unwrap().contains("id: 2"));
    server.stop.cancel();
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_reconnecting_page_is_not_told_what_it_knows() {
    let server = running();
    let headers = [("host", "localhost"), ("last-event-id", "1")];
    let response = send(&server, request("GET", "/api/v1/stream", &headers, "")).await;
    server.publisher.narrate("evening");
    let first = response.into_body().into_data_stream().next().await;
    let first = String::from_utf8(first.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.contains("id: 2"), "{first}");
}

#[tokio::test]
async fn streams_are_bounded_and_given_back() {
    let server = running();
    let open = || request("GET", "/api/v1/stream", &[("host", "localhost")], "");
    let mut streams = vec![];
    for _ in 0..STREAMS_MAX {
        streams.push(send(&server, open()).await);
    }
    assert_eq!(send(&server, open()).await.status(), 503);
    streams.pop();
    assert_eq!(send(&server, open()).await.status(), 200);
}

#[tokio::test]
async fn metrics_on_a_port_of_their_own_are_for_everybody_and_alone() {
    let (publisher, status) = Publisher::new(["web".into()], SystemClock.now());
    publisher.publish(story::status(), SystemClock.now());
    let router = metrics_only(status);
    let get = async |path: &str| {
        let asked = Request::get(path).header("host", "10.0.0.7:9100").body(Body::empty());
        router.clone().oneshot(asked.unwrap()).await.unwrap()
    };
    let scraped = get("/metrics").await;
    assert_eq!(scraped.status(), StatusCode::OK);
    let text = axum::body::to_bytes(scraped.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("tidegate_leads{cluster=\"web\"} 1.0"));
    for path in ["/", "/healthz", "/api/v1/clusters", "/api/v1/openapi.json"] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

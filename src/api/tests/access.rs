//! Who may ask, and from where.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn foreign_names_pages_and_askers_without_token_are_refused_on_every_route() {
    let server = running();
    let bad_host = [("host", "evil.example")];
    let bad_origin = [("host", "localhost:1"), ("origin", "https://evil.example")];
    let no_origin = [("host", "localhost:1"), ("origin", "null")];
    let no_token = [("host", "localhost:1"), ("content-type", "application/json")];
    let wrong_token = [
        ("host", "localhost:1"),
        ("content-type", "application/json"),
        ("authorization", "Bearer 0123456789abcdef0123456789abcdee"),
    ];
    let not_json =
        [("host", "localhost:1"), ("content-type", "text/plain"), ("authorization", SIGNED[1].1)];
    let mut table = String::new();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/clusters"),
        ("GET", "/api/v1/stream"),
        ("GET", "/api/v1/openapi.json"),
        ("POST", "/api/v1/clusters/web/mode"),
        ("POST", "/api/v1/clusters/web/pause"),
        ("POST", "/api/v1/clusters/web/resume"),
        ("POST", "/api/v1/clusters/web/handover"),
        ("GET", "/api/v1/clusters/web/cutovers/break"),
        ("POST", "/api/v1/clusters/web/cutovers/break/rollback"),
        ("POST", "/nowhere"),
    ] {
        let mut line = Vec::new();
        for headers in
            [&bad_host[..], &[], &bad_origin, &no_origin, &no_token, &wrong_token, &not_json]
        {
            let response = send(&server, request(method, path, headers, "{}")).await;
            line.push(response.status().as_u16().to_string());
        }
        table += &format!("{} {method} {path}\n", line.join(" "));
    }
    // Bad host, no host, bad origin, opaque origin, no token, wrong token, not JSON.
    expect![[r#"
        421 421 403 403 200 401 200 GET /
        200 200 200 200 200 200 200 GET /healthz
        421 421 403 403 200 401 200 GET /metrics
        421 421 403 403 200 401 200 GET /api/v1/clusters
        421 421 403 403 200 401 200 GET /api/v1/stream
        421 421 403 403 200 401 200 GET /api/v1/openapi.json
        421 421 403 403 401 401 415 POST /api/v1/clusters/web/mode
        421 421 403 403 401 401 415 POST /api/v1/clusters/web/pause
        421 421 403 403 401 401 415 POST /api/v1/clusters/web/resume
        421 421 403 403 401 401 415 POST /api/v1/clusters/web/handover
        421 421 403 403 404 401 404 GET /api/v1/clusters/web/cutovers/break
        421 421 403 403 401 401 415 POST /api/v1/clusters/web/cutovers/break/rollback
        421 421 403 403 401 401 415 POST /nowhere
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn loopback_and_configured_names_are_ours() {
    let server = running();
    for (host, answer) in [
        ("localhost", 200),
        ("LOCALHOST:7070", 200),
        ("127.0.0.1:7070", 200),
        ("127.8.8.8", 200),
        ("[::1]:7070", 200),
        ("[::ffff:127.0.0.1]:1", 200),
        ("tidegate.internal:7070", 200),
        ("localhost.evil.example", 421),
        ("evil.example#localhost", 421),
        ("10.0.0.1:7070", 421),
        ("", 421),
    ] {
        let origin = format!("http://{host}");
        let headers = [("host", host), ("origin", origin.as_str())];
        let response = send(&server, request("GET", "/metrics", &headers, "")).await;
        assert_eq!(response.status().as_u16(), answer, "{host}");
    }
}

#[tokio::test]
async fn every_answer_forbids_framing_sniffing_and_foreign_scripts() {
    let server = running();
    for path in ["/", "/nowhere", "/api/v1/clusters"] {
        let response = send(&server, request("GET", path, &[("host", "localhost")], "")).await;
        let headers = response.headers();
        let csp = headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("default-src 'self'"), "{csp}");
        assert!(csp.contains("frame-ancestors 'none'"), "{csp}");
        assert!(!csp.contains("unsafe"), "{csp}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
    }
}

#[test]
fn only_loopback_is_open_without_a_configured_token() {
    let allowed = |address: &str, tokens| bind_allowed(address.parse().unwrap(), tokens).is_ok();
    for (address, without, with) in [
        ("127.0.0.1:7070", true, true),
        ("[::1]:7070", true, true),
        ("0.0.0.0:7070", false, true),
        ("[::]:7070", false, true),
        ("10.0.0.1:7070", false, true),
    ] {
        assert_eq!(allowed(address, false), without, "{address}");
        assert_eq!(allowed(address, true), with, "{address}");
    }
}

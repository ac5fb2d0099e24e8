//! Every route against every role, and against nobody.

use chrono::TimeDelta;
use expect_test::expect;
use strum::{IntoEnumIterator, VariantNames};

use super::*;
use crate::access::{Deed, Found, Method, Permission, Principal, TABLE, TokenEdge, Verdict, find};
use crate::api::cutovers::Steer;
use crate::model::{Mode, Role};

/// Hands a token of this role out, as `tidegate token create` does.
pub(super) async fn token(server: &Server, role: Role) -> Token {
    let now = SystemClock.now() - TimeDelta::minutes(1);
    let name = role.to_string().parse().unwrap();
    let secret = Token::random().unwrap();
    let mut ledger = server.ledger.lock().await;
    let token = ledger.tokens().new_token(name, role, None, &secret, now).unwrap();
    let admin = Principal {
        name: "ada".into(),
        role: Role::Admin,
        method: Method::StartToken,
        ambient: false,
    };
    let deed = Deed::new(&admin, "ada", "r0", "token_create");
    let edge = Some(TokenEdge::Created { token });
    ledger.append(&deed, Verdict::Done, None, edge, now).await.unwrap();
    secret
}

/// Every route of the description, with something in place of the parts of its path.
fn routes() -> Vec<(String, String)> {
    let json = serde_json::to_value(described().to_openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in json["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace("{name}", "web").replace("{cutover}", "break");
            let paths = match path.strip_suffix("{order}") {
                Some(base) => Steer::VARIANTS.iter().map(|verb| format!("{base}{verb}")).collect(),
                None => vec![path.replace("{service}", "users").replace("{id}", "d-1")],
            };
            let method = method.to_uppercase();
            routes.extend(paths.into_iter().map(|path| (method.clone(), path)));
        }
    }
    routes
}

/// Whether the door stayed shut: what was let in ends otherwise.
fn is_shut(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403)
}

#[tokio::test]
async fn every_route_is_for_its_role_and_those_above_it() {
    let mut server = running();
    let mut tokens = Vec::new();
    for role in Role::iter() {
        tokens.push(token(&server, role).await);
    }
    let mut table = String::new();
    for (method, path) in routes() {
        let mut open = vec![];
        for secret in [None].into_iter().chain(tokens.iter().map(Some)) {
            let bearer = secret.map(|secret| format!("Bearer {}", secret.reveal()));
            let mut headers = vec![("host", "localhost"), ("content-type", "application/json")];
            headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
            // A body that cannot be read: nothing is done, and the stream of news is not awaited.
            let response = send(&server, request(&method, &path, &headers, "[]")).await;
            open.push(if is_shut(response.status()) { '-' } else { 'x' });
        }
        table += &format!("{} {method} {path}\n", open.iter().collect::<String>());
    }
    assert!(server.inbox.waiting().is_none());
    // Nobody on the server's own machine, viewer, operator, releaser, admin.
    expect![[r#"
        --xxx GET /api/v1/audit
        --xxx GET /api/v1/audit/verify
        xxxxx GET /api/v1/clusters
        xxxxx GET /api/v1/clusters/web
        xxxxx GET /api/v1/clusters/web/cutovers
        xxxxx GET /api/v1/clusters/web/cutovers/break
        xxxxx GET /api/v1/clusters/web/cutovers/break/history
        ---xx POST /api/v1/clusters/web/cutovers/break/start
        --xxx POST /api/v1/clusters/web/cutovers/break/pause
        ---xx POST /api/v1/clusters/web/cutovers/break/resume
        ---xx POST /api/v1/clusters/web/cutovers/break/promote
        --xxx POST /api/v1/clusters/web/cutovers/break/abort
        --xxx POST /api/v1/clusters/web/cutovers/break/rollback
        ---xx POST /api/v1/clusters/web/cutovers/break/finalize
        ---xx POST /api/v1/clusters/web/cutovers/break/undo
        xxxxx GET /api/v1/clusters/web/decisions
        xxxxx GET /api/v1/clusters/web/decisions/d-1
        ---xx POST /api/v1/clusters/web/handback
        ---xx POST /api/v1/clusters/web/handover
        --xxx POST /api/v1/clusters/web/mode
        --xxx POST /api/v1/clusters/web/pause
        xxxxx GET /api/v1/clusters/web/plan
        xxxxx GET /api/v1/clusters/web/releases
        xxxxx GET /api/v1/clusters/web/releases/users
        ---xx POST /api/v1/clusters/web/releases/users
        --xxx POST /api/v1/clusters/web/releases/users/abort
        ---xx POST /api/v1/clusters/web/resume
        xxxxx GET /api/v1/stream
        ----x GET /api/v1/tokens
        ----x POST /api/v1/tokens
        ----x POST /api/v1/tokens/{token}/revoke
        xxxxx GET /healthz
        xxxxx GET /livez
        xxxxx GET /metrics
        xxxxx GET /readyz
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn beyond_loopback_nobody_may_look_either() {
    let server = running();
    let access = Access {
        token: Token::new(TOKEN).unwrap(),
        hosts: std::collections::BTreeSet::new(),
        ledger: server.ledger.clone(),
        alb: None,
        open_to_readers: false,
    };
    let server = served(access);
    for (method, path) in routes() {
        let asking = request(&method, &path, &[("host", "localhost")], "[]");
        let response = send(&server, asking).await;
        let probe = ["/healthz", "/livez", "/readyz"].contains(&path.as_str());
        assert_eq!(response.status() == 401, !probe, "{method} {path}");
        if !probe {
            // The browser asks for the token itself where a person looks at a page.
            let how = response.headers()["www-authenticate"].to_str().unwrap();
            assert_eq!(how.starts_with("Bearer"), path.starts_with("/api/"), "{path}");
        }
    }
}

#[test]
fn the_table_has_every_route_of_the_description_and_no_other() {
    let pages = ["/", "/clusters/{name}", "/clusters/{name}/fragment", "/assets/{file}", "/audit"];
    let mut described: Vec<_> = routes();
    for (method, path) in &described {
        assert!(matches!(find(method, path), Found::Permission(_)), "{method} {path}");
    }
    let mut table: Vec<_> = TABLE
        .iter()
        .map(|(method, path, _)| {
            let path = path.replace("{name}", "web").replace("{cutover}", "break");
            let path = path.replace("{service}", "users").replace("{id}", "d-1");
            ((*method).to_owned(), path)
        })
        .filter(|(_, path)| !pages.map(|page| page.replace("{name}", "web")).contains(path))
        .filter(|(_, path)| path != "/api/v1/openapi.json")
        .collect();
    table.sort();
    described.sort();
    assert_eq!(table, described);
    for (method, path) in [
        ("POST", "/api/v1/clusters/web/cutovers/break/explode"),
        ("GET", "/api/v1/clusters/web/secrets"),
        ("GET", "/api/v1/clusters//plan"),
        ("GET", "/api/v1/clusters/web/plan/"),
        ("GET", "api/v1/clusters"),
    ] {
        assert_eq!(find(method, path), Found::NoRoute, "{method} {path}");
    }
    assert_eq!(find("DELETE", "/api/v1/tokens"), Found::NoMethod);
    assert_eq!(find("HEAD", "/"), Found::Permission(Permission::Read));
}

#[tokio::test]
async fn a_mode_is_lowered_by_operators_and_raised_by_releasers() {
    for (stored, mode, role, permitted) in [
        (Mode::Act, "observe", Role::Operator, true),
        (Mode::Act, "act", Role::Operator, true),
        (Mode::Recommend, "act", Role::Operator, false),
        (Mode::Recommend, "act", Role::Releaser, true),
        (Mode::Act, "observe", Role::Viewer, false),
    ] {
        let mut server = server();
        let mut status = story::status();
        status.mode.stored = stored;
        server.publisher.publish(status, SystemClock.now());
        let bearer = format!("Bearer {}", token(&server, role).await.reveal());
        let headers = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ];
        let body = format!(r#"{{"mode":"{mode}","reason":"x"}}"#);
        let asking = request("POST", "/api/v1/clusters/web/mode", &headers, &body);
        let asking = server.router.clone().oneshot(asking);
        let ordered = tokio::select! {
            response = asking => {
                assert_eq!(response.unwrap().status(), 403, "{stored} {mode} {role}");
                false
            }
            _ordered = server.inbox.next() => true,
        };
        assert_eq!(ordered, permitted, "{stored} {mode} {role}");
    }
}

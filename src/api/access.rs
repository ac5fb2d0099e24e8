//! Who may ask, and from where.
//!
//! Rule: fails closed and stands before every route. A name in `Host` that is not ours means a
//! page elsewhere has pointed its own name at us (DNS rebinding); a foreign `Origin` means a page
//! elsewhere asks; what a route needs is in one table, and what is not in it is refused.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;

use super::{ApiState, Problem, problem, recognise::Alb};
use crate::access::{Found, Ledger, Permission, Principal, Token, find, nonce};
use crate::model::Role;

/// What requests are measured against.
#[derive(Clone, Debug)]
pub struct Access {
    /// The server's own, which permits everything.
    pub token: Token,
    /// Names this server answers to, beyond loopback; without port.
    pub hosts: BTreeSet<String>,
    /// The tokens that were handed out, and the record of what was done.
    pub ledger: Arc<Mutex<Ledger>>,
    /// `None`: identity headers are ignored.
    pub alb: Option<Alb>,
    /// Whether those who do not say who they are may look: only where none but the server's own
    /// machine can reach it.
    pub open_to_readers: bool,
}

/// A listening address that would open the server to others unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines: listen on a loopback address, give a token \
     (TIDEGATE_TOKEN or --token-file), create one with `tidegate token create`, or configure \
     `access.alb_oidc`"
)]
pub struct BindRefused(SocketAddr);

/// Whether the server may listen there.
///
/// # Errors
/// For anything but loopback while nobody can say who they are: the token made at start is printed
/// where others may read it.
pub fn bind_allowed(address: SocketAddr, authenticates: bool) -> Result<(), BindRefused> {
    if is_loopback(address.ip()) || authenticates { Ok(()) } else { Err(BindRefused(address)) }
}

/// Whether only this machine reaches it.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Somebody who was let in, for the handlers.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) principal: Principal,
    /// The principal's name; of a shared token's bearers, what they say.
    pub(super) actor: String,
    /// Names this request in the record and in the answer.
    pub(super) request: String,
}

/// Longest path that is recorded, in characters.
const PATH_MAX: usize = 200;
/// Says that a request was made by our own script, which a page elsewhere cannot add.
const FROM_PAGE: &str = "x-tidegate-page";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Stands before every route.
pub(super) async fn protect(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let (mut asked, body) = request.into_parts();
    let mut response = match state.let_in(&asked).await {
        Ok(None) => next.run(Request::from_parts(asked, body)).await,
        Ok(Some(asker)) if let Some(leader) = state.leader_instead(&asked) => {
            tracing::info!(actor = asker.actor, leader = leader.0.owner, "passed on");
            state.pass_on(&asked, body, leader).await
        }
        Ok(Some(asker)) => {
            let id = HeaderValue::from_str(&asker.request).ok();
            asked.extensions.insert(asker.principal.clone());
            asked.extensions.insert(asker);
            let mut response = next.run(Request::from_parts(asked, body)).await;
            response.headers_mut().extend(id.map(|id| (REQUEST_ID, id)));
            response
        }
        Err(problem) => {
            let challenge = (problem.status == 401).then(|| challenge(asked.uri.path()));
            let mut response = problem.into_response();
            response.headers_mut().extend(challenge.map(|how| (header::WWW_AUTHENTICATE, how)));
            response
        }
    };
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    }
    response
}

const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// A browser asks for the token itself where a page is refused; a script shall be told.
fn challenge(path: &str) -> HeaderValue {
    HeaderValue::from_static(if path.starts_with("/api/") {
        "Bearer realm=\"tidegate\""
    } else {
        "Basic realm=\"tidegate: any name, and a token\", charset=\"UTF-8\""
    })
}

impl ApiState {
    /// `None`: whoever it is may ask whether the server lives.
    async fn let_in(&self, asked: &Parts) -> Result<Option<Asker>, Problem> {
        let Parts { method, uri, headers, .. } = asked;
        let found = find(method.as_str(), uri.path());
        if found == Found::Permission(Permission::Probe) {
            return Ok(None);
        }
        self.access.check_origin(headers, authority(asked).unwrap_or_default())?;
        let principal = self.recognise(headers).await?;
        let actor = actor(&principal, headers)?;
        let request = nonce().map_err(problem::no_randomness)?;
        let asker = Asker { principal, actor, request };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let needed = match found {
            Found::Permission(permission) => permission.role().unwrap_or(Role::Viewer),
            _ if reads => Role::Viewer,
            _ => Role::Admin,
        };
        let path = uri.path().chars().take(PATH_MAX).collect::<String>();
        self.check_role(&asker, needed, &format!("{method} {path}")).await?;
        if !reads {
            check_change(&asker.principal, headers)?;
        }
        match found {
            Found::Permission(_) => Ok(Some(asker)),
            Found::NoMethod => Err(problem::no_such_method(method, uri.path())),
            Found::NoRoute => Err(problem::no_such_route(uri.path())),
        }
    }
}

impl Access {
    fn check_origin(&self, headers: &HeaderMap, authority: &str) -> Result<(), Problem> {
        if !self.is_ours(host_of(authority)) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "bad_host",
                format!("this server does not answer to `{authority}`"),
                "use a loopback address, or start the server with --allow-host NAME",
            ));
        }
        if !same_origin(headers, authority) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "bad_origin",
                "the request comes from a page of another site",
                "ask from the server's own pages, or without an Origin header",
            ));
        }
        Ok(())
    }

    fn is_ours(&self, host: &str) -> bool {
        host.parse::<IpAddr>().is_ok_and(is_loopback)
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|ours| host.eq_ignore_ascii_case(ours))
    }
}

/// What every change must look like, so that no page elsewhere can make a browser send it.
fn check_change(principal: &Principal, headers: &HeaderMap) -> Result<(), Problem> {
    if !is_json(headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "the body is not declared as JSON",
            "send `Content-Type: application/json`",
        ));
    }
    let site = headers.get("sec-fetch-site").map(|site| site == "same-origin");
    let ours = site.unwrap_or_else(|| headers.contains_key(header::ORIGIN));
    if principal.ambient && !(ours && headers.contains_key(FROM_PAGE)) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not_from_page",
            "a browser may have sent this for a page of another site",
            format!(
                "send `{FROM_PAGE}: 1` with `Sec-Fetch-Site: same-origin` or the server's own \
                 `Origin`; programs use `Authorization: Bearer TOKEN`"
            ),
        ));
    }
    Ok(())
}

/// The name to record: a shared token's bearers say it themselves.
fn actor(principal: &Principal, headers: &HeaderMap) -> Result<String, Problem> {
    match headers.get("x-tidegate-actor") {
        Some(name) if principal.method == crate::access::Method::StartToken => {
            problem::plain("x-tidegate-actor", name.to_str().unwrap_or_default())
        }
        _ => Ok(principal.name.clone()),
    }
}

/// HTTP/1 has it in `Host`, HTTP/2 in the request's own target. Two of them are none.
pub(super) fn authority(asked: &Parts) -> Option<&str> {
    let mut hosts = asked.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => asked.uri.authority().map(|authority| authority.as_str()),
        (Some(_), Some(_)) => None,
    }
}

pub(super) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(address, _)| address);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn same_origin(headers: &HeaderMap, authority: &str) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        from.is_some_and(|from| from.eq_ignore_ascii_case(authority))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

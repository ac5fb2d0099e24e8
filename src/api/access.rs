//! Who may ask, and from where.
//!
//! Rule: fails closed and stands before every route. A name in `Host` that is not ours means a
//! page elsewhere has pointed its own name at us (DNS rebinding); a foreign `Origin` means a page
//! elsewhere asks; anything but a read needs the token.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiState, Problem};

/// A secret that permits changes. Never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Shortest token taken from a configuration.
    pub const LENGTH_MIN: usize = 16;

    /// 128 random bits of the operating system.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn random() -> Result<Self, String> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| format!("no randomness for a token: {e}"))?;
        Ok(Self(bytes.iter().map(|b| format!("{b:02x}")).collect()))
    }

    /// # Errors
    /// When it is shorter than [`Token::LENGTH_MIN`] or holds more than visible ASCII.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < Self::LENGTH_MIN || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "a token has at least {} visible ASCII characters",
                Self::LENGTH_MIN
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, to be shown once at start.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes the same time wherever the first difference is.
    fn matches(&self, given: &str) -> bool {
        let pairs = self.0.bytes().zip(given.bytes());
        let difference = pairs.fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
        self.0.len() == given.len() && difference == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What requests are measured against.
#[derive(Clone, Debug)]
pub struct Access {
    pub token: Token,
    /// Names this server answers to, beyond loopback; without port.
    pub hosts: BTreeSet<String>,
}

/// A listening address that would open the server to others unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines: listen on a loopback address, or configure a token"
)]
pub struct BindRefused(SocketAddr);

/// Whether the server may listen there.
///
/// # Errors
/// For anything but loopback while no token has been configured: the one made at start is printed
/// where others may read it.
pub fn bind_allowed(address: SocketAddr, has_tokens: bool) -> Result<(), BindRefused> {
    if address.ip().to_canonical().is_loopback() || has_tokens {
        Ok(())
    } else {
        Err(BindRefused(address))
    }
}

/// Stands before every route.
pub(super) async fn protect(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match state.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
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

const HEADERS: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Probes that tell nothing; load balancers call them by address.
const OPEN: [&str; 3] = ["/healthz", "/livez", "/readyz"];

impl Access {
    fn check(&self, request: &Request) -> Result<(), Problem> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && OPEN.contains(&request.uri().path()) {
            return Ok(());
        }
        let authority = authority(request).unwrap_or_default();
        if !self.is_ours(host_of(authority)) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "bad_host",
                format!("this server does not answer to `{authority}`"),
                "use a loopback address, or start the server with --allow-host NAME",
            ));
        }
        if !same_origin(request.headers(), authority) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "bad_origin",
                "the request comes from a page of another site",
                "ask from the server's own pages, or without an Origin header",
            ));
        }
        if reads {
            return Ok(());
        }
        self.check_token(request.headers())?;
        if is_json(request.headers()) {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body is not declared as JSON",
                "send `Content-Type: application/json`",
            ))
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        loopback
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|ours| host.eq_ignore_ascii_case(ours))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if given.is_some_and(|given| self.token.matches(given)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "no_token",
            "changes need the server's token",
            "send `Authorization: Bearer TOKEN`; the token was printed when the server started, \
             or is the configured one",
        ))
    }
}

/// HTTP/1 has it in `Host`, HTTP/2 in the request's own target. Two of them are none.
fn authority(request: &Request) -> Option<&str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => request.uri().authority().map(|authority| authority.as_str()),
        (Some(_), Some(_)) => None,
    }
}

fn host_of(authority: &str) -> &str {
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

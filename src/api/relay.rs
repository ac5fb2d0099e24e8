//! Orders that reach a replica which stands by: they are passed on to the one that leads.
//!
//! Rule: whoever asks must be permitted here first, and is judged and recorded by the leader as if
//! the order had come there. It is sent once, and no further than to one other replica.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::{authority, host_of, is_loopback};
use super::{ApiState, BODY_MAX, Problem};
use crate::journal::Holder;

/// Longest wait for the leader, which itself waits for its loop.
const PATIENCE: Duration = Duration::from_secs(28);
/// Longest wait for a connection to it: where none comes, nothing was sent.
const TO_CONNECT: Duration = Duration::from_secs(2);
/// Says that a replica has passed it on already.
const PASSED_ON: HeaderName = HeaderName::from_static("x-tidegate-passed-on");
/// Orders to a cluster begin so.
const CLUSTERS: &str = "/api/v1/clusters/";

/// What says who asks, from where, and what it is; beside `Host`.
const CARRIED: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-amzn-oidc-data"),
    HeaderName::from_static("x-tidegate-actor"),
    HeaderName::from_static("x-tidegate-page"),
];
/// What of an answer is not made anew here.
const ANSWERED: [HeaderName; 2] = [header::CONTENT_TYPE, HeaderName::from_static("x-request-id")];

/// The way to other replicas.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// Made when first needed; nothing if this machine cannot speak TLS.
    http: OnceLock<Option<reqwest::Client>>,
}

impl Relay {
    fn http(&self) -> Option<&reqwest::Client> {
        let client = || {
            // A connection for each order: none that may have been closed is tried first.
            let builder = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy();
            let builder = builder.redirect(reqwest::redirect::Policy::none());
            builder.connect_timeout(TO_CONNECT).timeout(PATIENCE).build().ok()
        };
        self.http.get_or_init(client).as_ref()
    }
}

impl Holder {
    /// Where this machine reaches it. On another machine a loopback address would lead to whoever
    /// asks.
    pub fn reached_from_here(&self) -> Option<&str> {
        let owner = self.owner.strip_prefix(&Self::machine());
        let is_here = owner.is_some_and(|rest| rest.starts_with('/'));
        self.address.as_deref().filter(|address| is_here || !stays_here(address))
    }

    /// What owners that run on this machine begin with, before a slash.
    pub fn machine() -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        if host.trim().is_empty() { "replica".to_owned() } else { host.trim().to_owned() }
    }
}

/// Whether the address leads to the very machine that asks.
fn stays_here(address: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| is_loopback(ip) || ip.is_unspecified())
}

impl ApiState {
    /// The replica that a change is for instead of this one, with its address.
    pub(super) fn leader_instead(&self, asked: &Parts) -> Option<(Holder, String)> {
        let reads = matches!(asked.method, Method::GET | Method::HEAD);
        if reads || asked.headers.contains_key(PASSED_ON) {
            return None;
        }
        let (cluster, _order) = asked.uri.path().strip_prefix(CLUSTERS)?.split_once('/')?;
        let leader = self.status().cluster(cluster)?.journal.leader.clone()?;
        let address = leader.reached_from_here()?.to_owned();
        Some((leader, address))
    }

    pub(super) async fn pass_on(
        &self,
        asked: &Parts,
        body: Body,
        (leader, address): (Holder, String),
    ) -> Response {
        let sent = self.ask_leader(asked, body, &leader, &address).await;
        sent.unwrap_or_else(IntoResponse::into_response)
    }

    async fn ask_leader(
        &self,
        asked: &Parts,
        body: Body,
        leader: &Holder,
        address: &str,
    ) -> Result<Response, Problem> {
        let body = to_bytes(body, BODY_MAX).await.map_err(|error| {
            let hint = "a command is a few lines of JSON";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_body", error.to_string(), hint)
        })?;
        let http =
            self.relay.http().ok_or_else(|| unreachable(leader, "no TLS on this machine"))?;
        let path = asked.uri.path_and_query().map_or("", |path| path.as_str());
        let mut order = http.post(format!("{address}{path}")).body(body).header(PASSED_ON, "1");
        for name in CARRIED {
            for value in asked.headers.get_all(&name) {
                order = order.header(&name, value);
            }
        }
        if let Some(host) = authority(asked).filter(|host| !is_ours_alone(host, asked)) {
            order = order.header(header::HOST, host);
        }
        let answer = order.send().await.map_err(|error| {
            if error.is_builder() {
                unreachable(leader, "that is no address")
            } else if error.is_connect() {
                unreachable(leader, "no connection")
            } else {
                silent(leader)
            }
        })?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| silent(leader))?;
        let mut response = (status, body).into_response();
        for name in ANSWERED {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }
}

/// Whether this is the address of this replica, which the leader does not answer to as it does to
/// names, and no page's `Origin` is compared with it there.
fn is_ours_alone(host: &str, asked: &Parts) -> bool {
    let is_address = host_of(host).parse::<IpAddr>().is_ok_and(|ip| !is_loopback(ip));
    is_address && !asked.headers.contains_key(header::ORIGIN)
}

/// Nothing was sent.
fn unreachable(leader: &Holder, why: &str) -> Problem {
    let address = leader.address.as_deref().unwrap_or_default();
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "leader_unreachable",
        format!("this replica stands by; {} leads at {address}: {why}", leader.owner),
        "ask again in some seconds, when another replica may lead; if it stays, let replicas reach \
         each other, or give each its own address with --advertise",
    )
}

/// It may have been carried out.
fn silent(leader: &Holder) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "leader_silent",
        format!("{} leads, has taken the order and does not answer", leader.owner),
        "read the cluster's status before asking again: the command may still be obeyed",
    )
}

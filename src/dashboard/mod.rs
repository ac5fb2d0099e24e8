//! Pages for people: rendered on the server from the published status, kept live by one script.
//!
//! Rule: complete without the script; nothing inline, since the content security policy forbids
//! it; every state is told by a sign and a word, never by colour alone.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::access::{Method, Principal};
use crate::control::status::Status;

mod audit;
mod chart;
mod cutover;
mod fleet;
mod release;
mod view;

use view::View;

type Shown = watch::Receiver<Arc<Status>>;

/// The pages, to be served beside the API under its protection.
pub fn pages(status: Shown, record: audit::Record) -> Router {
    let asset = |kind: &'static str, content: &'static str| {
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
        get(async move || (headers, content))
    };
    Router::new()
        .route("/", get(overview))
        .route("/clusters/{name}", get(cluster))
        .route("/clusters/{name}/fragment", get(fragment))
        .with_state(status)
        .merge(Router::new().route("/audit", get(audit::audit)).with_state(record))
        .route("/assets/tidegate.css", asset("text/css", include_str!("assets/tidegate.css")))
        .route("/assets/live.js", asset("text/javascript", include_str!("assets/live.js")))
        .route("/assets/icon.svg", asset("image/svg+xml", include_str!("assets/icon.svg")))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    status: &'a Status,
}

#[derive(Template)]
#[template(path = "cluster.html")]
struct ClusterPage<'a> {
    view: View<'a>,
    who: Who,
}

/// What the form of an order need not ask, since the browser says it by itself.
struct Who {
    /// Name and role; `None`: whoever orders something must show a token.
    known: Option<(String, String)>,
    asks_name: bool,
}

impl Who {
    fn of(principal: Option<Extension<Principal>>) -> Self {
        let known = principal
            .map(|Extension(principal)| principal)
            .filter(|principal| principal.ambient && principal.method != Method::Nobody);
        let shared = |known: &Principal| known.method == Method::StartToken;
        Self {
            asks_name: known.as_ref().is_none_or(shared),
            known: known.map(|known| (known.name, known.role.to_string())),
        }
    }
}

#[derive(Template)]
#[template(path = "fragment.html")]
struct Fragment<'a> {
    view: View<'a>,
}

#[derive(Template)]
#[template(path = "missing.html")]
struct Missing<'a> {
    name: &'a str,
    awaited: bool,
}

/// All clusters; the only one directly.
async fn overview(State(status): State<Shown>) -> Response {
    let status = status.borrow().clone();
    if let ([only], true) = (status.clusters.as_slice(), status.awaited.is_empty()) {
        return Redirect::temporary(&format!("/clusters/{}", only.name)).into_response();
    }
    page(StatusCode::OK, &Overview { status: &status })
}

async fn cluster(
    State(status): State<Shown>,
    Path(name): Path<String>,
    principal: Option<Extension<Principal>>,
) -> Response {
    let status = status.borrow().clone();
    let Some(cluster) = status.cluster(&name) else {
        return missing(&status, &name);
    };
    let view = View::of(&status, cluster);
    page(StatusCode::OK, &ClusterPage { view, who: Who::of(principal) })
}

/// The part of a cluster's page that changes.
async fn fragment(State(status): State<Shown>, Path(name): Path<String>) -> Response {
    let status = status.borrow().clone();
    let Some(cluster) = status.cluster(&name) else {
        return missing(&status, &name);
    };
    let view = View::of(&status, cluster);
    page(StatusCode::OK, &Fragment { view })
}

fn missing(status: &Status, name: &str) -> Response {
    let awaited = status.awaited.iter().any(|known| known.as_str() == name);
    let code = if awaited { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_FOUND };
    page(code, &Missing { name, awaited })
}

fn page(code: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (code, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "page not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests;

//! Probes and metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, Router};
use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::{ApiState, Problem};
use crate::control::status::Status;
use crate::control::{Clock, SystemClock};
use crate::telemetry;

/// Silence of the loop after which the process should be replaced.
const SILENCE_MAX: TimeDelta = TimeDelta::minutes(5);

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    OK
}

/// The control loop of every cluster is alive.
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, body = Health), (status = 503, response = Problem)))]
pub(super) async fn livez(State(state): State<ApiState>) -> Result<Json<Health>, Problem> {
    let silence = silence(&state.status());
    if silence <= SILENCE_MAX {
        return Ok(OK);
    }
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "loop_silent",
        format!("a cluster's loop has told nothing for {} s", silence.num_seconds()),
        "restart the process; it goes on from its journal",
    ))
}

fn silence(status: &Arc<Status>) -> TimeDelta {
    SystemClock.now() - status.silent_since()
}

/// Every configured cluster has been looked at.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, response = Problem)))]
pub(super) async fn readyz(State(state): State<ApiState>) -> Result<Json<Health>, Problem> {
    let status = state.status();
    if status.awaited.is_empty() && !status.clusters.is_empty() {
        return Ok(OK);
    }
    let names: Vec<_> = status.awaited.iter().map(ToString::to_string).collect();
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        format!("not observed yet: {}", names.join(", ")),
        "the first observation takes seconds; if it does not end, look at the log",
    ))
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"),
              (status = "4XX", response = Problem)))]
pub(super) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    scrape(&state.status())
}

fn scrape(status: &Arc<Status>) -> impl IntoResponse + use<> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], telemetry::metrics::text(status))
}

/// Metrics alone, for a port of their own: whoever reaches it may read them, under any name.
pub fn metrics_only(status: watch::Receiver<Arc<Status>>) -> Router {
    let read = axum::routing::get(async move || {
        let shown = status.borrow().clone();
        scrape(&shown)
    });
    Router::new().route("/metrics", read)
}

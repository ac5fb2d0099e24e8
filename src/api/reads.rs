//! What is known of the clusters.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{Path, Query};
use super::{ApiState, Problem};
use crate::control::status::{
    ClusterStatus, Cost, DECISIONS_MAX, Decision, HostCounts, ModeStatus, OtherWriter, PlanView,
    Reservation, Seen, Status, TaskCounts,
};
use crate::journal::Holder;
use crate::model::{ClusterName, Pause};

/// A cluster in one line.
#[derive(Serialize, ToSchema)]
pub(super) struct ClusterSummary {
    name: ClusterName,
    region: Option<String>,
    at: DateTime<Utc>,
    mode: ModeStatus,
    pause: Option<Pause>,
    seen: Seen,
    hosts: HostCounts,
    reservation: Reservation,
    tasks: TaskCounts,
    cost: Cost,
    /// Where another replica leads, and this one only looks.
    leader: Option<Holder>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Clusters {
    clusters: Vec<ClusterSummary>,
    /// Configured, not observed yet.
    awaited: Vec<ClusterName>,
}

/// The plan of the last tick with what one needs to judge it.
#[derive(Serialize, ToSchema)]
pub(super) struct ClusterPlan {
    cluster: ClusterName,
    at: DateTime<Utc>,
    mode: ModeStatus,
    pause: Option<Pause>,
    seen: Seen,
    plan: PlanView,
    cost: Cost,
    others_writing: Vec<OtherWriter>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Decisions {
    /// Newest first.
    decisions: Vec<Decision>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct Limit {
    /// How many, at most; 20 unless told.
    limit: Option<usize>,
}

/// All clusters, one line each.
#[utoipa::path(get, path = "/api/v1/clusters", tag = "clusters",
    responses((status = 200, body = Clusters), (status = "4XX", response = Problem)))]
pub(super) async fn clusters(State(state): State<ApiState>) -> Json<Clusters> {
    let status = state.status();
    Json(Clusters {
        clusters: status.clusters.iter().map(summary).collect(),
        awaited: status.awaited.iter().cloned().collect(),
    })
}

fn summary(cluster: &ClusterStatus) -> ClusterSummary {
    ClusterSummary {
        name: cluster.name.clone(),
        region: cluster.region.clone(),
        at: cluster.at,
        mode: cluster.mode,
        pause: cluster.pause.clone(),
        seen: cluster.seen.clone(),
        hosts: cluster.host_counts,
        reservation: cluster.reservation,
        tasks: cluster.tasks,
        cost: cluster.cost,
        leader: cluster.journal.leader.clone(),
    }
}

/// Everything known of one cluster.
#[utoipa::path(get, path = "/api/v1/clusters/{name}", tag = "clusters",
    params(("name" = String, Path)),
    responses((status = 200, body = ClusterStatus), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn cluster(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<ClusterStatus>, Problem> {
    Ok(Json(find(&state.status(), &name)?.clone()))
}

/// What would be done, what is not allowed, what is held, each with its why.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/plan", tag = "clusters",
    params(("name" = String, Path)),
    responses((status = 200, body = ClusterPlan), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn plan(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<ClusterPlan>, Problem> {
    let status = state.status();
    let cluster = find(&status, &name)?;
    Ok(Json(ClusterPlan {
        cluster: cluster.name.clone(),
        at: cluster.at,
        mode: cluster.mode,
        pause: cluster.pause.clone(),
        seen: cluster.seen.clone(),
        plan: cluster.plan.clone(),
        cost: cluster.cost,
        others_writing: cluster.others_writing.clone(),
    }))
}

/// The last decisions, newest first.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/decisions", tag = "decisions",
    params(("name" = String, Path), Limit),
    responses((status = 200, body = Decisions), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn decisions(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<Decisions>, Problem> {
    let status = state.status();
    let decisions = find(&status, &name)?.decisions.iter();
    let limit = limit.unwrap_or(20).min(DECISIONS_MAX);
    Ok(Json(Decisions { decisions: decisions.take(limit).cloned().collect() }))
}

/// One decision: what it saw, wanted, did and held.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/decisions/{id}", tag = "decisions",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Decision), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn decision(
    State(state): State<ApiState>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<Decision>, Problem> {
    let status = state.status();
    let mut decisions = find(&status, &name)?.decisions.iter();
    let found = decisions.find(|decision| decision.id == id);
    found.cloned().map(Json).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_decision",
            format!("there is no decision `{id}` among the last {DECISIONS_MAX}"),
            format!("GET /api/v1/clusters/{name}/decisions lists them"),
        )
    })
}

/// The cluster of this name, if it has been observed.
pub(super) fn find<'a>(status: &'a Status, name: &str) -> Result<&'a ClusterStatus, Problem> {
    if let Some(cluster) = status.cluster(name) {
        return Ok(cluster);
    }
    if status.awaited.iter().any(|awaited| awaited.as_str() == name) {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            format!("cluster `{name}` has not been observed yet"),
            "ask again in some seconds",
        ));
    }
    let known: Vec<_> = status.clusters.iter().map(|c| c.name.as_str()).collect();
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_cluster",
        format!("there is no cluster `{name}` here"),
        format!("known clusters: {}", known.join(", ")),
    ))
}

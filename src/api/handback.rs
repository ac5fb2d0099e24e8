//! The order that hands a cluster, a pool or a cutover back, and what it would change.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Asker;
use super::asked::Path;
use super::commands::{Answer, Body, CommandDone, give, read};
use super::cutovers::refused;
use super::{ApiState, Problem, reads};
use crate::control::status::ClusterStatus;
use crate::cutover::told::CutoverTold;
use crate::handback::told::Return;
use crate::model::handback::check;
use crate::model::{CutoverName, Known, Order, PoolId, Scope, Side};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandBack {
    reason: String,
    /// Only this pool.
    pool: Option<PoolId>,
    /// Only this cutover, and what it changed of its services.
    cutover: Option<CutoverName>,
    /// Where open cutovers end; needed if one is open.
    side: Option<Side>,
    /// False: only say what would be changed.
    #[serde(default)]
    apply: bool,
}

/// Let everything be as it was before Tidegate, or show what that would change.
///
/// The cluster is only watched from then on; a pool begins nothing until it is resumed.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/handback", tag = "commands",
    params(("name" = String, Path)), request_body = HandBack, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn handback(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Extension(asker): Extension<Asker>,
    body: Body,
) -> Answer {
    let HandBack { reason, pool, cutover, side, apply } = read(body)?;
    let scope = scope(pool, cutover)?;
    let status = state.status();
    let cluster = reads::find(&status, &name)?;
    exists(cluster, &scope)?;
    let changes = cluster.handback.of(&scope).map(said).collect();
    if !apply {
        return Ok(Json(CommandDone { seq: None, changes }));
    }
    let covered = |told: &&CutoverTold| match &scope {
        Scope::Cluster => true,
        Scope::Pool(_) => false,
        Scope::Cutover(cutover) => told.name == *cutover,
    };
    let known: Vec<Known> =
        cluster.cutovers.iter().filter(covered).map(CutoverTold::known).collect();
    check(cluster.handback.order.as_ref(), &scope, side, &known).map_err(refused)?;
    let order = Order::Handback { scope, side };
    let Json(CommandDone { seq, .. }) = give(&state, name, &asker, reason, order).await?;
    Ok(Json(CommandDone { seq, changes }))
}

fn scope(pool: Option<PoolId>, cutover: Option<CutoverName>) -> Result<Scope, Problem> {
    match (pool, cutover) {
        (None, None) => Ok(Scope::Cluster),
        (Some(pool), None) => Ok(Scope::Pool(pool)),
        (None, Some(cutover)) => Ok(Scope::Cutover(cutover)),
        (Some(_), Some(_)) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_body",
            "`pool` and `cutover` exclude each other",
            "name one of them, or neither for the whole cluster",
        )),
    }
}

fn exists(cluster: &ClusterStatus, scope: &Scope) -> Result<(), Problem> {
    let (known, code): (Vec<_>, _) = match scope {
        Scope::Cluster => return Ok(()),
        Scope::Pool(_) => {
            (cluster.pools.iter().map(|pool| pool.id.to_string()).collect(), "unknown_pool")
        }
        Scope::Cutover(_) => {
            (cluster.cutovers.iter().map(|c| c.name.to_string()).collect(), "unknown_cutover")
        }
    };
    let (kind, named) = match scope {
        Scope::Cluster => return Ok(()),
        Scope::Pool(pool) => ("pool", pool.to_string()),
        Scope::Cutover(cutover) => ("cutover", cutover.to_string()),
    };
    if known.contains(&named) {
        return Ok(());
    }
    let detail = format!("`{named}` is no {kind} of cluster `{}`", cluster.name);
    let hint = format!("known {kind}s: {}", known.join(", "));
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, hint))
}

fn said(one: &Return) -> String {
    one.text.clone()
}

//! What a person may order, each with name and reason.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Asker;
use super::asked::Path;
use super::audit::to_its_end;
use super::problem::plain;
use super::{ApiState, Problem, reads};
use crate::access::{Deed, Permission, Verdict};
use crate::control::Orders;
use crate::control::status::PoolView;
use crate::model::{ClusterName, Command, Mode, Order, PoolId, Seq};

/// How long to wait until the loop has journalled a command: a tick's writes may be under way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command that is in the journal, or what it would change.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct CommandDone {
    /// Its place in the journal; absent when nothing was ordered.
    pub(super) seq: Option<Seq>,
    /// What was, or would be, changed in AWS for it, as far as that is known already.
    pub(super) changes: Vec<String>,
}

pub(super) type Answer = Result<Json<CommandDone>, Problem>;
pub(super) type Body = Result<Bytes, BytesRejection>;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetMode {
    mode: Mode,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    reason: String,
    /// Only this pool: lifts its demotion and forgets its failed hosts.
    pool: Option<PoolId>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Handover {
    reason: String,
    /// Every pool under managed scaling unless told.
    #[serde(default)]
    pools: Vec<PoolId>,
    /// False: only say what would be changed.
    #[serde(default)]
    apply: bool,
}

/// Set the stored mode; the configuration's ceiling still holds.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/mode", tag = "commands",
    params(("name" = String, Path)), request_body = SetMode, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn mode(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Extension(asker): Extension<Asker>,
    body: Body,
) -> Answer {
    let SetMode { mode, reason } = read(body)?;
    give(&state, name, &asker, reason, Order::SetMode { mode }).await
}

/// Write nothing until resumed.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/pause", tag = "commands",
    params(("name" = String, Path)), request_body = Pause, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn pause(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Extension(asker): Extension<Asker>,
    body: Body,
) -> Answer {
    let Pause { reason } = read(body)?;
    give(&state, name, &asker, reason, Order::Pause).await
}

/// End a pause, close breakers, lift demotions.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/resume", tag = "commands",
    params(("name" = String, Path)), request_body = Resume, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn resume(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Extension(asker): Extension<Asker>,
    body: Body,
) -> Answer {
    let Resume { reason, pool } = read(body)?;
    give(&state, name, &asker, reason, Order::Resume { pool }).await
}

/// Take pools over from managed scaling, or show what that would change.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/handover", tag = "commands",
    params(("name" = String, Path)), request_body = Handover, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn handover(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Extension(asker): Extension<Asker>,
    body: Body,
) -> Answer {
    let Handover { reason, pools, apply } = read(body)?;
    let status = state.status();
    let known = &reads::find(&status, &name)?.pools;
    if let Some(unknown) = pools.iter().find(|id| known.iter().all(|pool| pool.id != **id)) {
        let ids: Vec<_> = known.iter().map(|pool| pool.id.to_string()).collect();
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_pool",
            format!("`{unknown}` is no pool of cluster `{name}`"),
            format!("known pools: {}", ids.join(", ")),
        ));
    }
    let asked = |pool: &&PoolView| match pools.as_slice() {
        [] => !pool.handover.is_empty(),
        named => named.contains(&pool.id),
    };
    let asked: Vec<_> = known.iter().filter(asked).collect();
    let changes = asked.iter().flat_map(|pool| pool.handover.clone()).collect();
    let pools: Vec<_> = asked.iter().map(|pool| pool.id.clone()).collect();
    if !apply || pools.is_empty() {
        return Ok(Json(CommandDone { seq: None, changes }));
    }
    let order = Order::Handover { pools };
    let Json(CommandDone { seq, .. }) = give(&state, name, &asker, reason, order).await?;
    Ok(Json(CommandDone { seq, changes }))
}

/// Records who orders what, and hands it to the loop. What has begun is ended in the record.
pub(super) async fn give(
    state: &ApiState,
    cluster: String,
    asker: &Asker,
    reason: String,
    order: Order,
) -> Answer {
    let name = ClusterName::new(&cluster);
    let orders = state.orders.get(&name).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_cluster",
            format!("there is no cluster `{cluster}` here"),
            "GET /api/v1/clusters lists the clusters of this server",
        )
    })?;
    let status = state.status();
    let leader = status.cluster(&cluster).and_then(|known| known.journal.leader.as_ref());
    if let Some(leader) = leader {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "standing_by",
            format!("this replica stands by; {} leads", leader.owner),
            "send the order to the replica that leads",
        ));
    }
    let reason = plain("reason", &reason)?;
    // A cluster that was not looked at yet begins in observe.
    let stored = state.status().cluster(&cluster).map_or(Mode::Observe, |told| told.mode.stored);
    let needs = Permission::of(&order, stored);
    let deed = Deed::new(&asker.principal, &asker.actor, &asker.request, "");
    let deed = deed.of(&order, &name, stored, &reason);
    if let Some(role) = needs.role() {
        state.check_role(asker, role, &deed.action).await?;
    }
    let command = Command { actor: asker.actor.clone(), reason, order };
    let (state, orders) = (state.clone(), orders.clone());
    let ordered = async move {
        state.begin(&deed, needs).await?;
        let done = hand_over(&orders, command).await;
        match &done {
            Ok(seq) => state.end(&deed, Verdict::Done, format!("journal {}", seq.0)).await,
            Err(problem) => state.end(&deed, Verdict::Failed, problem.detail.clone()).await,
        }
        done
    };
    let seq = to_its_end(ordered).await?;
    Ok(Json(CommandDone { seq: Some(seq), changes: Vec::new() }))
}

async fn hand_over(orders: &Orders, command: Command) -> Result<Seq, Problem> {
    let hint = "read the cluster's status before asking again: the command may still be obeyed";
    let refused =
        |code, detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, hint);
    match tokio::time::timeout(PATIENCE, orders.order(command)).await {
        Ok(Ok(seq)) => Ok(seq),
        Ok(Err(error)) => Err(refused("not_recorded", error)),
        Err(_) => Err(refused("busy", "the control loop did not answer in time".to_owned())),
    }
}

pub(super) fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = body.map_err(|rejection| {
        Problem::new(
            rejection.status(),
            "bad_body",
            rejection.body_text(),
            "a command is a few lines of JSON",
        )
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_body",
            error.to_string(),
            "GET /api/v1/openapi.json describes the body",
        )
    })
}

//! Cutovers: where each route stands, and the orders that steer them.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Asker;
use super::asked::Path;
use super::commands::{Answer, CommandDone, give, read};
use super::{ApiState, Problem, problem, reads};
use crate::access::nonce;
use crate::control::status::ClusterStatus;
use crate::cutover::told::{CutoverTold, MoveTold};
use crate::model::orders::check;
use crate::model::{CutoverName, CutoverOrder, Order, Refusal, ServiceName};

#[derive(Serialize, ToSchema)]
pub(super) struct Cutovers {
    cutovers: Vec<CutoverTold>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct History {
    /// Newest first.
    history: Vec<MoveTold>,
}

/// What a cutover may be told to do.
#[derive(
    Clone, Copy, PartialEq, Eq, Deserialize, ToSchema, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum Steer {
    Start,
    Pause,
    Resume,
    Promote,
    Abort,
    Rollback,
    Finalize,
    Undo,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Steered {
    reason: String,
    /// Only this route; for promote and rollback.
    route: Option<ServiceName>,
    /// All steps that are left; for promote.
    #[serde(default)]
    full: bool,
}

/// Every cutover of the configuration, started or not.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/cutovers", tag = "cutovers",
    params(("name" = String, Path)),
    responses((status = 200, body = Cutovers), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn cutovers(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Cutovers>, Problem> {
    let status = state.status();
    Ok(Json(Cutovers { cutovers: reads::find(&status, &name)?.cutovers.clone() }))
}

/// One cutover: stages, weights, gates, holds, and what is next.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/cutovers/{cutover}", tag = "cutovers",
    params(("name" = String, Path), ("cutover" = String, Path)),
    responses((status = 200, body = CutoverTold), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn cutover(
    State(state): State<ApiState>,
    Path((name, cutover)): Path<(String, String)>,
) -> Result<Json<CutoverTold>, Problem> {
    let status = state.status();
    Ok(Json(find(reads::find(&status, &name)?, &cutover)?.clone()))
}

/// The moves of its routes, newest first, as far as they are remembered.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/cutovers/{cutover}/history", tag = "cutovers",
    params(("name" = String, Path), ("cutover" = String, Path)),
    responses((status = 200, body = History), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn history(
    State(state): State<ApiState>,
    Path((name, cutover)): Path<(String, String)>,
) -> Result<Json<History>, Problem> {
    let status = state.status();
    let told = find(reads::find(&status, &name)?, &cutover)?;
    Ok(Json(History { history: told.history.clone() }))
}

/// Steer a cutover; a rollback goes ahead of everything else.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/cutovers/{cutover}/{order}", tag = "commands",
    params(("name" = String, Path), ("cutover" = String, Path), ("order" = inline(Steer), Path)),
    request_body = Steered, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn steer(
    State(state): State<ApiState>,
    Path((name, cutover, verb)): Path<(String, String, String)>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let verb = verb.parse::<Steer>().map_err(|_| unknown_order(&verb))?;
    let Steered { reason, route, full } = read(body)?;
    let status = state.status();
    let told = find(reads::find(&status, &name)?, &cutover)?;
    let steer = order(verb, route, full, told)?;
    check(&told.known(), &steer).map_err(refused)?;
    let order = Order::Cutover { cutover: CutoverName::new(&cutover), steer };
    give(&state, name, &asker, reason, order).await
}

fn order(
    verb: Steer,
    route: Option<ServiceName>,
    full: bool,
    told: &CutoverTold,
) -> Result<CutoverOrder, Problem> {
    if full && verb != Steer::Promote {
        return Err(out_of_place("full", "promote"));
    }
    if route.is_some() && !matches!(verb, Steer::Promote | Steer::Rollback) {
        return Err(out_of_place("route", "promote and rollback"));
    }
    Ok(match verb {
        Steer::Start => {
            let token = nonce().map_err(problem::no_randomness)?;
            let routes = told.routes.iter().map(|route| route.to.clone()).collect();
            CutoverOrder::Start { token, routes }
        }
        Steer::Pause => CutoverOrder::Pause,
        Steer::Resume => CutoverOrder::Resume,
        Steer::Promote => CutoverOrder::Promote { route, full },
        Steer::Abort => CutoverOrder::Abort,
        Steer::Rollback => CutoverOrder::Rollback { route },
        Steer::Finalize => CutoverOrder::Finalize,
        Steer::Undo => CutoverOrder::Undo,
    })
}

fn find<'a>(cluster: &'a ClusterStatus, name: &str) -> Result<&'a CutoverTold, Problem> {
    cluster.cutover(&CutoverName::new(name)).ok_or_else(|| {
        let names: Vec<_> = cluster.cutovers.iter().map(|known| known.name.as_str()).collect();
        let hint = match names.as_slice() {
            [] => "the configuration names none; see `cutovers` of a cluster".to_owned(),
            names => format!("known cutovers: {}", names.join(", ")),
        };
        let detail = format!("cluster `{}` has no cutover `{name}`", cluster.name);
        Problem::new(StatusCode::NOT_FOUND, "unknown_cutover", detail, hint)
    })
}

pub(super) fn refused(Refusal { code, detail, remedy }: Refusal) -> Problem {
    let status = match code {
        "unknown_route" => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::CONFLICT,
    };
    Problem::new(status, code, detail, remedy)
}

fn out_of_place(field: &str, orders: &str) -> Problem {
    let detail = format!("`{field}` is only for {orders}");
    let hint = "GET /api/v1/openapi.json describes the body";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_body", detail, hint)
}

fn unknown_order(verb: &str) -> Problem {
    use strum::VariantNames;
    let hint = format!("orders: {}", Steer::VARIANTS.join(", "));
    let detail = format!("a cutover cannot be told to `{verb}`");
    Problem::new(StatusCode::NOT_FOUND, "unknown_order", detail, hint)
}

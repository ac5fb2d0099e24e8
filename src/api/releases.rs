//! Releases: where the last one of each service stands, and the orders that begin and abort one.

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
use super::{ApiState, Problem, reads};
use crate::control::status::ClusterStatus;
use crate::model::{ImageName, Order, Refusal, ReleaseOrder, ServiceName};
use crate::release::orders::check;
use crate::release::told::ReleaseTold;

#[derive(Serialize, ToSchema)]
pub(super) struct Releases {
    releases: Vec<ReleaseTold>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartRelease {
    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`, or any image by its digest.
    image: ImageName,
    /// Left out: the only one, the one behind the load balancer, or the service's name.
    container: Option<String>,
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AbortRelease {
    reason: String,
}

/// The last release of each service that had one.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/releases", tag = "releases",
    params(("name" = String, Path)),
    responses((status = 200, body = Releases), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn releases(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Releases>, Problem> {
    let status = state.status();
    Ok(Json(Releases { releases: reads::find(&status, &name)?.releases.clone() }))
}

/// The last release of one service: stage, revisions, counts, verdict, and what is next.
#[utoipa::path(get, path = "/api/v1/clusters/{name}/releases/{service}", tag = "releases",
    params(("name" = String, Path), ("service" = String, Path)),
    responses((status = 200, body = ReleaseTold), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn release(
    State(state): State<ApiState>,
    Path((name, service)): Path<(String, String)>,
) -> Result<Json<ReleaseTold>, Problem> {
    let status = state.status();
    let cluster = reads::find(&status, &name)?;
    let told = cluster.release(&ServiceName::new(&service)).cloned();
    told.map(Json).ok_or_else(|| {
        let detail = format!("cluster `{name}` has had no release of `{service}`");
        let hint = "`tidegate release SERVICE IMAGE` begins one";
        Problem::new(StatusCode::NOT_FOUND, "no_release", detail, hint)
    })
}

/// Release a new image of a service.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/releases/{service}", tag = "commands",
    params(("name" = String, Path), ("service" = String, Path)),
    request_body = StartRelease, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn start(
    State(state): State<ApiState>,
    Path((name, service)): Path<(String, String)>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let StartRelease { image, container, reason } = read(body)?;
    let steer = ReleaseOrder::Start { image, container };
    steered(&state, name, &service, &asker, reason, steer).await
}

/// Lead a release back that is under way.
#[utoipa::path(post, path = "/api/v1/clusters/{name}/releases/{service}/abort", tag = "commands",
    params(("name" = String, Path), ("service" = String, Path)),
    request_body = AbortRelease, security(("token" = [])),
    responses((status = 200, body = CommandDone), (status = "4XX", response = Problem),
              (status = 503, response = Problem)))]
pub(super) async fn abort(
    State(state): State<ApiState>,
    Path((name, service)): Path<(String, String)>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let AbortRelease { reason } = read(body)?;
    steered(&state, name, &service, &asker, reason, ReleaseOrder::Abort).await
}

async fn steered(
    state: &ApiState,
    name: String,
    service: &str,
    asker: &Asker,
    reason: String,
    steer: ReleaseOrder,
) -> Answer {
    let service = ServiceName::new(service);
    let status = state.status();
    let cluster: &ClusterStatus = reads::find(&status, &name)?;
    check(&cluster.known_of(&service), &steer).map_err(refused)?;
    give(state, name, asker, reason, Order::Release { service, steer }).await
}

fn refused(Refusal { code, detail, remedy }: Refusal) -> Problem {
    let status = match code {
        "unknown_service" => StatusCode::NOT_FOUND,
        "bad_image" => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::CONFLICT,
    };
    Problem::new(status, code, detail, remedy)
}

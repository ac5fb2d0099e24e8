//! HTTP for people's tools: what the status says, and the few commands they may give.
//!
//! Rule: reads show the published status and compute nothing; every change goes to the loop as a
//! command with a name and a reason. What is refused is said as a problem with code and hint.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Orders;
use crate::control::status::Status;
use crate::model::ClusterName;

mod access;
mod asked;
mod audit;
mod commands;
mod cutovers;
mod handback;
mod health;
mod keys;
mod problem;
mod reads;
mod recognise;
mod relay;
mod releases;
mod stream;
mod tokens;

pub use access::{Access, BindRefused, bind_allowed, is_loopback};
pub use health::metrics_only;
pub use keys::Keys;
pub use problem::Problem;
pub use recognise::Alb;

/// Largest request body: commands are a few lines.
const BODY_MAX: usize = 64 * 1024;
/// Live streams at one time.
const STREAMS_MAX: usize = 200;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct ApiState {
    status: watch::Receiver<Arc<Status>>,
    orders: Arc<BTreeMap<ClusterName, Orders>>,
    access: Arc<Access>,
    streams: Arc<Semaphore>,
    relay: Arc<relay::Relay>,
    /// Ends live streams, which would else keep the server from stopping.
    stop: CancellationToken,
}

impl ApiState {
    /// `orders` leads to the loop of each cluster.
    pub fn new(
        status: watch::Receiver<Arc<Status>>,
        orders: BTreeMap<ClusterName, Orders>,
        access: Access,
        stop: CancellationToken,
    ) -> Self {
        Self {
            status,
            orders: Arc::new(orders),
            access: Arc::new(access),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            relay: Arc::default(),
            stop,
        }
    }

    fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidegate",
        description = "What Tidegate sees, plans and holds back for each ECS cluster, and the \
                   commands a person may give. Errors are problem details (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    components(responses(Problem))
)]
struct Description;

/// All routes, with `pages` beside them under the same protection; which there are is also in
/// [`crate::access::TABLE`], and a route that is not in it is never reached.
pub fn router(state: ApiState, pages: Router) -> Router {
    let (routes, description) = described().split_for_parts();
    let json = description.to_pretty_json().unwrap_or_default();
    routes
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(async move || ([("content-type", "application/json")], json)),
        )
        .with_state(state.clone())
        .merge(pages)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(state, access::protect))
}

fn described() -> OpenApiRouter<ApiState> {
    let mut description = Description::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    description
        .components
        .get_or_insert_default()
        .add_security_scheme("token", SecurityScheme::Http(bearer));
    OpenApiRouter::with_openapi(description)
        .routes(routes!(health::healthz))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(reads::clusters))
        .routes(routes!(reads::cluster))
        .routes(routes!(reads::plan))
        .routes(routes!(reads::decisions))
        .routes(routes!(reads::decision))
        .routes(routes!(commands::mode))
        .routes(routes!(commands::pause))
        .routes(routes!(commands::resume))
        .routes(routes!(commands::handover))
        .routes(routes!(handback::handback))
        .routes(routes!(cutovers::cutovers))
        .routes(routes!(cutovers::cutover))
        .routes(routes!(cutovers::history))
        .routes(routes!(cutovers::steer))
        .routes(routes!(releases::releases))
        .routes(routes!(releases::release, releases::start))
        .routes(routes!(releases::abort))
        .routes(routes!(stream::stream))
        .routes(routes!(audit::audit))
        .routes(routes!(audit::verify))
        .routes(routes!(tokens::tokens, tokens::create))
        .routes(routes!(tokens::revoke))
}

#[cfg(test)]
mod tests;

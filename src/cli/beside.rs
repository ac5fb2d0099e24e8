//! What runs beside the loops of a server: notifications, metrics on a port of their own, and the
//! configuration read again.
//!
//! Rule: all of it is prepared before the first tick, so that what cannot work fails at start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::notify::wire;
use super::output::say;
use super::reload::reload;
use super::run::bind;
use super::source::Source;
use crate::api;
use crate::config::Config;
use crate::config::notify::Target;
use crate::control::reload::Watched;
use crate::control::status::{Publisher, Status};
use crate::control::{Orders, SystemClock};
use crate::model::ClusterName;
use crate::notify::{self, Wire};

/// Ready to run.
pub(super) struct Beside {
    /// `None`: the configuration came with the command.
    watched: Option<(Source, Watched)>,
    hang_up: Signal,
    /// Where metrics alone are served.
    scraped: Option<TcpListener>,
    targets: Vec<Target>,
    wire: Wire,
}

impl Beside {
    pub(super) async fn prepare(
        source: Option<&Source>,
        config: &Config,
        metrics: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let failed = |error: String| Failure::new(Exit::Failed, error);
        let scraped = match metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        if let Some(Ok(address)) = scraped.as_ref().map(TcpListener::local_addr) {
            say(&format!("metrics             http://{address}/metrics"));
        }
        Ok(Self {
            watched: source
                .map(|source| (source.clone(), Watched::new(&source.to_string(), config))),
            hang_up: signal(SignalKind::hangup())
                .map_err(|error| failed(format!("no signals: {error}")))?,
            scraped,
            targets: config.notify.clone(),
            wire: wire()?,
        })
    }

    /// Runs all of it until `stop`.
    pub(super) fn run(
        self,
        publisher: Publisher,
        status: watch::Receiver<Arc<Status>>,
        orders: &BTreeMap<ClusterName, Orders>,
        stop: CancellationToken,
    ) {
        let Self { watched, hang_up, scraped, targets, wire } = self;
        if let Some((source, watched)) = watched {
            let (orders, shown) = (orders.clone(), publisher.clone());
            tokio::spawn(reload(source, watched, hang_up, orders, shown, stop.clone()));
        }
        if let Some(listener) = scraped {
            tokio::spawn(serve_metrics(listener, status.clone(), stop.clone()));
        }
        tokio::spawn(notify::run(targets, wire, status, publisher, SystemClock, stop));
    }
}

async fn serve_metrics(
    listener: TcpListener,
    status: watch::Receiver<Arc<Status>>,
    stop: CancellationToken,
) {
    let served = axum::serve(listener, api::metrics_only(status));
    if let Err(error) = served.with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "metrics are not served any more");
    }
}

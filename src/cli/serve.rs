//! A running server: one loop per cluster, and the surfaces in front of them.
//!
//! Rule: `run` and `demo` differ in the cloud, clock and journal they bring, not in what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::output::say;
use crate::access::{Ledger, Token};
use crate::api::{self, Access, Alb, ApiState, is_loopback};
use crate::cloud::Cloud;
use crate::control::status::{DECISIONS_MAX, Publisher, Status};
use crate::control::{Clock, Cluster, Orders, SystemClock, inbox, run};
use crate::dashboard;
use crate::journal::Journal;
use crate::model::ClusterName;

/// One cluster with all it runs on.
pub(super) struct Scope<C, J, K> {
    pub(super) cloud: C,
    pub(super) journal: J,
    pub(super) clock: K,
    pub(super) cluster: Cluster,
}

/// Where the server listens and whom it lets change things.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) token: Token,
    /// Names it answers to beyond loopback.
    pub(super) hosts: BTreeSet<String>,
    /// The tokens that were handed out, and the record of what is done.
    pub(super) ledger: Ledger,
    /// The load balancer that is believed about its users.
    pub(super) alb: Option<Alb>,
}

/// Runs until `stop`. A loop that ends by a bug leaves the others running.
pub(super) async fn serve<C, J, K>(
    scopes: Vec<Scope<C, J, K>>,
    door: Door,
    publish: impl FnOnce(Publisher, watch::Receiver<Arc<Status>>, &BTreeMap<ClusterName, Orders>),
    stop: CancellationToken,
) -> Result<(), Failure>
where
    C: Cloud + 'static,
    J: Journal + 'static,
    K: Clock + 'static,
{
    let names: Vec<_> = scopes.iter().map(|scope| scope.cluster.config.name.clone()).collect();
    let (publisher, status) = Publisher::new(names, SystemClock.now());
    let mut orders = BTreeMap::new();
    let mut loops = JoinSet::new();
    for mut scope in scopes {
        let (sender, mut receiver) = inbox();
        orders.insert(scope.cluster.config.name.clone(), sender);
        let publisher = publisher.clone();
        publisher
            .remember(&scope.cluster.config.name, scope.journal.decisions(DECISIONS_MAX).await);
        let stop = stop.clone();
        loops.spawn(async move {
            let Scope { cloud, journal, clock, cluster } = &mut scope;
            run(cloud, journal, cluster, clock, &mut receiver, &publisher, &stop).await;
        });
    }
    publish(publisher, status.clone(), &orders);
    let Door { listener, token, hosts, ledger, alb } = door;
    // What cannot be told is taken for the worse.
    let local = listener.local_addr().is_ok_and(|address| is_loopback(address.ip()));
    let open_to_readers = local && alb.is_none();
    let ledger = Arc::new(Mutex::new(ledger));
    let pages = dashboard::pages(status.clone(), ledger.clone());
    let access = Access { token, hosts, ledger, alb, open_to_readers };
    let router = api::router(ApiState::new(status, orders, access, stop.clone()), pages);
    let served =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let served = served.await;
    stop.cancel();
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "the loop of a cluster ended by a bug; the others went on");
        }
    }
    served.map_err(|error| Failure::new(Exit::Failed, format!("the server failed: {error}")))
}

/// Cancelled by SIGTERM or SIGINT; a second SIGINT ends the process at once.
pub(super) fn stop_on_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let failed = |error| Failure::new(Exit::Failed, format!("no signals: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        say("stopping: the step under way is finished; nothing else is begun");
        told.cancel();
        int.recv().await;
        std::process::exit(130);
    });
    Ok(stop)
}

//! Reads the configuration again while the server runs, and hands on what is good.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::source::Source;
use crate::control::reload::{Again, Watched};
use crate::control::status::Publisher;
use crate::control::{Clock, Orders, SystemClock};
use crate::model::ClusterName;

/// How often it is read. Its content counts and not its time: a mounted secret or a link
/// that is turned shows no time of its own.
const EVERY: Duration = Duration::from_secs(30);

/// Reads it again and again, and at once on a hang-up, until `stop`.
pub(super) async fn reload(
    source: Source,
    mut watched: Watched,
    mut hang_up: Signal,
    orders: BTreeMap<ClusterName, Orders>,
    publisher: Publisher,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = hang_up.recv() => {}
            () = SystemClock.sleep(EVERY) => {}
        }
        match watched.judge(source.text().await, &SystemClock) {
            Again::Same => continue,
            Again::Refused => {
                let why = watched.shown().refused.as_deref().unwrap_or_default();
                tracing::error!("configuration refused, the last good one is in force: {why}");
            }
            Again::TakenUp => {
                for change in &watched.shown().changed {
                    tracing::info!(change, "configuration changed");
                }
                for config in watched.live() {
                    if let Some(orders) = orders.get(&config.name) {
                        orders.configure(config);
                    }
                }
            }
        }
        publisher.configured(watched.shown().clone());
    }
}

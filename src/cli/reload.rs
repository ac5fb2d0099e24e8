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
/// Times in a row that it cannot be read before people are told: one answer of AWS may be slow.
const UNREAD_MAX: u32 = 3;

/// Reads it again and again, and at once on a hang-up, until `stop`.
pub(super) async fn reload(
    source: Source,
    mut watched: Watched,
    mut hang_up: Signal,
    orders: BTreeMap<ClusterName, Orders>,
    publisher: Publisher,
    stop: CancellationToken,
) {
    let mut unread = 0;
    loop {
        let asked = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = hang_up.recv() => true,
            () = SystemClock.sleep(EVERY) => false,
        };
        let text = source.text().await;
        unread = if text.is_err() { unread + 1 } else { 0 };
        if let Err(why) = &text
            && unread < UNREAD_MAX
            && !asked
        {
            tracing::warn!("configuration not read, the last good one is in force: {why}");
            continue;
        }
        match watched.judge(text, &SystemClock) {
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

//! The loop of one cluster: tick, tell, wait for time, a change or an order.

use std::pin::pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clock::{Clock, SystemClock};
use super::cluster::Cluster;
use super::inbox::Inbox;
use super::status::{Decision, Publisher};
use super::tick::{TickReport, tick};
use crate::cloud::Cloud;
use crate::cutover;
use crate::journal::Journal;

/// Pause after a tick that wrote something: what follows from it is due at once.
const AFTER_ACTING: Duration = Duration::from_secs(1);

/// Runs until told to stop. A tick under way is finished, since every request in it is bounded.
pub async fn run(
    cloud: &impl Cloud,
    journal: &mut impl Journal,
    cx: &mut Cluster,
    clock: &impl Clock,
    inbox: &mut Inbox,
    publisher: &Publisher,
    stop: &CancellationToken,
) {
    let mut previous = None;
    while !stop.is_cancelled() {
        let report = tick(cloud, journal, cx, clock, inbox, previous).await;
        previous = Some(report.ended_at);
        if let Some(decision) = publisher.tell(cx, &report, SystemClock.now()) {
            keep(journal, &decision);
        }
        if let Some(trouble) = &report.trouble {
            tracing::error!(cluster = %cx.config.name, %trouble, "journal");
            reopen(cx, journal).await;
        }
        wait(cloud, journal, cx, clock, inbox, stop, pause_after(cx, &report)).await;
    }
}

/// Until it is time, or something happens that cannot wait until then.
async fn wait(
    cloud: &impl Cloud,
    journal: &mut impl Journal,
    cx: &mut Cluster,
    clock: &impl Clock,
    inbox: &mut Inbox,
    stop: &CancellationToken,
    pause: Duration,
) {
    let mut over = pin!(clock.sleep(pause));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = &mut over => return,
            told = cloud.changes(&cx.config.name) => if cx.hear(told) { return },
            ordered = inbox.next() => {
                if let Err(error) = cx.obey(journal, ordered, clock).await {
                    tracing::error!(cluster = %cx.config.name, %error, "order not recorded");
                    reopen(cx, journal).await;
                }
                return;
            }
        }
    }
}

/// How long nothing wakes the loop after a tick: shortly while something is under way.
pub fn pause_after(cx: &Cluster, report: &TickReport) -> Duration {
    let interval = cx.config.interval.to_std().unwrap_or(AFTER_ACTING);
    let soon = report.acted() || cutover::need::is_urgent(&cx.config, &cx.memory);
    if soon { AFTER_ACTING.min(interval) } else { interval }
}

/// Until it succeeds, nothing is written to AWS; the next tick tries again.
async fn reopen(cx: &mut Cluster, journal: &mut impl Journal) {
    if let Err(error) = cx.reopen(journal).await {
        tracing::error!(cluster = %cx.config.name, %error, "journal not recovered");
    }
}

/// The ring of decisions is for people: what cannot be kept is only missing there.
fn keep(journal: &mut impl Journal, decision: &Decision) {
    if let Ok(json) = serde_json::to_value(decision) {
        journal.keep_decision(&decision.id, decision.at, &json);
    }
}

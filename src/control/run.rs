//! The loop of one cluster: tick, tell, wait for time, a change or an order.
//!
//! Rule: what keeps the lease goes on beside it until the last request has ended.

use std::pin::pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clock::{Clock, SystemClock};
use super::cluster::Cluster;
use super::inbox::{Arrival, Inbox, Ordered};
use super::standby::stand_by;
use super::status::{Decision, Publisher};
use super::tick::{TickReport, tick};
use crate::cloud::Cloud;
use crate::cutover;
use crate::journal::{Holder, Journal, Keeper, Standing};

/// Pause after a tick that wrote something: what follows from it is due at once.
const AFTER_ACTING: Duration = Duration::from_secs(1);

/// Runs until told to stop, and then lets another replica follow. A tick under way is finished,
/// since every request in it is bounded.
pub async fn run(
    cloud: &impl Cloud,
    journal: &mut impl Journal,
    cx: &mut Cluster,
    clock: &impl Clock,
    inbox: &mut Inbox,
    publisher: &Publisher,
    stop: &CancellationToken,
) {
    let keeper = journal.keeper();
    let turns = async {
        let mut previous = None;
        while !stop.is_cancelled() {
            let leader = cx.standing.leader().cloned();
            let report = match &leader {
                None => tick(cloud, journal, cx, clock, inbox, previous).await,
                Some(leader) => tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = keeper.changed() => {
                        reopen(cx, journal).await;
                        continue;
                    }
                    report = stand_by(cloud, cx, clock, leader) => report,
                },
            };
            previous = leader.is_none().then_some(report.ended_at);
            let news = publisher.tell(cx, &report, SystemClock.now());
            if let Some(decision) = news.filter(|_| leader.is_none()) {
                keep_decision(journal, &decision).await;
            }
            if leader.is_none() && report.is_good() {
                // Not for reading: an alarm outside waits for it to be missing.
                tracing::debug!(cluster = %cx.config.name, "good tick");
            }
            if let Some(trouble) = &report.trouble {
                tracing::error!(cluster = %cx.config.name, %trouble, "journal");
                reopen(cx, journal).await;
            }
            let mut over = pin!(clock.sleep(pause_after(cx, &report)));
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = keeper.changed() => break reopen(cx, journal).await,
                    arrival = inbox.arrival() => break match arrival {
                        Arrival::Order(ordered) => obey(cx, journal, ordered, clock).await,
                        Arrival::Config(config) => cx.configure(*config),
                    },
                    // A replica that stands by leaves the events to the one that acts on them.
                    told = cloud.changes(&cx.config.name), if leader.is_none() => {
                        if cx.hear(told) {
                            break;
                        }
                    }
                    () = &mut over => break,
                }
            }
            if leader.is_some() {
                // What the leader has recorded meanwhile.
                reopen(cx, journal).await;
            }
        }
    };
    tokio::select! {
        biased;
        () = turns => {}
        () = keep(&keeper, clock) => {}
    }
    journal.release().await;
}

async fn obey(cx: &mut Cluster, journal: &mut impl Journal, ordered: Ordered, clock: &impl Clock) {
    if let Err(error) = cx.obey(journal, ordered, clock).await {
        tracing::error!(cluster = %cx.config.name, %error, "order not recorded");
        reopen(cx, journal).await;
    }
}

/// Keeps the lease; never returns.
async fn keep(keeper: &Keeper, clock: &impl Clock) {
    loop {
        let pause = keeper.step().await;
        clock.sleep(pause).await;
    }
}

/// How long nothing wakes the loop after a tick: shortly while something is under way. Nothing is
/// for a replica that stands by, whatever it would do.
pub fn pause_after(cx: &Cluster, report: &TickReport) -> Duration {
    let interval = cx.config.interval.to_std().unwrap_or(AFTER_ACTING);
    let soon = report.acted() || cutover::need::is_urgent(&cx.config, &cx.memory);
    if soon && cx.standing == Standing::Leads { AFTER_ACTING.min(interval) } else { interval }
}

/// Until it succeeds, nothing is written to AWS; the next tick tries again.
async fn reopen(cx: &mut Cluster, journal: &mut impl Journal) {
    let before = cx.standing.clone();
    let name = cx.config.name.clone();
    match cx.reopen(journal).await {
        Err(error) => tracing::error!(cluster = %name, %error, "journal not recovered"),
        Ok(()) if cx.standing == before => {}
        Ok(()) => match cx.standing.leader() {
            None => {
                tracing::info!(cluster = %name, epoch = cx.memory.epoch.0, "this replica leads")
            }
            Some(Holder { owner, .. }) => {
                tracing::info!(cluster = %name, leader = owner, "this replica stands by");
            }
        },
    }
}

/// The ring of decisions is for people: what cannot be kept is only missing there.
async fn keep_decision(journal: &mut impl Journal, decision: &Decision) {
    if let Ok(json) = serde_json::to_value(decision) {
        journal.keep_decision(&decision.id, decision.at, &json).await;
    }
}

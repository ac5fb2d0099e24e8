//! From the published status to the targets: one bounded queue and one sender for each.
//!
//! Rule: a target that is slow or down keeps up nobody but itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::events::{Notice, events};
use super::quiet::Quiet;
use super::wire::{SendError, Wire};
use crate::config::notify::Target;
use crate::control::Clock;
use crate::control::status::{Delivery, Publisher, Status};

/// Notices that wait for one target.
const QUEUE_MAX: usize = 64;
/// Pauses between the attempts for one notice: seven minutes in all.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(25),
    Duration::from_secs(90),
    Duration::from_secs(300),
];

/// Tells every target what happens, until `stop` or until no more status is published. How each
/// notice fared is counted in the status.
pub async fn run(
    targets: Vec<Target>,
    wire: Wire,
    mut status: watch::Receiver<Arc<Status>>,
    publisher: Publisher,
    clock: impl Clock + Clone + 'static,
    stop: CancellationToken,
) {
    let mut queues = Vec::new();
    let mut senders = JoinSet::new();
    for target in targets {
        publisher.count_deliveries(&target.name);
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        queues.push((target.name.clone(), queue));
        let (wire, publisher, clock) = (wire.clone(), publisher.clone(), clock.clone());
        senders.spawn(send_all(target, wire, waiting, publisher, clock));
    }
    let mut quiet = Quiet::default();
    let mut before = status.borrow_and_update().clone();
    while let Some(Ok(())) = stop.run_until_cancelled(status.changed()).await {
        let now = status.borrow_and_update().clone();
        for notice in events(&before, &now).into_iter().filter(|notice| quiet.is_news(notice)) {
            tracing::info!(event = notice.event.to_string(), "{}", notice.line());
            for (name, queue) in &queues {
                if queue.try_send(notice.clone()).is_err() {
                    lose(name, &notice, "too many wait for it already", &publisher);
                }
            }
        }
        before = now;
    }
    // The process ends, and with it the senders and what waits in them.
    senders.shutdown().await;
}

async fn send_all(
    target: Target,
    wire: Wire,
    mut waiting: mpsc::Receiver<Notice>,
    publisher: Publisher,
    clock: impl Clock,
) {
    while let Some(notice) = waiting.recv().await {
        match send(&target, &wire, &notice, &clock).await {
            Ok(()) => publisher.delivery(&target.name, Delivery::Delivered),
            Err(why) => lose(&target.name, &notice, &why, &publisher),
        }
    }
}

async fn send(
    target: &Target,
    wire: &Wire,
    notice: &Notice,
    clock: &impl Clock,
) -> Result<(), String> {
    let mut pauses = PAUSES.into_iter();
    loop {
        match wire.send(&target.to, notice, clock.now()).await {
            Ok(()) => return Ok(()),
            Err(SendError::Never(why)) => return Err(why),
            Err(SendError::Again(why)) => {
                let Some(pause) = pauses.next() else { return Err(why) };
                tracing::warn!(notify = target.name, why, "notification is tried again");
                clock.sleep(pause).await;
            }
        }
    }
}

fn lose(target: &str, notice: &Notice, why: &str, publisher: &Publisher) {
    tracing::error!(notify = target, why, "notification lost: {}", notice.line());
    publisher.delivery(target, Delivery::Lost);
}

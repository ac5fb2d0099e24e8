//! What lies between replicas and the simulated AWS: requests on their way, and processes that are
//! stopped or die while they are.
//!
//! Rule: a request that was sent arrives, whatever has become of its sender. What arrives is judged
//! by what the shared table says at that moment.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tidegate::cloud::{Calls, Cloud};
use tidegate::control::Clock;
use tidegate::journal::Intent;
use tidegate::journal::table::{Field, Item, Key};
use tidegate::model::{Change, ClusterName, Failure, Moment, Need, Outcome, Snapshot, Stop};
use tidegate::sim::rng::Rng;
use tidegate::sim::{SimClock, SimCloud, SimTable};
use tokio::sync::{mpsc, oneshot};

/// How wrong a clock may be.
pub(crate) const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// The way to AWS that all replicas share.
pub(crate) struct Network {
    cloud: SimCloud,
    table: SimTable,
    clock: SimClock,
    rng: Mutex<Rng>,
    sending: mpsc::UnboundedSender<Flight>,
    flights: Mutex<Option<mpsc::UnboundedReceiver<Flight>>>,
    record: Mutex<Record>,
}

/// What arrived, and what should not have.
#[derive(Default)]
pub(crate) struct Record {
    /// Epoch and process of each request, in the order of arrival.
    pub(crate) arrived: Vec<(u64, String)>,
    pub(crate) broken: Vec<String>,
    /// Of each process, when it looked at AWS.
    pub(crate) looks: BTreeMap<String, Vec<DateTime<Utc>>>,
}

/// One request on its way.
struct Flight {
    intent: Intent,
    sender: String,
    arrives_after: Duration,
    answer: oneshot::Sender<Outcome>,
}

/// One process's way to AWS.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) network: Arc<Network>,
    pub(crate) process: String,
}

impl Network {
    pub(crate) fn new(cloud: SimCloud, table: SimTable, seed: u64) -> Arc<Self> {
        let (sending, flights) = mpsc::unbounded_channel();
        let clock = cloud.clock().clone();
        let (rng, flights) = (Mutex::new(Rng::new(seed)), Mutex::new(Some(flights)));
        Arc::new(Self { cloud, table, clock, rng, sending, flights, record: Mutex::default() })
    }

    /// Carries requests for ever.
    pub(crate) async fn carry(&self) {
        let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut flights = flights.expect("it is carried once");
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(flight) = flights.recv() => under_way.push(self.fly(flight)),
                Some(()) = under_way.next() => {}
            }
        }
    }

    async fn fly(&self, flight: Flight) {
        self.clock.sleep(flight.arrives_after).await;
        let epoch = flight.intent.epoch().0;
        let leads = self.lease().and_then(|lease| number(&lease, "epoch"));
        self.with_record(|record| {
            record.arrived.push((epoch, flight.sender.clone()));
            if leads != Some(epoch) {
                let what = flight.intent.planned().action.to_string();
                record.broken.push(format!(
                    "{}: {what} of epoch {epoch} arrived in epoch {leads:?}",
                    self.clock.now()
                ));
            }
        });
        let outcome = self.cloud.act(&flight.intent, Duration::ZERO).await;
        let _sender_is_gone = flight.answer.send(outcome);
    }

    pub(crate) fn with_record<R>(&self, use_it: impl FnOnce(&mut Record) -> R) -> R {
        use_it(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The item of the lease.
    pub(crate) fn lease(&self) -> Option<Item> {
        let partition = self.cloud.with_world(|world| world.cluster().to_string());
        self.table.item(&Key { partition, sort: "lease".to_owned() })
    }

    /// The epoch under which the table holds a record.
    fn recorded(&self, seq: u64) -> Option<u64> {
        self.table.tamper(|items| {
            let entries = items.values().filter(|item| item.key.sort.starts_with("entry"));
            let mut holding = entries.filter(|item| {
                let first = number(item, "first").unwrap_or(u64::MAX);
                (first..first.saturating_add(number(item, "count").unwrap_or(0))).contains(&seq)
            });
            number(holding.next()?, "epoch")
        })
    }

    /// Whether a process has looked since its epoch began, by its own clock.
    fn was_seen_in_this_epoch(&self, process: &str) -> bool {
        let since = self.lease().and_then(|lease| match lease.fields.get("since") {
            Some(Field::Text(since)) => since.parse::<DateTime<Utc>>().ok(),
            _ => None,
        });
        let looked = self.with_record(|record| record.looks.get(process)?.last().copied());
        looked.zip(since).is_some_and(|(looked, since)| looked + SKEW_MAX >= since)
    }

    fn time_to(&self, limit: Duration) -> Duration {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let most = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        // Most are quick; some take all the time there is.
        let most = if rng.chance(400) { most } else { most.min(900) };
        Duration::from_millis(rng.between(20, most))
    }
}

fn number(item: &Item, field: &str) -> Option<u64> {
    match item.fields.get(field) {
        Some(Field::Number(number)) => Some(*number),
        _ => None,
    }
}

impl Cloud for Link {
    async fn observe(&self, need: &Need) -> Snapshot {
        let time = self.network.time_to(Duration::from_secs(4));
        self.network.clock.sleep(time).await;
        let now = self.network.clock.now();
        self.network.with_record(|record| {
            record.looks.entry(self.process.clone()).or_default().push(now);
        });
        self.network.cloud.observe(need).await
    }

    async fn act(&self, intent: &Intent, time_limit: Duration) -> Outcome {
        let Self { network, process } = self;
        let (seq, epoch) = (intent.seq().0, intent.epoch().0);
        let recorded = network.recorded(seq);
        if recorded != Some(epoch) {
            let what = format!("record {seq} of epoch {epoch} is one of epoch {recorded:?}");
            network.with_record(|record| record.broken.push(what));
        }
        if !network.was_seen_in_this_epoch(process) {
            let what = format!("{process} acts in epoch {epoch} on what it saw before it led");
            network.with_record(|record| record.broken.push(what));
        }
        let (answer, heard) = oneshot::channel();
        let arrives_after = network.time_to(time_limit);
        let (intent, sender) = (intent.clone(), process.clone());
        let flight = Flight { intent, sender, arrives_after, answer };
        let _carried = network.sending.send(flight);
        tokio::select! {
            biased;
            Ok(outcome) = heard => outcome,
            () = network.clock.sleep(time_limit) => {
                Outcome::InDoubt { message: "no answer within the time limit".to_owned() }
            }
        }
    }

    async fn changes(&self, _cluster: &ClusterName) -> Vec<Change> {
        std::future::pending().await
    }

    fn hears_until(&self) -> Option<DateTime<Utc>> {
        None
    }

    async fn stop_switch(&self) -> Result<Option<Stop>, Failure> {
        self.network.cloud.stop_switch().await
    }

    fn calls(&self) -> Calls {
        Calls::new()
    }
}

/// A machine's clock that is wrong by so much.
#[derive(Clone)]
pub(crate) struct Skewed {
    pub(crate) clock: SimClock,
    pub(crate) by: TimeDelta,
}

impl Clock for Skewed {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() + self.by
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.now(), ..self.clock.moment() }
    }

    async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

/// Runs a process that does nothing while it is frozen, and does not notice.
pub(crate) async fn freezable<T>(frozen: &AtomicBool, process: impl Future<Output = T>) -> T {
    let mut process = pin!(process);
    std::future::poll_fn(|context| match frozen.load(Ordering::Relaxed) {
        true => Poll::Pending,
        false => process.as_mut().poll(context),
    })
    .await
}

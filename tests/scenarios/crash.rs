//! The process dies after every single journal record, once each, and goes on from its journal.
//!
//! Cutting at a record covers both sides of every request: an intent that did not become durable
//! was never sent; an outcome that did not become durable leaves a request in doubt.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tidegate::control::{Clock, Cluster, inbox, tick};
use tidegate::guard::Admitted;
use tidegate::journal::{Intent, Journal, JournalError, Sqlite};
use tidegate::model::{
    Command, Entry, Epoch, Market, Memory, Mode, Need, Order, Record, Snapshot, TaskShape,
};
use tidegate::sim::{Event, Faults, ServiceSpec, SimClock, SimCloud, World, story};

use crate::story::start;

/// A journal whose process dies once so many records are in it.
struct Mortal {
    inner: Sqlite,
    records_left: usize,
}

impl Mortal {
    fn spend(&mut self, records: usize) -> Result<(), JournalError> {
        if records > self.records_left {
            self.records_left = 0;
            return Err(JournalError::Storage("the process died".to_owned()));
        }
        self.records_left -= records;
        Ok(())
    }
}

impl Journal for Mortal {
    async fn recover(&mut self) -> Result<Memory, JournalError> {
        self.inner.recover().await
    }

    async fn intend(
        &mut self,
        admitted: Vec<Admitted>,
        at: DateTime<Utc>,
    ) -> Result<Vec<(Intent, Entry)>, JournalError> {
        self.spend(admitted.len())?;
        self.inner.intend(admitted, at).await
    }

    async fn append(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Entry>, JournalError> {
        self.spend(records.len())?;
        self.inner.append(records, at).await
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    fn keep_decision(&mut self, id: &str, at: DateTime<Utc>, decision: &serde_json::Value) {
        self.inner.keep_decision(id, at, decision);
    }

    fn decisions(&self, limit: usize) -> Vec<serde_json::Value> {
        self.inner.decisions(limit)
    }
}

/// Two hosts, load that doubles and falls again: raises, drains, terminations.
fn world() -> World {
    let mut world = World::new("shop", start() - TimeDelta::minutes(30), 7);
    world.add_pool(story::group("general", "m6i.large", 2, 0, 9), Market::OnDemand);
    world.add_service(ServiceSpec::new("web", 6, TaskShape::plain(512, 1024)));
    world.advance(start());
    let count = |count| Event::SetCount { service: "web".into(), count };
    world.schedule(start() + TimeDelta::minutes(2), count(15), None);
    world.schedule(start() + TimeDelta::minutes(12), count(3), None);
    world
}

/// Lives until the end, dying once after `records`; returns what is left and the records written.
async fn live(records: usize) -> (Snapshot, usize, String) {
    let clock = SimClock::stepped(start());
    let cloud = SimCloud::new(world(), clock.clone(), Faults::default());
    let mut config = story::config();
    config.pools.retain(|pool| pool.id.name() == "general");
    let inner = Sqlite::in_memory(&config.name).expect("memory is there");
    let mut journal = Mortal { inner, records_left: records };
    journal.recover().await.expect("a new journal opens");
    let order = Order::SetMode { mode: Mode::Act };
    let command = Command { actor: "operator".into(), reason: "begin".into(), order };
    let first = vec![Record::Command { command }];
    journal.inner.append(first, clock.now()).await.expect("the order is recorded");
    let (_orders, mut inbox) = inbox();
    let mut cx = Cluster::open(config.clone(), &mut journal).await.expect("it opens");
    let mut previous = None;
    while clock.now() < start() + TimeDelta::minutes(45) {
        let report = tick(&cloud, &mut journal, &mut cx, &clock, &mut inbox, previous).await;
        previous = Some(report.ended_at);
        if report.trouble.is_some() {
            // A new process: nothing is known but what the journal holds.
            journal.records_left = usize::MAX;
            cx = Cluster::open(config.clone(), &mut journal).await.expect("it opens again");
            previous = None;
        }
        clock.sleep(Duration::from_secs(if report.acted() { 1 } else { 15 })).await;
    }
    let broken = cloud.with_world(|world| world.check());
    let pools = config.pools.iter().map(|pool| pool.id.clone()).collect();
    let need = Need {
        cluster: config.name.clone(),
        pools,
        tasks_of: Default::default(),
        traffic: None,
        only_traffic: false,
    };
    let left = cloud.with_world(|world| world.snapshot(&need));
    let seq = usize::try_from(cx.memory.seq.0).expect("a small journal");
    (left, seq, format!("{broken:?}"))
}

#[tokio::test]
async fn a_death_after_any_record_changes_nothing_in_the_end() {
    let (undisturbed, records, broken) = live(usize::MAX).await;
    assert_eq!(broken, "[]");
    assert!(records > 30, "the story writes only {records} records");
    let end = |left: &Snapshot| {
        let pools = left.pools.value.values().map(|pool| pool.desired).collect::<Vec<_>>();
        let running = left.services.value.values().map(|s| s.running_count).collect::<Vec<_>>();
        (pools, running, left.hosts.value.len())
    };
    for cut in 0..records {
        let (left, _, broken) = live(cut).await;
        assert_eq!(broken, "[]", "died after record {cut}");
        assert_eq!(end(&left), end(&undisturbed), "died after record {cut}");
    }
}

//! A loop that is told of every change looks at nothing while nothing is told and nothing is to be
//! done; what it waits for or has begun is done all the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tidegate::cloud::{Calls, Cloud};
use tidegate::control::{Clock, Cluster, inbox, pause_after, tick};
use tidegate::journal::{Intent, Sqlite};
use tidegate::model::{Change, ClusterName, Failure, Mode, Need, Outcome, Snapshot, Stop};
use tidegate::sim::{Event, Faults, SimClock, SimCloud, World};

use crate::capacity::{config, general, id, service, world};

/// A world that tells everything, and counts who looks all the same.
struct Told {
    cloud: SimCloud,
    looks: AtomicUsize,
}

impl Cloud for Told {
    async fn observe(&self, need: &Need) -> Snapshot {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.cloud.observe(need).await
    }

    async fn act(&self, intent: &Intent, time_limit: Duration) -> Outcome {
        self.cloud.act(intent, time_limit).await
    }

    async fn changes(&self, _cluster: &ClusterName) -> Vec<Change> {
        self.cloud.with_world(World::take_changes)
    }

    fn hears_until(&self) -> Option<DateTime<Utc>> {
        Some(self.cloud.clock().now())
    }

    async fn stop_switch(&self) -> Result<Option<Stop>, Failure> {
        self.cloud.stop_switch().await
    }

    fn calls(&self) -> Calls {
        self.cloud.calls()
    }
}

/// Four tasks of half a host on two hosts; two of them go, long before the next whole look is due.
#[tokio::test]
async fn a_host_that_is_too_many_leaves_although_nothing_is_told_of_it() {
    let mut world = world(vec![general(2)], vec![service("api", 4, 1024, 256)]);
    let start = world.now();
    let fewer = Event::SetCount { service: "api".into(), count: 2 };
    world.schedule(start + TimeDelta::minutes(5), fewer, None);
    let clock = SimClock::stepped(start);
    let cloud = SimCloud::new(world, clock.clone(), Faults::default());
    let told = Told { cloud, looks: AtomicUsize::new(0) };
    let mut journal = Sqlite::in_memory(&"shop".into()).expect("a journal");
    let mut config = config(&[id("general")]);
    config.resync = TimeDelta::hours(2);
    let mut cx = Cluster::open(config, &mut journal).await.expect("an empty journal");
    cx.memory.mode = Mode::Act;
    let (_orders, mut inbox) = inbox();
    let (mut ticks, mut previous) = (0, None);
    while clock.now() < start + TimeDelta::minutes(60) {
        let report = tick(&told, &mut journal, &mut cx, &clock, &mut inbox, previous).await;
        (ticks, previous) = (ticks + 1, Some(report.ended_at));
        clock.sleep(pause_after(&cx, &report)).await;
        cx.hear(told.changes(&"shop".into()).await);
    }
    let seen = cx.seen.expect("it has looked");
    assert_eq!(seen.hosts.value.len(), 1);
    told.cloud.with_world(|world| assert_eq!(world.check(), []));
    let looks = told.looks.into_inner();
    assert!(looks * 2 < ticks, "{looks} looks in {ticks} ticks");
}

//! The process dies after every single journal record, once each, and goes on from its journal.

use chrono::TimeDelta;
use tidegate::model::{Market, Snapshot, TaskShape};
use tidegate::sim::{Event, Faults, ServiceSpec, World, story};

use crate::stage::Stage;
use crate::story::start;

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
async fn live(records: usize) -> (Snapshot, usize) {
    let mut config = story::config();
    config.pools.retain(|pool| pool.id.name() == "general");
    let mut stage = Stage::open(world(), config, Faults::default()).await;
    stage.dies_after(records);
    stage.run(TimeDelta::minutes(45)).await;
    assert_eq!(stage.violations(), [], "died after record {records}");
    (stage.see(), stage.records())
}

#[tokio::test]
async fn a_death_after_any_record_changes_nothing_in_the_end() {
    let (undisturbed, records) = live(usize::MAX).await;
    assert!(records > 30, "the story writes only {records} records");
    let end = |left: &Snapshot| {
        let pools = left.pools.value.values().map(|pool| pool.desired).collect::<Vec<_>>();
        let running = left.services.value.values().map(|s| s.running_count).collect::<Vec<_>>();
        (pools, running, left.hosts.value.len())
    };
    for cut in 0..records {
        let (left, _) = live(cut).await;
        assert_eq!(end(&left), end(&undisturbed), "died after record {cut}");
    }
}

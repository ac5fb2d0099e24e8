//! Random load: limits hold, nothing is harmed, and when it is quiet the plan is empty.

use chrono::TimeDelta;
use tidegate::config::ClusterConfig;
use tidegate::model::{Market, Scheduling, TaskShape};
use tidegate::sim::{Faults, ServiceSpec, World, load, random_load, story};

use crate::stage::Stage;
use crate::story::start;

/// Two groups and services of every kind a scheduler treats differently.
fn world(seed: u64, days: u32) -> World {
    let mut world = World::new("shop", start() - TimeDelta::hours(1), seed);
    let general = story::group("general", "m6i.large", 4, 1, 16);
    let memory = story::group("memory", "r6i.xlarge", 1, 0, 6);
    world.add_pool(general, Market::OnDemand);
    world.add_pool(memory, Market::OnDemand);
    let service = |name: &str, count, cpu, memory| {
        ServiceSpec::new(name, count, TaskShape::plain(cpu, memory))
    };
    world.add_service(service("web", 6, 512, 1024));
    world.add_service(service("orders", 6, 256, 512).healthy(50, 150));
    world.add_service(service("search", 2, 1024, 12_288).healthy(0, 100));
    world.add_service(service("mail", 3, 300, 2000).healthy(50, 100));
    let mut agent = service("agent", 0, 64, 128).healthy(0, 100);
    agent.scheduling = Scheduling::Daemon;
    world.add_service(agent);
    world.advance(start());
    random_load(&mut world, seed, days);
    world
}

fn config() -> ClusterConfig {
    let mut config = story::config();
    config.interval = TimeDelta::seconds(30);
    config
}

/// Plays so many days; at the end of each nothing may be left to do.
async fn lives_through(seed: u64, days: u32, faults: Faults) -> Stage {
    let mut stage = Stage::open(world(seed, days), config(), faults).await;
    for day in 1..=days {
        stage.run(TimeDelta::days(1)).await;
        let told = || stage.script.tail(40);
        assert_eq!(stage.violations(), [], "seed {seed}, day {day}\n{}", told());
        assert_eq!(stage.script.broken, [""; 0], "seed {seed}, day {day}");
        if faults == Faults::default() {
            let calm = stage.now() - stage.script.last_plan;
            let what = format!("seed {seed}, day {day}: calm only for {calm}\n{}", told());
            assert!(calm > load::QUIET / 2, "{what}");
        }
    }
    stage
}

#[tokio::test]
async fn a_week_of_random_load_is_lived_through() {
    let stage = lives_through(1, 7, Faults::default()).await;
    assert!(stage.script.acts > 500, "{} acts", stage.script.acts);
}

#[tokio::test]
async fn with_a_bad_line_nothing_is_harmed_and_it_goes_on() {
    let faults = Faults {
        seed: 1,
        throttled_per_mille: 50,
        partial_per_mille: 30,
        empty_per_mille: 10,
        no_metrics_per_mille: 0,
        refused_per_mille: 30,
        lost_per_mille: 30,
    };
    let stage = lives_through(2, 2, faults).await;
    assert!(stage.script.acts > 100, "{} acts", stage.script.acts);
}

//! How fast the simulated AWS runs: a day of 100 hosts, looked at every 15 seconds.

use std::collections::BTreeSet;
use std::hint::black_box;

use chrono::{DateTime, TimeDelta};
use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::model::{Market, Need, PoolId, TaskShape};
use tidegate::sim::{ServiceSpec, World, random_load, story};

/// 100 hosts, 40 services, about 700 tasks, with random load ahead.
fn hundred_hosts() -> World {
    let start = DateTime::from_timestamp(1_795_251_600, 0).unwrap_or_default();
    let mut world = World::new("web", start, 1);
    world.add_pool(story::group("general", "m6i.large", 100, 1, 200), Market::OnDemand);
    for n in 0..40 {
        let shape = TaskShape::plain(128 + 32 * (n % 4), 512);
        world.add_service(ServiceSpec::new(format!("service-{n}"), 4 + n, shape));
    }
    world.advance(start + TimeDelta::hours(1));
    random_load(&mut world, 1, 1);
    world
}

fn one_day(c: &mut Criterion) {
    let world = hundred_hosts();
    let need = Need {
        cluster: "web".into(),
        pools: BTreeSet::from([PoolId::group("general")]),
        tasks_of: BTreeSet::new(),
        traffic: None,
        releases: None,
        only_traffic: false,
    };
    let day = |mut world: World| {
        let start = world.now();
        for tick in 1..=5760 {
            world.advance(start + TimeDelta::seconds(15 * tick));
            black_box(world.snapshot(&need));
        }
    };
    let mut group = c.benchmark_group("sim");
    group.sample_size(10);
    group.bench_function("a day of 100 hosts at 15 s", |b| {
        b.iter_batched(|| world.clone(), day, criterion::BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, one_day);
criterion_main!(benches);

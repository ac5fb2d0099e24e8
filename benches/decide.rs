//! How long deciding takes: one reconcile at three sizes, and placing many tasks of few shapes.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and tells"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::config::{ClusterConfig, PoolConfig};
use tidegate::decide::capacity;
use tidegate::decide::placement::{Bin, BinOf, Demand, place_all};
use tidegate::model::{
    Attributes, Fact, Memory, Resources, Snapshot, Subject, TaskShape, Units, build,
};

/// Hosts two thirds full with tasks of a hundred shapes; one task in a hundred is missing, and ten
/// hosts are looked at for removal.
fn cluster(hosts: u64, services: u64, tasks: u64) -> (ClusterConfig, Snapshot, Memory) {
    let mut snapshot = build::snapshot();
    let mut pool = build::pool(u32::try_from(hosts).unwrap_or(u32::MAX));
    pool.max = Units(u32::MAX);
    snapshot = snapshot.with_pool(pool);
    let each = tasks / services;
    for n in 0..services {
        let shape = TaskShape::plain(64 + n % 10 * 8, 128 + n % 10 * 32);
        let running = each - u64::from(n % 100 == 0);
        let service = build::service(&format!("service-{n:04}"), each, running);
        snapshot = snapshot.with_service(service, shape);
    }
    for n in 0..hosts {
        let id = format!("i-{n:06}");
        snapshot = snapshot.with_host(build::host(&id));
        for k in 0..tasks / hosts {
            let name = format!("service-{:04}", (n * 7 + k) % services);
            snapshot = snapshot.with_tasks(&id, &name, 1);
        }
    }
    let mut memory = Memory::default();
    for n in 0..10 {
        let host = Subject::Host(format!("i-{n:06}").into());
        memory.since.insert((host, Fact::Unneeded), build::now() - TimeDelta::minutes(9));
    }
    let config = ClusterConfig::new("web", vec![PoolConfig::new(build::workers())]);
    (config, snapshot, memory)
}

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    group.sample_size(20);
    for (hosts, services, tasks) in
        [(1_000, 200, 10_000), (3_000, 200, 30_000), (10_000, 200, 100_000)]
    {
        let (config, snapshot, memory) = cluster(hosts, services, tasks);
        let label = BenchmarkId::from_parameter(format!("{hosts} hosts, {tasks} tasks"));
        group.bench_function(label, |b| {
            b.iter(|| black_box(capacity(&config, &snapshot, &memory, &[], build::now())));
        });
    }
    group.finish();
}

/// The shape of Cluster Autoscaler's own benchmark: 51,000 tasks in two groups onto fresh hosts.
fn place(c: &mut Criterion) {
    let mut group = c.benchmark_group("place");
    for shapes in [2_u64, 500] {
        let demands: Vec<_> = (0..shapes)
            .map(|n| Demand {
                of: format!("group-{n:03}"),
                shape: TaskShape::plain(100 + n, 200 + n * 3),
                count: 51_000 / shapes,
                ..Demand::default()
            })
            .collect();
        let none = Attributes::new();
        let label = BenchmarkId::from_parameter(format!("51,000 tasks, {shapes} shapes"));
        group.bench_function(label, |b| {
            b.iter(|| {
                let room = Resources::new(2_048, 7_782);
                let mut run = Bin::new(BinOf::Fresh, None, room, &none);
                run.hosts = 100_000;
                let mut bins = vec![run];
                let mut demands = demands.clone();
                black_box(place_all(&mut bins, &mut demands).len())
            });
        });
    }
    group.finish();
}

/// Criterion tells means; what an operator waits for is the slowest tick of a hundred.
fn slowest_calls(_: &mut Criterion) {
    let (config, snapshot, memory) = cluster(1_000, 200, 10_000);
    let mut calls: Vec<Duration> = (0..1_000)
        .map(|_| {
            let start = Instant::now();
            black_box(capacity(&config, &snapshot, &memory, &[], build::now()));
            start.elapsed()
        })
        .collect();
    calls.sort();
    let [median, p99, slowest] = [500, 990, 999].map(|at| calls[at].as_secs_f64() * 1_000.0);
    println!(
        "decide/1000 hosts, single calls: median {median:.1} ms, p99 {p99:.1} ms, slowest \
         {slowest:.1} ms of 1,000"
    );
}

criterion_group!(benches, decide, place, slowest_calls);
criterion_main!(benches);

//! Hosts are ordered for tasks that fit nowhere, for headroom and for ceilings.

use expect_test::expect;

use super::*;
use crate::config::{Headroom, Like, ReservationCeiling};

#[test]
fn a_cluster_at_rest_is_left_alone() {
    check(&config(), &two_thirds(), &Memory::default(), expect![""]);
}

#[test]
fn a_task_that_fits_nowhere_orders_a_host_although_a_third_is_free() {
    let snapshot = two_thirds().with_service(service("big", 1, 0), TaskShape::plain(1024, 2048));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 2 -> 3
           big: 1 task fits on no host, each needs 1024 cpu 2048 MiB; best free is 768 cpu 5734 MiB: 1 host
    "#]],
    );
}

#[test]
fn from_zero_one_small_task_orders_one_host_not_two() {
    let snapshot = snapshot()
        .with_pool(pool(0))
        .with_service(service("web", 1, 0), TaskShape::plain(128, 128));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 0 -> 1
           web: 1 task fits on no host, each needs 128 cpu 128 MiB; no usable host: 1 host
    "#]],
    );
}

#[test]
fn a_host_on_its_way_is_not_ordered_again() {
    let mut snapshot = snapshot()
        .with_pool(pool(1))
        .with_service(service("web", 3, 0), TaskShape::plain(1024, 1024));
    // Ordered, but AWS shows no instance yet.
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 1 -> 2
           web: 1 task fits on no host, each needs 1024 cpu 1024 MiB; best free is 0 cpu 5734 MiB: 1 host
    "#]],
    );
    snapshot = snapshot.with_host(launching("i-1", now() - TimeDelta::minutes(1)));
    snapshot = snapshot.with_host(launching("i-2", now() - TimeDelta::minutes(1)));
    check(&config(), &snapshot, &Memory::default(), expect![""]);
}

#[test]
fn capacity_that_aws_never_delivers_is_not_counted_for_ever() {
    let snapshot = snapshot()
        .with_pool(pool(1))
        .with_service(service("web", 1, 0), TaskShape::plain(1024, 1024));
    let mut memory = Memory::default();
    let late = (Subject::Pool(workers()), Fact::Undelivered);
    memory.since.insert(late, now() - TimeDelta::minutes(6));
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        hold scale_out workers
           AWS has not delivered what was ordered since 2026-11-21 08:54:00Z
    "#]],
    );
}

#[test]
fn the_surge_of_a_deployment_is_demand_in_the_tick_that_sees_it() {
    let mut web = service("web", 4, 4);
    web.deployments[0].running_count = 0;
    web.deployments[0].rollout = Rollout::InProgress;
    let old = Deployment {
        primary: false,
        desired_count: 0,
        ..service("web", 4, 4).deployments[0].clone()
    };
    web.deployments.push(Deployment { running_count: 4, ..old });
    let snapshot = two_thirds().with_service(web, TaskShape::plain(640, 1024));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 2 -> 3
           web: 2 tasks fit on no host, each needs 640 cpu 1024 MiB; best free is 128 cpu 4710 MiB: 1 host
    "#]],
    );
}

#[test]
fn a_crash_looping_deployment_gets_no_host() {
    let mut web = service("web", 9, 0);
    web.deployments[0].failed_tasks = 12;
    let snapshot = snapshot().with_pool(pool(0)).with_service(web, TaskShape::plain(640, 1024));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        hold scale_out web
           web fails (12 failed tasks); no host is added for it
    "#]],
    );
}

#[test]
fn headroom_is_room_for_tasks_to_come() {
    let mut config = config();
    config.headroom = vec![Headroom { like: Like::LargestTask, count: 4 }];
    check(
        &config,
        &two_thirds(),
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 2 -> 3
           headroom for 2 like web (640 cpu 1024 MiB) is missing: 1 host
    "#]],
    );
}

#[test]
fn reservation_above_its_ceiling_orders_what_brings_it_under() {
    let mut config = config();
    config.reservation_ceiling = ReservationCeiling { cpu_percent: 50, memory_percent: 90 };
    check(
        &config,
        &two_thirds(),
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 2 -> 3
           cpu reservation 63 % is above its ceiling 50 %: 1 host
    "#]],
    );
}

#[test]
fn a_task_too_large_for_one_pool_goes_to_the_other() {
    let mut config = config();
    config.pools.push(PoolConfig::new(PoolId::group("large")));
    let mut large = pool(0);
    large.id = PoolId::group("large");
    large.offerings = vec![offering("m5.4xlarge", Resources::new(16_384, 62_000), 768_000)];
    let snapshot = two_thirds()
        .with_pool(large)
        .with_service(service("batch", 1, 0), TaskShape::plain(8192, 16_384));
    check(
        &config,
        &snapshot,
        &Memory::default(),
        expect![[r#"
            do large desired capacity 0 -> 1
               batch: 1 task fits on no host, each needs 8192 cpu 16384 MiB; best free is 768 cpu 5734 MiB: 1 host; not workers: its hosts are too small
        "#]],
    );
}

#[test]
fn what_only_a_larger_type_of_a_mixed_pool_could_take_is_held_with_advice() {
    let mut mixed = pool(2);
    mixed.offerings.push(offering("m5.4xlarge", Resources::new(16_384, 62_000), 768_000));
    let snapshot = two_thirds()
        .with_pool(mixed)
        .with_service(service("batch", 1, 0), TaskShape::plain(8192, 16_384));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        hold scale_out batch
           batch needs 8192 cpu 16384 MiB, but workers guarantees only 2048 cpu 7782 MiB: its larger types cannot be asked for; remove the smaller types or add a pool of the larger one
    "#]],
    );
}

#[test]
fn at_its_maximum_a_pool_says_so() {
    let full = Pool { max: Units(2), ..pool(2) };
    let snapshot = two_thirds()
        .with_pool(full)
        .with_service(service("big", 1, 0), TaskShape::plain(1024, 2048));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        hold scale_out workers
           3 wanted, the pool's maximum is 2
    "#]],
    );
}

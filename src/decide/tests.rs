//! Stories of deciding: a cluster in a few words, and the plan as an operator would read it.

use chrono::TimeDelta;
use expect_test::{Expect, expect};

use super::capacity;
use crate::config::{ClusterConfig, Evict, Headroom, Like, PoolConfig, ReservationCeiling};
use crate::model::build::*;
use crate::model::*;

fn config() -> ClusterConfig {
    let mut config = ClusterConfig::new("web", vec![PoolConfig::new(workers())]);
    config.headroom.clear();
    config
}

#[track_caller]
fn check(config: &ClusterConfig, snapshot: &Snapshot, memory: &Memory, want: Expect) {
    let plan = capacity(config, snapshot, memory, &[], now());
    let dos = plan.actions.iter().map(|p| format!("do {}\n   {}\n", p.action, p.why));
    let holds =
        plan.holds.iter().map(|h| format!("hold {} {}\n   {}\n", h.wants, h.subject, h.reason));
    want.assert_eq(&dos.chain(holds).collect::<String>());
}

fn unneeded(hosts: &[&str], minutes: i64) -> Memory {
    let mut memory = Memory::default();
    for host in hosts {
        let subject = Subject::Host((*host).into());
        memory.since.insert((subject, Fact::Unneeded), now() - TimeDelta::minutes(minutes));
    }
    memory
}

/// Two hosts of 2,048 CPU units, each two thirds booked by `web`.
fn two_thirds() -> Snapshot {
    snapshot()
        .with_pool(pool(2))
        .with_service(service("web", 4, 4), TaskShape::plain(640, 1024))
        .with_host(host("i-1"))
        .with_host(host("i-2"))
        .with_tasks("i-1", "web", 2)
        .with_tasks("i-2", "web", 2)
}

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

/// Three hosts, the third with one small task that fits elsewhere.
fn one_to_spare() -> Snapshot {
    two_thirds()
        .with_pool(pool(3))
        .with_service(service("small", 1, 1), TaskShape::plain(256, 256))
        .with_host(host("i-3"))
        .with_tasks("i-3", "small", 1)
}

#[test]
fn a_host_that_became_unneeded_waits_for_its_window() {
    check(
        &config(),
        &one_to_spare(),
        &unneeded(&["i-3"], 2),
        expect![[r#"
        hold scale_in i-3
           unneeded since 2026-11-21 08:58:00Z, goes at 2026-11-21 09:03:00Z
    "#]],
    );
}

#[test]
fn a_host_proved_unneeded_long_enough_is_marked() {
    check(
        &config(),
        &one_to_spare(),
        &unneeded(&["i-3"], 5),
        expect![[r#"
        do mark i-3 for drain (scale_in)
           its task fits elsewhere, proved since 08:55:00Z, -$0.0960/h
    "#]],
    );
}

#[test]
fn a_drain_that_would_hang_is_held_before_it_begins() {
    let mut fixed = service("small", 1, 1);
    fixed.maximum_percent = 100;
    let snapshot = one_to_spare().with_service(fixed, TaskShape::plain(256, 256));
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           small has minimum 100 % and maximum 100 % healthy, so its tasks could neither stop nor start and a drain would hang; raise the maximum
    "#]],
    );
}

#[test]
fn the_groups_minimum_holds_before_the_drain_not_after() {
    let snapshot = one_to_spare().with_pool(Pool { min: Units(3), ..pool(3) });
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in workers
           the pool is at its minimum 3
    "#]],
    );
}

#[test]
fn tasks_nobody_would_start_again_keep_their_host() {
    let mut snapshot = one_to_spare();
    let tasks = snapshot.tasks.value.get_mut(&InstanceId::from("i-3")).unwrap();
    tasks[0].owner = TaskOwner::Standalone("family:report".to_owned());
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           family:report is a standalone task that nobody would start again
    "#]],
    );
    let mut config = config();
    let never = config.services.entry("small".into()).or_default();
    never.evict = Evict::Never;
    check(
        &config,
        &one_to_spare(),
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           small is never evicted
    "#]],
    );
}

#[test]
fn a_deployment_by_anyone_makes_voluntary_drains_wait() {
    let mut small = service("small", 1, 1);
    small.deployments[0].rollout = Rollout::InProgress;
    let snapshot = one_to_spare().with_service(small, TaskShape::plain(256, 256));
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           small is deploying
    "#]],
    );
}

#[test]
fn protection_comes_on_before_the_first_removal() {
    let open = Pool { protects_new_hosts: false, ..pool(3) };
    let bare = Host { protected: false, ..host("i-1") };
    let mut snapshot = one_to_spare().with_pool(open);
    snapshot.hosts.value.get_mut(&bare.instance).unwrap().protected = false;
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        do workers scale-in protection of new instances on
           hosts must be protected before any may be removed by id
        do workers protect i-1 from scale-in
           hosts must be protected before any may be removed by id
        hold scale_in i-3
           AZRebalance may end hosts with tasks on this unprotected group
    "#]],
    );
}

#[test]
fn the_headroom_is_kept_when_a_host_goes() {
    let mut config = config();
    config.headroom = vec![Headroom { like: Like::TasksOf("web".into()), count: 3 }];
    check(&config, &one_to_spare(), &unneeded(&["i-3"], 5), expect![""]);
}

fn draining(cause: DrainCause, minutes_left: i64) -> (Snapshot, Memory) {
    let mark = DrainMark { cause, deadline: now() + TimeDelta::minutes(minutes_left) };
    let mut snapshot = one_to_spare();
    let host = snapshot.hosts.value.get_mut(&InstanceId::from("i-3")).unwrap();
    (host.mark, host.status) = (Some(mark), HostStatus::Draining);
    let drain = Drain { mark, pool: workers(), began_at: now() - TimeDelta::minutes(1) };
    let mut memory = Memory::default();
    memory.drains.insert("i-3".into(), drain);
    (snapshot, memory)
}

fn stop_tasks(snapshot: &mut Snapshot, status: TaskStatus) {
    let id = InstanceId::from("i-3");
    snapshot.tasks.value.get_mut(&id).unwrap()[0].status = status;
    let host = snapshot.hosts.value.get_mut(&id).unwrap();
    (host.running_tasks, host.remaining) = (0, host.registered);
}

#[test]
fn a_marked_host_is_drained() {
    let (mut snapshot, memory) = draining(DrainCause::ScaleIn, 10);
    snapshot.hosts.value.get_mut(&InstanceId::from("i-3")).unwrap().status = HostStatus::Active;
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        do drain i-3
           drain (scale_in) goes on, deadline 09:10:00Z
    "#]],
    );
}

#[test]
fn a_host_whose_tasks_are_still_stopping_is_not_ended() {
    let (mut snapshot, memory) = draining(DrainCause::ScaleIn, 10);
    stop_tasks(&mut snapshot, TaskStatus::Stopping);
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        hold scale_in i-3
           1 tasks have not stopped yet
    "#]],
    );
}

#[test]
fn an_emptied_host_is_terminated_by_id() {
    let (mut snapshot, memory) = draining(DrainCause::ScaleIn, 10);
    stop_tasks(&mut snapshot, TaskStatus::Stopped);
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        do terminate i-3, workers desired capacity 3 -> 2
           all its tasks have stopped (scale_in)
    "#]],
    );
}

#[test]
fn after_the_deadline_the_host_is_given_back_with_the_blocker_named() {
    let (snapshot, memory) = draining(DrainCause::ScaleIn, -1);
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        do reactivate i-3
           drain (scale_in) is called off: past its deadline, small would not leave
    "#]],
    );
}

#[test]
fn somebody_elses_drain_is_no_capacity_and_never_ended() {
    let (mut snapshot, _) = draining(DrainCause::ScaleIn, 10);
    snapshot.hosts.value.get_mut(&InstanceId::from("i-3")).unwrap().mark = None;
    stop_tasks(&mut snapshot, TaskStatus::Stopped);
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        hold scale_in i-3
           drained by somebody else: no capacity, left alone
    "#]],
    );
}

#[test]
fn a_fleet_lowers_its_target_before_a_host_ends() {
    let fleet = PoolId::SpotFleet("sfr-1".to_owned());
    let config = ClusterConfig { pools: vec![PoolConfig::new(fleet.clone())], ..config() };
    let (mut snapshot, mut memory) = draining(DrainCause::ScaleIn, 10);
    stop_tasks(&mut snapshot, TaskStatus::Stopped);
    snapshot.pools.value.clear();
    for host in snapshot.hosts.value.values_mut() {
        host.pool = Some(fleet.clone());
    }
    memory.drains.values_mut().for_each(|drain| drain.pool = fleet.clone());
    let before = snapshot.clone().with_pool(Pool { id: fleet.clone(), ..pool(3) });
    check(
        &config,
        &before,
        &memory,
        expect![[r#"
        do spot-fleet/sfr-1 target capacity 3 -> 2
           1 emptied hosts still count in its target
    "#]],
    );
    let after = snapshot.with_pool(Pool { id: fleet, ..pool(2) });
    check(
        &config,
        &after,
        &memory,
        expect![[r#"
        do terminate i-3 of spot-fleet/sfr-1
           all its tasks have stopped (scale_in)
    "#]],
    );
}

#[test]
fn an_agent_lost_for_five_minutes_makes_its_tasks_demand_and_its_host_leave() {
    let mut snapshot = two_thirds();
    snapshot.hosts.value.get_mut(&InstanceId::from("i-2")).unwrap().agent_connected = false;
    let mut memory = Memory::default();
    let lost = (Subject::Host("i-2".into()), Fact::AgentLost);
    memory.since.insert(lost.clone(), now() - TimeDelta::minutes(4));
    check(&config(), &snapshot, &memory, expect![""]);
    memory.since.insert(lost, now() - TimeDelta::minutes(5));
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        do workers desired capacity 2 -> 3
           web: 1 task fits on no host, each needs 640 cpu 1024 MiB; best free is 128 cpu 4710 MiB: 1 host
        do mark i-2 for drain (repair)
           agent disconnected since 08:55:00Z
    "#]],
    );
}

#[test]
fn a_host_that_never_registers_is_ended_after_ten_minutes() {
    let snapshot =
        two_thirds().with_pool(pool(3)).with_host(launching("i-9", now() - TimeDelta::minutes(10)));
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        do terminate i-9, workers desired capacity 3 -> 2
           launched at 08:50:00Z and never registered
    "#]],
    );
}

#[test]
fn three_hosts_given_up_in_a_row_stop_the_pool_from_growing() {
    let snapshot = two_thirds().with_service(service("big", 1, 0), TaskShape::plain(1024, 2048));
    let mut memory = Memory::default();
    let failing = PoolMemory { failed_hosts: 3, failed_at: Some(now()), ..PoolMemory::default() };
    memory.pools.insert(workers(), failing);
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        hold scale_out workers
           breaker hosts of workers is open after 3 failures in a row, tried again at 2026-11-21 09:30:00Z
    "#]],
    );
}

#[test]
fn the_look_that_gives_the_third_host_up_in_a_row_orders_no_fourth() {
    let snapshot = two_thirds()
        .with_service(service("big", 1, 0), TaskShape::plain(1024, 2048))
        .with_pool(pool(3))
        .with_host(launching("i-9", now() - TimeDelta::minutes(10)));
    let mut memory = Memory::default();
    let failing = PoolMemory { failed_hosts: 2, failed_at: Some(now()), ..PoolMemory::default() };
    memory.pools.insert(workers(), failing);
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        do terminate i-9, workers desired capacity 3 -> 2
           launched at 08:50:00Z and never registered
        hold scale_out workers
           breaker hosts of workers is open after 3 failures in a row, tried again at 2026-11-21 09:30:00Z
    "#]],
    );
}

#[test]
fn a_standalone_task_waiting_on_an_empty_group_gets_its_one_host() {
    let mut snapshot = snapshot().with_pool(pool(0));
    snapshot.shapes.value.insert(definition("job"), TaskShape::plain(512, 512));
    snapshot.waiting.value.push(WaitingTasks {
        definition: definition("job"),
        group: "family:job".to_owned(),
        count: 1,
        pool: Some(workers()),
    });
    check(
        &config(),
        &snapshot,
        &Memory::default(),
        expect![[r#"
        do workers desired capacity 0 -> 1
           family:job: 1 task fits on no host, each needs 512 cpu 512 MiB; no usable host: 1 host
    "#]],
    );
}

#[test]
fn a_second_foreign_write_within_the_hour_lowers_the_pool_to_recommend() {
    let mut memory = Memory::default();
    let subject = Subject::Pool(workers());
    memory.originals.insert((subject, Attribute::DesiredCapacity), 2.into());
    memory.pools.entry(workers()).or_default().expected = Some(Units(5));
    let notes = |memory: &Memory| capacity(&config(), &two_thirds(), memory, &[], now()).notes;
    let (expected, found) = (Units(5), Units(2));
    let foreign = Note::ForeignWrite { pool: workers(), expected, found };
    assert!(notes(&memory).contains(&foreign));
    assert!(!notes(&memory).iter().any(|note| matches!(note, Note::Demoted { .. })));
    memory.pools.entry(workers()).or_default().foreign_writes.push_back(now());
    assert!(notes(&memory).iter().any(|note| matches!(note, Note::Demoted { .. })));
}

#[test]
fn a_drain_is_given_back_before_a_host_is_ordered() {
    let (snapshot, memory) = draining(DrainCause::ScaleIn, 10);
    let snapshot = snapshot.with_service(service("big", 1, 0), TaskShape::plain(1024, 2048));
    check(
        &config(),
        &snapshot,
        &memory,
        expect![[r#"
        do reactivate i-3
           drain (scale_in) is called off: tasks that need its room
    "#]],
    );
}

fn booked(snapshot: &Snapshot, count: u64, want: Expect) -> Plan {
    let booking = Booking { service: "web".into(), count };
    let plan = capacity(&config(), snapshot, &Memory::default(), &[booking], now());
    let dos = plan.actions.iter().map(|p| format!("do {}\n   {}\n", p.action, p.why));
    let there = Note::Began { subject: Subject::Service("web".into()), what: Fact::RoomThere };
    let there = plan.notes.contains(&there).then(|| "the room is there\n".to_owned());
    want.assert_eq(&dos.chain(there).collect::<String>());
    plan
}

#[test]
fn room_that_is_booked_and_missing_is_ordered_as_for_tasks() {
    booked(
        &two_thirds(),
        4,
        expect![[r#"
            do workers desired capacity 2 -> 3
               web: no room for 2 more tasks of a deployment, each needs 640 cpu 1024 MiB; best free is 128 cpu 4710 MiB: 1 host
        "#]],
    );
}

#[test]
fn room_that_is_booked_and_there_is_a_fact() {
    booked(&two_thirds(), 2, expect!["the room is there\n"]);
    // A host on its way is no room yet.
    let coming =
        two_thirds().with_pool(pool(3)).with_host(launching("i-3", now() - TimeDelta::minutes(1)));
    booked(&coming, 4, expect![""]);
}

#[test]
fn a_host_with_booked_room_does_not_leave() {
    let idle = snapshot()
        .with_pool(pool(2))
        .with_service(service("web", 2, 2), TaskShape::plain(640, 1024))
        .with_host(host("i-1"))
        .with_host(host("i-2"))
        .with_tasks("i-1", "web", 2);
    let memory = unneeded(&["i-2"], 10);
    let holds = |bookings: &[Booking]| {
        let plan = capacity(&config(), &idle, &memory, bookings, now());
        let marks = plan.actions.iter().any(|p| matches!(p.action, Action::MarkHosts { .. }));
        let booked = plan.holds.iter().any(|hold| hold.reason == Reason::RoomBooked);
        (marks, booked)
    };
    assert_eq!(holds(&[]), (true, false));
    assert_eq!(holds(&[Booking { service: "web".into(), count: 2 }]), (false, true));
}

//! A drain goes on step by step, and ends or is given back.

use expect_test::expect;

use super::*;

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

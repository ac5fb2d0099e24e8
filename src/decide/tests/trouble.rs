//! Lost agents, hosts that never serve, and other writers.

use expect_test::expect;

use super::*;

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

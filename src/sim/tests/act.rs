//! What AWS refuses, what it does, and what the world holds against us.

use super::*;

#[track_caller]
fn answers(action: Action, expected: &str) {
    let mut world = world(3);
    if let Some(group) = world.pools.get_mut(&workers()) {
        (group.pool.min, group.pool.max) = (Units(2), Units(4));
    }
    let before = see(&world);
    let outcome = kind(&world.apply(&action));
    assert_eq!(outcome, expected, "{action}");
    if outcome != "done" {
        assert_eq!(see(&world), before, "{action}: nothing has changed");
    }
}

#[test]
fn a_group_refuses_what_is_out_of_bounds_and_what_has_moved() {
    answers(resize(3, 4), "done");
    answers(resize(3, 2), "done");
    answers(resize(3, 5), "refused by AWS: 5 is above the maximum 4 of workers");
    answers(resize(3, 1), "refused by AWS: 1 is below the minimum 2 of workers");
    answers(resize(2, 4), "moved: capacity Units(2) -> capacity Units(3)");
    let elsewhere =
        Action::SetPoolCapacity { pool: PoolId::group("other"), was: Units(0), now: Units(1) };
    answers(elsewhere, "not found: other");
    let mark = Action::MarkHosts { hosts: BTreeSet::from(["i-none".into()]), mark: None };
    answers(mark, "not found: i-none");
    let protect = Action::ProtectHosts {
        pool: workers(),
        hosts: (0..51).map(|n| format!("i-{n}").into()).collect(),
        now: true,
    };
    answers(protect, "refused by AWS: 51 hosts in one call, 1 to 50 are allowed");
    let flag = Action::SetNewHostProtection { pool: workers(), was: false, now: true };
    let found = "protection of new instances";
    answers(flag, &format!("moved: {found} false -> {found} true"));
}

#[test]
fn a_batch_of_drains_names_the_hosts_it_did_not_find() {
    let mut world = world(2);
    let [one, two] = usable(&world).try_into().unwrap();
    let action = |hosts: &[&InstanceId]| Action::SetHostStatus {
        hosts: hosts.iter().map(|id| (*id).clone()).collect(),
        was: HostStatus::Active,
        now: HostStatus::Draining,
    };
    let gone = InstanceId::from("i-gone");
    assert_eq!(kind(&world.apply(&action(&[&one, &gone]))), "done, 1 failed");
    let outcome = kind(&world.apply(&action(&[&one, &two])));
    assert!(outcome.starts_with("moved: status of"), "{outcome}");
    assert_eq!(host(&world, &two).status, HostStatus::Active);
}

#[test]
fn each_change_of_a_host_raises_its_version() {
    let mut world = world(1);
    let id = usable(&world)[0].clone();
    let before = host(&world, &id).version;
    let mark = DrainMark { cause: DrainCause::ScaleIn, deadline: world.now() };
    let action = Action::MarkHosts { hosts: BTreeSet::from([id.clone()]), mark: Some(mark) };
    assert_eq!(world.apply(&action), done());
    drain(&mut world, &id);
    let after = host(&world, &id);
    assert_eq!((after.version, after.mark), (before + 2, Some(mark)));
    assert_eq!(world.take_changes().len(), 1);
}

#[test]
fn an_empty_host_leaves_with_its_capacity() {
    let mut world = world(3);
    let id = usable(&world)[0].clone();
    drain(&mut world, &id);
    minutes(&mut world, 1);
    let pool = see(&world).pools.value[&workers()].clone();
    assert_eq!(world.apply(&terminate(&pool, &id)), done());
    assert_eq!(host(&world, &id).lifecycle, Lifecycle::Terminating);
    minutes(&mut world, 10);
    let seen = see(&world);
    assert_eq!(seen.pools.value[&workers()].desired, Units(2));
    assert_eq!(seen.hosts.value.len(), 2);
    assert_eq!(world.check(), []);
}

#[test]
fn a_host_that_is_replaced_leaves_the_capacity_as_it_is() {
    let mut world = world(2);
    let id = usable(&world)[0].clone();
    let action = Action::TerminateHost {
        pool: workers(),
        host: id.clone(),
        desired_was: Units(2),
        replace: true,
        forced: false,
    };
    assert_eq!(world.apply(&action), done());
    minutes(&mut world, 10);
    assert_eq!(usable(&world).len(), 2);
    assert!(!usable(&world).contains(&id));
}

#[test]
fn terminating_at_the_minimum_is_refused_and_twice_is_held_against_us() {
    let mut world = world(1);
    let id = usable(&world)[0].clone();
    let mut pool = see(&world).pools.value[&workers()].clone();
    world.pools.get_mut(&workers()).unwrap().pool.min = Units(1);
    assert_eq!(
        kind(&world.apply(&terminate(&pool, &id))),
        "refused by AWS: 0 is below the minimum 1 of workers"
    );
    world.pools.get_mut(&workers()).unwrap().pool.min = Units(0);
    assert_eq!(world.apply(&terminate(&pool, &id)), done());
    pool.desired = Units(0);
    assert_eq!(
        kind(&world.apply(&terminate(&pool, &id))),
        "moved: lifecycle in service -> lifecycle terminating"
    );
    let twice = Violation::TerminatedTwice { at: world.now(), host: id };
    assert_eq!(world.check(), [twice]);
}

#[test]
fn ending_a_host_with_tasks_is_done_and_held_against_us() {
    let mut world = world(2);
    world.add_service(quarter("api", 4));
    minutes(&mut world, 3);
    let id = usable(&world)[0].clone();
    let pool = see(&world).pools.value[&workers()].clone();
    assert_eq!(world.apply(&terminate(&pool, &id)), done());
    let broken = Violation::TerminatedWithTasks { at: world.now(), host: id, tasks: 2 };
    assert_eq!(world.check(), [broken]);
    minutes(&mut world, 10);
    assert_eq!(counts(&world, "api"), (4, 4, 0));
}

#[test]
fn tasks_of_a_lost_host_are_lost_anyway() {
    let mut world = world(2);
    world.add_service(quarter("api", 4));
    minutes(&mut world, 3);
    let id = usable(&world)[0].clone();
    world.happen(Event::LoseAgent { host: Some(id.clone()) });
    let pool = see(&world).pools.value[&workers()].clone();
    assert_eq!(world.apply(&terminate(&pool, &id)), done());
    assert_eq!(world.check(), []);
}

#[test]
fn a_lowered_group_ends_open_hosts_of_its_own_choice_and_that_is_held_against_us() {
    let lowered = |protected: bool, by_us: bool| {
        let mut world = World::new("web", now(), 7);
        let mut pool = build::pool(3);
        pool.protects_new_hosts = protected;
        world.add_pool(pool, Market::OnDemand);
        world.add_service(quarter("api", 6));
        minutes(&mut world, 10);
        if by_us {
            assert_eq!(world.apply(&resize(3, 1)), done());
        } else {
            world.happen(Event::SetDesired { pool: workers(), desired: 1 });
        }
        minutes(&mut world, 10);
        (usable(&world).len(), world.check().len())
    };
    assert_eq!(lowered(true, true), (3, 0));
    assert_eq!(lowered(false, false), (1, 0));
    assert_eq!(lowered(false, true), (1, 2));
}

#[test]
fn a_fleet_keeps_excess_hosts_until_they_are_ended_by_id() {
    let mut world = World::new("web", now(), 7);
    let mut pool = build::pool(3);
    (pool.id, pool.max) = (fleet(), Units(u32::MAX));
    world.add_pool(pool, Market::Spot);
    minutes(&mut world, 10);
    let lower = Action::SetPoolCapacity { pool: fleet(), was: Units(3), now: Units(2) };
    assert_eq!(world.apply(&lower), done());
    assert_eq!(see(&world).pools.value[&fleet()].state, PoolState::Changing);
    minutes(&mut world, 30);
    assert_eq!(usable(&world).len(), 3);

    for left in [2, 2] {
        let pool = see(&world).pools.value[&fleet()].clone();
        assert_eq!((pool.state, pool.desired), (PoolState::Active, Units(2)));
        let id = usable(&world)[0].clone();
        assert_eq!(world.apply(&terminate(&pool, &id)), done());
        minutes(&mut world, 10);
        assert_eq!(usable(&world).len(), left, "a fleet below its target launches");
    }
}

#[test]
fn a_drain_that_leaves_tasks_without_a_place_is_held_against_us() {
    let mut world = world(2);
    world.add_service(quarter("api", 8).healthy(0, 100));
    minutes(&mut world, 3);
    let id = usable(&world)[0].clone();
    drain(&mut world, &id);
    minutes(&mut world, 5);
    let pool = see(&world).pools.value[&workers()].clone();
    assert_eq!(world.apply(&terminate(&pool, &id)), done());
    pass(&mut world, super::super::delays::SETTLED);
    let broken =
        Violation::LeftPending { at: world.now(), host: id, service: "api".into(), missing: 4 };
    assert_eq!(world.check(), [broken]);
}

//! Managed scaling and tasks that wait for capacity.

use super::*;

fn managed(suspended: &[&str]) -> World {
    let mut world = World::new("web", now(), 7);
    let mut pool = build::pool(0);
    pool.protects_new_hosts = false;
    pool.suspended = suspended.iter().map(|name| (*name).to_owned()).collect();
    pool.provider = Some(CapacityProvider {
        name: "cp".to_owned(),
        managed_scaling: true,
        managed_termination_protection: false,
        managed_draining: false,
    });
    world.add_pool(pool, Market::OnDemand);
    world
}

fn job(count: u64, lasts: i64) -> Event {
    Event::RunTasks {
        group: "job".to_owned(),
        shape: TaskShape::plain(512, 512),
        count,
        pool: Some(workers()),
        lasts: Some(TimeDelta::minutes(lasts)),
    }
}

#[test]
fn managed_scaling_launches_two_from_zero_and_takes_a_quarter_of_an_hour_to_shrink() {
    let mut world = managed(&[]);
    world.happen(job(1, 10));
    let waiting = see(&world).waiting.value;
    assert_eq!((waiting[0].count, &waiting[0].pool), (1, &Some(workers())));
    minutes(&mut world, 6);
    let seen = see(&world);
    assert_eq!(seen.pools.value[&workers()].desired, Units(2));
    assert!(seen.waiting.value.is_empty());
    let silenced = |rival: &Rival| matches!(rival, Rival::ManagedScaling { silenced: true, .. });
    assert!(!seen.rivals.value.iter().any(silenced));
    minutes(&mut world, 8);
    assert_eq!(usable(&world).len(), 2);
    minutes(&mut world, 60);
    assert_eq!(usable(&world).len(), 0);
}

#[test]
fn suspended_alarms_silence_it_while_tasks_go_on_waiting() {
    let mut world = managed(&["AlarmNotification"]);
    world.happen(job(3, 10));
    minutes(&mut world, 30);
    let seen = see(&world);
    assert_eq!(seen.pools.value[&workers()].desired, Units(0));
    assert_eq!(seen.waiting.value[0].count, 3);
    assert!(seen.rivals.value.contains(&Rival::ManagedScaling {
        pool: workers(),
        provider: "cp".to_owned(),
        silenced: true,
    }));
    assert_eq!(world.apply(&resize(0, 1)), done());
    minutes(&mut world, 8);
    assert!(see(&world).waiting.value.is_empty());
}

#[test]
fn a_service_on_the_provider_waits_too_and_counts_as_pending() {
    let mut world = managed(&["AlarmNotification"]);
    let mut api = quarter("api", 2);
    api.launch = Launch::Providers(BTreeSet::from([workers()]));
    world.add_service(api);
    minutes(&mut world, 2);
    assert_eq!(counts(&world, "api"), (2, 0, 2));
    assert_eq!(see(&world).waiting.value[0].group, "service:api");
    set_count(&mut world, "api", 1);
    minutes(&mut world, 2);
    assert_eq!(counts(&world, "api"), (1, 0, 1));
    assert_eq!(world.check(), []);
}

#[test]
fn without_managed_scaling_a_task_without_room_is_refused() {
    let mut world = world(1);
    world.happen(job(5, 10));
    minutes(&mut world, 1);
    let seen = see(&world);
    assert!(seen.waiting.value.is_empty());
    assert_eq!(seen.hosts.value.values().next().unwrap().running_tasks, 4);
    minutes(&mut world, 12);
    let seen = see(&world);
    assert_eq!(seen.hosts.value.values().next().unwrap().running_tasks, 0);
}

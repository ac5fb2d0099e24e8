//! Launching, registering, failing to, and being lost.

use super::*;

#[test]
fn a_launched_host_is_seen_at_once_and_registers_after_a_while() {
    let mut world = World::new("web", now(), 7);
    world.add_pool(build::pool(1), Market::OnDemand);
    pass(&mut world, TimeDelta::seconds(5));
    let seen = see(&world);
    let host = seen.hosts.value.values().next().unwrap();
    assert!(host.is_launching());
    assert_eq!((host.version, host.lifecycle), (0, Lifecycle::Pending));

    pass(&mut world, TimeDelta::seconds(241));
    let [id] = usable(&world).try_into().unwrap();
    let host = super::host(&world, &id);
    assert_eq!(host.remaining, build::large());
    assert_eq!(host.lifecycle, Lifecycle::InService);
    assert_eq!(host.attributes["ecs.instance-type"], "m5.large");
    let took = host.registered_at.unwrap() - host.launched_at;
    assert!(took >= TimeDelta::seconds(45), "{took}");
}

#[test]
fn hosts_are_launched_evenly_over_zones() {
    let mut zones: Vec<_> =
        (see(&world(4)).hosts.value.into_values()).map(|host| host.zone.to_string()).collect();
    zones.sort();
    assert_eq!(zones.join(" "), "eu-west-1a eu-west-1a eu-west-1b eu-west-1b");
}

#[test]
fn a_host_may_never_register() {
    let mut world = world(1);
    world.happen(Event::FailRegistrations { pool: workers(), count: 1 });
    assert_eq!(world.apply(&resize(1, 3)), done());
    minutes(&mut world, 60);
    let hosts = see(&world).hosts.value;
    assert_eq!(hosts.len(), 3);
    assert_eq!(hosts.values().filter(|h| h.is_launching()).count(), 1);
}

#[test]
fn tasks_of_a_lost_agent_run_on_but_no_new_one_comes() {
    let mut world = world(2);
    world.add_service(quarter("api", 4));
    minutes(&mut world, 2);
    let lost = usable(&world)[0].clone();
    world.happen(Event::LoseAgent { host: Some(lost.clone()) });
    set_count(&mut world, "api", 8);
    minutes(&mut world, 5);
    assert_eq!(host(&world, &lost).running_tasks, 2);
    assert_eq!(counts(&world, "api"), (8, 6, 0));

    world.happen(Event::AgentBack { host: None });
    minutes(&mut world, 2);
    assert_eq!(counts(&world, "api"), (8, 8, 0));
    assert_eq!(world.check(), []);
}

#[test]
fn a_task_does_not_stop_while_its_agent_is_lost() {
    let mut world = world(1);
    world.add_service(quarter("api", 2));
    minutes(&mut world, 2);
    let id = usable(&world)[0].clone();
    world.happen(Event::LoseAgent { host: None });
    set_count(&mut world, "api", 0);
    minutes(&mut world, 10);
    let stopping = |world: &World| see(world).tasks.value[&id].len();
    assert_eq!(stopping(&world), 2);
    assert_eq!(host(&world, &id).counted_tasks(), 0);
    world.happen(Event::AgentBack { host: None });
    minutes(&mut world, 1);
    assert_eq!(stopping(&world), 0);
}

#[test]
fn the_group_replaces_a_host_that_dies() {
    let mut world = world(2);
    world.happen(Event::HostDies { host: None });
    minutes(&mut world, 10);
    assert_eq!(usable(&world).len(), 2);
    assert_eq!(see(&world).hosts.value.len(), 2);
}

#[test]
fn a_group_goes_where_there_is_capacity_and_waits_where_there_is_none() {
    let mut world = world(0);
    let dry = |zone: &str, minutes| Event::NoCapacity {
        instance_type: "m5.large".into(),
        zone: zone.into(),
        lasts: TimeDelta::minutes(minutes),
    };
    world.happen(dry("eu-west-1a", 60));
    assert_eq!(world.apply(&resize(0, 2)), done());
    minutes(&mut world, 10);
    let in_b = |host: &Host| host.zone.as_str() == "eu-west-1b";
    assert!(see(&world).hosts.value.values().all(in_b));

    world.happen(dry("eu-west-1b", 20));
    assert_eq!(world.apply(&resize(2, 3)), done());
    minutes(&mut world, 15);
    assert_eq!(usable(&world).len(), 2);
    minutes(&mut world, 15);
    assert_eq!(usable(&world).len(), 3);
}

#[test]
fn zones_are_rebalanced_only_while_the_process_lives_and_hosts_are_open() {
    let lopsided = |protects: bool, suspended: &[&str]| {
        let mut world = World::new("web", now(), 7);
        let suspended = suspended.iter().map(|name| (*name).to_owned()).collect();
        let mut pool = build::pool(4);
        pool.protects_new_hosts = protects;
        pool.suspended = suspended;
        world.add_pool(pool, Market::OnDemand);
        world.happen(Event::NoCapacity {
            instance_type: "m5.large".into(),
            zone: "eu-west-1b".into(),
            lasts: TimeDelta::minutes(3),
        });
        minutes(&mut world, 30);
        let hosts = see(&world).hosts.value;
        let in_b = hosts.values().filter(|h| h.zone.as_str() == "eu-west-1b");
        (hosts.len(), in_b.count())
    };
    assert_eq!(lopsided(false, &[]), (4, 2));
    assert_eq!(lopsided(true, &[]), (4, 0));
    assert_eq!(lopsided(false, &["AZRebalance"]), (4, 0));
}

//! The service scheduler: starting, spreading, deploying, draining.

use super::*;

#[test]
fn tasks_spread_over_zones_then_hosts() {
    let mut world = world(4);
    world.add_service(quarter("api", 8));
    minutes(&mut world, 2);
    let hosts = see(&world).hosts.value;
    assert!(hosts.values().all(|host| host.running_tasks == 2));
}

#[test]
fn what_finds_no_room_is_neither_running_nor_pending_until_a_host_comes() {
    let mut world = world(1);
    world.add_service(quarter("api", 6));
    minutes(&mut world, 2);
    assert_eq!(counts(&world, "api"), (6, 4, 0));
    assert_eq!(world.apply(&resize(1, 2)), done());
    minutes(&mut world, 6);
    assert_eq!(counts(&world, "api"), (6, 6, 0));
}

#[test]
fn ports_constraints_and_distinct_hosts_are_honoured() {
    let mut world = world(3);
    let mut on_port = quarter("port", 5);
    on_port.shape.host_ports = BTreeSet::from([8080]);
    let mut apart = quarter("apart", 5);
    apart.constraints = BTreeSet::from([Constraint::DistinctInstance]);
    let mut picky = quarter("picky", 2);
    let zone_b = Constraint::member_of("attribute:ecs.availability-zone == eu-west-1b");
    picky.constraints = zone_b.into_iter().collect();
    for service in [on_port, apart, picky] {
        world.add_service(service);
    }
    minutes(&mut world, 2);
    assert_eq!(counts(&world, "port").1, 3);
    assert_eq!(counts(&world, "apart").1, 3);
    assert_eq!(counts(&world, "picky").1, 2);
    assert_eq!(world.check(), []);
}

/// Deploys onto a cluster with room for twice the tasks; says the fewest running and the most
/// live tasks on the way, and whether it ended.
#[track_caller]
fn deploys(minimum: u64, maximum: u64, fewest: u64, most: u64, ends: bool) {
    let mut world = world(4);
    world.add_service(quarter("api", 4).healthy(minimum, maximum));
    minutes(&mut world, 3);
    world.happen(Event::Deploy { service: "api".into(), shape: None });
    let (mut low, mut high) = (u64::MAX, 0);
    for _ in 0..600 {
        pass(&mut world, TimeDelta::seconds(1));
        let (_, running, pending) = counts(&world, "api");
        low = low.min(running);
        high = high.max(running + pending);
    }
    let service = see(&world).services.value[&ServiceName::from("api")].clone();
    let ended = !service.is_deploying() && service.definition.short() == "api:2";
    let label = format!("{minimum}/{maximum}");
    assert_eq!((low, high, ended), (fewest, most, ends), "{label}");
}

#[test]
fn deployments_stay_between_minimum_and_maximum_healthy_percent() {
    deploys(100, 200, 4, 8, true);
    deploys(50, 100, 2, 4, true);
    deploys(0, 100, 0, 4, true);
    deploys(50, 150, 2, 6, true);
    deploys(100, 100, 4, 4, false);
}

#[test]
fn a_drain_moves_tasks_without_falling_below_the_minimum() {
    let mut world = world(2);
    world.add_service(quarter("api", 4));
    minutes(&mut world, 3);
    let from = usable(&world)[0].clone();
    drain(&mut world, &from);
    for _ in 0..180 {
        pass(&mut world, TimeDelta::seconds(1));
        assert!(counts(&world, "api").1 >= 4);
    }
    assert_eq!(see(&world).tasks.value[&from], []);
    assert_eq!(host(&world, &from).status, HostStatus::Draining);
    assert_eq!(counts(&world, "api"), (4, 4, 0));
}

#[test]
fn counted_tasks_reach_zero_before_the_tasks_are_gone() {
    let mut world = world(2);
    let mut slow = quarter("api", 2).healthy(0, 100);
    slow.stop_timeout = TimeDelta::minutes(10);
    world.add_service(slow);
    minutes(&mut world, 3);
    let from = usable(&world)[0].clone();
    drain(&mut world, &from);
    pass(&mut world, TimeDelta::seconds(5));
    assert_eq!(host(&world, &from).counted_tasks(), 0);
    assert_eq!(see(&world).tasks.value[&from][0].status, TaskStatus::Stopping);
}

/// What is left on a draining host after an hour.
#[track_caller]
fn left_after_drain(service: ServiceSpec, event: Option<Event>, left: u64) {
    let mut world = world(2);
    world.add_service(service);
    minutes(&mut world, 3);
    if let Some(event) = event {
        world.happen(event);
        minutes(&mut world, 3);
    }
    let busiest = |id: &InstanceId| host(&world, id).running_tasks;
    let from = usable(&world).into_iter().max_by_key(busiest).unwrap();
    drain(&mut world, &from);
    minutes(&mut world, 60);
    assert_eq!(host(&world, &from).running_tasks, left);
}

#[test]
fn some_drains_never_end() {
    left_after_drain(quarter("stuck", 4).healthy(100, 100), None, 2);
    left_after_drain(quarter("half", 4).healthy(50, 100), None, 0);
    left_after_drain(quarter("lonely", 1).healthy(50, 100), None, 1);
    left_after_drain(quarter("no-room", 8), None, 4);
    let protect = Event::ProtectTasks { service: "held".into(), on: true };
    left_after_drain(quarter("held", 2), Some(protect), 1);
    let job = Event::RunTasks {
        group: "job".to_owned(),
        shape: TaskShape::plain(256, 256),
        count: 1,
        pool: None,
        lasts: None,
    };
    left_after_drain(quarter("none", 0), Some(job), 1);
}

#[test]
fn daemons_run_once_on_each_host_and_leave_a_draining_one_last() {
    let mut world = world(2);
    let mut agent = quarter("agent", 0);
    agent.scheduling = Scheduling::Daemon;
    world.add_service(agent);
    world.add_service(quarter("stuck", 2).healthy(100, 100));
    minutes(&mut world, 3);
    assert_eq!(counts(&world, "agent"), (2, 2, 0));
    let from = usable(&world)[0].clone();
    drain(&mut world, &from);
    minutes(&mut world, 10);
    assert_eq!(host(&world, &from).running_tasks, 2);
    set_count(&mut world, "stuck", 1);
    minutes(&mut world, 10);
    assert_eq!(host(&world, &from).running_tasks, 0);
}

#[test]
fn a_crashing_service_is_started_ever_more_slowly() {
    let mut world = world(1);
    world.add_service(quarter("api", 1));
    minutes(&mut world, 2);
    world.happen(Event::Crash { service: "api".into(), on: true });
    world.happen(Event::Deploy { service: "api".into(), shape: None });
    let failed = |world: &World| {
        let service = &see(world).services.value[&ServiceName::from("api")];
        service.deployments[0].failed_tasks
    };
    minutes(&mut world, 10);
    let first = failed(&world);
    minutes(&mut world, 10);
    let second = failed(&world) - first;
    assert!(first >= 4 && second < first, "{first}, then {second}");
    assert_eq!(counts(&world, "api").1, 1);
}

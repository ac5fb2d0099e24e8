//! Whatever happens, the world's books add up and one seed gives one world.

use proptest::prelude::*;

use super::super::tutorial;
use super::*;

fn event() -> impl Strategy<Value = Event> {
    let service = || prop::sample::select(vec!["a", "b", "d"]).prop_map(ServiceName::from);
    prop_oneof![
        (service(), 0..12_u64).prop_map(|(service, count)| Event::SetCount { service, count }),
        service().prop_map(|service| Event::Deploy { service, shape: None }),
        (service(), any::<bool>()).prop_map(|(service, on)| Event::Crash { service, on }),
        (service(), any::<bool>()).prop_map(|(service, on)| Event::ProtectTasks { service, on }),
        Just(Event::LoseAgent { host: None }),
        Just(Event::AgentBack { host: None }),
        Just(Event::HostDies { host: None }),
        Just(Event::FailRegistrations { pool: workers(), count: 1 }),
        (0..8_u32).prop_map(|desired| Event::SetDesired { pool: workers(), desired }),
        (1..5_u64).prop_map(|count| Event::RunTasks {
            group: "job".to_owned(),
            shape: TaskShape::plain(700, 300),
            count,
            pool: None,
            lasts: Some(TimeDelta::minutes(7)),
        }),
    ]
}

fn played(seed: u64, events: &[(i64, Event)]) -> World {
    let mut world = World::new("web", now(), seed);
    let mut pool = build::pool(3);
    pool.protects_new_hosts = false;
    world.add_pool(pool, Market::OnDemand);
    world.add_service(quarter("a", 4));
    let mut on_port = quarter("b", 2).healthy(50, 100);
    on_port.shape.host_ports = BTreeSet::from([80]);
    world.add_service(on_port);
    let mut daemon = quarter("d", 0);
    daemon.scheduling = Scheduling::Daemon;
    world.add_service(daemon);
    for (after, event) in events {
        pass(&mut world, TimeDelta::seconds(*after));
        world.happen(event.clone());
        let drained = usable(&world).into_iter().next();
        if let Some(id) = drained.filter(|_| *after > 200) {
            drain(&mut world, &id);
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_books_add_up_and_one_seed_gives_one_world(
        seed in 0..50_u64,
        events in prop::collection::vec((0..300_i64, event()), 0..20),
    ) {
        let mut world = played(seed, &events);
        prop_assert_eq!(world.check(), []);
        minutes(&mut world, 30);
        prop_assert_eq!(world.check(), []);
        let mut again = played(seed, &events);
        minutes(&mut again, 30);
        prop_assert_eq!(see(&world), see(&again));
        prop_assert_eq!(world.activities(), again.activities());
    }
}

#[test]
fn time_in_one_step_or_in_many_gives_the_same_world() {
    let mut at_once = played(3, &[]);
    let mut slowly = at_once.clone();
    minutes(&mut at_once, 60);
    for _ in 0..3600 {
        pass(&mut slowly, TimeDelta::seconds(1));
    }
    assert_eq!(see(&at_once), see(&slowly));
}

fn traffic_event() -> impl Strategy<Value = Event> {
    let service = || prop::sample::select(vec!["api", "users"]).prop_map(ServiceName::from);
    let priority = || prop::option::of(Just(tutorial::MONOLITH_PRIORITY));
    prop_oneof![
        (service(), 0..6_u64).prop_map(|(service, count)| Event::SetCount { service, count }),
        service().prop_map(|service| Event::Deploy { service, shape: None }),
        service().prop_map(|service| Event::DeployBroken { service }),
        service().prop_map(|service| Event::KillTask { service }),
        (service(), any::<bool>()).prop_map(|(service, on)| Event::FailsChecks { service, on }),
        (service(), 0..10_000_u32).prop_map(|(service, errors_bp)| Event::Misbehaves {
            service,
            errors_bp,
            extra_latency_ms: 50,
        }),
        Just(Event::LoseAgent { host: None }),
        Just(Event::AgentBack { host: None }),
        Just(Event::HostDies { host: None }),
        (0..999_u64).prop_map(|per_minute| Event::Requests {
            flow: tutorial::flow("/api/users"),
            per_minute,
        }),
        (priority(), 0..3_u32, 0..3_u32).prop_map(|(priority, blue, green)| {
            // Groups are numbered in the order they were made.
            let arn = |name: &str, number: u64| {
                let prefix = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";
                format!("{prefix}:targetgroup/{name}/{number:016x}").into()
            };
            let image = RuleImage::split([(arn("api", 1), blue), (arn("users", 2), green)]);
            Event::EditsRule { listener: tutorial::listener(), priority, image: Some(image) }
        }),
    ]
}

fn steered(seed: u64, events: &[(i64, Event)]) -> World {
    let mut world = tutorial::world(seed, now(), 2);
    tutorial::add_services(&mut world, 2);
    tutorial::add_requests(&mut world, 30);
    for (after, event) in events {
        pass(&mut world, TimeDelta::seconds(*after));
        world.happen(event.clone());
    }
    minutes(&mut world, 1);
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_request_is_answered_or_lost_whatever_happens(
        seed in 0..1000_u64,
        events in prop::collection::vec((0..400_i64, traffic_event()), 1..25),
    ) {
        let world = steered(seed, &events);
        let answers = world.answers();
        let good: u64 = answers.good.values().sum();
        let lost: u64 = answers.lost.values().sum();
        prop_assert_eq!(answers.sent, good + lost);
        prop_assert_eq!(world.check(), []);
        let again = steered(seed, &events);
        prop_assert_eq!(answers, again.answers());
    }
}

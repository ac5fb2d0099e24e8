//! Whatever happens, the world's books add up and one seed gives one world.

use proptest::prelude::*;

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

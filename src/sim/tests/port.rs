//! The world behind the port, and its clocks.

use std::time::Duration;

use super::*;
use crate::cloud::Cloud;
use crate::control::Clock;

fn need() -> Need {
    Need {
        cluster: "web".into(),
        pools: BTreeSet::from([workers()]),
        tasks_of: BTreeSet::new(),
        traffic: None,
        releases: None,
        only_traffic: false,
    }
}

#[tokio::test]
async fn a_stepped_clock_takes_the_world_along_without_waiting() {
    let clock = SimClock::stepped(now());
    let mut world = World::new("web", now(), 7);
    world.add_pool(build::pool(1), Market::OnDemand);
    let cloud = SimCloud::new(world, clock.clone(), Faults::default());
    assert!(cloud.observe(&need()).await.hosts.value.is_empty());
    clock.sleep(Duration::from_secs(240)).await;
    let seen = cloud.observe(&need()).await;
    assert_eq!(seen.taken_at, now() + TimeDelta::seconds(240));
    assert!(seen.hosts.value.values().all(Host::is_usable));
    assert_eq!(seen.hosts.value.len(), 1);
}

#[tokio::test]
async fn those_who_begin_to_sleep_together_wake_at_their_own_moments() {
    let clock = SimClock::stepped(now());
    let nap = |seconds| {
        let clock = clock.clone();
        async move { clock.sleep(Duration::from_secs(seconds)).await }
    };
    tokio::join!(nap(10), nap(30), nap(20));
    assert_eq!(clock.now(), now() + TimeDelta::seconds(30));
}

#[tokio::test]
async fn a_paced_world_tells_what_changed_while_nobody_looked() {
    let mut world = world(1);
    let id = usable(&world)[0].clone();
    let soon = world.now() + TimeDelta::seconds(1);
    let lost = Event::LoseAgent { host: Some(id.clone()) };
    world.schedule(soon, lost, None);
    let clock = SimClock::paced(world.now(), 10_000);
    let cloud = SimCloud::new(world, clock, Faults::default());
    cloud.observe(&need()).await;
    let changes = cloud.changes(&"web".into()).await;
    let [Change::Host { state }] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert_eq!((&state.instance, state.agent_connected), (&id, false));
}

#[tokio::test]
async fn another_cluster_is_not_found_and_its_pools_are_gaps() {
    let cloud = SimCloud::new(world(1), SimClock::stepped(now()), Faults::default());
    let other = Need { cluster: "other".into(), ..need() };
    let seen = cloud.observe(&other).await;
    assert!(seen.hosts.value.is_empty() && !seen.hosts.gaps.is_empty());
    let unknown = Need { pools: BTreeSet::from([PoolId::group("none")]), ..need() };
    let seen = cloud.observe(&unknown).await;
    let host = seen.hosts.value.values().next().unwrap();
    assert_eq!((&host.pool, seen.pools.gaps.len()), (&None, 1));
}

#[test]
fn a_host_with_tasks_is_not_ended_unless_forced() {
    let mut world = world(1);
    world.add_service(quarter("api", 2));
    minutes(&mut world, 2);
    let id = usable(&world)[0].clone();
    let end = |forced| Action::TerminateHost {
        pool: workers(),
        host: id.clone(),
        desired_was: Units(1),
        replace: false,
        forced,
    };
    let in_the_way = |world: &World, forced| {
        let moved = world.tasks_in_the_way(&end(forced));
        moved.map(|outcome| kind(&outcome))
    };
    let expected = "moved: tasks on it: 0 -> tasks on it: 2".to_owned();
    assert_eq!(in_the_way(&world, false), Some(expected));
    assert_eq!(in_the_way(&world, true), None);
    set_count(&mut world, "api", 0);
    minutes(&mut world, 2);
    assert_eq!(in_the_way(&world, false), None);
}

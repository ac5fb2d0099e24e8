//! One behaviour each: what the loop does about it, line by line.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use expect_test::{Expect, expect};
use tidegate::config::{ClusterConfig, PoolConfig};
use tidegate::model::{CapacityProvider, Market, Order, Pool, PoolId, TaskShape, Units};
use tidegate::sim::{Event, Faults, ServiceSpec, World, story};

use crate::stage::Stage;
use crate::story::start;

/// Group `general` of m6i.large: 2,048 CPU units, 7,618 MiB.
pub(crate) fn general(desired: u32) -> Pool {
    story::group("general", "m6i.large", desired, 0, 8)
}

/// A cluster that has been quiet for half an hour.
pub(crate) fn world(pools: Vec<Pool>, services: Vec<ServiceSpec>) -> World {
    let mut world = World::new("shop", start() - TimeDelta::minutes(30), 1);
    for pool in pools {
        let market = if pool.id.is_fleet() { Market::Spot } else { Market::OnDemand };
        world.add_pool(pool, market);
    }
    for service in services {
        world.add_service(service);
    }
    world.advance(start());
    world
}

/// Everything allowed, no headroom, the pools that the world has.
pub(crate) fn config(pools: &[PoolId]) -> ClusterConfig {
    let mut config = story::config();
    config.pools = pools.iter().cloned().map(PoolConfig::new).collect();
    config.headroom = Vec::new();
    config
}

/// Lets events happen at their minutes and compares what was told and what is held at the end.
async fn check(
    mut world: World,
    pools: &[PoolId],
    events: Vec<(i64, Event)>,
    minutes: i64,
    expected: Expect,
) {
    for (minute, event) in events {
        let sentence = Some(told(&event));
        world.schedule(start() + TimeDelta::minutes(minute), event, sentence);
    }
    let mut stage = Stage::open(world, config(pools), Faults::default()).await;
    stage.run(TimeDelta::minutes(minutes)).await;
    assert_eq!(stage.violations(), []);
    let holds = stage.script.holds();
    expected.assert_eq(&format!("{}held:\n{holds}", stage.script.text()));
}

fn told(event: &Event) -> String {
    match event {
        Event::SetCount { service, count } => format!("{service} is asked for {count} tasks"),
        Event::SetDesired { pool, desired } => format!("somebody sets {pool} to {desired}"),
        Event::LoseAgent { .. } => "an agent is lost".to_owned(),
        Event::AgentBack { .. } => "the agent is back".to_owned(),
        Event::FailRegistrations { count, .. } => format!("{count} hosts will not register"),
        other => format!("{other:?}"),
    }
}

pub(crate) fn service(name: &str, count: u64, cpu: u64, memory: u64) -> ServiceSpec {
    ServiceSpec::new(name, count, TaskShape::plain(cpu, memory))
}

fn count(service: &str, count: u64) -> Event {
    Event::SetCount { service: service.into(), count }
}

pub(crate) fn id(name: &str) -> PoolId {
    PoolId::group(name)
}

#[tokio::test]
async fn from_zero_one_small_task_gets_one_host() {
    let world = world(vec![general(0)], vec![service("api", 0, 256, 256)]);
    let events = vec![(1, count("api", 1))];
    check(
        world,
        &[id("general")],
        events,
        15,
        expect![[r#"
              1:00 "api is asked for 1 tasks"
              1:00   general desired capacity 0 -> 1
            held:
        "#]],
    )
    .await;
}

#[tokio::test]
async fn free_room_in_pieces_too_small_is_no_room() {
    let services = vec![service("api", 3, 1200, 512), service("wide", 0, 1000, 512)];
    let world = world(vec![general(3)], services);
    let events = vec![(1, count("wide", 1))];
    check(
        world,
        &[id("general")],
        events,
        15,
        expect![[r#"
              1:00 "wide is asked for 1 tasks"
              1:00   general desired capacity 3 -> 4
            held:
            h1 scale_in: api needs 1200 cpu 512 MiB, best free elsewhere 1048 cpu 7106 MiB 2 eni
            h2 scale_in: wide needs 1000 cpu 512 MiB, best free elsewhere 848 cpu 7106 MiB 2 eni
            h3 scale_in: api needs 1200 cpu 512 MiB, best free elsewhere 1048 cpu 7106 MiB 2 eni
            h4 scale_in: api needs 1200 cpu 512 MiB, best free elsewhere 1048 cpu 7106 MiB 2 eni
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_task_that_fits_only_the_second_pool_gets_its_host_there() {
    let memory = story::group("memory", "r6i.xlarge", 0, 0, 4);
    let world = world(vec![general(1), memory], vec![service("big", 0, 256, 16_000)]);
    let events = vec![(1, count("big", 1))];
    check(
        world,
        &[id("general"), id("memory")],
        events,
        15,
        expect![[r#"
              1:00 "big is asked for 1 tasks"
              1:00   memory desired capacity 0 -> 1
              4:01   mark h1 for drain (scale_in)
              4:02   drain h1
              4:03   terminate h1, general desired capacity 1 -> 0
            held:
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_lost_agent_is_replaced_and_a_flapping_one_is_not() {
    let world = world(vec![general(2)], vec![service("api", 4, 900, 512)]);
    let lose = Event::LoseAgent { host: None };
    let back = Event::AgentBack { host: None };
    let events = vec![(1, lose.clone()), (3, back), (20, lose)];
    check(
        world,
        &[id("general")],
        events,
        60,
        expect![[r#"
              1:00 "an agent is lost"
              3:00 "the agent is back"
             20:00 "an agent is lost"
             23:00   general desired capacity 2 -> 3
             23:00   mark h1 for drain (repair)
             23:01   drain h1
             26:02   terminate h1, general desired capacity 3 -> 2
            held:
        "#]],
    )
    .await;
}

#[tokio::test]
async fn hosts_that_never_register_are_given_up_and_open_a_breaker() {
    let world = world(vec![general(1)], vec![service("api", 2, 900, 512)]);
    let fail = Event::FailRegistrations { pool: id("general"), count: 9 };
    let events = vec![(1, fail), (2, count("api", 4))];
    check(world, &[id("general")], events, 120, expect![[r#"
          1:00 "9 hosts will not register"
          2:00 "api is asked for 4 tasks"
          2:00   general desired capacity 1 -> 2
         12:16   general desired capacity 2 -> 3
         12:17   terminate h1, general desired capacity 3 -> 2
         22:33   general desired capacity 2 -> 3
         22:34   terminate h2, general desired capacity 3 -> 2
         32:50   terminate h3, general desired capacity 2 -> 1
         62:51   general desired capacity 1 -> 2
         73:07   terminate h4, general desired capacity 2 -> 1
        103:08   general desired capacity 1 -> 2
        113:24   terminate h5, general desired capacity 2 -> 1
        held:
        general scale_out: breaker hosts of general is open after 5 failures in a row, tried again at 2026-11-21 11:23:24Z
    "#]]).await;
}

#[tokio::test]
async fn a_fleet_shrinks_by_hosts_of_our_choice() {
    let mut fleet = general(1);
    fleet.id = PoolId::SpotFleet("sfr-1".to_owned());
    (fleet.max, fleet.protects_new_hosts) = (Units(u32::MAX), false);
    fleet.suspended = BTreeSet::new();
    let pools = [fleet.id.clone()];
    let world = world(vec![fleet], vec![service("api", 2, 900, 512)]);
    let events = vec![(1, count("api", 6)), (20, count("api", 2))];
    check(
        world,
        &pools,
        events,
        60,
        expect![[r#"
              1:00 "api is asked for 6 tasks"
              1:00   spot-fleet/sfr-1 target capacity 1 -> 3
             20:00 "api is asked for 2 tasks"
             23:31   mark h1 for drain (scale_in)
             23:32   drain h1
             23:33   spot-fleet/sfr-1 target capacity 3 -> 2
             23:34   terminate h1 of spot-fleet/sfr-1
             23:50   mark h2 for drain (scale_in)
             23:51   drain h2
             24:22   spot-fleet/sfr-1 target capacity 2 -> 1
             24:23   terminate h2 of spot-fleet/sfr-1
            held:
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_capacity_reset_behind_its_back_is_adopted_once_and_then_left_alone() {
    let world = world(vec![general(2)], vec![service("api", 2, 900, 512)]);
    let reset = |desired| Event::SetDesired { pool: id("general"), desired };
    let events = vec![(1, count("api", 6)), (20, reset(5)), (30, reset(6)), (40, count("api", 14))];
    check(world, &[id("general")], events, 60, expect![[r#"
          1:00 "api is asked for 6 tasks"
          1:00   general desired capacity 2 -> 3
         20:00 "somebody sets general to 5"
         24:31   mark h1 for drain (scale_in)
         24:32   drain h1
         25:03   terminate h1, general desired capacity 5 -> 4
         28:04   mark h2 for drain (scale_in)
         28:05   drain h2
         28:06   terminate h2, general desired capacity 4 -> 3
         30:00 "somebody sets general to 6"
         40:00 "api is asked for 14 tasks"
        held:
        general scale_out: pool lowered to recommend: somebody else set its capacity again, to 6; `tidegate resume --pool` lifts it
    "#]]).await;
}

/// Group `general` as ECS cluster auto scaling has it.
fn managed(desired: u32) -> Pool {
    Pool {
        suspended: BTreeSet::new(),
        protects_new_hosts: false,
        provider: Some(CapacityProvider {
            name: "general-provider".to_owned(),
            managed_scaling: true,
            managed_termination_protection: false,
            managed_draining: false,
        }),
        ..general(desired)
    }
}

#[tokio::test]
async fn a_group_under_managed_scaling_is_left_to_it() {
    let world = world(vec![managed(1)], vec![service("api", 2, 900, 512)]);
    let events = vec![(1, count("api", 6))];
    check(world, &[id("general")], events, 20, expect![[r#"
          1:00 "api is asked for 6 tasks"
        held:
        general scale_out: managed scaling of general-provider writes here; `tidegate handover --cluster NAME` takes over
    "#]]).await;
}

#[tokio::test]
async fn a_group_that_was_handed_over_is_sized_and_its_rival_is_silent() {
    let mut world = world(vec![managed(1)], vec![service("api", 2, 900, 512)]);
    let at = |minute| start() + TimeDelta::minutes(minute);
    let job = Event::RunTasks {
        group: "job".to_owned(),
        shape: TaskShape::plain(1500, 512),
        count: 1,
        pool: Some(id("general")),
        lasts: Some(TimeDelta::minutes(10)),
    };
    world.schedule(at(15), job, Some("a job waits for room".to_owned()));
    let config = config(&[id("general")]);
    let mut stage = Stage::open(world, config, Faults::default()).await;
    stage.run(TimeDelta::minutes(10)).await;
    let pools = vec![id("general")];
    stage.order(Order::Handover { pools }).await;
    stage.run(TimeDelta::minutes(50)).await;
    assert_eq!(stage.violations(), []);
    expect![[r#"
        told:
         10:00   general scale-in protection of new instances on
         10:00   general protect h1 from scale-in
         10:01   general suspend AZRebalance, AlarmNotification
         15:00 "a job waits for room"
         15:02   general desired capacity 1 -> 2
         30:03   mark h2 for drain (scale_in)
         30:04   drain h2
         30:05   terminate h2, general desired capacity 2 -> 1
    "#]]
    .assert_eq(&format!("told:\n{}", stage.script.text()));
}

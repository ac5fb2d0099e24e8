//! The demo's story: a small shop through a busy hour and a half, told in a table.
//!
//! Rule: the story only does what happens to Tidegate from outside; what it does about it is its
//! own.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::{ClusterConfig, Headroom, Like, PoolConfig, Repair, ScaleIn};
use crate::model::{
    ActionKind, Attributes, InstanceType, Market, Mode, Offering, Pool, PoolId, PoolState,
    Resources, TaskShape, Units, catalog,
};

use super::event::{Event, ServiceSpec};
use super::world::World;

/// From the first sentence to the last.
pub const LENGTH: TimeDelta = TimeDelta::minutes(90);

/// How long the cluster lives before the story begins, so that it begins settled.
const BEFORE: TimeDelta = TimeDelta::minutes(30);

/// The shop at `start`: running, settled, and with the story ahead of it.
pub fn world(seed: u64, start: DateTime<Utc>) -> World {
    let mut world = World::new("shop", start - BEFORE, seed);
    world.add_pool(group("general", "m6i.large", 3, 1, 16), Market::OnDemand);
    world.add_pool(group("memory", "r6i.xlarge", 1, 0, 4), Market::OnDemand);
    // All hosts are up before the first task comes, so that tasks spread over them.
    world.advance(start - BEFORE / 2);
    world.add_service(ServiceSpec::new("web", 4, TaskShape::plain(512, 1024)));
    world.add_service(ServiceSpec::new("orders", 4, TaskShape::plain(256, 512)));
    world.add_service(ServiceSpec::new("search", 2, TaskShape::plain(1024, 12_288)));
    let ledger = ServiceSpec::new("ledger", 4, TaskShape::plain(128, 256));
    world.add_service(ledger.healthy(100, 100));
    world.advance(start);
    play(&mut world);
    world
}

/// Lets the story begin now; again, if the world has seen it.
pub fn play(world: &mut World) {
    let start = world.now();
    for (minute, event, sentence) in table() {
        let at = start + TimeDelta::minutes(minute);
        world.schedule(at, event, Some(sentence.to_owned()));
    }
}

/// What happens at which minute, with its sentence.
pub fn table() -> Vec<(i64, Event, &'static str)> {
    let count = |service: &str, count| Event::SetCount { service: service.into(), count };
    let deploy = Event::Deploy { service: "orders".into(), shape: None };
    vec![
        (0, Event::Remark, "A quiet morning: four services, all tasks running."),
        (3, count("web", 8), "Load rises: web is asked for 8 tasks, up from 4."),
        (6, count("web", 14), "It keeps rising: web is asked for 14 tasks."),
        (9, count("web", 26), "The sale begins: web is asked for 26 tasks."),
        (12, count("orders", 12), "Orders follow: 12 tasks, up from 4."),
        (
            16,
            count("search", 5),
            "Search is asked for 5 tasks; they fit only hosts with much memory.",
        ),
        (
            24,
            Event::LoseAgent { host: None },
            "An ECS agent falls silent: its tasks run on, but nothing new can be placed there.",
        ),
        (36, deploy, "CI deploys orders: up to twice its tasks run until the new ones are up."),
        (46, count("web", 14), "The sale is over: web is asked for 14 tasks."),
        (49, count("orders", 4), "Orders calm down: 4 tasks."),
        (50, count("search", 2), "Search needs 2 tasks again."),
        (54, count("web", 2), "The evening is quieter than the morning: web is asked for 2 tasks."),
        (
            58,
            Event::Remark,
            "Hosts empty and leave; those with tasks of ledger stay: at 100/100 % ECS can never \
             move them.",
        ),
        (90, Event::Remark, "Quiet again."),
    ]
}

/// How Tidegate is told to look after the shop.
pub fn config() -> ClusterConfig {
    let pools = ["general", "memory"].map(|name| PoolConfig::new(PoolId::group(name)));
    let mut config = ClusterConfig::new("shop", pools.into());
    config.mode = Mode::Act;
    config.allow = BTreeSet::from([
        ActionKind::ScaleOut,
        ActionKind::Repair,
        ActionKind::Spot,
        ActionKind::ScaleIn,
    ]);
    config.headroom = vec![Headroom { like: Like::TasksOf("web".into()), count: 2 }];
    config.scale_in = ScaleIn { stabilization: TimeDelta::minutes(3), ..ScaleIn::default() };
    config.repair = Repair { agent_lost: TimeDelta::minutes(3), ..Repair::default() };
    config
}

/// A group of one type in two zones, protected and not rebalanced, as Tidegate wants it.
pub fn group(name: &str, instance_type: &str, desired: u32, min: u32, max: u32) -> Pool {
    Pool {
        id: PoolId::group(name),
        state: PoolState::Active,
        desired: Units(desired),
        min: Units(min),
        max: Units(max),
        offerings: vec![offering(instance_type.into())],
        zones: BTreeSet::from(["eu-west-1a".into(), "eu-west-1b".into()]),
        protects_new_hosts: true,
        suspended: BTreeSet::from(["AZRebalance".to_owned()]),
        provider: None,
        attributes: Attributes::new(),
    }
}

/// A type as the catalogue knows it; one it does not know registers nothing.
pub fn offering(instance_type: InstanceType) -> Offering {
    let info = catalog::find(&instance_type);
    Offering {
        weight: 1,
        registers: info.map_or(Resources::ZERO, |info| info.estimated_registration()),
        estimated: false,
        list_price_micro_usd_per_hour: info.and_then(|i| i.list_price_micro_usd_per_hour),
        instance_type,
    }
}

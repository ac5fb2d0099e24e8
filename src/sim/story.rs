//! The demo's story: a small shop through a busy hour and a half, told in a table; at its end a
//! monolith is taken apart, a bad green leads itself back, and so does a bad release.
//!
//! Rule: the story only does what happens to Tidegate from outside, the orders of people included;
//! what it does about it is its own.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::{ClusterConfig, CutoverConfig, Headroom, Like, PoolConfig, Repair, ScaleIn};
use crate::model::{
    ActionKind, Attributes, CutoverOrder, InstanceType, Market, Mode, Offering, Order, Pool,
    PoolId, PoolState, ReleaseOrder, Resources, TaskShape, Units, catalog,
};

use super::event::{Event, ServiceSpec};
use super::images::ImageFault;
use super::tutorial;
use super::world::World;

/// From the first sentence to the last.
pub const LENGTH: TimeDelta = TimeDelta::minutes(90);

/// The cutover whose green is bad.
pub const BAD: &str = "posts";

/// The service whose last release is bad, and the image of it.
pub const RELEASED: &str = "orders";
pub const BAD_IMAGE: &str = "orders:sale-over";

/// When the monolith begins to be asked, a hundred times a second.
const USERS_COME: TimeDelta = TimeDelta::minutes(62);

/// When the monolith's cutover is started.
const CUTOVER_AT: TimeDelta = TimeDelta::minutes(66);

/// How long the cluster lives before the story begins, so that it begins settled.
const BEFORE: TimeDelta = TimeDelta::minutes(30);

/// The shop at `start`: running, settled, and with the story ahead of it.
pub fn world(seed: u64, start: DateTime<Utc>) -> World {
    let mut world = World::new("shop", start - BEFORE, seed);
    world.add_pool(group("general", "m6i.large", 5, 1, 16), Market::OnDemand);
    world.add_pool(group("memory", "r6i.xlarge", 1, 0, 4), Market::OnDemand);
    // All hosts are up before the first task comes, so that tasks spread over them.
    world.advance(start - BEFORE / 2);
    world.add_service(ServiceSpec::new("web", 4, TaskShape::plain(512, 1024)));
    world.add_service(ServiceSpec::new("orders", 4, TaskShape::plain(256, 512)));
    world.add_service(ServiceSpec::new("search", 2, TaskShape::plain(1024, 12_288)));
    let ledger = ServiceSpec::new("ledger", 4, TaskShape::plain(128, 256));
    world.add_service(ledger.healthy(100, 100));
    tutorial::add_monolith(&mut world, 4);
    tutorial::add_services(&mut world, 2);
    tutorial::quicken(&mut world);
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
    // Before, a host that is given up with its silent agent would take requests with it.
    for path in tutorial::PATHS {
        let requests = Event::Requests { flow: tutorial::flow(path), per_minute: 25 * 60 };
        world.schedule(start + USERS_COME, requests, None);
    }
}

/// What happens at which minute, with its sentence.
pub fn table() -> Vec<(i64, Event, &'static str)> {
    let count = |service: &str, count| Event::SetCount { service: service.into(), count };
    let bad = Event::Misbehaves { service: BAD.into(), errors_bp: 200, extra_latency_ms: 300 };
    let bad_image = Event::BadImage { image: BAD_IMAGE.into(), how: ImageFault::Exits };
    let deploy = Event::Deploy { service: "orders".into(), shape: None };
    vec![
        (
            0,
            Event::Remark,
            "A quiet morning: a shop's services, a monolith and its three successors, all tasks \
             running.",
        ),
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
        (62, Event::Remark, "Users come back from the sale: 100 requests a second."),
        (
            64,
            bad,
            "A version of posts fails two requests of a hundred and is 300 ms slower; nobody sees \
             it yet.",
        ),
        (
            65,
            bad_image,
            "Somebody pushes a new image of orders, whose process ends right after its start.",
        ),
        (
            67,
            Event::Remark,
            "From half of the requests on a person decides: promote the step, here or with \
             `tidegate cutover promote`.",
        ),
        (90, Event::Remark, "Quiet again."),
    ]
}

/// What a person orders next, with its sentence, so long after the beginning; `is_open` says of a
/// cutover whether it is under way, and nothing of one that was never started; `released` whether
/// anything was released.
pub fn order(
    passed: TimeDelta,
    is_open: impl Fn(&str) -> Option<bool>,
    released: bool,
) -> Option<(Order, &'static str)> {
    if is_open(BAD) == Some(false) && !released {
        let steer = ReleaseOrder::Start { image: BAD_IMAGE.into(), container: None };
        let order = Order::Release { service: RELEASED.into(), steer };
        return Some((order, "Orders are released anew: `tidegate release orders IMAGE`."));
    }
    let (cutover, sentence) = match is_open(tutorial::CUTOVER) {
        None if passed >= CUTOVER_AT => (
            tutorial::CUTOVER,
            "The monolith is taken apart: users, then threads, ten requests of a hundred first.",
        ),
        Some(false) if is_open(BAD).is_none() => {
            (BAD, "Posts follow, with the version that nobody has seen.")
        }
        _ => return None,
    };
    let routes = cutovers().into_iter().find(|config| config.name.as_str() == cutover)?.routes;
    let routes = routes.into_iter().map(|route| route.to).collect();
    let steer = CutoverOrder::Start { token: "story".to_owned(), routes };
    Some((Order::Cutover { cutover: cutover.into(), steer }, sentence))
}

/// Two routes that wait for a person at half of the requests; then one with a bad release.
fn cutovers() -> Vec<CutoverConfig> {
    let mut first = tutorial::cutover();
    first.approve_before_percent = Some(50);
    first.tombstone = None;
    first.keep_warm = TimeDelta::minutes(1);
    let mut bad = first.clone();
    bad.name = BAD.into();
    bad.routes = first.routes.split_off(2);
    vec![first, bad]
}

/// How Tidegate is told to look after the shop and to take its monolith apart.
pub fn shop() -> ClusterConfig {
    let mut config = config();
    config.allow.extend([ActionKind::Cutover, ActionKind::Services]);
    config.cutovers = cutovers();
    config
}

/// How Tidegate is told to look after a fleet.
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

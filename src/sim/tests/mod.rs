//! Stories that show the simulated AWS behave, one file per thing that behaves.

mod act;
mod act_traffic;
mod books;
mod faults;
mod hosts;
mod managed;
mod port;
mod scheduler;
mod traffic;

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::*;
use crate::model::build::{now, workers};
use crate::model::*;

/// A cluster with `hosts` m5.large (2,048 CPU units) of group `workers`, registered and quiet.
pub(super) fn world(hosts: u32) -> World {
    let mut world = World::new("web", now(), 7);
    world.add_pool(build::pool(hosts), Market::OnDemand);
    pass(&mut world, TimeDelta::minutes(10));
    assert_eq!(usable(&world).len(), hosts as usize);
    world
}

pub(super) fn pass(world: &mut World, time: TimeDelta) {
    world.advance(world.now() + time);
}

pub(super) fn minutes(world: &mut World, minutes: i64) {
    pass(world, TimeDelta::minutes(minutes));
}

/// Everything there is to see.
pub(super) fn see(world: &World) -> Snapshot {
    let need = |tasks_of| Need {
        cluster: "web".into(),
        pools: BTreeSet::from([workers(), fleet()]),
        tasks_of,
        traffic: None,
        releases: None,
        only_traffic: false,
    };
    let hosts = world.snapshot(&need(BTreeSet::new())).hosts.value;
    world.snapshot(&need(hosts.into_keys().collect()))
}

pub(super) fn fleet() -> PoolId {
    PoolId::SpotFleet("sfr-1".to_owned())
}

pub(super) fn usable(world: &World) -> Vec<InstanceId> {
    let hosts = see(world).hosts.value.into_values();
    let usable = hosts.filter(Host::is_usable);
    usable.map(|host| host.instance).collect()
}

pub(super) fn host(world: &World, id: &InstanceId) -> Host {
    see(world).hosts.value[id].clone()
}

/// A quarter of a host's CPU a task: four fit on each.
pub(super) fn quarter(name: &str, count: u64) -> ServiceSpec {
    ServiceSpec::new(name, count, TaskShape::plain(512, 512))
}

/// Desired, running and pending tasks.
pub(super) fn counts(world: &World, service: &str) -> (u64, u64, u64) {
    let service = &see(world).services.value[&ServiceName::from(service)];
    let Service { desired_count, running_count, pending_count, .. } = service;
    (*desired_count, *running_count, *pending_count)
}

pub(super) fn set_count(world: &mut World, service: &str, count: u64) {
    let service = service.into();
    world.happen(Event::SetCount { service, count });
}

pub(super) fn drain(world: &mut World, id: &InstanceId) {
    let action = Action::SetHostStatus {
        hosts: BTreeSet::from([id.clone()]),
        was: HostStatus::Active,
        now: HostStatus::Draining,
    };
    assert_eq!(world.apply(&action), done());
}

pub(super) fn terminate(pool: &Pool, host: &InstanceId) -> Action {
    Action::TerminateHost {
        pool: pool.id.clone(),
        host: host.clone(),
        desired_was: pool.desired,
        replace: false,
        forced: false,
    }
}

pub(super) fn resize(was: u32, now: u32) -> Action {
    Action::SetPoolCapacity { pool: workers(), was: Units(was), now: Units(now) }
}

pub(super) fn done() -> Outcome {
    Outcome::done()
}

/// `moved`, `refused: …` or `done`, as far as a table needs it.
pub(super) fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { failed, .. } if failed.is_empty() => "done".to_owned(),
        Outcome::Done { failed, .. } => format!("done, {} failed", failed.len()),
        Outcome::Moved { expected, found } => format!("moved: {expected} -> {found}"),
        Outcome::Refused { failure } => failure.to_string(),
        Outcome::InDoubt { message } => format!("in doubt: {message}"),
    }
}

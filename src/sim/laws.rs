//! The laws the world watches over: harm done to it, and its own books.
//!
//! Rule: a law speaks of the true state, never of what was observed.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::model::{
    InstanceId, Owner, PoolId, Purpose, Resources, RuleImage, ServiceName, TargetGroupArn,
    TaskStatus, Units,
};

use super::balancer::names;
use super::state::Displaced;
use super::world::World;

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// We ended a host whose agent was heard, with tasks that had not stopped.
    TerminatedWithTasks { at: DateTime<Utc>, host: InstanceId, tasks: usize },
    /// We asked again to end a host after AWS had accepted that.
    TerminatedTwice { at: DateTime<Utc>, host: InstanceId },
    /// We lowered a group's desired capacity and it chose a host with tasks.
    GroupChose { at: DateTime<Utc>, pool: PoolId, host: InstanceId, tasks: usize },
    /// A drain of ours ended with tasks of a service without a place that had one before it.
    LeftPending { at: DateTime<Utc>, host: InstanceId, service: ServiceName, missing: u64 },
    /// A desired capacity outside of its pool's bounds.
    OutOfBounds { pool: PoolId, desired: Units, min: Units, max: Units },
    /// A rule of ours was left without any weight: all of its requests fail.
    NothingHasWeight { at: DateTime<Utc>, purpose: Purpose },
    /// We gave weight to a group without a healthy target, although healthy ones were to be had.
    SentToNobody { at: DateTime<Utc>, purpose: Purpose, group: TargetGroupArn },
    /// We lowered a service that requests still reach: one that a route leaves, or any to zero.
    LoweredInUse { at: DateTime<Utc>, service: ServiceName, count: u64 },
    /// The world's own books do not add up: a fault of the simulation.
    Books { what: String },
}

impl World {
    /// Every law broken so far, and those broken now. Looks at every task: not for each tick.
    pub fn check(&self) -> Vec<Violation> {
        let mut broken = self.violations.clone();
        let pools = self.pools.values().map(|sim| &sim.pool);
        let outside = pools.filter(|pool| pool.desired < pool.min || pool.desired > pool.max);
        broken.extend(outside.map(|pool| Violation::OutOfBounds {
            pool: pool.id.clone(),
            desired: pool.desired,
            min: pool.min,
            max: pool.max,
        }));
        let books = self.wrong_hosts().chain(self.wrong_services());
        broken.extend(books.map(|what| Violation::Books { what }));
        broken
    }

    /// Looks at a host we are about to end. Tasks of a host whose agent is lost are lost anyway.
    pub(super) fn judge_termination(&mut self, id: &InstanceId) {
        let Some(sim) = self.hosts.get(id) else {
            return;
        };
        let lost = sim.host.is_registered() && !sim.host.agent_connected;
        if !lost && !sim.tasks.is_empty() {
            self.violations.push(Violation::TerminatedWithTasks {
                at: self.now,
                host: id.clone(),
                tasks: sim.tasks.len(),
            });
        }
    }

    /// Looks whether what a drained host ran has a place, unless something else has happened since.
    pub(super) fn judge_drain(&mut self, host: InstanceId, displaced: &Displaced) {
        if self.disturbed_at >= Some(displaced.since) {
            return;
        }
        let at = self.now;
        for (service, before) in &displaced.services {
            let missing = self.missing(service, *before);
            if missing > 0 {
                self.violations.push(Violation::LeftPending {
                    at,
                    host: host.clone(),
                    service: service.clone(),
                    missing,
                });
            }
        }
    }

    /// Tasks that found no host in the last round, of those wanted before and still.
    fn missing(&self, name: &ServiceName, before: u64) -> u64 {
        let Some(service) = self.services.get(name).filter(|s| s.unplaced > 0) else {
            return 0;
        };
        let (running, pending) = service.counts();
        let wanted = before.min(service.spec.count);
        wanted.saturating_sub(running + pending).min(service.unplaced)
    }

    /// Looks at what a rule of ours shall say from now on.
    pub(super) fn judge_image(
        &mut self,
        purpose: &Purpose,
        was: Option<&RuleImage>,
        now: &RuleImage,
    ) {
        let (at, purpose) = (self.now, purpose.clone());
        let Some(weights) = now.weights() else {
            return;
        };
        if !matches!(purpose, Purpose::Park(_)) && weights.values().all(|weight| *weight == 0) {
            self.violations.push(Violation::NothingHasWeight { at, purpose });
            return;
        }
        // Probes, tombstones and park rules carry no user, or mean to refuse.
        if !matches!(purpose, Purpose::Route(_) | Purpose::Service(_)) {
            return;
        }
        let is_healthy = |arn: &TargetGroupArn| {
            self.traffic.groups.get(arn).is_some_and(super::balancer::SimGroup::has_healthy)
        };
        let before = was.and_then(RuleImage::weights).into_iter().flatten();
        if !weights.iter().chain(before).any(|(group, _)| is_healthy(group)) {
            return;
        }
        let more = |group| now.weight_of(group) > was.map_or(0, |was| was.weight_of(group));
        let sent = weights.keys().filter(|group| more(group) && !is_healthy(group));
        let broken = sent.map(|group| {
            let (purpose, group) = (purpose.clone(), group.clone());
            Violation::SentToNobody { at, purpose, group }
        });
        let broken: Vec<_> = broken.collect();
        self.violations.extend(broken);
    }

    /// Looks at a service whose count we have lowered.
    pub(super) fn judge_count(&mut self, name: &ServiceName, count: u64) {
        let targets = self.services.get(name).map(|service| &service.spec.targets);
        let groups: Vec<_> = targets.into_iter().flatten().map(|target| &target.group).collect();
        let listeners = || self.traffic.listeners.values();
        let has_weight = listeners().any(|l| groups.iter().any(|group| l.gives_weight(group)));
        let rules = listeners().flat_map(|sim| &sim.shown.rules);
        let is_left = rules.into_iter().any(|rule| match &rule.owner {
            Owner::Tidegate(Purpose::Route(route)) => {
                route.to != *name && groups.iter().any(|group| names(&rule.image, group))
            }
            _ => false,
        });
        if has_weight && (is_left || count == 0) {
            let (at, service) = (self.now, name.clone());
            self.violations.push(Violation::LoweredInUse { at, service, count });
        }
    }

    fn wrong_hosts(&self) -> impl Iterator<Item = String> {
        self.hosts.values().filter_map(|sim| {
            let host = &sim.host;
            let tasks = || sim.tasks.iter().filter_map(|no| self.tasks.get(no));
            let booked: Resources = tasks().map(|task| task.shape.needs).sum();
            let count = |status| tasks().filter(|t| t.status == status).count() as u64;
            let wrong = (host.remaining + booked != host.registered)
                || host.running_tasks != count(TaskStatus::Running)
                || host.pending_tasks != count(TaskStatus::Starting)
                || tasks().any(|task| task.host.as_ref() != Some(&host.instance))
                || tasks().count() != sim.tasks.len();
            wrong.then(|| format!("{} with {} tasks", host.instance, sim.tasks.len()))
        })
    }

    fn wrong_services(&self) -> impl Iterator<Item = String> {
        self.services.values().filter_map(|service| {
            let tasks = || service.tasks.iter().filter_map(|no| self.tasks.get(no));
            let running = tasks().filter(|t| t.status == TaskStatus::Running).count() as u64;
            let pending = tasks().filter(|t| t.status < TaskStatus::Running).count() as u64;
            let counted = service.counts();
            let wrong = counted != (running, pending) || tasks().count() != service.tasks.len();
            wrong.then(|| format!("service {}: {counted:?}", service.spec.name))
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TerminatedWithTasks { at, host, tasks } => {
                write!(f, "{at}: {host} was ended with {tasks} tasks on it")
            }
            Self::TerminatedTwice { at, host } => write!(f, "{at}: {host} was ended twice"),
            Self::GroupChose { at, pool, host, tasks } => {
                write!(f, "{at}: {pool} was lowered and ended {host} with {tasks} tasks")
            }
            Self::LeftPending { at, host, service, missing } => {
                write!(f, "{at}: without {host}, {missing} tasks of {service} have no place")
            }
            Self::OutOfBounds { pool, desired, min, max } => {
                write!(f, "{pool}: desired capacity {desired} is not within {min} to {max}")
            }
            Self::NothingHasWeight { at, purpose } => {
                write!(f, "{at}: rule {purpose} was left without any weight")
            }
            Self::SentToNobody { at, purpose, group } => {
                let group = group.short();
                write!(
                    f,
                    "{at}: rule {purpose} gave weight to {group}, which has no healthy target"
                )
            }
            Self::LoweredInUse { at, service, count } => {
                write!(f, "{at}: {service} was lowered to {count} while requests reach it")
            }
            Self::Books { what } => write!(f, "the world's books are wrong: {what}"),
        }
    }
}

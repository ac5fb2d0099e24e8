//! How the simulated AWS answers each action: what it refuses, what it does, what it leaves open.
//!
//! Rule: an assumption that no longer holds gives `Moved` and nothing is changed; harm is done as
//! AWS would do it, and recorded as a violation.

use std::collections::BTreeSet;

use crate::model::{
    Action, DrainMark, Failure, HostStatus, InstanceId, Lifecycle, Outcome, PoolId, PoolState,
    Subject, SubjectFailure, TaskOwner, Units,
};

use super::delays;
use super::laws::Violation;
use super::state::{Displaced, Due, SimPool};
use super::world::World;

pub(super) type Answer = Result<Vec<SubjectFailure>, Outcome>;

impl World {
    /// Makes one AWS request. `Done` means it has been accepted; what follows takes its time.
    pub fn apply(&mut self, action: &Action) -> Outcome {
        if let Action::RegisterTask { service, task } = action {
            return match self.register_task(service, task) {
                Ok(made) => Outcome::Done { failed: Vec::new(), made: Some(made) },
                Err(outcome) => outcome,
            };
        }
        let answer = match action {
            Action::SetPoolCapacity { pool, was, now } => self.set_capacity(pool, *was, *now),
            Action::SetNewHostProtection { pool, was, now } => {
                self.set_new_host_protection(pool, *was, *now)
            }
            Action::ProtectHosts { pool, hosts, now } => self.protect_hosts(pool, hosts, *now),
            Action::SetProcesses { pool, processes, suspended } => {
                self.set_processes(pool, processes, *suspended)
            }
            Action::MarkHosts { hosts, mark } => self.mark_hosts(hosts, *mark),
            Action::SetHostStatus { hosts, was, now } => self.set_host_status(hosts, *was, *now),
            Action::TerminateHost { pool, host, desired_was, replace, forced: _ } => {
                self.terminate(pool, host, *desired_was, *replace)
            }
            of_traffic => self.apply_to_traffic(of_traffic),
        };
        self.wake();
        match answer {
            Ok(failed) => Outcome::Done { failed, made: None },
            Err(outcome) => outcome,
        }
    }

    /// Those that load balancers and services answer.
    fn apply_to_traffic(&mut self, action: &Action) -> Answer {
        match action {
            Action::SetServiceCount { service, was, now } => {
                self.set_service_count(service, *was, *now)
            }
            Action::SuspendScaling { service, was, now } => {
                self.suspend_scaling(service, *was, *now)
            }
            Action::CreateService { spec } => self.create_service(spec),
            Action::AttachGroup { service, group, container, port } => {
                self.attach_group(service, group, container, *port)
            }
            Action::Deploy { service, was, now, .. } => self.deploy_definition(service, was, now),
            Action::CreateTargetGroup { spec } => self.create_target_group(spec),
            Action::SetHealthCheck { group, was, now } => self.set_health_check(group, was, now),
            Action::SetGroupAttributes { group, was, now } => {
                self.set_group_attributes(group, was, now)
            }
            Action::CreateRule { listener, purpose, priority, conditions, image } => {
                self.create_rule(listener, purpose, *priority, conditions, image)
            }
            Action::WriteRule { listener, rule, purpose, was, now } => {
                self.write_rule(listener, rule, purpose, was.as_ref(), now)
            }
            Action::SetRuleConditions { listener, rule, purpose, was, now } => {
                self.set_rule_conditions(listener, rule, purpose, was, now)
            }
            Action::SetRulePriority { listener, rule, purpose, was, now } => {
                self.set_rule_priority(listener, rule, purpose, *was, *now)
            }
            Action::DeleteRule { listener, rule, purpose, was } => {
                self.delete_rule(listener, rule, purpose, was)
            }
            Action::DeleteTargetGroup { group, service } => {
                self.delete_target_group(group, service)
            }
            of_hosts => unreachable!("{of_hosts} is answered with the hosts"),
        }
    }

    /// What the port reads again before it ends a host that is not forced: no task may be left.
    /// AWS itself would end the host all the same.
    pub(super) fn tasks_in_the_way(&self, action: &Action) -> Option<Outcome> {
        let Action::TerminateHost { host, forced: false, .. } = action else {
            return None;
        };
        let tasks = self.hosts.get(host).map_or(0, |sim| sim.tasks.len());
        (tasks > 0).then(|| moved("tasks on it:", "0", &tasks.to_string()))
    }

    fn pool_mut(&mut self, id: &PoolId) -> Result<&mut SimPool, Outcome> {
        self.pools.get_mut(id).ok_or_else(|| not_found(id))
    }

    /// A group's own calls; a fleet has none of them.
    fn group_mut(&mut self, id: &PoolId) -> Result<&mut SimPool, Outcome> {
        if id.is_fleet() {
            return Err(refused(format!("{id} is not an Auto Scaling group")));
        }
        self.pool_mut(id)
    }

    fn set_capacity(&mut self, id: &PoolId, was: Units, now: Units) -> Answer {
        let sim = self.pool_mut(id)?;
        let pool = &mut sim.pool;
        still("capacity", was, pool.desired)?;
        match pool.state {
            PoolState::Active => {}
            PoolState::Changing => return Err(refused(format!("{id} is being modified"))),
            PoolState::Closed => return Err(refused(format!("{id} is cancelled"))),
        }
        if now > pool.max {
            let max = pool.max;
            return Err(refused(format!("{now} is above the maximum {max} of {id}")));
        }
        if now < pool.min {
            let min = pool.min;
            return Err(refused(format!("{now} is below the minimum {min} of {id}")));
        }
        pool.desired = now;
        sim.lowered_by_us = now < was;
        if id.is_fleet() {
            sim.pool.protects_new_hosts = true;
            sim.pool.state = PoolState::Changing;
            self.enter(delays::FLEET_MODIFYING, Due::FleetModified(id.clone()));
        }
        self.resize_in(id, delays::RESIZE);
        Ok(Vec::new())
    }

    fn set_new_host_protection(&mut self, id: &PoolId, was: bool, now: bool) -> Answer {
        let sim = self.pool_mut(id)?;
        if sim.pool.state == PoolState::Changing {
            return Err(refused(format!("{id} is being modified")));
        }
        still("protection of new instances", was, sim.pool.protects_new_hosts)?;
        sim.pool.protects_new_hosts = now;
        Ok(Vec::new())
    }

    /// One instance that is not in service spoils the whole call.
    fn protect_hosts(&mut self, id: &PoolId, hosts: &BTreeSet<InstanceId>, now: bool) -> Answer {
        self.group_mut(id)?;
        at_most(hosts, Action::PROTECT_MAX)?;
        for host in hosts {
            let sim = self.hosts.get(host);
            let sim = sim.filter(|sim| sim.host.pool.as_ref() == Some(id));
            let lifecycle = sim.ok_or_else(|| not_found(host))?.host.lifecycle;
            if lifecycle != Lifecycle::InService {
                return Err(refused(format!("{host} is not in service")));
            }
        }
        for host in hosts {
            if let Some(sim) = self.hosts.get_mut(host) {
                sim.host.protected = now;
            }
        }
        Ok(Vec::new())
    }

    fn set_processes(
        &mut self,
        id: &PoolId,
        processes: &BTreeSet<String>,
        suspended: bool,
    ) -> Answer {
        let of_group = &mut self.group_mut(id)?.pool.suspended;
        if suspended {
            of_group.extend(processes.iter().cloned());
        } else {
            of_group.retain(|process| !processes.contains(process));
        }
        self.resize_in(id, delays::RESIZE);
        Ok(Vec::new())
    }

    /// One target that is not a container instance spoils the whole call.
    fn mark_hosts(&mut self, hosts: &BTreeSet<InstanceId>, mark: Option<DrainMark>) -> Answer {
        at_most(hosts, Action::DRAIN_MAX)?;
        for host in hosts {
            let registered = self.hosts.get(host).map(|sim| sim.host.is_registered());
            if registered != Some(true) {
                return Err(not_found(host));
            }
        }
        for host in hosts {
            if let Some(sim) = self.hosts.get_mut(host) {
                sim.host.mark = mark;
            }
            self.touch(host);
        }
        Ok(Vec::new())
    }

    fn set_host_status(
        &mut self,
        hosts: &BTreeSet<InstanceId>,
        was: HostStatus,
        now: HostStatus,
    ) -> Answer {
        at_most(hosts, Action::DRAIN_MAX)?;
        let mut failed = Vec::new();
        let mut known = Vec::new();
        for id in hosts {
            let sim = self.hosts.get(id).filter(|sim| sim.host.is_registered());
            match sim {
                Some(sim) => {
                    still(&format!("status of {id}"), was, sim.host.status)?;
                    known.push(id.clone());
                }
                None => failed.push(SubjectFailure {
                    subject: Subject::Host(id.clone()),
                    failure: Failure::NotFound { what: id.to_string() },
                }),
            }
        }
        for id in known {
            let displaced = self.services_on(&id);
            if let Some(sim) = self.hosts.get_mut(&id) {
                sim.host.status = now;
                sim.drain = (now == HostStatus::Draining).then_some(displaced);
            }
            self.touch(&id);
        }
        Ok(failed)
    }

    /// Each service with live tasks on a host, and how many it has on all hosts.
    fn services_on(&self, id: &InstanceId) -> Displaced {
        let tasks = self.hosts.get(id).map(|sim| sim.tasks.iter());
        let tasks = tasks.into_iter().flatten().filter_map(|no| self.tasks.get(no));
        let services = tasks.filter_map(|task| match &task.owner {
            TaskOwner::Service(name) if task.is_live() => self.services.get(name),
            _ => None,
        });
        let services = services.map(|service| {
            let (running, pending) = service.counts();
            (service.spec.name.clone(), running + pending)
        });
        Displaced { since: self.now, services: services.collect() }
    }

    /// A group's desired capacity falls by the host's weight, or the group replaces it. A fleet
    /// replaces it if that leaves it below its target.
    fn terminate(&mut self, id: &PoolId, host: &InstanceId, was: Units, replace: bool) -> Answer {
        let sim = self.pools.get(id).ok_or_else(|| not_found(id))?;
        let of_pool = |sim: &&super::state::SimHost| sim.host.pool.as_ref() == Some(id);
        let target = self.hosts.get(host).filter(of_pool);
        let target = target.ok_or_else(|| not_found(host))?;
        if target.ended_by_us {
            let twice = Violation::TerminatedTwice { at: self.now, host: host.clone() };
            self.violations.push(twice);
        }
        if target.is_leaving() {
            return Err(moved("lifecycle", "in service", "terminating"));
        }
        still("capacity", was, sim.pool.desired)?;
        let weight = sim.pool.weight_of(&target.host.instance_type);
        let decrement = !replace && !id.is_fleet();
        let after = sim.pool.desired.0.saturating_sub(weight);
        if decrement && after < sim.pool.min.0 {
            let min = sim.pool.min;
            return Err(refused(format!("{after} is below the minimum {min} of {id}")));
        }
        self.judge_termination(host);
        if let Some(target) = self.hosts.get_mut(host) {
            target.ended_by_us = true;
            if !target.host.agent_connected {
                self.disturbed_at = Some(self.now);
            } else if let Some(displaced) = target.drain.take() {
                self.enter(delays::SETTLED, Due::Judge(host.clone(), displaced));
            }
        }
        if decrement && let Some(sim) = self.pools.get_mut(id) {
            sim.pool.desired = Units(after);
        }
        self.shut_down(host, &format!("asked to leave {id}"));
        Ok(Vec::new())
    }
}

pub(super) fn still<T: PartialEq + std::fmt::Debug>(
    what: &str,
    was: T,
    is: T,
) -> Result<(), Outcome> {
    if was == is {
        return Ok(());
    }
    Err(moved(what, &format!("{was:?}"), &format!("{is:?}")))
}

pub(super) fn moved(what: &str, was: &str, is: &str) -> Outcome {
    Outcome::Moved { expected: format!("{what} {was}"), found: format!("{what} {is}") }
}

pub(super) fn refused(message: String) -> Outcome {
    Outcome::Refused { failure: Failure::Refused { message } }
}

pub(super) fn not_found(what: impl ToString) -> Outcome {
    let what = what.to_string();
    Outcome::Refused { failure: Failure::NotFound { what } }
}

fn at_most(hosts: &BTreeSet<InstanceId>, max: usize) -> Result<(), Outcome> {
    if hosts.is_empty() || hosts.len() > max {
        let count = hosts.len();
        return Err(refused(format!("{count} hosts in one call, 1 to {max} are allowed")));
    }
    Ok(())
}

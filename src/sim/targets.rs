//! Tasks as targets: registered when they run, checked, drained before they stop.
//!
//! Rule: a target gets new requests only while it is healthy, or while all of its group are not.

use chrono::TimeDelta;

use crate::model::{Health, ServiceName, StopCause, TargetGroupArn, TaskOwner};

use super::balancer::SimGroup;
use super::delays;
use super::state::{Due, SimTask, TaskNo};
use super::world::World;

#[derive(Clone, Debug)]
pub(super) struct SimTarget {
    pub(super) service: ServiceName,
    pub(super) state: TargetState,
    /// Checks in a row that spoke for another state.
    against: u32,
    /// Its task is gone and nobody has deregistered it.
    pub(super) is_dead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

impl SimGroup {
    /// Those that new requests go to: the healthy, or by fail-open all if none is.
    pub(super) fn in_use(&self) -> Vec<(TaskNo, &SimTarget)> {
        let of = |state| {
            let targets = self.targets.iter().filter(move |(_, target)| target.state == state);
            targets.map(|(no, target)| (*no, target)).collect::<Vec<_>>()
        };
        let healthy = of(TargetState::Healthy);
        if healthy.is_empty() { of(TargetState::Unhealthy) } else { healthy }
    }

    pub(super) fn health(&self, is_named: bool) -> Health {
        let mut health = Health::default();
        for target in self.targets.values() {
            *match target.state {
                TargetState::Draining => &mut health.draining,
                _ if !is_named => &mut health.unused,
                TargetState::Initial => &mut health.initial,
                TargetState::Healthy => &mut health.healthy,
                TargetState::Unhealthy => &mut health.unhealthy,
            } += 1;
        }
        health
    }

    pub(super) fn has_healthy(&self) -> bool {
        self.targets.values().any(|target| target.state == TargetState::Healthy)
    }
}

impl World {
    /// ECS registers a task that has begun to run.
    pub(super) fn register_targets(&mut self, no: TaskNo) {
        let Some(SimTask { owner: TaskOwner::Service(service), groups, .. }) = self.tasks.get(&no)
        else {
            return;
        };
        let (service, groups) = (service.clone(), groups.clone());
        for arn in groups {
            let Some(group) = self.traffic.groups.get_mut(&arn) else {
                continue;
            };
            let target = SimTarget {
                service: service.clone(),
                state: TargetState::Initial,
                against: 0,
                is_dead: false,
            };
            group.targets.insert(no, target);
            let interval = group.settings.health_check.interval_seconds;
            self.enter(TimeDelta::seconds(interval.into()), Due::Check(arn, no));
        }
    }

    /// Takes a task that is to stop out of its groups; says how long it still answers.
    pub(super) fn deregister_targets(&mut self, no: TaskNo) -> TimeDelta {
        let mut longest = TimeDelta::zero();
        let groups = self.tasks.get(&no).map(|task| &task.groups);
        for arn in groups.into_iter().flatten() {
            let Some(group) = self.traffic.groups.get_mut(arn) else {
                continue;
            };
            if let Some(target) = group.targets.get_mut(&no) {
                target.state = TargetState::Draining;
                let delay = group.settings.deregistration_delay_seconds;
                longest = longest.max(TimeDelta::seconds(delay.into()));
            }
        }
        longest
    }

    /// A task is gone: of one that was not drained first, the load balancer learns by its checks.
    pub(super) fn forget_targets(&mut self, no: TaskNo, groups: &[TargetGroupArn]) {
        for arn in groups {
            let Some(group) = self.traffic.groups.get_mut(arn) else {
                continue;
            };
            match group.targets.get_mut(&no) {
                Some(target) if target.state != TargetState::Draining => target.is_dead = true,
                _ => {
                    group.targets.remove(&no);
                }
            }
        }
    }

    /// One health check of one target.
    pub(super) fn check_target(&mut self, arn: &TargetGroupArn, no: TaskNo) {
        let is_named = self.load_balancer_of(arn).is_some();
        let fails = self.fails_checks(no);
        let Some(group) = self.traffic.groups.get_mut(arn) else {
            return;
        };
        let check = &group.settings.health_check;
        let Some(target) = group.targets.get_mut(&no) else {
            return;
        };
        if target.state == TargetState::Draining {
            return;
        }
        let interval = TimeDelta::seconds(check.interval_seconds.into());
        let misbehaves = self.traffic.misbehaviours.get(&target.service);
        let passes = !fails && !target.is_dead && !misbehaves.is_some_and(|m| m.fails_checks);
        let before = target.state;
        if is_named {
            target.hear(passes, check.healthy_after, check.unhealthy_after);
        } else {
            (target.state, target.against) = (TargetState::Initial, 0);
        }
        let (after, is_dead) = (target.state, target.is_dead);
        // Where nothing checks, ECS deregisters what it sees stopped.
        if is_dead && (after == TargetState::Unhealthy || !is_named) {
            group.targets.remove(&no);
            return;
        }
        if after != before {
            self.wake();
        }
        if after != before && after == TargetState::Unhealthy {
            self.enter(delays::UNHEALTHY_STOPS, Due::StopUnhealthy(arn.clone(), no));
        }
        self.enter(interval, Due::Check(arn.clone(), no));
    }

    /// ECS replaces a task that its load balancer has called unhealthy for a while.
    pub(super) fn stop_unhealthy(&mut self, arn: &TargetGroupArn, no: TaskNo) {
        let group = self.traffic.groups.get(arn);
        let target = group.and_then(|group| group.targets.get(&no));
        if target.is_none_or(|target| target.state != TargetState::Unhealthy) {
            return;
        }
        self.log(format!("{}: a task failed its health checks", arn.short()));
        let message = format!("Task failed ELB health checks in (target-group {arn})");
        self.count_failure(no, StopCause::Unhealthy { message });
        self.stop(no);
    }

    /// Whether ECS counts a running task as healthy. A group that no rule names checks nothing.
    pub(super) fn serves(&self, no: TaskNo, task: &SimTask) -> bool {
        task.groups.iter().all(|arn| {
            let target = self.traffic.groups.get(arn).and_then(|group| group.targets.get(&no));
            let is_healthy = target.is_some_and(|target| target.state == TargetState::Healthy);
            is_healthy || self.load_balancer_of(arn).is_none()
        })
    }
}

impl SimTarget {
    fn hear(&mut self, passes: bool, healthy_after: u32, unhealthy_after: u32) {
        let speaks_for = if passes { TargetState::Healthy } else { TargetState::Unhealthy };
        if self.state == speaks_for {
            self.against = 0;
            return;
        }
        self.against += 1;
        let enough = if passes { healthy_after } else { unhealthy_after };
        if self.against >= enough {
            (self.state, self.against) = (speaks_for, 0);
        }
    }
}

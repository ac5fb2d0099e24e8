//! Requests of users: how many there are, who answers them, and which fail.
//!
//! Rule: computed by rates, a second at a time, with carried remainders: over time not one request
//! is lost in rounding, and one seed gives the same failures.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

use crate::model::{ListenerArn, RuleAction, ServiceName, TargetGroupArn};

use super::delays;
use super::routing::{Request, Shares, answering, route};
use super::state::Due;
use super::world::World;

/// How many failures are kept one by one; their sums are complete.
const LOST_MAX: usize = 10_000;

/// Users who ask for one path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    pub listener: ListenerArn,
    pub host: String,
    pub path: String,
}

/// How a service answers while all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    pub latency: Latency,
    /// What one task can answer in a second; above, it refuses the rest and slows down.
    pub capacity_per_second: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub p50_ms: u32,
    pub p95_ms: u32,
    pub p99_ms: u32,
}

impl Default for Profile {
    fn default() -> Self {
        let latency = Latency { p50_ms: 20, p95_ms: 60, p99_ms: 120 };
        Self { latency, capacity_per_second: None }
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// 503 of the load balancer: nothing has weight, or the group has no target.
    NoTarget,
    /// 502 of the load balancer: the target is gone.
    DeadTarget,
    /// 5xx of the service.
    Service,
    /// The rule itself answers with an error.
    Fixed,
}

/// Requests of one second and path that failed alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub at: DateTime<Utc>,
    pub path: String,
    pub group: Option<TargetGroupArn>,
    pub cause: Cause,
    pub count: u64,
}

/// What users have met since the world began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub sent: u64,
    /// Answers without an error, by group.
    pub good: BTreeMap<TargetGroupArn, u64>,
    pub lost: BTreeMap<Cause, u64>,
    /// Each failure, the last ten thousand, oldest first.
    pub failures: VecDeque<Lost>,
}

impl Answers {
    /// Failures that steering is to blame for: all but the services' own and the rules' own.
    pub fn lost_by_steering(&self) -> u64 {
        let of = |cause| self.lost.get(&cause).copied().unwrap_or_default();
        of(Cause::NoTarget) + of(Cause::DeadTarget)
    }
}

/// What is wrong with a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Misbehaviour {
    pub(super) errors_bp: u32,
    pub(super) extra_latency_ms: u32,
    pub(super) fails_checks: bool,
    /// Ten-thousandths of an error that are still owed.
    owed: u64,
}

#[derive(Clone, Debug)]
pub(super) struct SimFlow {
    flow: Flow,
    per_minute: u64,
    /// Sixtieths of a request.
    carry: u64,
    shares: Shares,
}

impl World {
    /// From now on so many requests of a flow a minute.
    pub fn set_requests(&mut self, flow: Flow, per_minute: u64) {
        match self.traffic.flows.iter_mut().find(|known| known.flow == flow) {
            Some(known) => known.per_minute = per_minute,
            None => {
                let shares = Shares::default();
                self.traffic.flows.push(SimFlow { flow, per_minute, carry: 0, shares });
            }
        }
    }

    /// What users have met.
    pub fn answers(&self) -> &Answers {
        &self.traffic.answers
    }

    /// The requests of the second that has just passed.
    pub(super) fn second(&mut self) {
        self.enter(delays::SECOND, Due::Second);
        let mut flows = std::mem::take(&mut self.traffic.flows);
        let mut parts = Vec::new();
        let mut rates: BTreeMap<TargetGroupArn, u64> = BTreeMap::new();
        for (index, flow) in flows.iter_mut().enumerate() {
            for (group, count) in self.send(flow) {
                *rates.entry(group.clone()).or_default() += count;
                parts.push((index, group, count));
            }
        }
        for (index, group, count) in parts {
            let rate = rates.get(&group).copied().unwrap_or(count);
            self.answer(&flows[index].flow.path, &group, count, rate);
        }
        self.traffic.flows = flows;
    }

    /// The requests of a flow by the group they are sent to; those for nobody are lost.
    fn send(&mut self, flow: &mut SimFlow) -> Vec<(TargetGroupArn, u64)> {
        let due = flow.carry + flow.per_minute;
        flow.carry = due % 60;
        let count = due / 60;
        let SimFlow { flow: Flow { listener, host, path }, shares, .. } = flow;
        let Some(listener) = self.traffic.listeners.get(listener).filter(|_| count > 0) else {
            return Vec::new();
        };
        self.traffic.answers.sent += count;
        let image = route(&listener.effective, &Request { host, path, header: None });
        let cause = match answering(image) {
            Some(RuleAction::Forward { weights, .. }) => match shares.split(weights, count) {
                Some(parts) => return parts,
                None => Cause::NoTarget,
            },
            Some(RuleAction::FixedResponse { status, .. }) if *status >= 400 => Cause::Fixed,
            _ => return Vec::new(),
        };
        self.lose(path, None, cause, count);
        Vec::new()
    }

    /// Requests of one path to one group; `rate` are all that reach it in this second.
    fn answer(&mut self, path: &str, arn: &TargetGroupArn, count: u64, rate: u64) {
        let Some(group) = self.traffic.groups.get_mut(arn) else {
            return self.lose(path, Some(arn), Cause::NoTarget, count);
        };
        let in_use = group.in_use();
        let targets = in_use.len() as u64;
        if targets == 0 {
            return self.lose(path, Some(arn), Cause::NoTarget, count);
        }
        let mut dead = 0;
        let mut live: BTreeMap<ServiceName, u64> = BTreeMap::new();
        let (each, more) = (count / targets, count % targets);
        let first = group.turn % in_use.len();
        let turns = in_use.iter().cycle().skip(first).take(in_use.len());
        for ((_, target), nth) in turns.zip(0..) {
            let share = each + u64::from(nth < more);
            match live.get_mut(&target.service) {
                _ if target.is_dead => dead += share,
                Some(sum) => *sum += share,
                None => {
                    live.insert(target.service.clone(), share);
                }
            }
        }
        group.turn = first + usize::try_from(more).unwrap_or(0);
        let mut errors = dead;
        let mut latency = Latency::default();
        for (service, share) in live {
            let (failed, took) = self.serve(&service, share, rate / targets);
            self.lose(path, Some(arn), Cause::Service, failed);
            errors += failed;
            latency = took;
        }
        self.lose(path, Some(arn), Cause::DeadTarget, dead);
        *self.traffic.answers.good.entry(arn.clone()).or_default() += count - errors;
        let now = self.now;
        self.traffic.count(arn, now, (count, errors, count - dead), latency);
    }

    /// How many of a service's answers are errors, and how long they take.
    fn serve(&mut self, name: &ServiceName, count: u64, rate_per_task: u64) -> (u64, Latency) {
        let profile = self.services.get(name).map(|s| s.spec.serves).unwrap_or_default();
        let fault = self.traffic.misbehaviours.entry(name.clone()).or_default();
        let mut good_bp = 10_000_u64.saturating_sub(fault.errors_bp.into());
        let mut latency = profile.latency;
        let values = [&mut latency.p50_ms, &mut latency.p95_ms, &mut latency.p99_ms];
        let too_many = profile.capacity_per_second.filter(|can| rate_per_task > *can);
        for value in values {
            if let Some(can) = too_many {
                let slowed = u64::from(*value) * rate_per_task / can.max(1);
                *value = u32::try_from(slowed).unwrap_or(u32::MAX);
            }
            *value = value.saturating_add(fault.extra_latency_ms);
        }
        if let Some(can) = too_many {
            good_bp = good_bp * can / rate_per_task;
        }
        fault.owed += count * (10_000 - good_bp);
        let failed = (fault.owed / 10_000).min(count);
        fault.owed -= failed * 10_000;
        (failed, latency)
    }

    fn lose(&mut self, path: &str, group: Option<&TargetGroupArn>, cause: Cause, count: u64) {
        if count == 0 {
            return;
        }
        let answers = &mut self.traffic.answers;
        *answers.lost.entry(cause).or_default() += count;
        if answers.failures.len() >= LOST_MAX {
            answers.failures.pop_front();
        }
        let (at, path, group) = (self.now, path.to_owned(), group.cloned());
        answers.failures.push_back(Lost { at, path, group, cause, count });
    }

    pub(super) fn misbehave(
        &mut self,
        service: ServiceName,
        errors_bp: u32,
        extra_latency_ms: u32,
    ) {
        let fault = self.traffic.misbehaviours.entry(service).or_default();
        (fault.errors_bp, fault.extra_latency_ms) = (errors_bp, extra_latency_ms);
    }

    pub(super) fn fail_checks(&mut self, service: ServiceName, on: bool) {
        self.traffic.misbehaviours.entry(service).or_default().fails_checks = on;
    }
}

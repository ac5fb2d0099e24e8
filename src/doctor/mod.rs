//! What keeps Tidegate from doing its work in a cluster, or will surprise, with its remedy.
//!
//! Rule: pure: from a snapshot and a few facts of the machine. What was not seen is a finding of
//! its own, and nothing else is concluded from it.

pub mod fix;

#[cfg(test)]
mod tests;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::config::ClusterConfig;
use crate::decide::handover::SUSPENDED;
use crate::model::{ActionKind, Failure, Gap, Mode, Pool, PoolId, Rival, ServiceName, Snapshot};

/// A clock that is wrong by more makes timers and deadlines wrong.
const SKEW_ADVICE: TimeDelta = TimeDelta::seconds(30);
/// AWS refuses signatures older than this (IAM User Guide, signature version 4).
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);
/// Rules of a load balancer by default (Elastic Load Balancing quotas).
const RULES: usize = 100;
/// A load balancer with fewer free ones is near its quota.
const RULES_FREE: usize = 10;
/// Longer than most requests take; AWS's default is 300 s.
const DEREGISTRATION_ADVICE: TimeDelta = TimeDelta::minutes(1);

/// What the snapshot does not say; `None`: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The machine's clock less that of AWS.
    pub skew: Option<TimeDelta>,
    /// The journal lies on the disk of a container, which goes with it.
    pub state_is_fleeting: Option<bool>,
}

/// How bad it is. The worst is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Something that is asked for will not be done, or will be undone.
    Blocks,
    /// Works, and may surprise.
    Advice,
}

/// What kind of thing it is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    PermissionLacking,
    NotSeen,
    PoolMissing,
    ManagedScaling,
    ScalingPolicy,
    ScheduledAction,
    InstanceRefresh,
    TerminateHook,
    WarmPool,
    ScalableTarget,
    NativeRules,
    Unprotected,
    ZonesRebalanced,
    RuleQuota,
    SlowDeregistration,
    ClockSkew,
    FleetingState,
    NoQueue,
    NoStopSwitch,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    pub weight: Weight,
    pub kind: Kind,
    /// A pool, a service, a load balancer, a call of AWS, or the cluster.
    pub subject: String,
    pub explanation: String,
}

/// Everything worth knowing, the worst first.
pub fn examine(config: &ClusterConfig, snapshot: &Snapshot, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(snapshot.gaps().map(gap));
    found.extend(snapshot.rivals.value.iter().filter_map(|rival| of_rival(config, rival)));
    for pool in &config.pools {
        match snapshot.pools.value.get(&pool.id) {
            Some(seen) => found.extend(of_pool(config, snapshot, seen)),
            None if snapshot.pools.gaps.is_empty() => found.push(missing(&pool.id)),
            None => {}
        }
    }
    found.extend(native_rules(config, snapshot));
    found.extend(rule_quotas(snapshot));
    found.extend(slow_groups(config, snapshot));
    found.extend(of_machine(config, facts));
    found.sort();
    found.dedup();
    found
}

fn finding(weight: Weight, kind: Kind, subject: &str, explanation: impl Into<String>) -> Finding {
    Finding { weight, kind, subject: subject.to_owned(), explanation: explanation.into() }
}

fn gap(Gap { source, failure }: &Gap) -> Finding {
    match failure {
        Failure::AccessDenied { action } => finding(
            Weight::Blocks,
            Kind::PermissionLacking,
            action,
            "it is not permitted; what it would show is missing, and nothing is removed while it is",
        ),
        failure => finding(Weight::Blocks, Kind::NotSeen, source, failure.to_string()),
    }
}

fn of_rival(config: &ClusterConfig, rival: &Rival) -> Option<Finding> {
    let ours = |pool: &PoolId| config.pool(pool).is_some();
    let of = |weight, kind, pool: &PoolId, text: String| {
        ours(pool).then(|| finding(weight, kind, &pool.to_string(), text))
    };
    match rival {
        Rival::ManagedScaling { pool, provider, silenced: false } => {
            let text = format!("managed scaling of {provider} sizes it; it is not written to");
            of(Weight::Blocks, Kind::ManagedScaling, pool, text)
        }
        Rival::ScalingPolicy { pool, policy, silenced: false } => {
            let text = format!("scaling policy {policy} sizes it; it is not written to");
            of(Weight::Blocks, Kind::ScalingPolicy, pool, text)
        }
        Rival::ScheduledAction { pool, action } => {
            let text = format!("scheduled action {action} sets its size; that is somebody else's");
            of(Weight::Advice, Kind::ScheduledAction, pool, text)
        }
        Rival::InstanceRefresh { pool, refresh } => {
            let text = format!("instance refresh {refresh} runs; nothing is removed meanwhile");
            of(Weight::Advice, Kind::InstanceRefresh, pool, text)
        }
        Rival::TerminateHook { pool, hook } => {
            let text = format!("lifecycle hook {hook} holds hosts that end; somebody else drains");
            of(Weight::Advice, Kind::TerminateHook, pool, text)
        }
        Rival::WarmPool { pool } => {
            let text = "it has a warm pool, whose instances are no hosts".to_owned();
            of(Weight::Advice, Kind::WarmPool, pool, text)
        }
        Rival::ScalableTarget { service, min, max, .. } if moves(config, service) => {
            let text = format!(
                "Application Auto Scaling keeps it at {min} to {max} tasks; scale-in is suspended \
                 while its cutover is open, and given back after it"
            );
            Some(finding(Weight::Advice, Kind::ScalableTarget, service.as_str(), text))
        }
        _ => None,
    }
}

fn moves(config: &ClusterConfig, service: &ServiceName) -> bool {
    config.cutovers.iter().any(|cutover| {
        cutover.from == *service || cutover.routes.iter().any(|route| route.to == *service)
    })
}

fn missing(pool: &PoolId) -> Finding {
    let text = "the configuration names it, and AWS knows no such pool here";
    finding(Weight::Blocks, Kind::PoolMissing, &pool.to_string(), text)
}

/// Whether the group leaves its hosts to Tidegate; asked where hosts may be removed.
fn of_pool(config: &ClusterConfig, snapshot: &Snapshot, pool: &Pool) -> Vec<Finding> {
    let removes = config.allow.contains(&ActionKind::ScaleIn) && config.mode == Mode::Act;
    if !removes || pool.id.is_fleet() {
        return Vec::new();
    }
    let name = pool.id.to_string();
    let open = snapshot.hosts_of(&pool.id).filter(|host| !host.protected).count();
    let mut found = Vec::new();
    if open > 0 || !pool.protects_new_hosts {
        let text = format!(
            "{open} of its hosts are not protected from scale-in; Tidegate protects them before \
             it removes the first one"
        );
        found.push(finding(Weight::Advice, Kind::Unprotected, &name, text));
    }
    if !pool.is_suspended(SUSPENDED[0]) && open > 0 {
        let text = "AZRebalance may end hosts of it that have tasks, after any removal";
        found.push(finding(Weight::Advice, Kind::ZonesRebalanced, &name, text));
    }
    found
}

fn native_rules(config: &ClusterConfig, snapshot: &Snapshot) -> Vec<Finding> {
    let services = snapshot.services.value.values();
    let native = services.filter(|service| !service.native_rules.is_empty());
    let one = |service: &crate::model::Service| {
        let weight = if moves(config, &service.name) { Weight::Blocks } else { Weight::Advice };
        let text = format!(
            "ECS's own deployments rewrite {} of its rules; no cutover moves those",
            service.native_rules.len()
        );
        finding(weight, Kind::NativeRules, service.name.as_str(), text)
    };
    native.map(one).collect()
}

fn rule_quotas(snapshot: &Snapshot) -> Vec<Finding> {
    let listeners = snapshot.traffic.value.listeners.values();
    let mut rules = std::collections::BTreeMap::new();
    for listener in listeners {
        *rules.entry(&listener.load_balancer).or_insert(0) += listener.rules.len();
    }
    let near = rules.into_iter().filter(|(_, rules)| rules + RULES_FREE > RULES);
    let one = |(balancer, rules): (&crate::model::LoadBalancerArn, usize)| {
        let text = format!("it has {rules} rules on the listeners looked at; the quota is {RULES}");
        finding(Weight::Advice, Kind::RuleQuota, balancer.as_str(), text)
    };
    near.map(one).collect()
}

/// ECS stops a task only once its target has left, so each drain takes at least as long.
fn slow_groups(config: &ClusterConfig, snapshot: &Snapshot) -> Vec<Finding> {
    let deadline = config.scale_in.drain_deadline;
    let one = |group: &crate::model::TargetGroup| {
        let delay = TimeDelta::seconds(group.settings.deregistration_delay_seconds.into());
        let (seconds, most) = (delay.num_seconds(), deadline.num_seconds());
        let (weight, then) = if delay >= deadline {
            (Weight::Blocks, format!("after {most} s a drain is given back, so none can end"))
        } else {
            (Weight::Advice, "each drain of a host with one takes at least so long".to_owned())
        };
        let text = format!("a target leaves it after {seconds} s; {then}");
        (delay > DEREGISTRATION_ADVICE || delay >= deadline)
            .then(|| finding(weight, Kind::SlowDeregistration, group.arn.as_str(), text))
    };
    snapshot.traffic.value.groups.values().filter_map(one).collect()
}

fn of_machine(config: &ClusterConfig, facts: &Facts) -> Vec<Finding> {
    let cluster = config.name.as_str();
    let mut found = Vec::new();
    if let Some(skew) = facts.skew.filter(|skew| skew.abs() > SKEW_ADVICE) {
        let weight = if skew.abs() > SKEW_MAX { Weight::Blocks } else { Weight::Advice };
        let way = if skew > TimeDelta::zero() { "ahead of" } else { "behind" };
        let seconds = skew.num_seconds().abs();
        let text = format!("the clock of this machine is {seconds} s {way} that of AWS");
        found.push(finding(weight, Kind::ClockSkew, cluster, text));
    }
    if facts.state_is_fleeting == Some(true) {
        let text = "the journal lies on the disk of a container and is lost with it: first values, \
                    timers and open cutovers are then forgotten";
        found.push(finding(Weight::Blocks, Kind::FleetingState, cluster, text));
    }
    if config.queue.is_none() {
        let text = format!(
            "no queue tells of changes; everything is looked at every {} s",
            config.interval.num_seconds()
        );
        found.push(finding(Weight::Advice, Kind::NoQueue, cluster, text));
    }
    if config.stop_parameter.is_none() && config.mode == Mode::Act {
        let text = "there is no stop switch that works without a token";
        found.push(finding(Weight::Advice, Kind::NoStopSwitch, cluster, text));
    }
    found
}

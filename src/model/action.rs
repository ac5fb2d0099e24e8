//! What Tidegate can do to AWS: each action is one request, absolute, and carries what it assumed.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::drain::DrainMark;
use super::id::{
    InstanceId, ListenerArn, PoolId, RouteId, RuleArn, ServiceName, TargetGroupArn,
    TaskDefinitionArn,
};
use super::snapshot::{HostStatus, Suspension, Units};
use super::spec::{NewService, TargetGroupSpec, TaskSpec};
use super::traffic::{Condition, GroupSettings, Purpose, RuleImage};

/// One AWS request. `was` is the assumption; it is read again right before the write.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// `SetDesiredCapacity`, or `ModifySpotFleetRequest` with `noTermination`.
    SetPoolCapacity { pool: PoolId, was: Units, now: Units },
    /// The group's flag that new instances start protected from scale-in; of a fleet, its policy
    /// that it ends no host by its own choice, which each `SetPoolCapacity` sets as well.
    SetNewHostProtection { pool: PoolId, was: bool, now: bool },
    /// `SetInstanceProtection`, at most 50 hosts.
    ProtectHosts { pool: PoolId, hosts: BTreeSet<InstanceId>, now: bool },
    /// `SuspendProcesses` or `ResumeProcesses` on a group.
    SetProcesses { pool: PoolId, processes: BTreeSet<String>, suspended: bool },
    /// `PutAttributes` or `DeleteAttributes`, at most 10 hosts.
    MarkHosts { hosts: BTreeSet<InstanceId>, mark: Option<DrainMark> },
    /// `UpdateContainerInstancesState`, at most 10 hosts.
    SetHostStatus { hosts: BTreeSet<InstanceId>, was: HostStatus, now: HostStatus },
    /// `TerminateInstanceInAutoScalingGroup` with decrement, or `TerminateInstances` of a fleet's
    /// host after its target was lowered. The one relative action.
    ///
    /// `replace`: the group launches a successor by itself (no decrement). `forced`: tasks that
    /// have not stopped are lost with it; else the act refuses while any task is left.
    TerminateHost {
        pool: PoolId,
        host: InstanceId,
        desired_was: Units,
        replace: bool,
        forced: bool,
    },
    /// `UpdateService` with a desired count.
    SetServiceCount { service: ServiceName, was: u64, now: u64 },
    /// `RegisterScalableTarget` with a suspended state: who else may lower a count.
    SuspendScaling { service: ServiceName, was: Suspension, now: Suspension },
    /// `RegisterTaskDefinition`: a new revision, from a description or from a revision with
    /// another image.
    RegisterTask { service: ServiceName, task: TaskSpec },
    /// `CreateService` behind its target group.
    CreateService { spec: NewService },
    /// `UpdateService` with a load balancer, which starts a deployment.
    AttachGroup { service: ServiceName, group: TargetGroupArn, container: String, port: u16 },
    /// `UpdateService` with a task definition: a rolling deployment with its circuit breaker on,
    /// and these CloudWatch alarms where there are any.
    ///
    /// `back`: to the revision from before, ahead of everything else.
    Deploy {
        service: ServiceName,
        was: TaskDefinitionArn,
        now: TaskDefinitionArn,
        #[serde(default)]
        alarms: BTreeSet<String>,
        #[serde(default)]
        back: bool,
    },
    /// `CreateTargetGroup`, tagged with its purpose.
    CreateTargetGroup { spec: TargetGroupSpec },
    /// `ModifyTargetGroup`: the health check of `now`.
    SetHealthCheck { group: TargetGroupArn, was: GroupSettings, now: GroupSettings },
    /// `ModifyTargetGroupAttributes`: everything of `now` but the health check.
    SetGroupAttributes { group: TargetGroupArn, was: GroupSettings, now: GroupSettings },
    /// `CreateRule`, tagged with its purpose. Refused if the purpose has a rule already.
    CreateRule {
        listener: ListenerArn,
        purpose: Purpose,
        priority: u16,
        conditions: BTreeSet<Condition>,
        image: RuleImage,
    },
    /// `ModifyRule`: all actions of one rule. Without `was` whatever stands there is overwritten,
    /// which only a rollback may do.
    WriteRule {
        listener: ListenerArn,
        rule: RuleArn,
        purpose: Purpose,
        was: Option<RuleImage>,
        now: RuleImage,
    },
    /// `ModifyRule`: which requests a rule of ours takes; what it does with them stays.
    SetRuleConditions {
        listener: ListenerArn,
        rule: RuleArn,
        purpose: Purpose,
        was: BTreeSet<Condition>,
        now: BTreeSet<Condition>,
    },
    /// `SetRulePriorities` of one rule of ours.
    SetRulePriority { listener: ListenerArn, rule: RuleArn, purpose: Purpose, was: u16, now: u16 },
    /// `DeleteRule` of a rule of ours that still says `was`.
    DeleteRule { listener: ListenerArn, rule: RuleArn, purpose: Purpose, was: RuleImage },
    /// `DeleteTargetGroup` of a group of ours that no rule names any more.
    DeleteTargetGroup { group: TargetGroupArn, service: ServiceName },
}

impl Action {
    /// Most hosts `SetInstanceProtection` takes in one call (API reference).
    pub const PROTECT_MAX: usize = 50;
    /// Most hosts `UpdateContainerInstancesState` and `PutAttributes` take in one call.
    pub const DRAIN_MAX: usize = 10;

    /// The things it writes to; two actions of one plan never share one.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        match self {
            Self::SetPoolCapacity { pool, .. }
            | Self::SetNewHostProtection { pool, .. }
            | Self::SetProcesses { pool, .. } => BTreeSet::from([Subject::Pool(pool.clone())]),
            Self::ProtectHosts { hosts, .. }
            | Self::MarkHosts { hosts, .. }
            | Self::SetHostStatus { hosts, .. } => {
                hosts.iter().cloned().map(Subject::Host).collect()
            }
            Self::TerminateHost { pool, host, .. } => {
                BTreeSet::from([Subject::Pool(pool.clone()), Subject::Host(host.clone())])
            }
            Self::SetServiceCount { service, .. }
            | Self::RegisterTask { service, .. }
            | Self::AttachGroup { service, .. }
            | Self::Deploy { service, .. } => BTreeSet::from([Subject::Service(service.clone())]),
            // Beside the service, so that its count may change in the same plan.
            Self::SuspendScaling { service, .. } => {
                BTreeSet::from([Subject::ScalingOf(service.clone())])
            }
            Self::CreateService { spec } => {
                BTreeSet::from([Subject::Service(spec.service.clone())])
            }
            Self::CreateTargetGroup { spec } => {
                BTreeSet::from([Subject::TargetGroup(spec.name.clone())])
            }
            Self::SetHealthCheck { group, .. }
            | Self::SetGroupAttributes { group, .. }
            | Self::DeleteTargetGroup { group, .. } => {
                BTreeSet::from([Subject::TargetGroup(group.short().to_owned())])
            }
            // Two new rules of one listener could ask for the same priority.
            Self::CreateRule { listener, .. }
            | Self::SetRuleConditions { listener, .. }
            | Self::SetRulePriority { listener, .. } => {
                BTreeSet::from([Subject::Listener(listener.clone())])
            }
            Self::WriteRule { listener, purpose, .. }
            | Self::DeleteRule { listener, purpose, .. } => match purpose {
                Purpose::Route(route) | Purpose::Probe(route) => {
                    BTreeSet::from([Subject::Route(route.clone())])
                }
                _ => BTreeSet::from([Subject::Listener(listener.clone())]),
            },
        }
    }

    /// The pool whose desired capacity it changes, if any.
    pub fn resizes(&self) -> Option<&PoolId> {
        match self {
            Self::SetPoolCapacity { pool, .. } | Self::TerminateHost { pool, .. } => Some(pool),
            _ => None,
        }
    }

    /// Its name, which its circuit breaker goes by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetPoolCapacity { .. } => "set_pool_capacity",
            Self::SetNewHostProtection { .. } => "set_new_host_protection",
            Self::ProtectHosts { .. } => "protect_hosts",
            Self::SetProcesses { .. } => "set_processes",
            Self::MarkHosts { .. } => "mark_hosts",
            Self::SetHostStatus { .. } => "set_host_status",
            Self::TerminateHost { .. } => "terminate_host",
            Self::SetServiceCount { .. } => "set_service_count",
            Self::SuspendScaling { .. } => "suspend_scaling",
            Self::RegisterTask { .. } => "register_task",
            Self::CreateService { .. } => "create_service",
            Self::AttachGroup { .. } => "attach_group",
            // A broken way forward must never close the way back.
            Self::Deploy { back: true, .. } => "roll_back_deployment",
            Self::Deploy { .. } => "deploy",
            Self::CreateTargetGroup { .. } => "create_target_group",
            Self::SetHealthCheck { .. } => "set_health_check",
            Self::SetGroupAttributes { .. } => "set_group_attributes",
            Self::CreateRule { .. } => "create_rule",
            // A broken way forward must never close the way back.
            Self::WriteRule { was: None, .. } => "roll_back_rule",
            Self::WriteRule { .. } => "write_rule",
            Self::SetRuleConditions { .. } => "set_rule_conditions",
            Self::SetRulePriority { .. } => "set_rule_priority",
            Self::DeleteRule { .. } => "delete_rule",
            Self::DeleteTargetGroup { .. } => "delete_target_group",
        }
    }

    /// Its place in a plan: lower goes first and wins a contested subject.
    pub fn rank(&self, kind: ActionKind) -> Rank {
        match self {
            _ if kind == ActionKind::Handover => Rank::Handover,
            Self::SetPoolCapacity { was, now, .. } if now > was => Rank::ScaleOut,
            Self::SetProcesses { .. } | Self::SetNewHostProtection { .. } => Rank::Prepare,
            Self::ProtectHosts { .. } => Rank::Prepare,
            Self::MarkHosts { .. } | Self::SetHostStatus { .. } if kind == ActionKind::Spot => {
                Rank::Interruption
            }
            Self::MarkHosts { .. } | Self::SetHostStatus { .. } => Rank::Drain,
            Self::SetPoolCapacity { .. } | Self::TerminateHost { .. } => Rank::Terminate,
            // What stands in front of blue is part of the way back.
            Self::WriteRule { was: None, .. }
            | Self::DeleteRule { purpose: Purpose::Tombstone(..), .. }
            | Self::Deploy { back: true, .. } => Rank::Rollback,
            Self::SetServiceCount { was, now, .. } if now > was => Rank::CountUp,
            Self::SetServiceCount { .. } => Rank::CountDown,
            Self::SuspendScaling { .. }
            | Self::RegisterTask { .. }
            | Self::CreateService { .. }
            | Self::AttachGroup { .. }
            | Self::Deploy { .. }
            | Self::CreateTargetGroup { .. }
            | Self::SetHealthCheck { .. }
            | Self::SetGroupAttributes { .. }
            | Self::CreateRule { .. }
            | Self::WriteRule { .. }
            | Self::SetRuleConditions { .. }
            | Self::SetRulePriority { .. }
            | Self::DeleteRule { .. }
            | Self::DeleteTargetGroup { .. } => Rank::CutoverForward,
        }
    }

    /// Whether it changes what a load balancer does with requests.
    pub fn steers(&self) -> bool {
        matches!(
            self,
            Self::CreateRule { .. }
                | Self::WriteRule { .. }
                | Self::SetRuleConditions { .. }
                | Self::SetRulePriority { .. }
                | Self::DeleteRule { .. }
        )
    }

    /// Whether a look at load balancers and services alone shows what it did.
    pub fn shows_in_traffic(&self) -> bool {
        self.steers()
            || matches!(
                self,
                Self::SetServiceCount { .. }
                    | Self::RegisterTask { .. }
                    | Self::CreateService { .. }
                    | Self::AttachGroup { .. }
                    | Self::Deploy { .. }
                    | Self::CreateTargetGroup { .. }
                    | Self::SetHealthCheck { .. }
                    | Self::SetGroupAttributes { .. }
                    | Self::DeleteTargetGroup { .. }
            )
    }

    /// Whether it takes capacity away, now or by what it begins.
    pub fn removes(&self) -> bool {
        match self {
            Self::SetPoolCapacity { was, now, .. } => now < was,
            Self::SetHostStatus { now, .. } => *now == HostStatus::Draining,
            Self::MarkHosts { mark, .. } => mark.is_some(),
            Self::TerminateHost { .. } => true,
            _ => false,
        }
    }
}

/// The kinds of action an operator allows one by one (`allow` in the configuration).
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
    schemars::JsonSchema,
    utoipa::ToSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ActionKind {
    /// Raise the size of a pool.
    ScaleOut,
    /// Replace hosts whose agent is lost or that never registered.
    Repair,
    /// React to Spot interruptions.
    Spot,
    /// Remove hosts whose tasks fit elsewhere.
    ScaleIn,
    /// Replace hosts that have drifted.
    Replace,
    /// Move tasks to cheaper hosts.
    Consolidate,
    /// Write desired counts of services, and release them.
    Services,
    /// Move traffic.
    Cutover,
    /// Take a pool over from managed scaling. Ordered by a person each time, so it cannot be
    /// listed in `allow`.
    #[schemars(skip)]
    Handover,
    /// Let things be as they were before Tidegate. Ordered by a person each time, as a handover is.
    #[schemars(skip)]
    Handback,
}

impl ActionKind {
    /// A person orders each one, and the order is its permission: `allow` cannot list it.
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::Handover | Self::Handback)
    }
}

/// The order of actions in a plan, first to last.
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
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Rank {
    Rollback,
    /// Ordered by a person: nothing else may be written to the pool before it is done.
    Handover,
    Interruption,
    ScaleOut,
    CountUp,
    CutoverForward,
    CountDown,
    /// Protection and process flags that removals stand on.
    Prepare,
    Drain,
    Terminate,
}

/// What an action writes to or a hold speaks of.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Cluster,
    Pool(PoolId),
    Host(InstanceId),
    Service(ServiceName),
    /// The scaling of a service by Application Auto Scaling.
    ScalingOf(ServiceName),
    Route(RouteId),
    Listener(ListenerArn),
    /// A rule of somebody else that a cutover has adopted.
    Rule(RuleArn),
    /// By name: it may not exist yet.
    TargetGroup(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.pad("cluster"),
            Self::Pool(pool) => pool.fmt(f),
            Self::Host(host) => host.fmt(f),
            Self::Service(service) => service.fmt(f),
            Self::ScalingOf(service) => f.pad(&format!("scaling of {}", service.as_str())),
            Self::Route(route) => route.fmt(f),
            Self::Listener(listener) => listener.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
            Self::TargetGroup(name) => f.pad(&format!("target group {name}")),
        }
    }
}

fn join(hosts: &BTreeSet<InstanceId>) -> String {
    hosts.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(", ")
}

/// One line an operator reads: the thing first, then old and new value.
impl fmt::Display for Action {
    #[expect(clippy::too_many_lines, reason = "one line of text for each action")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetPoolCapacity { pool, was, now } => {
                let what = if pool.is_fleet() { "target capacity" } else { "desired capacity" };
                write!(f, "{pool} {what} {was} -> {now}")
            }
            Self::SetNewHostProtection { pool, now, .. } => {
                let (what, on) = match pool {
                    PoolId::AutoScalingGroup(_) => ("scale-in protection of new instances", *now),
                    PoolId::SpotFleet(_) => ("termination of excess hosts by itself", !now),
                };
                write!(f, "{pool} {what} {}", if on { "on" } else { "off" })
            }
            Self::ProtectHosts { pool, hosts, now } => {
                let verb = if *now { "protect" } else { "unprotect" };
                write!(f, "{pool} {verb} {} from scale-in", join(hosts))
            }
            Self::SetProcesses { pool, processes, suspended } => {
                let verb = if *suspended { "suspend" } else { "resume" };
                let names = processes.iter().cloned().collect::<Vec<_>>().join(", ");
                write!(f, "{pool} {verb} {names}")
            }
            Self::MarkHosts { hosts, mark: Some(mark) } => {
                write!(f, "mark {} for drain ({})", join(hosts), mark.cause)
            }
            Self::MarkHosts { hosts, mark: None } => {
                write!(f, "remove the drain mark from {}", join(hosts))
            }
            Self::SetHostStatus { hosts, now: HostStatus::Draining, .. } => {
                write!(f, "drain {}", join(hosts))
            }
            Self::SetHostStatus { hosts, .. } => write!(f, "reactivate {}", join(hosts)),
            Self::TerminateHost { pool, host, desired_was, replace: false, .. } => {
                let after = desired_was.0.saturating_sub(1);
                if pool.is_fleet() {
                    write!(f, "terminate {host} of {pool}")
                } else {
                    write!(f, "terminate {host}, {pool} desired capacity {desired_was} -> {after}")
                }
            }
            Self::TerminateHost { pool, host, replace: true, .. } => {
                write!(f, "terminate {host}, {pool} replaces it")
            }
            Self::SetServiceCount { service, was, now } => {
                write!(f, "{service} desired count {was} -> {now}")
            }
            Self::SuspendScaling { service, now, .. } => {
                write!(f, "{service} Application Auto Scaling: {now}")
            }
            Self::RegisterTask { service, task } => {
                write!(f, "register a task definition of {service}: {task}")
            }
            Self::CreateService { spec } => {
                write!(f, "create service {}, {} tasks", spec.service, spec.count)
            }
            Self::AttachGroup { service, group, .. } => {
                write!(f, "{service} registers with target group {}", group.short())
            }
            Self::Deploy { service, was, now, back, .. } => {
                let verb = if *back { "goes back" } else { "deploys" };
                write!(f, "{service} {verb} {} -> {}", was.short(), now.short())
            }
            Self::CreateTargetGroup { spec } => write!(f, "create target group {}", spec.name),
            Self::SetHealthCheck { group, now, .. } => {
                write!(f, "{} health check {}", group.short(), now.health_check)
            }
            Self::SetGroupAttributes { group, now, .. } => write!(f, "{} {now}", group.short()),
            Self::CreateRule { purpose, priority, image, .. } => {
                write!(f, "create rule {purpose} at priority {priority}: {image}")
            }
            Self::WriteRule { purpose, was: Some(was), now, .. } => {
                write!(f, "{purpose}: {was} -> {now}")
            }
            Self::WriteRule { purpose, was: None, now, .. } => {
                write!(f, "{purpose}: back to {now}")
            }
            Self::SetRuleConditions { purpose, now, .. } => {
                write!(f, "rule {purpose} takes {}", Condition::list(now))
            }
            Self::SetRulePriority { purpose, was, now, .. } => {
                write!(f, "rule {purpose} moves from priority {was} to {now}")
            }
            Self::DeleteRule { purpose, .. } => write!(f, "delete rule {purpose}"),
            Self::DeleteTargetGroup { group, .. } => {
                write!(f, "delete target group {}", group.short())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_kind_reads_back_as_it_was_written() {
        for kind in ActionKind::iter() {
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(serde_json::from_value::<ActionKind>(json).unwrap(), kind);
        }
    }
}

//! What Tidegate can do to AWS: each action is one request, absolute, and carries what it assumed.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::drain::DrainMark;
use super::id::{InstanceId, PoolId, ServiceName};
use super::snapshot::{HostStatus, Units};

/// One AWS request. `was` is the assumption; it is read again right before the write.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// `SetDesiredCapacity`, or `ModifySpotFleetRequest` with `noTermination`.
    SetPoolCapacity { pool: PoolId, was: Units, now: Units },
    /// The group's flag that new instances start protected from scale-in.
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
        }
    }

    /// The pool whose desired capacity it changes, if any.
    pub fn resizes(&self) -> Option<&PoolId> {
        match self {
            Self::SetPoolCapacity { pool, .. } | Self::TerminateHost { pool, .. } => Some(pool),
            Self::SetNewHostProtection { .. }
            | Self::ProtectHosts { .. }
            | Self::SetProcesses { .. }
            | Self::MarkHosts { .. }
            | Self::SetHostStatus { .. } => None,
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
        }
    }

    /// Whether it takes capacity away, now or by what it begins.
    pub fn removes(&self) -> bool {
        match self {
            Self::SetPoolCapacity { was, now, .. } => now < was,
            Self::SetHostStatus { now, .. } => *now == HostStatus::Draining,
            Self::MarkHosts { mark, .. } => mark.is_some(),
            Self::TerminateHost { .. } => true,
            Self::SetNewHostProtection { .. }
            | Self::ProtectHosts { .. }
            | Self::SetProcesses { .. } => false,
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
    /// Write desired counts of services.
    Services,
    /// Move traffic.
    Cutover,
    /// Take a pool over from managed scaling. Ordered by a person each time, so it cannot be
    /// listed in `allow`.
    #[schemars(skip)]
    Handover,
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
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.pad("cluster"),
            Self::Pool(pool) => pool.fmt(f),
            Self::Host(host) => host.fmt(f),
            Self::Service(service) => service.fmt(f),
        }
    }
}

fn join(hosts: &BTreeSet<InstanceId>) -> String {
    hosts.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(", ")
}

/// One line an operator reads: the thing first, then old and new value.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetPoolCapacity { pool, was, now } => {
                let what = if pool.is_fleet() { "target capacity" } else { "desired capacity" };
                write!(f, "{pool} {what} {was} -> {now}")
            }
            Self::SetNewHostProtection { pool, now, .. } => {
                let state = if *now { "on" } else { "off" };
                write!(f, "{pool} scale-in protection of new instances {state}")
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

//! What the world knows of each thing, beyond what AWS shows of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::model::{
    DeploymentId, Digest, Host, InstanceId, Launch, Lifecycle, ListenerArn, Market, Pool, PoolId,
    Rollout, ServiceName, TargetGroupArn, TaskDefinitionArn, TaskOwner, TaskShape, TaskStatus,
};

use super::event::{Event, ServiceSpec};

/// Something that is due at a moment.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Happens(Event, Option<String>),
    Round,
    Resize(PoolId),
    FleetModified(PoolId),
    ZoneCheck(PoolId),
    /// `AZRebalance` has launched a host elsewhere and ends this one.
    ZoneMove(InstanceId),
    Alarm(PoolId),
    InService(InstanceId),
    Registers(InstanceId),
    HostGone(InstanceId),
    /// The two minutes of an interruption notice are over.
    Interrupts(InstanceId),
    /// Time to look whether all that a drained host ran has found a place.
    Judge(InstanceId, Displaced),
    /// A second of requests has passed.
    Second,
    /// A change of a listener takes effect, by its number.
    Spread(ListenerArn, u64),
    Check(TargetGroupArn, TaskNo),
    StopUnhealthy(TargetGroupArn, TaskNo),
    Scale(ServiceName),
    TaskRuns(TaskNo),
    TaskEnds(TaskNo),
    TaskStopped(TaskNo),
}

/// Tasks are numbered in the order they were created.
pub(super) type TaskNo = u64;

#[derive(Clone, Debug)]
pub(super) struct SimTask {
    pub(super) definition: TaskDefinitionArn,
    pub(super) shape: TaskShape,
    pub(super) owner: TaskOwner,
    /// What its image's name meant when it was started.
    pub(super) digest: Option<Digest>,
    /// Of its service; 0 for standalone tasks.
    pub(super) deployment: u64,
    /// Target groups it registers with while it runs.
    pub(super) groups: Vec<TargetGroupArn>,
    /// Where a capacity provider may put it; `Ec2` for anywhere.
    pub(super) launch: Launch,
    pub(super) host: Option<InstanceId>,
    pub(super) status: TaskStatus,
    pub(super) protected: bool,
    pub(super) lasts: Option<chrono::TimeDelta>,
}

impl SimTask {
    /// Waiting, starting or running: not told to stop.
    pub(super) fn is_live(&self) -> bool {
        self.status <= TaskStatus::Running
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimHost {
    pub(super) host: Host,
    pub(super) tasks: BTreeSet<TaskNo>,
    /// Set while it drains by our doing.
    pub(super) drain: Option<Displaced>,
    /// A terminate request of ours was accepted.
    pub(super) ended_by_us: bool,
}

/// Whom a drain of ours moved.
#[derive(Clone, Debug)]
pub(super) struct Displaced {
    pub(super) since: DateTime<Utc>,
    /// Each service with tasks on the host, and how many of its tasks there were then.
    pub(super) services: BTreeMap<ServiceName, u64>,
}

impl SimHost {
    /// Whether ECS places tasks on it. It does not know of drain marks.
    pub(super) fn takes_tasks(&self) -> bool {
        self.host.status == crate::model::HostStatus::Active && self.host.agent_connected
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.host.lifecycle == Lifecycle::Terminating
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimPool {
    pub(super) pool: Pool,
    pub(super) market: Market,
    /// How many of the next hosts never register.
    pub(super) mute_next: u32,
    /// When its size is looked at next, if that is planned.
    pub(super) resize_due: Option<DateTime<Utc>>,
    /// Minutes in a row in which managed scaling saw too many hosts.
    pub(super) low_datapoints: u32,
    /// The last to lower its desired capacity was Tidegate.
    pub(super) lowered_by_us: bool,
}

#[derive(Clone, Debug)]
pub(super) struct SimDeployment {
    pub(super) number: u64,
    pub(super) id: DeploymentId,
    pub(super) definition: TaskDefinitionArn,
    pub(super) shape: TaskShape,
    pub(super) groups: Vec<TargetGroupArn>,
    pub(super) running: u64,
    pub(super) pending: u64,
    pub(super) failed: u64,
    pub(super) rollout: Rollout,
    pub(super) failed_at: Option<DateTime<Utc>>,
    /// ECS gives it up after too many failures.
    pub(super) has_breaker: bool,
    pub(super) created_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(super) struct SimService {
    pub(super) spec: ServiceSpec,
    /// Primary first; never empty.
    pub(super) deployments: Vec<SimDeployment>,
    pub(super) tasks: BTreeSet<TaskNo>,
    /// How many deployments it has had.
    pub(super) deployed: u64,
    /// Tasks that found no host in the last round.
    pub(super) unplaced: u64,
    pub(super) crashing: bool,
    /// Not before this moment does ECS start another task of it.
    pub(super) backoff_until: Option<DateTime<Utc>>,
}

impl SimService {
    pub(super) fn deployment_mut(&mut self, number: u64) -> Option<&mut SimDeployment> {
        self.deployments.iter_mut().find(|d| d.number == number)
    }

    /// Running and pending tasks of all deployments.
    pub(super) fn counts(&self) -> (u64, u64) {
        let sum = |of: fn(&SimDeployment) -> u64| self.deployments.iter().map(of).sum();
        (sum(|d| d.running), sum(|d| d.pending))
    }
}

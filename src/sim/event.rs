//! What happens to a world from outside: load, deployments, failures, other people.
//!
//! Rule: plain data, so that a story or a random load is a table.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::model::{
    Constraint, Digest, ImageName, InstanceId, InstanceType, Launch, ListenerArn, PoolId, RuleArn,
    RuleImage, Said, Scheduling, ServiceName, ServiceTargets, TargetGroupArn, TaskShape, Warning,
    Zone,
};

use super::delays;
use super::images::ImageFault;
use super::requests::{Flow, Profile};

/// Something that happens without Tidegate's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Application Auto Scaling or a person sets a service's desired count.
    SetCount { service: ServiceName, count: u64 },
    /// CI deploys a new revision; `None`: of the same shape.
    Deploy { service: ServiceName, shape: Option<TaskShape> },
    /// From now on (or no more) its tasks exit right after they start.
    Crash { service: ServiceName, on: bool },
    /// `RunTask`: standalone tasks that end by themselves after `lasts`, if given.
    ///
    /// With a pool whose capacity provider has managed scaling they wait `PROVISIONING` for room;
    /// else those that find no room are refused.
    RunTasks {
        group: String,
        shape: TaskShape,
        count: u64,
        pool: Option<PoolId>,
        lasts: Option<TimeDelta>,
    },
    /// Protects all running tasks of a service from scale-in and deployments, or lifts that.
    ProtectTasks { service: ServiceName, on: bool },
    /// The agent disconnects; `None`: of any host that works.
    LoseAgent { host: Option<InstanceId> },
    /// The agent is back; `None`: of every host.
    AgentBack { host: Option<InstanceId> },
    /// EC2 warns that it takes the host in two minutes, or that it might; `None`: of any that
    /// works.
    Warn { host: Option<InstanceId>, warning: Warning },
    /// EC2 loses the instance with all on it; `None`: any.
    HostDies { host: Option<InstanceId> },
    /// The next `count` hosts this pool launches never register.
    FailRegistrations { pool: PoolId, count: u32 },
    /// EC2 has no capacity of this type in this zone, for so long.
    NoCapacity { instance_type: InstanceType, zone: Zone, lasts: TimeDelta },
    /// A person sets the desired capacity, within the group's bounds.
    SetDesired { pool: PoolId, desired: u32 },
    /// CI deploys a revision whose tasks exit right after they start, the circuit breaker on.
    DeployBroken { service: ServiceName },
    /// From now on this is wrong with an image, by whatever name.
    BadImage { image: ImageName, how: ImageFault },
    /// An image is pushed under this name, which meant another before.
    PushImage { image: ImageName, digest: Digest },
    /// A registry forgets an image.
    DeleteImage { image: ImageName },
    /// A person deletes the service with all its tasks.
    DeleteService { service: ServiceName },
    /// From now on so many requests a minute of a path; 0 for none.
    Requests { flow: Flow, per_minute: u64 },
    /// From now on it answers so many in ten thousand with an error, and all so much slower.
    Misbehaves { service: ServiceName, errors_bp: u32, extra_latency_ms: u32 },
    /// From now on (or no more) its tasks fail their health checks, whatever else they answer.
    FailsChecks { service: ServiceName, on: bool },
    /// The process of one of its running tasks is gone, without a word to the load balancer.
    KillTask { service: ServiceName },
    /// A person writes what a rule does; `None` for the priority is the default, for the image
    /// the rule is deleted.
    EditsRule { listener: ListenerArn, priority: Option<u16>, image: Option<RuleImage> },
    /// What an alarm (by name), a query or a check (by URL) says from now on.
    Says { of: String, said: Said, detail: String },
    /// Nothing but its sentence.
    Remark,
}

/// An ECS service to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    pub name: ServiceName,
    pub count: u64,
    pub shape: TaskShape,
    pub scheduling: Scheduling,
    pub launch: Launch,
    pub minimum_healthy_percent: u64,
    pub maximum_percent: u64,
    pub constraints: BTreeSet<Constraint>,
    /// Its tasks take at most so long to stop.
    pub stop_timeout: TimeDelta,
    /// Where its tasks register.
    pub targets: Vec<ServiceTargets>,
    /// Rules that its own deployments rewrite.
    pub native_rules: BTreeSet<RuleArn>,
    /// How it answers requests.
    pub serves: Profile,
}

impl ServiceSpec {
    /// A replica service on any host, 100/200 % healthy.
    pub fn new(name: impl Into<ServiceName>, count: u64, shape: TaskShape) -> Self {
        Self {
            name: name.into(),
            count,
            shape,
            scheduling: Scheduling::Replica,
            launch: Launch::Ec2,
            minimum_healthy_percent: 100,
            maximum_percent: 200,
            constraints: BTreeSet::new(),
            stop_timeout: delays::TASK_STOP_TIMEOUT,
            targets: Vec::new(),
            native_rules: BTreeSet::new(),
            serves: Profile::default(),
        }
    }

    /// Sets the minimum and maximum healthy percent.
    #[must_use]
    pub fn healthy(mut self, minimum_percent: u64, maximum_percent: u64) -> Self {
        self.minimum_healthy_percent = minimum_percent;
        self.maximum_percent = maximum_percent;
        self
    }

    /// Registers its tasks with a target group, by a container of its own name.
    #[must_use]
    pub fn behind(mut self, group: &TargetGroupArn, port: u16) -> Self {
        let (group, container) = (group.clone(), self.name.to_string());
        self.targets.push(ServiceTargets { group, container, port });
        self
    }
}

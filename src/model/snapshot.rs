//! One observation of a cluster: plain data, sorted, each part with its age and what is missing.
//!
//! Rule: nothing here is a judgement. Whether a part is too old or too thin to act on is said by
//! those who use it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::constraint::{Attributes, Constraint};
use super::drain::DrainMark;
use super::failure::Failure;
use super::id::*;
use super::resources::Resources;
use super::sight::ReleaseSight;
use super::task::{Task, TaskShape, WaitingTasks};
use super::traffic::Traffic;

/// A part of a snapshot: the value, when AWS said so, and what could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<T> {
    pub value: T,
    pub as_of: DateTime<Utc>,
    /// Empty means complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

impl<T: Default> Default for Part<T> {
    fn default() -> Self {
        Self { value: T::default(), as_of: DateTime::UNIX_EPOCH, gaps: Vec::new() }
    }
}

impl<T> Part<T> {
    /// A complete part, read at `as_of`.
    pub fn complete(value: T, as_of: DateTime<Utc>) -> Self {
        Self { value, as_of, gaps: Vec::new() }
    }

    /// Whether nothing is missing and it is at most `max_age` old, and not from the future.
    pub fn is_fresh(&self, now: DateTime<Utc>, max_age: TimeDelta) -> bool {
        self.gaps.is_empty() && self.age(now) <= max_age && self.age(now) >= -TimeDelta::seconds(5)
    }

    pub fn age(&self, now: DateTime<Utc>) -> TimeDelta {
        now - self.as_of
    }
}

/// Something that could not be read, and why.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Gap {
    /// The AWS call, `ecs:DescribeServices`.
    pub source: String,
    pub failure: Failure,
}

/// What one tick sees of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub cluster: ClusterName,
    pub taken_at: DateTime<Utc>,
    /// All hosts of the cluster: registered container instances, and instances of its pools that
    /// are launching and not registered yet.
    pub hosts: Part<BTreeMap<InstanceId, Host>>,
    pub services: Part<BTreeMap<ServiceName, Service>>,
    /// Of every task definition that a service, a listed task or a waiting task names.
    pub shapes: Part<BTreeMap<TaskDefinitionArn, TaskShape>>,
    /// Only of the hosts this tick needs; a host that is absent was not asked for.
    pub tasks: Part<BTreeMap<InstanceId, Vec<Task>>>,
    /// Standalone tasks without a host.
    pub waiting: Part<Vec<WaitingTasks>>,
    pub pools: Part<BTreeMap<PoolId, Pool>>,
    /// Who else writes to what this cluster's pools and services are.
    pub rivals: Part<BTreeSet<Rival>>,
    /// Load balancers; empty where none was asked for.
    #[serde(default)]
    pub traffic: Part<Traffic>,
    /// Services under release; empty where none is.
    #[serde(default)]
    pub releases: Part<ReleaseSight>,
}

impl Snapshot {
    /// A complete snapshot of a cluster in which nothing exists.
    pub fn empty(cluster: ClusterName, at: DateTime<Utc>) -> Self {
        Self {
            cluster,
            taken_at: at,
            hosts: Part::complete(BTreeMap::new(), at),
            services: Part::complete(BTreeMap::new(), at),
            shapes: Part::complete(BTreeMap::new(), at),
            tasks: Part::complete(BTreeMap::new(), at),
            waiting: Part::complete(Vec::new(), at),
            pools: Part::complete(BTreeMap::new(), at),
            rivals: Part::complete(BTreeSet::new(), at),
            traffic: Part::complete(Traffic::default(), at),
            releases: Part::complete(ReleaseSight::default(), at),
        }
    }

    /// Every gap of every part, in order.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        (self.hosts.gaps.iter())
            .chain(&self.services.gaps)
            .chain(&self.shapes.gaps)
            .chain(&self.tasks.gaps)
            .chain(&self.waiting.gaps)
            .chain(&self.pools.gaps)
            .chain(&self.rivals.gaps)
            .chain(&self.traffic.gaps)
            .chain(&self.releases.gaps)
    }

    /// Whether every part was read whole.
    pub fn is_complete(&self) -> bool {
        self.gaps().next().is_none()
    }

    /// The same, as of a later moment up to which nothing has changed.
    #[must_use]
    pub fn confirmed(mut self, at: DateTime<Utc>) -> Self {
        let parts = [
            &mut self.hosts.as_of,
            &mut self.services.as_of,
            &mut self.shapes.as_of,
            &mut self.tasks.as_of,
            &mut self.waiting.as_of,
            &mut self.pools.as_of,
            &mut self.rivals.as_of,
            &mut self.traffic.as_of,
            &mut self.releases.as_of,
            &mut self.taken_at,
        ];
        for as_of in parts {
            *as_of = at.max(*as_of);
        }
        self
    }

    /// When the oldest part was read.
    pub fn oldest(&self) -> DateTime<Utc> {
        let ages = [
            self.hosts.as_of,
            self.services.as_of,
            self.shapes.as_of,
            self.waiting.as_of,
            self.pools.as_of,
            self.rivals.as_of,
        ];
        ages.into_iter().min().unwrap_or(self.taken_at)
    }

    /// The hosts of one pool.
    pub fn hosts_of<'a>(&'a self, pool: &'a PoolId) -> impl Iterator<Item = &'a Host> {
        self.hosts.value.values().filter(move |host| host.pool.as_ref() == Some(pool))
    }
}

/// An EC2 instance that is, or is about to be, a container instance of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub instance: InstanceId,
    /// `None`: launched, but its agent has not registered yet.
    pub container_instance: Option<ContainerInstanceArn>,
    /// `None`: registered in the cluster, but of no pool in the configuration.
    pub pool: Option<PoolId>,
    pub instance_type: InstanceType,
    pub zone: Zone,
    pub market: Market,
    pub status: HostStatus,
    pub lifecycle: Lifecycle,
    pub agent_connected: bool,
    /// Protected from scale-in by the Auto Scaling group.
    pub protected: bool,
    pub registered: Resources,
    /// Registered less reserved by tasks, as ECS counts it.
    pub remaining: Resources,
    #[serde(default)]
    pub ports_used: BTreeSet<u16>,
    pub running_tasks: u64,
    pub pending_tasks: u64,
    #[serde(default)]
    pub attributes: Attributes,
    /// Our drain mark, kept in ECS as an attribute of the container instance.
    #[serde(default)]
    pub mark: Option<DrainMark>,
    pub launched_at: DateTime<Utc>,
    pub registered_at: Option<DateTime<Utc>>,
    /// ECS's version counter of the container instance; grows with each change.
    #[serde(default)]
    pub version: u64,
    /// EC2's warning that it will take the host, or might. No description tells it, so it comes
    /// from events and from memory.
    #[serde(default)]
    pub warned: Option<Warned>,
}

/// What EC2 says of a Spot instance before it takes it back.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Warning {
    /// The interruption notice: two minutes are left (EC2 User Guide, Spot interruption notices).
    Ends,
    /// The rebalance recommendation: an interruption is more likely than usual.
    AtRisk,
}

/// A warning and when EC2 gave it. The gravest is the least.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Warned {
    pub warning: Warning,
    pub at: DateTime<Utc>,
}

impl Host {
    /// Whether ECS would place a task here: registered, active, connected, not on its way out.
    pub fn is_usable(&self) -> bool {
        self.is_registered()
            && self.status == HostStatus::Active
            && self.agent_connected
            && self.lifecycle != Lifecycle::Terminating
            && self.mark.is_none()
            && self.warned.is_none_or(|warned| warned.warning == Warning::AtRisk)
    }

    pub fn is_registered(&self) -> bool {
        self.container_instance.is_some()
    }

    /// Ordered, but not yet a container instance.
    pub fn is_launching(&self) -> bool {
        !self.is_registered() && matches!(self.lifecycle, Lifecycle::Pending | Lifecycle::InService)
    }

    /// What its tasks have booked.
    pub fn reserved(&self) -> Resources {
        self.registered - self.remaining
    }

    /// Tasks ECS counts on it. It reaches zero while tasks still stop; never end a host on this.
    pub fn counted_tasks(&self) -> u64 {
        self.running_tasks + self.pending_tasks
    }
}

/// How EC2 bills and may take back an instance.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Market {
    OnDemand,
    Spot,
}

/// The ECS container instance status.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HostStatus {
    /// Not a container instance yet, or `REGISTERING`.
    Registering,
    Active,
    Draining,
    /// `DEREGISTERING`, `REGISTRATION_FAILED`, `INACTIVE`, or a status this program does not know.
    Other,
}

/// Where the instance stands in its pool's life cycle.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Any `Pending…` state, or an instance that does not run yet.
    Pending,
    InService,
    /// Any `Terminating…` state, shutting down or terminated.
    Terminating,
    /// `Standby`, `Detached`, warm pool, or a state this program does not know: left alone.
    Other,
}

/// An ECS service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: ServiceName,
    pub desired_count: u64,
    pub running_count: u64,
    pub pending_count: u64,
    pub definition: TaskDefinitionArn,
    pub scheduling: Scheduling,
    pub launch: Launch,
    pub minimum_healthy_percent: u64,
    pub maximum_percent: u64,
    #[serde(default)]
    pub constraints: BTreeSet<Constraint>,
    /// Primary first.
    pub deployments: Vec<Deployment>,
    /// `availabilityZoneRebalancing` is `ENABLED`.
    #[serde(default)]
    pub rebalances_zones: bool,
    /// Where its tasks register.
    #[serde(default)]
    pub targets: Vec<ServiceTargets>,
    /// Rules that ECS's own blue/green, linear or canary deployments rewrite.
    #[serde(default)]
    pub native_rules: BTreeSet<RuleArn>,
}

/// One entry of a service's `loadBalancers`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceTargets {
    pub group: TargetGroupArn,
    pub container: String,
    pub port: u16,
}

impl Service {
    /// Whether a deployment is under way, by whomever it was started.
    pub fn is_deploying(&self) -> bool {
        self.deployments.len() > 1
            || self.deployments.iter().any(|d| d.rollout == Rollout::InProgress)
    }

    /// The deployment that ECS brings out or has brought out.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.primary)
    }

    /// How many tasks a deployment may start beside those that run.
    pub fn surge(&self) -> u64 {
        let most = self.desired_count * self.maximum_percent / 100;
        most.saturating_sub(self.desired_count)
    }

    /// Whether a deployment may stop tasks before it starts any.
    pub fn may_stop_first(&self) -> bool {
        (self.desired_count * self.minimum_healthy_percent).div_ceil(100) < self.desired_count
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scheduling {
    Replica,
    /// One task on every host that meets its constraints.
    Daemon,
}

/// Where a service's tasks run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// `launchType` EC2: any host of the cluster.
    Ec2,
    /// A capacity provider strategy; the pools its providers stand on.
    Providers(BTreeSet<PoolId>),
    /// Fargate, Managed Instances or external: none of our hosts.
    Elsewhere,
}

/// One entry of a service's `deployments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub id: DeploymentId,
    pub primary: bool,
    pub definition: TaskDefinitionArn,
    pub desired_count: u64,
    pub running_count: u64,
    pub pending_count: u64,
    pub failed_tasks: u64,
    pub rollout: Rollout,
    /// ECS's words about it.
    #[serde(default)]
    pub rollout_reason: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

/// Capacity in the unit its pool counts in: hosts, or weights of a mixed pool.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Units(pub u32);

impl std::fmt::Display for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An Auto Scaling group or a Spot Fleet request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    pub id: PoolId,
    pub state: PoolState,
    /// The group's desired capacity, the fleet's target capacity.
    pub desired: Units,
    /// Fleets have no minimum: 0.
    pub min: Units,
    /// Fleets have no maximum of their own: `u32::MAX`; the configuration may set one.
    pub max: Units,
    /// What AWS may launch here, in its order of preference. Never empty for an active pool.
    pub offerings: Vec<Offering>,
    pub zones: BTreeSet<Zone>,
    /// New instances start protected from scale-in; a fleet ends no host by its own choice.
    pub protects_new_hosts: bool,
    /// Suspended Auto Scaling processes by name.
    #[serde(default)]
    pub suspended: BTreeSet<String>,
    pub provider: Option<CapacityProvider>,
    /// Attributes a fresh host of it will have beyond the ones ECS sets.
    #[serde(default)]
    pub attributes: Attributes,
}

impl Pool {
    /// What every host it may launch surely has: per resource the minimum over its types.
    pub fn guaranteed(&self) -> Resources {
        let shapes = self.offerings.iter().map(|offering| offering.registers);
        shapes.reduce(|a, b| a.each_min(&b)).unwrap_or_default()
    }

    /// The largest any of its types has, per resource.
    pub fn largest(&self) -> Resources {
        let shapes = self.offerings.iter().map(|offering| offering.registers);
        shapes.reduce(|a, b| a.each_max(&b)).unwrap_or_default()
    }

    /// Whether its desired capacity counts weights, not hosts.
    pub fn is_weighted(&self) -> bool {
        self.offerings.iter().any(|offering| offering.weight != 1)
    }

    /// How many units one of its hosts counts.
    pub fn weight_of(&self, instance_type: &InstanceType) -> u32 {
        let offering = self.offerings.iter().find(|o| o.instance_type == *instance_type);
        offering.map_or(1, |offering| offering.weight)
    }

    /// Whether an Auto Scaling process is suspended.
    pub fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains(process)
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PoolState {
    Active,
    /// A fleet in `modifying`, a group being deleted: wait.
    Changing,
    /// Cancelled, or of a type that cannot be modified.
    Closed,
}

/// One instance type a pool may launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    pub instance_type: InstanceType,
    /// Units one host of it counts; 1 unless the pool is weighted.
    pub weight: u32,
    /// What a host of it registers in ECS.
    pub registers: Resources,
    /// `registers` comes from the type's size, no such host having been seen yet.
    pub estimated: bool,
    /// On-demand list price in millionths of a US dollar an hour, where known.
    pub list_price_micro_usd_per_hour: Option<u64>,
}

/// The ECS capacity provider that stands on a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityProvider {
    pub name: String,
    pub managed_scaling: bool,
    pub managed_termination_protection: bool,
    pub managed_draining: bool,
}

/// Someone or something else that writes what Tidegate writes or reads.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Rival {
    /// A capacity provider's managed scaling; silenced by a suspended `AlarmNotification`.
    ManagedScaling {
        pool: PoolId,
        provider: String,
        silenced: bool,
    },
    /// A scaling policy on the group that is not managed scaling's own.
    ScalingPolicy {
        pool: PoolId,
        policy: String,
        silenced: bool,
    },
    ScheduledAction {
        pool: PoolId,
        action: String,
    },
    InstanceRefresh {
        pool: PoolId,
        refresh: String,
    },
    /// A terminate lifecycle hook: somebody else drains too.
    TerminateHook {
        pool: PoolId,
        hook: String,
    },
    WarmPool {
        pool: PoolId,
    },
    /// A process suspended on the group, by us after a handover or by somebody else.
    SuspendedProcess {
        pool: PoolId,
        process: String,
    },
    /// Application Auto Scaling owns this service's desired count.
    ScalableTarget {
        service: ServiceName,
        min: u64,
        max: u64,
        #[serde(default)]
        suspended: Suspension,
    },
    /// A deployment in progress, by whomever it was started.
    Deployment {
        service: ServiceName,
        deployment: DeploymentId,
    },
}

/// What of Application Auto Scaling is suspended for a service.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
pub struct Suspension {
    pub scale_in: bool,
    pub scale_out: bool,
    pub scheduled: bool,
}

impl std::fmt::Display for Suspension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [("scale in", self.scale_in), ("scale out", self.scale_out)];
        let parts = parts.into_iter().chain([("scheduled", self.scheduled)]);
        let names: Vec<_> = parts.filter(|(_, on)| *on).map(|(name, _)| name).collect();
        match names.is_empty() {
            true => f.write_str("nothing suspended"),
            false => write!(f, "{} suspended", names.join(", ")),
        }
    }
}

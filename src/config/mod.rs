//! What the operator declares, checked and with every default filled in.
//!
//! Rule: a [`Config`] that exists is valid; whoever holds one need not check it again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{ActionKind, ClusterName, CutoverName, Mode, PoolId, ServiceName};

mod access;
mod alb;
pub mod cutover;
mod difference;
mod error;
mod journal;
mod lines;
mod load;
mod measure;
mod names;
mod node;
pub mod notify;
mod raw;
mod read;
mod render;
mod resolve;
mod scalar;
mod schema;
mod show;
mod suggest;
mod when;
pub mod window;
mod words;

pub use access::AlbOidc;
pub use cutover::{
    CutoverConfig, Described, Exposure, GateSource, Gates, OtherGate, ProbeConfig, RouteConfig,
    RuleMode, Tombstone,
};
pub use difference::{Difference, differences, without_restart};
pub use error::{ConfigErrors, Error};
pub use journal::{JournalConfig, TableConfig};
pub use lines::Value;
pub use load::{Origins, load};
pub use render::render;
pub use schema::schema;
pub use show::{Origin, Setting, Shown, show};
pub use window::Window;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where the journals of all clusters are kept.
    pub journal: JournalConfig,
    pub clusters: Vec<ClusterConfig>,
    /// Whose word is taken for who somebody is; `None`: nobody's, only tokens count.
    pub alb_oidc: Option<AlbOidc>,
    /// Who is told of what happens.
    pub notify: Vec<notify::Target>,
    /// Where each value was written; empty for one that was not read from a file.
    pub origins: Origins,
}

impl Config {
    pub fn cluster(&self, name: &ClusterName) -> Option<&ClusterConfig> {
        self.clusters.iter().find(|cluster| cluster.name == *name)
    }
}

/// One ECS cluster and what may be done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    pub name: ClusterName,
    /// AWS Region; `None`: the one of the environment or profile.
    pub region: Option<String>,
    /// Role to assume for this cluster; `None`: the process's own.
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    /// Ceiling of the mode.
    pub mode: Mode,
    /// Kinds of action that may be carried out in mode act.
    pub allow: BTreeSet<ActionKind>,
    /// In order of preference where costs are equal.
    pub pools: Vec<PoolConfig>,
    pub reservation_ceiling: ReservationCeiling,
    pub headroom: Vec<Headroom>,
    pub services: BTreeMap<ServiceName, ServiceConfig>,
    pub cutovers: Vec<CutoverConfig>,
    pub windows: Vec<Window>,
    pub scale_in: ScaleIn,
    pub repair: Repair,
    pub releases: Releases,
    pub budgets: Budgets,
    /// How long what was made for a service's load balancing outlives its configuration.
    pub retention: TimeDelta,
    /// Time between two ticks when nothing wakes the loop.
    pub interval: TimeDelta,
    /// URL of the SQS queue with what EventBridge tells of this cluster; `None`: only looks tell.
    pub queue: Option<String>,
    /// Time between two whole looks while the queue tells of no change.
    pub resync: TimeDelta,
    /// Name of the SSM parameter that stops this cluster's writes; `None`: there is no switch.
    pub stop_parameter: Option<String>,
}

impl ClusterConfig {
    /// A cluster with all defaults and these pools.
    pub fn new(name: impl Into<ClusterName>, pools: Vec<PoolConfig>) -> Self {
        Self {
            name: name.into(),
            region: None,
            role_arn: None,
            external_id: None,
            mode: Mode::Observe,
            allow: BTreeSet::from([ActionKind::ScaleOut]),
            pools,
            reservation_ceiling: ReservationCeiling::default(),
            headroom: vec![Headroom { like: Like::LargestTask, count: 1 }],
            services: BTreeMap::new(),
            cutovers: Vec::new(),
            windows: Vec::new(),
            scale_in: ScaleIn::default(),
            repair: Repair::default(),
            releases: Releases::default(),
            budgets: Budgets::default(),
            retention: TimeDelta::hours(24),
            interval: TimeDelta::seconds(15),
            queue: None,
            resync: TimeDelta::minutes(15),
            stop_parameter: None,
        }
    }

    pub fn pool(&self, id: &PoolId) -> Option<&PoolConfig> {
        self.pools.iter().find(|pool| pool.id == *id)
    }

    pub fn cutover(&self, name: &CutoverName) -> Option<&CutoverConfig> {
        self.cutovers.iter().find(|cutover| cutover.name == *name)
    }

    pub fn service(&self, name: &ServiceName) -> ServiceConfig {
        self.services.get(name).cloned().unwrap_or_default()
    }

    /// The window that forbids this kind of action now, if any. Only voluntary work is bound:
    /// scale-out, repair, Spot replacement and rollback always pass.
    pub fn forbidding_window(&self, kind: ActionKind, now: DateTime<Utc>) -> Option<&Window> {
        self.windows.iter().find(|window| window.forbids(kind, now))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    pub id: PoolId,
    /// Never grows, and empties as budgets allow.
    pub retiring: bool,
    /// Ceiling of our own below the group's maximum; for a fleet the only one there is.
    pub max: Option<u32>,
    /// What a listed dollar costs after commitments, in percent.
    pub price_percent: u32,
}

impl PoolConfig {
    pub fn new(id: PoolId) -> Self {
        Self { id, retiring: false, max: None, price_percent: 100 }
    }
}

/// Reservation above these makes the fleet grow; 100 turns the ceiling off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservationCeiling {
    pub cpu_percent: u64,
    pub memory_percent: u64,
}

impl Default for ReservationCeiling {
    fn default() -> Self {
        Self { cpu_percent: 100, memory_percent: 100 }
    }
}

/// Free room kept for tasks to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headroom {
    pub like: Like,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Like {
    /// The largest task shape of the cluster's services.
    LargestTask,
    /// A service of the name `largest` cannot be meant.
    TasksOf(ServiceName),
}

impl Like {
    /// How the largest task shape is written.
    pub(crate) const LARGEST: &str = "largest";
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    pub desired_count: CountOwner,
    pub evict: Evict,
    /// How it is reached; `None`: its load balancing is nobody's concern here.
    pub exposure: Option<Exposure>,
    /// How it is made where it does not exist; `None`: it must exist.
    pub described: Option<Described>,
    /// CloudWatch alarms that end its releases.
    pub alarms: BTreeSet<String>,
}

/// Who writes a service's desired count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, schemars::JsonSchema, strum::Display)]
#[schemars(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CountOwner {
    /// Application Auto Scaling, CI or people; followed, never written.
    #[default]
    External,
    #[schemars(skip)]
    Tidegate,
}

/// Whether tasks may be moved to empty a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, schemars::JsonSchema, strum::Display)]
#[schemars(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Evict {
    /// When a replacement can run elsewhere.
    #[default]
    WhenReplaced,
    /// Its host stays until the task ends by itself.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleIn {
    /// How long a host must have been unneeded before it goes.
    pub stabilization: TimeDelta,
    /// How long a drain may take before it is aborted and the host reactivated.
    pub drain_deadline: TimeDelta,
    /// Age below which a host is never removed for capacity's sake.
    pub host_age_min: TimeDelta,
}

impl Default for ScaleIn {
    fn default() -> Self {
        Self {
            stabilization: TimeDelta::minutes(5),
            drain_deadline: TimeDelta::minutes(15),
            host_age_min: TimeDelta::minutes(5),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Grace for a disconnected agent: flaps of minutes are normal.
    pub agent_lost: TimeDelta,
    /// Time from launch to registration after which a host is given up.
    pub registration: TimeDelta,
    /// Hosts given up in a row after which the pool's breaker opens.
    pub failures_max: u32,
}

impl Default for Repair {
    fn default() -> Self {
        Self {
            agent_lost: TimeDelta::minutes(5),
            registration: TimeDelta::minutes(10),
            failures_max: 3,
        }
    }
}

/// How long a release may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Releases {
    /// Time for the room that a deployment needs; nothing was changed before it.
    pub room_within: TimeDelta,
    /// Time for the deployment itself, before it is led back.
    pub done_within: TimeDelta,
}

impl Default for Releases {
    fn default() -> Self {
        Self { room_within: TimeDelta::minutes(15), done_within: TimeDelta::minutes(30) }
    }
}

/// Limits on how fast things change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Hosts draining at one time, at most.
    pub draining_hosts: u64,
    pub removed_hosts_per_hour: u64,
    pub launched_units_per_hour: u32,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { draining_hosts: 2, removed_hosts_per_hour: 20, launched_units_per_hour: 200 }
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

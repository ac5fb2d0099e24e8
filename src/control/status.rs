//! What the surfaces show: one value that the loop publishes and API, pages and metrics read.
//!
//! Rule: plain data, made by pure functions; no surface computes anything of its own, so that all
//! of them say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::cutover::told::CutoverTold;
use crate::handback::told::HandbackTold;
use crate::journal::Holder;
use crate::model::{
    ActionKind, ClusterName, CutoverName, DrainMark, Epoch, Hold, InstanceId, InstanceType, Market,
    Mode, Pause, Planned, PoolId, PoolState, Resources, Rival, Seq, ServiceName, Units, Zone,
};
use crate::release::{self, told::ReleaseTold};

mod cost;
mod counters;
mod cutovers;
mod decision;
mod of;
mod pools;
mod tell;
mod words;

pub use counters::{Counters, Deliveries, Delivery, Durations};
pub use decision::{Decided, Decision, Fate, Saw};

/// Points kept for the chart: three hours at the usual interval.
pub const HISTORY_MAX: usize = 720;
/// Decisions kept for display; the journal's ring holds more.
pub const DECISIONS_MAX: usize = 100;

/// All clusters of this process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize, ToSchema)]
pub struct Status {
    /// Grows with each publication.
    pub generation: u64,
    /// By the machine's clock, which a simulated world does not follow.
    pub started_at: DateTime<Utc>,
    /// When each cluster was last published, by the machine's clock.
    pub told_at: BTreeMap<ClusterName, DateTime<Utc>>,
    /// Configured clusters that have not been looked at yet.
    pub awaited: BTreeSet<ClusterName>,
    pub clusters: Vec<ClusterStatus>,
    /// Since the process read its configuration.
    #[serde(default)]
    pub config: ConfigStatus,
    /// How notifications fared since the process started, by target.
    #[serde(default)]
    pub notifications: BTreeMap<String, Deliveries>,
    /// Decisions of earlier processes, for the first status of each cluster.
    #[serde(skip)]
    remembered: BTreeMap<ClusterName, Vec<Decision>>,
    /// What the demo tells of its story.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narration: Option<String>,
}

impl Status {
    /// Since when the most silent of the loops has told nothing, by the machine's clock.
    pub fn silent_since(&self) -> DateTime<Utc> {
        let told = self.told_at.values().copied().min();
        let all_told = told.filter(|_| self.awaited.is_empty());
        all_told.unwrap_or(self.started_at)
    }

    pub fn cluster(&self, name: &str) -> Option<&ClusterStatus> {
        self.clusters.iter().find(|cluster| cluster.name.as_str() == name)
    }
}

/// What became of the configuration file since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct ConfigStatus {
    /// When another one was last taken up, by the machine's clock; `None`: that of the start.
    pub taken_up_at: Option<DateTime<Utc>>,
    /// What it changed, one setting a line.
    pub changed: Vec<String>,
    /// Settings in the file that are not in force before a restart.
    pub needs_restart: Vec<String>,
    /// What is wrong with the file as it is now; the last good one is in force.
    pub refused: Option<String>,
}

/// One cluster as of its last tick.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize, ToSchema)]
pub struct ClusterStatus {
    pub name: ClusterName,
    pub region: Option<String>,
    /// The end of the tick, by the loop's clock.
    pub at: DateTime<Utc>,
    /// Time between two ticks when nothing wakes the loop; news are late after some of these.
    pub interval_seconds: i64,
    pub mode: ModeStatus,
    pub pause: Option<Pause>,
    /// Kinds of action that mode act carries out.
    pub allow: BTreeSet<ActionKind>,
    pub seen: Seen,
    pub hosts: Vec<HostView>,
    pub host_counts: HostCounts,
    pub reservation: Reservation,
    pub tasks: TaskCounts,
    pub cost: Cost,
    pub pools: Vec<PoolView>,
    pub services: Vec<ServiceView>,
    /// Those of the configuration, started or not.
    pub cutovers: Vec<CutoverTold>,
    /// The last release of each service that had one.
    pub releases: Vec<ReleaseTold>,
    /// What of Tidegate a handback would take out of it, and the last one that was ordered.
    pub handback: HandbackTold,
    pub plan: PlanView,
    pub others_writing: Vec<OtherWriter>,
    pub budgets: Vec<Budget>,
    pub breakers: Vec<BreakerView>,
    pub journal: JournalView,
    /// Newest first.
    pub decisions: Vec<Decision>,
    /// Oldest first.
    pub history: Vec<Point>,
    pub counters: Counters,
}

impl ClusterStatus {
    pub fn cutover(&self, name: &CutoverName) -> Option<&CutoverTold> {
        self.cutovers.iter().find(|cutover| cutover.name == *name)
    }

    pub fn release(&self, service: &ServiceName) -> Option<&ReleaseTold> {
        self.releases.iter().find(|release| release.service == *service)
    }

    /// What an order about a service's release is judged by.
    pub fn known_of(&self, service: &ServiceName) -> release::orders::Known {
        let moves = |cutover: &&CutoverTold| {
            let mut routes = cutover.routes.iter();
            routes.any(|route| {
                (route.to == *service || cutover.from == *service)
                    && cutover.open
                    && release::view::is_moving(route.stage)
            })
        };
        release::orders::Known {
            service: service.clone(),
            services: Some(self.services.iter().map(|seen| seen.name.clone()).collect()),
            stage: self.release(service).map(|told| told.stage),
            shifting: self.cutovers.iter().find(moves).map(|cutover| cutover.name.clone()),
        }
    }

    /// Takes over what outlives a tick from the status before: chart, decisions and counters.
    #[must_use]
    pub fn after(mut self, before: &Self, spacing: chrono::TimeDelta) -> Self {
        let now = std::mem::take(&mut self.history);
        self.history = before.history.clone();
        // Ticks woken by events come closer together: only the newest of them is kept.
        if let [.., kept, last] = self.history.as_slice()
            && last.at - kept.at < spacing
        {
            self.history.pop();
        }
        self.history.extend(now);
        let excess = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..excess);
        self.decisions = before.decisions.clone();
        self.counters = before.counters.clone();
        self
    }

    /// Puts a decision first.
    pub fn decided(&mut self, decision: Decision) {
        self.decisions.insert(0, decision);
        self.decisions.truncate(DECISIONS_MAX);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct ModeStatus {
    /// Of the configuration.
    pub ceiling: Mode,
    /// Set by the last command.
    pub stored: Mode,
    /// The lower of the two.
    pub effective: Mode,
}

/// What the last observation was worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Seen {
    pub taken_at: DateTime<Utc>,
    /// Age of the oldest part when the tick ended.
    pub age_seconds: i64,
    pub complete: bool,
    /// What could not be read, and why.
    pub gaps: Vec<String>,
}

/// Where a host stands, judged for placing tasks.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    serde::Deserialize,
    ToSchema,
    strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HostState {
    /// Takes tasks.
    Usable,
    /// Ordered, not registered yet.
    Launching,
    /// On its way out, by our mark or somebody else's.
    Draining,
    /// Registered, its agent disconnected.
    AgentLost,
    /// Registering, deregistering or terminating.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct HostView {
    pub instance: InstanceId,
    pub zone: Zone,
    pub instance_type: InstanceType,
    /// `None`: in the cluster, but of no pool in the configuration.
    pub pool: Option<PoolId>,
    pub market: Market,
    pub state: HostState,
    pub registered: Resources,
    pub reserved: Resources,
    pub running_tasks: u64,
    pub pending_tasks: u64,
    /// What runs on it by service or group; only of hosts whose tasks the tick listed.
    pub tasks: Vec<TasksOnHost>,
    pub protected: bool,
    /// Our drain mark.
    pub mark: Option<DrainMark>,
    /// The cluster could do without it since then.
    pub unneeded_since: Option<DateTime<Utc>>,
    /// Why something wanted of it is not done.
    pub held: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct TasksOnHost {
    pub of: String,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct HostCounts {
    pub all: usize,
    pub usable: usize,
    pub launching: usize,
    pub draining: usize,
    pub agent_lost: usize,
    pub other: usize,
}

/// Of usable hosts only: what is reserved on a host that takes no tasks is no reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, serde::Deserialize, ToSchema)]
pub struct Reservation {
    /// To a tenth; `None` without a usable host.
    pub cpu_percent: Option<f64>,
    pub memory_percent: Option<f64>,
    pub cpu_ceiling_percent: u64,
    pub memory_ceiling_percent: u64,
    /// Hosts counted.
    pub hosts: usize,
    pub registered: Resources,
    pub reserved: Resources,
    /// Free on the one host with most room.
    pub largest_hole: Option<Resources>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct TaskCounts {
    pub desired: u64,
    pub running: u64,
    /// Placed on a host and starting.
    pub pending: u64,
    /// Should exist and are on no host.
    pub unplaced: u64,
    pub unplaced_since: Option<DateTime<Utc>>,
}

/// List prices with each pool's price factor, in millionths of a US dollar an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Cost {
    pub now_micro_usd_per_hour: u64,
    /// Once what would be done has taken effect.
    pub after_micro_usd_per_hour: u64,
    /// If everything planned were allowed.
    pub if_allowed_micro_usd_per_hour: u64,
    /// Hosts without a known price, not part of the sums.
    pub unpriced_hosts: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct PoolView {
    pub id: PoolId,
    pub fleet: bool,
    pub state: PoolState,
    pub desired: Units,
    pub min: Units,
    /// The lower of AWS's and the configuration's; `None` for a fleet without either.
    pub max: Option<Units>,
    pub hosts: usize,
    pub usable_hosts: usize,
    pub instance_types: Vec<InstanceType>,
    pub retiring: bool,
    /// Lowered to recommend, and why.
    pub demoted: Option<String>,
    pub others_writing: Vec<String>,
    /// What a handover from managed scaling would still change; empty when there is nothing.
    pub handover: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct ServiceView {
    pub name: ServiceName,
    pub desired: u64,
    pub running: u64,
    pub pending: u64,
    pub unplaced: u64,
    pub deploying: bool,
    /// Its tasks run on our hosts.
    pub on_hosts: bool,
}

/// The plan as the guard sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct PlanView {
    pub would_do: Vec<ActionView>,
    /// Kept back only by mode or `allow`.
    pub not_allowed: Vec<ActionView>,
    pub held: Vec<HoldView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct ActionView {
    pub kind: ActionKind,
    pub text: String,
    pub why: String,
    /// What would have to change; absent when nothing would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    pub planned: Planned,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct HoldView {
    pub subject: String,
    pub wants: ActionKind,
    pub why: String,
    /// When it began, where memory knows.
    pub since: Option<DateTime<Utc>>,
    pub hold: Hold,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct OtherWriter {
    pub text: String,
    /// It cannot act, or acts only on what Tidegate leaves to it.
    pub harmless: bool,
    pub rival: Rival,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Budget {
    pub name: String,
    pub used: u64,
    pub limit: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct BreakerView {
    pub name: String,
    pub failures: u32,
    pub last: String,
    pub open_until: Option<DateTime<Utc>>,
    pub open: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct JournalView {
    pub seq: Seq,
    pub epoch: Epoch,
    /// Requests whose fate is not known.
    pub in_doubt: usize,
    /// The replica that leads, where this one stands by and only looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Holder>,
    /// It holds a record of a newer version, so the cluster is in observe.
    pub unknown_record: bool,
    /// Why it could not be used in the last tick; nothing was written to AWS after that.
    pub trouble: Option<String>,
}

/// One point of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, serde::Deserialize, ToSchema)]
pub struct Point {
    pub at: DateTime<Utc>,
    pub cpu_percent: Option<f64>,
    pub memory_percent: Option<f64>,
    pub hosts: usize,
    pub unplaced: u64,
}

/// The writing end: loops of several clusters publish through clones of one.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<watch::Sender<Arc<Status>>>);

impl Publisher {
    /// Begins with no status of any of these clusters. `at` is the machine's clock.
    pub fn new(
        clusters: impl IntoIterator<Item = ClusterName>,
        at: DateTime<Utc>,
    ) -> (Self, watch::Receiver<Arc<Status>>) {
        let status =
            Status { started_at: at, awaited: clusters.into_iter().collect(), ..Status::default() };
        let (sender, receiver) = watch::channel(Arc::new(status));
        (Self(Arc::new(sender)), receiver)
    }

    /// Replaces what is known of one cluster. `at` is the machine's clock.
    pub fn publish(&self, mut cluster: ClusterStatus, at: DateTime<Utc>) {
        self.change(|status| {
            let earlier = status.remembered.remove(&cluster.name).unwrap_or_default();
            cluster.decisions.extend(earlier);
            cluster.decisions.truncate(DECISIONS_MAX);
            status.told_at.insert(cluster.name.clone(), at);
            status.awaited.remove(&cluster.name);
            status.clusters.retain(|known| known.name != cluster.name);
            status.clusters.push(cluster);
            status.clusters.sort_by(|a, b| a.name.cmp(&b.name));
        });
    }

    /// Shows what became of the configuration file.
    pub fn configured(&self, config: ConfigStatus) {
        self.change(|status| status.config = config);
    }

    /// Begins to count for a target, from 0.
    pub fn count_deliveries(&self, target: &str) {
        self.change(|status| {
            status.notifications.entry(target.to_owned()).or_default();
        });
    }

    /// Counts what became of a notification.
    pub fn delivery(&self, target: &str, delivery: Delivery) {
        self.change(|status| {
            let counts = status.notifications.entry(target.to_owned()).or_default();
            match delivery {
                Delivery::Delivered => counts.delivered += 1,
                Delivery::Lost => counts.lost += 1,
            }
        });
    }

    /// Shows a line of the demo's story.
    pub fn narrate(&self, line: impl Into<String>) {
        let line = line.into();
        self.change(|status| status.narration = Some(line));
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.0.send_modify(|status| {
            let status = Arc::make_mut(status);
            status.generation += 1;
            change(status);
        });
    }
}

#[cfg(test)]
pub(crate) mod story;
#[cfg(test)]
mod tests;

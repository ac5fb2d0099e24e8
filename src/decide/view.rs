//! What every step of the decision looks at, and the questions several steps ask of it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
pub use crate::model::Draft;
use crate::model::{
    ActionKind, Fact, Host, HostStatus, InstanceId, Lifecycle, Memory, Pool, PoolId, Resources,
    Rival, Snapshot, Subject, Warning,
};

/// The four arguments of deciding, passed on together.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub config: &'a ClusterConfig,
    pub snapshot: &'a Snapshot,
    pub memory: &'a Memory,
    pub now: DateTime<Utc>,
}

impl<'a> View<'a> {
    pub fn hosts(&self) -> impl Iterator<Item = &'a Host> + use<'a> {
        self.snapshot.hosts.value.values()
    }

    pub fn host(&self, instance: &InstanceId) -> Option<&'a Host> {
        self.snapshot.hosts.value.get(instance)
    }

    /// The pools of the configuration that were seen, in order of preference.
    pub fn pools(&self) -> impl Iterator<Item = &'a Pool> + use<'a> {
        let seen = &self.snapshot.pools.value;
        self.config.pools.iter().filter_map(|pool| seen.get(&pool.id))
    }

    pub fn pool(&self, id: &PoolId) -> Option<&'a Pool> {
        self.config.pool(id)?;
        self.snapshot.pools.value.get(id)
    }

    /// When this fact began: as remembered, else now.
    pub fn since(&self, subject: &Subject, fact: &Fact) -> DateTime<Utc> {
        self.memory.since(subject, fact).unwrap_or(self.now)
    }

    /// Whether its agent has been disconnected for longer than the grace.
    pub fn is_given_up(&self, host: &Host) -> bool {
        if host.is_registered() {
            let lost = Subject::Host(host.instance.clone());
            let since = self.since(&lost, &Fact::AgentLost);
            !host.agent_connected && self.now - since >= self.config.repair.agent_lost
        } else {
            host.is_launching() && self.now - host.launched_at >= self.config.repair.registration
        }
    }

    /// Whether it is leaving: draining by anyone, marked, or terminating.
    pub fn is_leaving(&self, host: &Host) -> bool {
        host.mark.is_some()
            || self.is_warned(host)
            || host.status == HostStatus::Draining
            || self.memory.drains.contains_key(&host.instance)
    }

    /// Whether EC2 takes it, or might where it may be drained for that. Else a recommendation would
    /// order a replacement, and the host would stay beside it.
    pub fn is_warned(&self, host: &Host) -> bool {
        let may_drain = self.config.allow.contains(&ActionKind::Spot);
        host.warned.is_some_and(|warned| warned.warning == Warning::Ends || may_drain)
    }

    /// Hosts on their way out by our mark, which the draining budget counts.
    pub fn draining(&self) -> u64 {
        let marked = self
            .hosts()
            .filter(|host| host.mark.is_some() && host.lifecycle != Lifecycle::Terminating);
        marked.count() as u64
    }

    /// What all usable hosts have and what of it is booked, over which reservation is computed.
    pub fn reservation(&self) -> Reservation {
        Reservation::of(self.snapshot)
    }

    pub fn rivals(&self) -> &'a BTreeSet<Rival> {
        &self.snapshot.rivals.value
    }
}

/// CPU and memory booked by tasks, of what hosts that can really take tasks have registered:
/// active, connected, not draining. (CloudWatch counts draining hosts as capacity.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    pub hosts: u64,
    pub registered: Resources,
    pub reserved: Resources,
}

impl Reservation {
    pub fn of(snapshot: &Snapshot) -> Self {
        let usable = snapshot.hosts.value.values().filter(|host| host.is_usable());
        usable.fold(Self::default(), |sum, host| Self {
            hosts: sum.hosts + 1,
            registered: sum.registered + host.registered,
            reserved: sum.reserved + host.reserved(),
        })
    }

    /// Reserved CPU in percent of registered, rounded up; 0 with no hosts.
    pub fn cpu_percent(&self) -> u64 {
        percent(self.reserved.cpu_units, self.registered.cpu_units)
    }

    /// Reserved memory in percent of registered, rounded up; 0 with no hosts.
    pub fn memory_percent(&self) -> u64 {
        percent(self.reserved.memory_mib, self.registered.memory_mib)
    }
}

/// `part` of `whole` in percent, rounded up: a ceiling is passed by the first unit above it.
pub fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { part.saturating_mul(100).div_ceil(whole) }
}

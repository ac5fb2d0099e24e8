//! Change events and how they fold into a snapshot.
//!
//! Rule: delivery is at least once and unordered, so applying is idempotent and a later version
//! always wins; the order in which changes arrive does not matter.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{InstanceId, PoolId, ServiceName};
use super::resources::Resources;
use super::snapshot::{Host, HostStatus, Snapshot, Warned, Warning};

/// A fact somebody told us between two observations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// The container instance as ECS describes it in its state-change event.
    Host { state: HostState },
    /// The container instance is no more, as of this version.
    HostGone { instance: InstanceId, version: u64 },
    /// EC2 will take the host, or says that it might.
    Warned { instance: InstanceId, warning: Warning, at: DateTime<Utc> },
    /// A task of the cluster started, stopped or waits.
    Task { task: String, status: String },
    /// What ECS says of a service, by the name of its event: `SERVICE_TASK_PLACEMENT_FAILURE`.
    Service { service: ServiceName, event: String },
    /// What EC2 Auto Scaling says of a group.
    Pool { pool: PoolId, event: String },
    /// A CloudWatch alarm went over into this state.
    Alarm { name: String, state: String },
}

/// What an event says of a container instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    pub instance: InstanceId,
    /// ECS's version counter of the container instance.
    pub version: u64,
    pub status: HostStatus,
    pub agent_connected: bool,
    /// CPU and memory; of GPUs and interfaces no event tells.
    pub registered: Resources,
    pub remaining: Resources,
}

impl HostState {
    /// A host that is no more, as of this version.
    fn gone(instance: InstanceId, version: u64) -> Self {
        let none = Resources::ZERO;
        let (status, agent_connected) = (HostStatus::Other, false);
        Self { instance, version, status, agent_connected, registered: none, remaining: none }
    }
}

impl From<&Host> for HostState {
    fn from(host: &Host) -> Self {
        Self {
            instance: host.instance.clone(),
            version: host.version,
            status: host.status,
            agent_connected: host.agent_connected,
            registered: host.registered,
            remaining: host.remaining,
        }
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// It was news, and is in the snapshot now.
    Newer,
    /// The snapshot already knew that or more.
    Stale,
    /// It is about something the snapshot does not hold: only a look can tell.
    Unknown,
}

impl Change {
    /// Whether waiting for the next look would cost what the change is about.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Warned { .. } => true,
            Self::Service { event, .. } => {
                event == "SERVICE_TASK_PLACEMENT_FAILURE" || event == "SERVICE_DEPLOYMENT_FAILED"
            }
            Self::Alarm { state, .. } => state == "ALARM",
            // What waits for room; what starts or stops is looked at in its turn.
            Self::Task { status, .. } => status == "PROVISIONING",
            Self::Host { .. } | Self::HostGone { .. } | Self::Pool { .. } => false,
        }
    }
}

impl Snapshot {
    /// Folds a change in.
    ///
    /// For any set of changes, every order of applying them, with any repetition, gives the same
    /// snapshot.
    pub fn apply(&mut self, change: &Change) -> Applied {
        let instance = match change {
            Change::Host { state } => &state.instance,
            Change::HostGone { instance, .. } | Change::Warned { instance, .. } => instance,
            _ => return Applied::Unknown,
        };
        let Some(host) = self.hosts.value.get_mut(instance) else {
            return Applied::Unknown;
        };
        let before = host.clone();
        match change {
            Change::Host { state } => hear(host, state),
            Change::HostGone { instance, version } => {
                hear(host, &HostState::gone(instance.clone(), *version));
            }
            Change::Warned { warning, at, .. } => {
                let warned = Warned { warning: *warning, at: *at };
                host.warned = Some(before.warned.map_or(warned, |known| known.min(warned)));
            }
            _ => {}
        }
        if *host == before { Applied::Stale } else { Applied::Newer }
    }
}

/// Takes up what is newer. Of two different descriptions of one version, which cannot come from
/// ECS, the larger is kept, so that order does not matter.
fn hear(host: &mut Host, state: &HostState) {
    if rank(state) <= rank(&HostState::from(&*host)) {
        return;
    }
    // GPUs and interfaces only a look can tell.
    let told = |known: Resources, told: Resources| Resources {
        cpu_units: told.cpu_units,
        memory_mib: told.memory_mib,
        ..known
    };
    host.version = state.version;
    host.status = state.status;
    host.agent_connected = state.agent_connected;
    host.registered = told(host.registered, state.registered);
    host.remaining = told(host.remaining, state.remaining);
}

/// A host that is gone says nothing more, so that counts as the last word of its version.
fn rank(state: &HostState) -> impl Ord + use<> {
    let told = |room: Resources| (room.cpu_units, room.memory_mib);
    let rooms = (told(state.registered), told(state.remaining));
    (state.version, state.status, state.agent_connected, rooms)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::model::build;

    fn change() -> impl Strategy<Value = Change> {
        let (hosts, versions) = (0..3_u8, 0..4_u64);
        (hosts, versions, 0..4_u8, any::<bool>()).prop_map(|(n, version, kind, flag)| {
            let mut host = build::host(&format!("i-{n}"));
            let instance = host.instance.clone();
            match kind {
                0 => Change::HostGone { instance, version },
                1 => Change::Warned {
                    instance,
                    warning: if flag { Warning::Ends } else { Warning::AtRisk },
                    at: build::now() + TimeDelta::seconds(version.cast_signed()),
                },
                _ => {
                    host.version = version;
                    host.agent_connected = flag;
                    host.registered = Resources::new(1024 * u64::from(kind), 2048);
                    if flag && kind == 3 {
                        host.status = HostStatus::Other;
                    }
                    Change::Host { state: HostState::from(&host) }
                }
            }
        })
    }

    /// Two of the three hosts are known.
    fn applied(changes: &[Change]) -> Snapshot {
        let mut snapshot = build::snapshot().with_host(build::host("i-0"));
        snapshot = snapshot.with_host(build::host("i-1"));
        for change in changes {
            snapshot.apply(change);
        }
        snapshot
    }

    proptest! {
        #[test]
        fn the_order_and_repetition_of_changes_do_not_matter(
            (changes, shuffled) in prop::collection::vec(change(), 0..8)
                .prop_flat_map(|changes| (Just(changes.clone()), Just(changes).prop_shuffle())),
        ) {
            let twice: Vec<_> = shuffled.iter().chain(&changes).cloned().collect();
            prop_assert_eq!(applied(&changes), applied(&shuffled));
            prop_assert_eq!(applied(&changes), applied(&twice));
        }
    }

    #[test]
    fn an_old_event_does_not_bring_a_host_back() {
        let mut snapshot = applied(&[]);
        let mut host = build::host("i-1");
        host.version = 7;
        let gone = Change::HostGone { instance: host.instance.clone(), version: 9 };
        assert_eq!(snapshot.apply(&gone), Applied::Newer);
        assert_eq!(snapshot.apply(&Change::Host { state: HostState::from(&host) }), Applied::Stale);
        assert!(!snapshot.hosts.value[&host.instance].is_usable());
    }

    #[test]
    fn gpus_and_interfaces_outlast_an_event_that_does_not_tell_of_them() {
        let mut known = build::host("i-1");
        known.registered = Resources { gpus: 2, enis: 3, ..Resources::new(2048, 4096) };
        known.remaining = Resources { gpus: 1, enis: 2, ..Resources::new(1024, 1024) };
        let mut snapshot = build::snapshot().with_host(known.clone());
        let state = HostState {
            version: known.version + 1,
            registered: Resources::new(2048, 4096),
            remaining: Resources::new(512, 512),
            ..HostState::from(&known)
        };
        assert_eq!(snapshot.apply(&Change::Host { state }), Applied::Newer);
        let host = &snapshot.hosts.value[&"i-1".into()];
        assert_eq!(host.registered, known.registered);
        assert_eq!(host.remaining, Resources { gpus: 1, enis: 2, ..Resources::new(512, 512) });
    }

    #[test]
    fn what_the_snapshot_does_not_hold_only_a_look_can_tell() {
        let host = build::host("i-9");
        let change = Change::Host { state: HostState::from(&host) };
        assert_eq!(applied(&[]).apply(&change), Applied::Unknown);
    }

    #[test]
    fn a_host_that_ends_for_certain_is_not_merely_at_risk() {
        let warned = |warning| Change::Warned { instance: "i-1".into(), warning, at: build::now() };
        let mut snapshot = applied(&[warned(Warning::Ends), warned(Warning::AtRisk)]);
        let host = &snapshot.hosts.value[&"i-1".into()];
        assert_eq!(host.warned.map(|warned| warned.warning), Some(Warning::Ends));
        assert!(!host.is_usable());
        assert_eq!(snapshot.apply(&warned(Warning::Ends)), Applied::Stale);
        assert!(applied(&[warned(Warning::AtRisk)]).hosts.value[&"i-1".into()].is_usable());
    }
}

//! Change events and how they fold into a snapshot.
//!
//! Rule: delivery is at least once and unordered, so applying is idempotent and a later version
//! always wins; the order in which changes arrive does not matter.

use serde::{Deserialize, Serialize};

use super::id::InstanceId;
use super::snapshot::{Host, Snapshot};

/// A fact somebody told us between two observations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// The container instance as ECS describes it in its state-change event.
    Host { host: Box<Host> },
    /// The container instance is no more, as of this version.
    HostGone { instance: InstanceId, version: u64 },
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// It was news.
    Newer,
    /// The snapshot already knew that or more.
    Stale,
}

impl Snapshot {
    /// Folds a change in.
    ///
    /// For any set of changes, every order of applying them, with any repetition, gives the same
    /// snapshot.
    pub fn apply(&mut self, change: &Change) -> Applied {
        match change {
            Change::Host { host } => self.apply_host(host),
            Change::HostGone { instance, version } => self.apply_gone(instance, *version),
        }
    }

    fn apply_host(&mut self, host: &Host) -> Applied {
        let gone = self.departed.get(&host.instance).copied();
        if gone.is_some_and(|gone| gone >= host.version) {
            return Applied::Stale;
        }
        // Two different descriptions of one version cannot come from ECS; the larger is kept so
        // that order still does not matter.
        let known = self.hosts.value.get(&host.instance);
        if known.is_some_and(|known| rank(known) >= rank(host)) {
            return Applied::Stale;
        }
        self.departed.remove(&host.instance);
        self.hosts.value.insert(host.instance.clone(), host.clone());
        Applied::Newer
    }

    fn apply_gone(&mut self, instance: &InstanceId, version: u64) -> Applied {
        let gone = self.departed.get(instance).copied();
        let known = self.hosts.value.get(instance).map(|host| host.version);
        if gone >= Some(version) || known > Some(version) {
            return Applied::Stale;
        }
        self.hosts.value.remove(instance);
        self.departed.insert(instance.clone(), version);
        Applied::Newer
    }
}

fn rank(host: &Host) -> (u64, String) {
    (host.version, format!("{host:?}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::build;

    fn change() -> impl Strategy<Value = Change> {
        let (hosts, versions) = (0..3_u8, 0..4_u64);
        (hosts, versions, any::<bool>(), any::<bool>()).prop_map(|(n, version, gone, connected)| {
            let mut host = build::host(&format!("i-{n}"));
            if gone {
                return Change::HostGone { instance: host.instance, version };
            }
            host.version = version;
            host.agent_connected = connected;
            Change::Host { host: Box::new(host) }
        })
    }

    fn applied(changes: &[Change]) -> Snapshot {
        let mut snapshot = build::snapshot();
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
        let mut snapshot = build::snapshot();
        let mut host = build::host("i-1");
        host.version = 7;
        let gone = Change::HostGone { instance: host.instance.clone(), version: 9 };
        assert_eq!(snapshot.apply(&gone), Applied::Newer);
        assert_eq!(snapshot.apply(&Change::Host { host: Box::new(host) }), Applied::Stale);
        assert!(snapshot.hosts.value.is_empty());
    }
}

//! What EventBridge says, and what becomes of a snapshot by it.
//!
//! Each line is the body of a message.

use std::collections::BTreeSet;

use serde_json::json;
use tidegate::eventbridge::told;
use tidegate::model::{Applied, Change, Host, InstanceId, Snapshot};

const CLUSTER: &str = "web";
/// Messages at one time; SQS hands out ten.
const MESSAGES_MAX: usize = 10;

pub(super) fn law(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let changes: Vec<Change> = text.lines().take(MESSAGES_MAX).filter_map(change).collect();
    let known = known(&changes);
    let once = applied(&known, changes.iter());
    let twice = applied(&known, changes.iter().chain(&changes));
    let backwards = applied(&known, changes.iter().rev());
    assert_eq!(once, twice, "repetition matters: {changes:?}");
    assert_eq!(once, backwards, "order matters: {changes:?}");
    let mut again = once.clone();
    for change in &changes {
        assert_ne!(again.apply(change), Applied::Newer, "{change:?} is news twice");
    }
    stays_whole(&known, &once);
}

fn change(body: &str) -> Option<Change> {
    let told = told(body, &CLUSTER.into());
    told.ok()?.change.inspect(change_comes_back)
}

fn change_comes_back(change: &Change) {
    let printed = serde_json::to_string(change).unwrap_or_else(|error| panic!("{error}"));
    let read: Change = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(&read, change);
    let _any = change.is_urgent();
}

/// The snapshot before: every other host that is spoken of.
fn known(changes: &[Change]) -> Snapshot {
    let spoken_of: BTreeSet<&InstanceId> = changes.iter().filter_map(instance).collect();
    let mut snapshot = Snapshot::empty(CLUSTER.into(), super::at(0));
    for instance in spoken_of.into_iter().step_by(2) {
        snapshot.hosts.value.insert(instance.clone(), host(instance));
    }
    snapshot
}

fn instance(change: &Change) -> Option<&InstanceId> {
    match change {
        Change::Host { state } => Some(&state.instance),
        Change::HostGone { instance, .. } | Change::Warned { instance, .. } => Some(instance),
        _ => None,
    }
}

fn host(instance: &InstanceId) -> Host {
    let room = json!({ "cpu_units": 2048, "memory_mib": 4096, "gpus": 1, "enis": 2 });
    let host = json!({
        "instance": instance, "container_instance": "arn:host", "pool": "web",
        "instance_type": "m6i.large", "zone": "eu-west-1a", "market": "spot", "status": "active",
        "lifecycle": "in_service", "agent_connected": true, "protected": false,
        "registered": room, "remaining": room, "running_tasks": 1, "pending_tasks": 0,
        "launched_at": super::at(-600), "registered_at": super::at(-500), "version": 2,
    });
    serde_json::from_value(host).unwrap_or_else(|error| panic!("{error}"))
}

fn applied<'a>(before: &Snapshot, changes: impl Iterator<Item = &'a Change>) -> Snapshot {
    let mut snapshot = before.clone();
    for change in changes {
        let unchanged = snapshot.clone();
        if snapshot.apply(change) != Applied::Newer {
            assert_eq!(snapshot, unchanged, "{change:?} is no news and changed something");
        }
    }
    snapshot
}

/// Changes tell of hosts; they neither make nor lose one, and nothing becomes older.
fn stays_whole(before: &Snapshot, after: &Snapshot) {
    assert!(before.hosts.value.keys().eq(after.hosts.value.keys()));
    for (instance, host) in &after.hosts.value {
        assert_eq!(&host.instance, instance);
        let before = &before.hosts.value[instance];
        assert!(host.version >= before.version, "{instance} became older");
        let beside = |host: &Host| (host.registered.gpus, host.remaining.enis);
        assert_eq!(beside(host), beside(before), "no event tells of these");
    }
    let same = Snapshot { hosts: before.hosts.clone(), ..after.clone() };
    assert_eq!(&same, before, "a change reached beyond the hosts");
}

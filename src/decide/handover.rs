//! Taking a pool over from managed scaling: the smallest change that can be undone.
//!
//! Managed scaling stays enabled, because only then does a task without room wait in
//! `PROVISIONING`, where it can be seen. Its policies are silenced by suspending the group's
//! `AlarmNotification` process; `AZRebalance` goes too, and scale-in protection comes on.

use std::collections::BTreeSet;

use super::drain::batches;
use super::view::{Draft, View};
use crate::model::{Action, ActionKind, Lifecycle, Note, Origin, Planned, Pool, Why};

/// The group's processes a handover suspends.
pub const SUSPENDED: [&str; 2] = ["AZRebalance", "AlarmNotification"];

/// Plans what is missing of every handover a person ordered.
pub fn handovers(view: View<'_>, draft: &mut Draft) {
    for pool in view.pools() {
        let Some(handover) = view.memory.pool(&pool.id).handover else {
            continue;
        };
        let steps = steps(view, pool);
        if steps.is_empty() {
            draft.notes.push(Note::HandedOver { pool: pool.id.clone() });
        }
        for action in steps {
            draft.actions.push(Planned {
                action,
                kind: ActionKind::Handover,
                why: Why::Handover { provider: pool.provider.as_ref().map(|p| p.name.clone()) },
                by: Origin::Operator(handover.by.clone()),
            });
        }
    }
}

/// The requests that would hand this pool over; none when it is done. Fleets have no rival.
pub fn steps(view: View<'_>, pool: &Pool) -> Vec<Action> {
    if pool.id.is_fleet() {
        return Vec::new();
    }
    let id = || pool.id.clone();
    let mut steps = Vec::new();
    let wanted = SUSPENDED.iter().filter(|process| !pool.is_suspended(process));
    let processes: BTreeSet<_> = wanted.map(|process| (*process).to_owned()).collect();
    if !processes.is_empty() {
        steps.push(Action::SetProcesses { pool: id(), processes, suspended: true });
    }
    if !pool.protects_new_hosts {
        steps.push(Action::SetNewHostProtection { pool: id(), was: false, now: true });
    }
    let hosts = view.snapshot.hosts_of(&pool.id);
    let open = hosts.filter(|host| !host.protected && host.lifecycle == Lifecycle::InService);
    let open: BTreeSet<_> = open.map(|host| host.instance.clone()).collect();
    for hosts in batches(&open, Action::PROTECT_MAX) {
        steps.push(Action::ProtectHosts { pool: id(), hosts, now: true });
    }
    steps
}

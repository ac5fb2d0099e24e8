//! Hosts that are no capacity although they exist: agent lost, or never registered.
//!
//! Rule: what is given up is replaced by demand, not by count: its tasks are placed elsewhere
//! first, and only what does not fit orders a host.

use std::collections::BTreeSet;

use super::drain::batches;
use super::view::{Draft, View};
use crate::model::{
    Action, ActionKind, DrainCause, DrainMark, Fact, Hold, Host, InstanceId, Lifecycle, Note,
    Origin, Planned, Pool, Reason, Subject, Why,
};

/// Marks lost hosts for drain, ends those that never registered, and counts failures per pool.
pub fn repair(view: View<'_>, draft: &mut Draft) {
    let mut lost = BTreeSet::new();
    for host in view.hosts().filter(|host| host.lifecycle != Lifecycle::Terminating) {
        let subject = Subject::Host(host.instance.clone());
        if host.is_registered() && !host.agent_connected {
            draft.fact(subject.clone(), Fact::AgentLost);
        }
        let Some(pool) = host.pool.as_ref().and_then(|pool| view.pool(pool)) else {
            continue;
        };
        if !view.is_given_up(host) {
            continue;
        }
        draft.fact(subject.clone(), Fact::GivenUp);
        // A lost agent says nothing about launches; a host that never came does.
        let failed_launch = !host.is_registered();
        if failed_launch && view.memory.since(&subject, &Fact::GivenUp).is_none() {
            let (pool, host) = (pool.id.clone(), host.instance.clone());
            draft.notes.push(Note::HostFailed { pool, host });
        }
        if !host.is_registered() {
            draft.actions.push(end_unregistered(pool, host));
        } else if !view.is_leaving(host) {
            lost.insert(host.instance.clone());
        }
    }
    // A lost agent cannot stop its tasks, so waiting as long as for a healthy host is in vain.
    let deadline =
        view.now + view.config.scale_in.drain_deadline.min(view.config.repair.agent_lost);
    let mark = DrainMark { cause: DrainCause::Repair, deadline };
    let lost = within_budget(view, lost, draft);
    for hosts in batches(&lost, Action::DRAIN_MAX) {
        let since = hosts
            .iter()
            .map(|host| view.since(&Subject::Host(host.clone()), &Fact::AgentLost))
            .min()
            .unwrap_or(view.now);
        draft.actions.push(Planned {
            action: Action::MarkHosts { hosts, mark: Some(mark) },
            kind: mark.cause.kind(),
            why: Why::AgentLost { since },
            by: Origin::Capacity,
        });
    }
    note_serving(view, draft);
}

/// Hosts of the pool that are given up and that memory does not count yet.
pub fn just_given_up(view: View<'_>, pool: &Pool) -> u32 {
    let hosts = view.snapshot.hosts_of(&pool.id);
    let given_up = hosts.filter(|host| {
        let subject = Subject::Host(host.instance.clone());
        host.lifecycle != Lifecycle::Terminating
            && view.is_given_up(host)
            && view.memory.since(&subject, &Fact::GivenUp).is_none()
    });
    u32::try_from(given_up.count()).unwrap_or(u32::MAX)
}

/// The hosts that may begin to leave now; the others are held until those have gone.
fn within_budget(
    view: View<'_>,
    lost: BTreeSet<InstanceId>,
    draft: &mut Draft,
) -> BTreeSet<InstanceId> {
    let limit = view.config.budgets.draining_hosts;
    let used = view.draining();
    let room = usize::try_from(limit.saturating_sub(used)).unwrap_or(usize::MAX);
    for host in lost.iter().skip(room) {
        let budget = "draining_hosts".to_owned();
        let reason = Reason::BudgetSpent { budget, used, limit };
        draft.hold(Hold::new(Subject::Host(host.clone()), ActionKind::Repair, reason));
    }
    lost.into_iter().take(room).collect()
}

/// At the group's minimum a decrement would be refused, so the group replaces it itself, as a
/// fleet always does.
fn end_unregistered(pool: &Pool, host: &Host) -> Planned {
    let weight = pool.weight_of(&host.instance_type);
    let replace =
        pool.id.is_fleet() || pool.desired.0 < pool.min.0 + weight || pool.desired.0 >= pool.max.0;
    Planned {
        action: Action::TerminateHost {
            pool: pool.id.clone(),
            host: host.instance.clone(),
            desired_was: pool.desired,
            replace,
            forced: true,
        },
        kind: DrainCause::Repair.kind(),
        why: Why::NeverRegistered { since: host.launched_at },
        by: Origin::Capacity,
    }
}

/// A host that registered after the last failure ends the row of failures.
fn note_serving(view: View<'_>, draft: &mut Draft) {
    for (pool, memory) in &view.memory.pools {
        let Some(failed_at) = memory.failed_at else {
            continue;
        };
        let serves = |host: &Host| host.registered_at > Some(failed_at) && host.is_usable();
        if view.snapshot.hosts_of(pool).any(serves) {
            draft.notes.push(Note::HostServes { pool: pool.clone() });
        }
    }
}

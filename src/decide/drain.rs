//! Drains under way: each tick derives the next step from the mark, the status and the tasks.
//!
//! Mark, drain, wait until every task has stopped, terminate by id. After the deadline the host
//! is either given back to the scheduler or, when it is lost anyway, ended by force.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Draft, View};
use crate::model::{
    Action, ActionKind, DrainCause, DrainMark, DrainVerdict, Hold, Host, HostStatus, InstanceId,
    Lifecycle, Note, Origin, Planned, Pool, PoolId, Reason, Subject, TaskOwner, TaskStatus, Units,
    Warning, Why,
};

/// Plans the next step of every drain, and notes those that began or ended.
pub fn drains(view: View<'_>, reclaimed: &BTreeSet<InstanceId>, draft: &mut Draft) {
    settle(view, draft);
    let mut starts: BTreeMap<DrainMark, BTreeSet<InstanceId>> = BTreeMap::new();
    let mut emptied: BTreeMap<&PoolId, Vec<(&Host, DrainCause, bool)>> = BTreeMap::new();
    for host in view.hosts() {
        match step(view, host, reclaimed.contains(&host.instance)) {
            Step::None => {}
            Step::Foreign => {
                let subject = Subject::Host(host.instance.clone());
                draft.hold(Hold::new(subject, ActionKind::ScaleIn, Reason::ForeignDrain));
            }
            Step::Drain(mark) => {
                starts.entry(mark).or_default().insert(host.instance.clone());
            }
            Step::Wait(mark, reason) => {
                let subject = Subject::Host(host.instance.clone());
                draft.hold(Hold::new(subject, mark.cause.kind(), reason));
            }
            Step::GiveBack(mark, blocked_by) => give_back(host, mark, blocked_by, draft),
            Step::End { cause, forced } => {
                if let Some(pool) = &host.pool {
                    emptied.entry(pool).or_default().push((host, cause, forced));
                }
            }
        }
    }
    for (mark, hosts) in starts {
        start(mark, &hosts, draft);
    }
    for (pool, hosts) in emptied {
        if let Some(pool) = view.pool(pool) {
            end(view, pool, &hosts, draft);
        }
    }
}

enum Step {
    None,
    /// Draining without our mark.
    Foreign,
    Drain(DrainMark),
    Wait(DrainMark, Reason),
    GiveBack(DrainMark, String),
    End {
        cause: DrainCause,
        forced: bool,
    },
}

fn step(view: View<'_>, host: &Host, needed_again: bool) -> Step {
    if host.lifecycle == Lifecycle::Terminating {
        return Step::None;
    }
    if host.warned.is_some() && (host.mark.is_none() || host.status != HostStatus::Draining) {
        // `interruption` is at it.
        return Step::None;
    }
    let Some(mark) = host.mark else {
        let ours = view.memory.drains.contains_key(&host.instance);
        return match host.status {
            HostStatus::Draining if !ours => Step::Foreign,
            // The mark is gone but the status is still ours to undo.
            HostStatus::Draining => match view.memory.drains.get(&host.instance) {
                Some(drain) => Step::GiveBack(drain.mark, "its mark was removed".to_owned()),
                None => Step::Foreign,
            },
            HostStatus::Registering | HostStatus::Active | HostStatus::Other => Step::None,
        };
    };
    let at_risk = host.warned.is_some_and(|warned| warned.warning == Warning::AtRisk);
    // It may serve on for hours: its tasks are waited for, whatever the deadline.
    let late = view.now >= mark.deadline && !at_risk;
    let lost = matches!(mark.cause, DrainCause::Repair | DrainCause::Spot);
    if mark.cause == DrainCause::Repair && host.agent_connected {
        return Step::GiveBack(mark, "its agent is connected again".to_owned());
    }
    if mark.cause == DrainCause::ScaleIn && needed_again {
        return Step::GiveBack(mark, "tasks that need its room".to_owned());
    }
    if host.status != HostStatus::Draining {
        return match (late, lost) {
            (true, true) => Step::End { cause: mark.cause, forced: true },
            (true, false) => {
                Step::GiveBack(mark, "past its deadline before it took effect".to_owned())
            }
            (false, _) => Step::Drain(mark),
        };
    }
    match remaining(view, host) {
        Remaining::Nothing => Step::End { cause: mark.cause, forced: false },
        Remaining::Unseen if late && lost => Step::End { cause: mark.cause, forced: true },
        Remaining::Unseen => Step::Wait(mark, Reason::TasksUnseen),
        Remaining::Tasks { .. } if late && lost => Step::End { cause: mark.cause, forced: true },
        Remaining::Tasks { named, .. } if late => {
            Step::GiveBack(mark, format!("past its deadline, {named} would not leave"))
        }
        Remaining::Tasks { count, .. } => Step::Wait(mark, Reason::TasksStillStopping { count }),
    }
}

enum Remaining {
    Nothing,
    Tasks { count: u64, named: String },
    Unseen,
}

/// What still runs or stops on it. ECS's own count is not enough: it reaches zero while tasks
/// still answer requests.
fn remaining(view: View<'_>, host: &Host) -> Remaining {
    let Some(tasks) = view.snapshot.tasks.value.get(&host.instance) else {
        return Remaining::Unseen;
    };
    let mut left = tasks.iter().filter(|task| task.status != TaskStatus::Stopped);
    let count = left.clone().count() as u64;
    match left.next() {
        None if host.counted_tasks() == 0 => Remaining::Nothing,
        None => Remaining::Unseen,
        Some(task) => {
            let named = match &task.owner {
                TaskOwner::Service(service) => service.to_string(),
                TaskOwner::Standalone(group) => group.clone(),
            };
            Remaining::Tasks { count, named }
        }
    }
}

fn start(mark: DrainMark, hosts: &BTreeSet<InstanceId>, draft: &mut Draft) {
    for batch in batches(hosts, Action::DRAIN_MAX) {
        draft.actions.push(Planned {
            action: Action::SetHostStatus {
                hosts: batch,
                was: HostStatus::Active,
                now: HostStatus::Draining,
            },
            kind: mark.cause.kind(),
            why: Why::DrainGoesOn { cause: mark.cause, deadline: mark.deadline },
            by: Origin::Capacity,
        });
    }
}

/// Status first, mark last: while the mark stands, the host is known to be ours to reactivate.
fn give_back(host: &Host, mark: DrainMark, blocked_by: String, draft: &mut Draft) {
    let hosts = BTreeSet::from([host.instance.clone()]);
    let action = if host.status == HostStatus::Draining {
        Action::SetHostStatus { hosts, was: HostStatus::Draining, now: HostStatus::Active }
    } else {
        Action::MarkHosts { hosts, mark: None }
    };
    draft.actions.push(Planned {
        action,
        kind: mark.cause.kind(),
        why: Why::DrainAborted { cause: mark.cause, blocked_by },
        by: Origin::Capacity,
    });
}

/// Ends emptied hosts: of a group one by one with decrement; of a fleet its target goes first.
fn end(view: View<'_>, pool: &Pool, hosts: &[(&Host, DrainCause, bool)], draft: &mut Draft) {
    let weight = |host: &Host| pool.weight_of(&host.instance_type);
    let Some((host, cause, forced)) = hosts.first() else {
        return;
    };
    if pool.id.is_fleet() {
        let fulfilled: u32 = view
            .snapshot
            .hosts_of(&pool.id)
            .filter(|host| host.lifecycle != Lifecycle::Terminating)
            .map(weight)
            .sum();
        let leaving: u32 = hosts.iter().map(|(host, ..)| weight(host)).sum();
        // Units above the target already stand for hosts it does not want.
        let excess = fulfilled.saturating_sub(pool.desired.0);
        let target = Units(pool.desired.0.saturating_sub(leaving.saturating_sub(excess)));
        if pool.desired > target {
            draft.actions.push(Planned {
                action: Action::SetPoolCapacity {
                    pool: pool.id.clone(),
                    was: pool.desired,
                    now: target,
                },
                kind: cause.kind(),
                why: Why::FleetOversized { emptied: hosts.len() as u64 },
                by: Origin::Capacity,
            });
            return;
        }
    }
    draft.actions.push(Planned {
        action: Action::TerminateHost {
            pool: pool.id.clone(),
            host: host.instance.clone(),
            desired_was: pool.desired,
            replace: !pool.id.is_fleet() && pool.desired.0 < pool.min.0 + weight(host),
            forced: *forced,
        },
        kind: cause.kind(),
        why: if *forced { Why::Forced { cause: *cause } } else { Why::Emptied { cause: *cause } },
        by: Origin::Capacity,
    });
}

/// Notes drains that began (also those found after a restart) and those that ended.
fn settle(view: View<'_>, draft: &mut Draft) {
    for host in view.hosts() {
        if let (Some(mark), Some(pool)) = (host.mark, &host.pool)
            && !view.memory.drains.contains_key(&host.instance)
        {
            let (host, pool) = (host.instance.clone(), pool.clone());
            draft.notes.push(Note::DrainBegan { host, pool, mark });
        }
    }
    if !view.snapshot.hosts.gaps.is_empty() {
        return;
    }
    for (instance, drain) in &view.memory.drains {
        let verdict = match view.host(instance) {
            None => DrainVerdict::Done,
            Some(host) if host.lifecycle == Lifecycle::Terminating => DrainVerdict::Done,
            Some(host) if host.mark.is_none() && host.status != HostStatus::Draining => {
                if view.now >= drain.mark.deadline {
                    DrainVerdict::Aborted { blocked_by: "its deadline".to_owned() }
                } else {
                    DrainVerdict::Overruled
                }
            }
            Some(_) => continue,
        };
        draft.notes.push(Note::DrainEnded { host: instance.clone(), verdict });
    }
}

/// Splits a set into batches of at most `size`.
pub fn batches(hosts: &BTreeSet<InstanceId>, size: usize) -> Vec<BTreeSet<InstanceId>> {
    let all: Vec<_> = hosts.iter().cloned().collect();
    all.chunks(size).map(|chunk| chunk.iter().cloned().collect()).collect()
}

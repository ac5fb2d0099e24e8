//! Handing back: everything as it was before Tidegate, by plans like all others.
//!
//! Rule: the order of a person is its permission, in any mode; cutovers and releases go their own
//! ways back, and what is written beside them is a first value from the journal.

mod actions;
pub mod print;
pub mod restore;
pub mod told;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::TimeDelta;

use crate::config::ClusterConfig;
use crate::decide::View;
use crate::model::{
    Action, ActionKind, CutoverMemory, Handback, InstanceId, KeptEdge, Memory, Note, Origin, Plan,
    Planned, PoolId, ReleaseStage, Scope, Stage, Why,
};

/// The configuration as it is meant while the cluster is handed back: of services nothing is
/// declared any more, and nothing is retained. An open cutover still needs their groups.
pub fn declared<'a>(config: &'a ClusterConfig, memory: &Memory) -> Cow<'a, ClusterConfig> {
    let covered = under_way(memory).is_some_and(Handback::covers_cluster);
    if !covered || memory.cutovers.values().any(CutoverMemory::is_open) {
        return Cow::Borrowed(config);
    }
    let mut config = config.clone();
    config.retention = TimeDelta::zero();
    config.services.values_mut().for_each(|service| service.exposure = None);
    Cow::Owned(config)
}

/// Puts what a handback wants in the place of everything else that is planned of what it covers.
/// `plan` is made for the configuration of [`declared`].
#[must_use]
pub fn over(view: View<'_>, mut plan: Plan) -> Plan {
    let Some(handback) = &view.memory.handback else {
        return plan;
    };
    let left = restore::restore(view, handback);
    plan.holds.extend(left.holds);
    if !handback.is_under_way() {
        return plan;
    }
    for planned in &mut plan.actions {
        if leads_back(view.memory, handback, planned) {
            planned.kind = ActionKind::Handback;
        }
    }
    let goes = |planned: &Planned| planned.kind == ActionKind::Handback;
    plan.actions.retain(|planned| goes(planned) || !covers(view, handback, &planned.action));
    let kept = |note: &Note| matches!(note, Note::Kept { edge, .. } if *edge != KeptEdge::Declared);
    let done = left.actions.is_empty()
        && !left.waits
        && !plan.actions.iter().any(goes)
        && !plan.notes.iter().any(kept)
        && !is_open(view.memory, handback);
    plan.notes.extend(left.notes);
    if done {
        plan.notes.push(Note::HandedBack);
    }
    let own = left.actions.into_iter().map(|action| planned(handback, action));
    plan.actions.splice(..0, own);
    plan
}

fn planned(handback: &Handback, action: Action) -> Planned {
    let (kind, by) = (ActionKind::Handback, Origin::Operator(handback.by.clone()));
    Planned { action, kind, why: Why::HandsBack { by: handback.by.clone() }, by }
}

/// Whether this action is wanted by the handback that is under way: asked again before each write.
pub fn wants(view: View<'_>, planned: &Planned) -> bool {
    let Some(handback) = under_way(view.memory) else {
        return false;
    };
    match &planned.by {
        Origin::Operator(_) => restore::restore(view, handback).actions.contains(&planned.action),
        _ => leads_back(view.memory, handback, planned),
    }
}

pub fn under_way(memory: &Memory) -> Option<&Handback> {
    memory.handback.as_ref().filter(|handback| handback.is_under_way())
}

/// Whether it ends a cutover or a release, or removes what was made for a service.
fn leads_back(memory: &Memory, handback: &Handback, planned: &Planned) -> bool {
    match &planned.by {
        Origin::Cutover(name) => {
            let back = |stage: Stage| stage == Stage::RollingBack || stage.is_final();
            let cutover = memory.cutovers.get(name);
            handback.covers_cutover(name)
                && cutover.is_some_and(|known| known.routes.values().all(|r| back(r.stage)))
        }
        Origin::Release(service) => {
            let release = memory.releases.get(service);
            handback.covers_cluster()
                && release.is_some_and(|known| known.stage == ReleaseStage::RollingBack)
        }
        Origin::LoadBalancing => {
            handback.covers_cluster()
                && matches!(
                    planned.action,
                    Action::DeleteRule { .. } | Action::DeleteTargetGroup { .. }
                )
        }
        Origin::Capacity | Origin::Operator(_) => false,
    }
}

/// Whether a cutover or a release is still on its way.
fn is_open(memory: &Memory, handback: &Handback) -> bool {
    let mut cutovers = memory.cutovers.iter();
    let mut releases = memory.releases.values();
    let kept = handback.covers_cluster() && !memory.kept.is_empty();
    kept || cutovers.any(|(name, known)| handback.covers_cutover(name) && known.is_open())
        || handback.covers_cluster() && releases.any(|release| release.is_open())
}

/// Whether an action is about something that is handed back.
fn covers(view: View<'_>, handback: &Handback, action: &Action) -> bool {
    let of_host = |host: &InstanceId| view.host(host)?.pool.as_ref();
    let covered = |pool: &PoolId| handback.covers_pool(pool);
    match (&handback.scope, action) {
        (Scope::Cluster, _) => true,
        (Scope::Cutover(_), _) => false,
        (
            _,
            Action::SetPoolCapacity { pool, .. }
            | Action::SetNewHostProtection { pool, .. }
            | Action::ProtectHosts { pool, .. }
            | Action::SetProcesses { pool, .. }
            | Action::TerminateHost { pool, .. },
        ) => covered(pool),
        (_, Action::MarkHosts { hosts, .. } | Action::SetHostStatus { hosts, .. }) => {
            hosts.iter().filter_map(of_host).any(covered)
        }
        _ => false,
    }
}

//! The way back: ECS's circuit breaker goes it by itself; where it has not, one request does.
//!
//! Rule: it waits for nothing but a request of ours whose answer was lost. Windows, pauses and
//! missing metrics never stand in its way, and what somebody else deployed is not overwritten.

use std::collections::BTreeSet;

use crate::model::{
    Action, Draft, Reason, ReleaseStage, ReleaseVerdict, Rollout, TaskDefinitionArn, Why,
};

use super::Step;
use super::view::Release;

/// Rolling back to rolled back.
pub fn lead_back(release: Release<'_>, draft: &mut Draft) -> Step {
    let Some(path) = &release.memory.path else {
        return Step::refuse(ReleaseVerdict::NoService);
    };
    let Some(service) = release.service() else {
        return Step::Judge(ReleaseStage::Superseded, ReleaseVerdict::NoService);
    };
    if let Some(now) = release.memory.now.as_ref().filter(|now| release.runs(now)) {
        write(release, now, &path.was, draft);
        return Step::Stay;
    }
    if !release.runs(&path.was) {
        let (expected, found) = (path.was.clone(), service.definition.clone());
        let verdict = ReleaseVerdict::Superseded { expected, found };
        return Step::Judge(ReleaseStage::Superseded, verdict);
    }
    if let Some(doubt) = release.all.doubt(&release.subject()) {
        release.hold(draft, Reason::InDoubt { since: doubt.since });
        return Step::Stay;
    }
    match service.primary() {
        Some(primary) if primary.rollout != Rollout::Completed => {
            let (running, desired) = (primary.running_count, primary.desired_count);
            release.hold(draft, Reason::GoingBack { running, desired });
            Step::Stay
        }
        _ => {
            let because = format!("{} tasks run {}", service.running_count, path.was.short());
            Step::Go(ReleaseStage::RolledBack, because)
        }
    }
}

fn write(
    release: Release<'_>,
    was: &TaskDefinitionArn,
    now: &TaskDefinitionArn,
    draft: &mut Draft,
) {
    let because = release.memory.verdict.as_ref().map(ToString::to_string).unwrap_or_default();
    let action = Action::Deploy {
        service: release.name.clone(),
        was: was.clone(),
        now: now.clone(),
        // Those of the service stay as they are; ECS ignores ones that ring when it begins.
        alarms: BTreeSet::new(),
        back: true,
    };
    release.act(draft, action, Why::LeadsBack { because });
}

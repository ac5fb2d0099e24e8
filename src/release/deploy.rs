//! The deployment: begun over the revision that was recorded, and watched until ECS is through.
//!
//! Rule: it is ECS's deployment. Tidegate starts it and judges it; a revision of somebody else is
//! left alone and ends the release.

use chrono::TimeDelta;

use crate::model::{
    Action, Draft, Launch, Reason, ReleaseStage, ReleaseVerdict, Rollout, TaskDefinitionArn, Why,
};

use super::view::Release;
use super::{Step, prepare, verdict};

/// Time in which a look may still show the service as it was before the deployment.
const STALE: TimeDelta = TimeDelta::seconds(60);

/// Booked to deploying: one request.
pub fn begin(release: Release<'_>, draft: &mut Draft) -> Step {
    if let Some(now) = release.memory.now.as_ref().filter(|now| release.runs(now)) {
        return Step::Go(ReleaseStage::Deploying, format!("ECS brings {} out", now.short()));
    }
    let path = match prepare::standing(release) {
        Ok(path) => path,
        Err(step) => return step,
    };
    let (Some(service), Some(now)) = (release.service(), release.memory.now.clone()) else {
        return Step::Go(ReleaseStage::Resolved, "registered anew".to_owned());
    };
    // Until ECS counts the deployment's own tasks as missing.
    if service.launch != Launch::Elsewhere && service.surge() > 0 {
        release.book(draft, service.surge());
    }
    if let Some(reason) = release.busy() {
        release.hold(draft, reason);
        return Step::Stay;
    }
    let action = Action::Deploy {
        service: release.name.clone(),
        was: path.was.clone(),
        now,
        alarms: release.cluster.service(release.name).alarms,
        back: false,
    };
    release.act(draft, action, Why::Released { by: release.memory.by.clone() });
    Step::Stay
}

/// Deploying to released, or back.
pub fn watch(release: Release<'_>, draft: &mut Draft) -> Step {
    let (Some(service), Some(now)) = (release.service(), &release.memory.now) else {
        return Step::Judge(ReleaseStage::Superseded, ReleaseVerdict::NoService);
    };
    if !release.runs(now) {
        return left(release, now, draft);
    }
    let Some(deployment) = service.primary() else {
        return Step::Stay;
    };
    if deployment.rollout == Rollout::Completed {
        let because = format!("{} tasks run {}", deployment.running_count, now.short());
        return Step::Go(ReleaseStage::Released, because);
    }
    let done_within = release.cluster.releases.done_within;
    let until = release.memory.since + done_within;
    if deployment.rollout == Rollout::Failed {
        return Step::Judge(ReleaseStage::RollingBack, verdict::of(release));
    }
    if release.now >= until {
        let cause = verdict::cause(release);
        let after_seconds = done_within.num_seconds();
        let verdict = cause.unwrap_or(ReleaseVerdict::TimedOut { after_seconds });
        return Step::Judge(ReleaseStage::RollingBack, verdict);
    }
    release.hold(
        draft,
        Reason::RollingOut {
            running: deployment.running_count,
            desired: deployment.desired_count,
            failed: deployment.failed_tasks,
            until,
        },
    );
    Step::Stay
}

/// The service no longer runs the new revision: ECS leads it back, or somebody else was there.
fn left(release: Release<'_>, now: &TaskDefinitionArn, draft: &mut Draft) -> Step {
    let found = release.service().map(|service| service.definition.clone()).unwrap_or_default();
    let was = release.memory.path.as_ref().map(|path| &path.was);
    if was != Some(&found) {
        let verdict = ReleaseVerdict::Superseded { expected: now.clone(), found };
        return Step::Judge(ReleaseStage::Superseded, verdict);
    }
    let given_up = release.deployment().is_some_and(|ours| ours.rollout == Rollout::Failed);
    let primary = release.service().and_then(|service| service.primary());
    let newer = primary.is_some_and(|primary| primary.created_at > release.memory.since);
    if given_up || newer || release.now - release.memory.since >= STALE {
        return Step::Judge(ReleaseStage::RollingBack, verdict::of(release));
    }
    release.hold(draft, Reason::Outdated { what: format!("what {} runs", release.name) });
    Step::Stay
}

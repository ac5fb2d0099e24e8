//! Why a deployment fails, from what ECS tells of its stopped tasks.

use crate::model::{ReleaseVerdict, Rollout, StopCause, TaskFailure};

use super::view::Release;

/// The verdict of a deployment that ECS has given up.
pub fn of(release: Release<'_>) -> ReleaseVerdict {
    cause(release).unwrap_or(ReleaseVerdict::GivenUp { failed: failed(release) })
}

/// What speaks against the new revision, if anything does: the cause of most failures, of the
/// latest where they are equally many.
pub fn cause(release: Release<'_>) -> Option<ReleaseVerdict> {
    let reason = release.deployment().and_then(|ours| ours.rollout_reason.clone());
    let alarm = |words: &String| words.to_ascii_lowercase().contains("alarm");
    if let Some(message) = reason.filter(alarm) {
        return Some(ReleaseVerdict::Alarm { message });
    }
    let sight = release.sight()?;
    let ours = |failure: &&TaskFailure| {
        Some(&failure.definition) == release.memory.now.as_ref()
            && failure.at >= release.memory.ordered_at
    };
    let failures: Vec<_> = sight.failures.iter().filter(ours).collect();
    let alike = |cause: &StopCause| {
        let same = |other: &&&TaskFailure| {
            std::mem::discriminant(&other.cause) == std::mem::discriminant(cause)
        };
        failures.iter().filter(same).count() as u64
    };
    // `max_by_key` returns the last of equals, and the failures are in order of time.
    if let Some(most) = failures.iter().max_by_key(|failure| alike(&failure.cause)) {
        return Some(told(&most.cause, failed(release).max(alike(&most.cause))));
    }
    let (at, message) = sight.unplaced.clone()?;
    let lacks = release.deployment().is_some_and(|ours| {
        ours.rollout != Rollout::Completed
            && ours.running_count + ours.pending_count < ours.desired_count
    });
    (lacks && at >= release.memory.ordered_at).then_some(ReleaseVerdict::NoCapacity { message })
}

fn failed(release: Release<'_>) -> u64 {
    release.deployment().map_or(0, |ours| ours.failed_tasks)
}

fn told(cause: &StopCause, failed: u64) -> ReleaseVerdict {
    match cause.clone() {
        cause @ StopCause::Exited { .. } => ReleaseVerdict::CrashLoop { failed, cause },
        StopCause::PullFailed { message } => ReleaseVerdict::PullFailure { failed, message },
        StopCause::Unhealthy { message } => ReleaseVerdict::FailedHealthCheck { failed, message },
        StopCause::NotStarted { message } => ReleaseVerdict::NotStarted { failed, message },
    }
}

//! Releases: how one service comes to run a new image by ECS's own deployment, and back.
//!
//! Rule: pure. A release is a walk through the stages of one table; each tick takes at most one
//! stage of it, from what is observed alone, so that a crash anywhere changes nothing but the time.

pub mod back;
pub mod deploy;
pub mod need;
pub mod orders;
pub mod prepare;
pub mod table;
pub mod told;
pub mod verdict;
pub mod view;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use need::need;
pub use view::Release;

use crate::config::ClusterConfig;
use crate::model::{Draft, Memory, ReleaseEdge, ReleaseStage, ReleaseVerdict, Snapshot, Steps};
use table::transition;

/// Everything there is to do about releases, in one look, and the room they will need.
pub fn step(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Steps {
    let mut draft = Draft::default();
    for release in Release::open(config, snapshot, memory, now) {
        let step = match release.blind() {
            Some(reason) => {
                release.hold(&mut draft, reason);
                Step::Stay
            }
            None => (transition(release.stage()).step)(release, &mut draft),
        };
        take(release, step, &mut draft);
    }
    draft.into_steps(now)
}

/// What a stage says of its release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing moves; what is wanted or missing is in the draft.
    Stay,
    /// On to a stage.
    Go(ReleaseStage, String),
    /// To a stage that a verdict leads to.
    Judge(ReleaseStage, ReleaseVerdict),
}

impl Step {
    /// Nothing was deployed, and nothing will be.
    pub fn refuse(verdict: ReleaseVerdict) -> Self {
        Self::Judge(ReleaseStage::Refused, verdict)
    }
}

/// Notes where a step leads.
fn take(release: Release<'_>, step: Step, draft: &mut Draft) {
    let (stage, because, verdict) = match step {
        Step::Stay => return,
        Step::Go(stage, because) => (stage, because, None),
        Step::Judge(stage, verdict) => (stage, verdict.to_string(), Some(verdict)),
    };
    release.note(draft, ReleaseEdge::Moved { stage, because, verdict });
}

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
use crate::model::{
    Booking, Hold, Memory, Note, Plan, Planned, ReleaseEdge, ReleaseStage, ReleaseVerdict,
    Snapshot, Steps,
};
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
        draft.take(release, step);
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

/// Steps in the making.
#[derive(Debug, Default)]
pub struct Draft {
    pub actions: Vec<Planned>,
    pub holds: Vec<Hold>,
    pub notes: Vec<Note>,
    pub bookings: Vec<Booking>,
}

impl Draft {
    /// Notes an edge of a release.
    pub fn edge(&mut self, release: Release<'_>, edge: ReleaseEdge) {
        self.notes.push(Note::Release { service: release.name.clone(), edge });
    }

    fn take(&mut self, release: Release<'_>, step: Step) {
        let (stage, because, verdict) = match step {
            Step::Stay => return,
            Step::Go(stage, because) => (stage, because, None),
            Step::Judge(stage, verdict) => (stage, verdict.to_string(), Some(verdict)),
        };
        self.edge(release, ReleaseEdge::Moved { stage, because, verdict });
    }

    fn into_steps(mut self, now: DateTime<Utc>) -> Steps {
        self.holds.sort();
        self.actions.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.action.cmp(&b.action)));
        let Self { actions, holds, notes, bookings } = self;
        Steps { plan: Plan { as_of: now, actions, holds, notes }, bookings }
    }
}

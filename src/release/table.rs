//! The stages of a release as a table: what each waits for and where it leads.

use super::view::Release;
use super::{Step, back, deploy, prepare};
use crate::model::{Draft, ReleaseStage};

/// One row: in this stage, this is asked at each tick.
pub struct Transition {
    pub from: ReleaseStage,
    /// Where it leads; a person's abort leads to `Refused` before the deployment, to `RollingBack`
    /// after.
    pub to: &'static [ReleaseStage],
    /// What it waits for, in words.
    pub waits_for: &'static str,
    pub step: fn(Release<'_>, &mut Draft) -> Step,
}

/// Every stage once.
pub const TABLE: &[Transition] = &[
    Transition {
        from: ReleaseStage::Ordered,
        to: &[ReleaseStage::Resolved, ReleaseStage::Refused],
        waits_for: "the image's digest, and the image of the way back seen to exist",
        step: prepare::resolve,
    },
    Transition {
        from: ReleaseStage::Resolved,
        to: &[ReleaseStage::Registered, ReleaseStage::Refused, ReleaseStage::Superseded],
        waits_for: "the new revision of the task definition",
        step: prepare::register,
    },
    Transition {
        from: ReleaseStage::Registered,
        to: &[ReleaseStage::Booked, ReleaseStage::Refused, ReleaseStage::Superseded],
        waits_for: "room for the tasks that run beside the old ones",
        step: prepare::book,
    },
    Transition {
        from: ReleaseStage::Booked,
        to: &[ReleaseStage::Deploying, ReleaseStage::Refused, ReleaseStage::Superseded],
        waits_for: "the deployment to begin",
        step: deploy::begin,
    },
    Transition {
        from: ReleaseStage::Deploying,
        to: &[ReleaseStage::Released, ReleaseStage::RollingBack, ReleaseStage::Superseded],
        waits_for: "ECS to bring out all tasks and to find them healthy",
        step: deploy::watch,
    },
    Transition {
        from: ReleaseStage::RollingBack,
        to: &[ReleaseStage::RolledBack, ReleaseStage::Superseded],
        waits_for: "all tasks on the revision from before",
        step: back::lead_back,
    },
    Transition { from: ReleaseStage::Released, to: &[], waits_for: "nothing", step: stay },
    Transition { from: ReleaseStage::RolledBack, to: &[], waits_for: "nothing", step: stay },
    Transition { from: ReleaseStage::Refused, to: &[], waits_for: "nothing", step: stay },
    Transition { from: ReleaseStage::Superseded, to: &[], waits_for: "nothing", step: stay },
];

/// The row of a stage. The table has every stage.
pub fn transition(stage: ReleaseStage) -> &'static Transition {
    let row = TABLE.iter().find(|row| row.from == stage);
    row.unwrap_or(&TABLE[TABLE.len() - 1])
}

fn stay(_: Release<'_>, _: &mut Draft) -> Step {
    Step::Stay
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_stage_has_exactly_one_row() {
        for stage in ReleaseStage::iter() {
            assert_eq!(TABLE.iter().filter(|row| row.from == stage).count(), 1, "{stage}");
            assert_eq!(transition(stage).to.is_empty(), stage.is_final(), "{stage}");
        }
    }
}

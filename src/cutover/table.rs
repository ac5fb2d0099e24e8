//! The stages of a route as a table: what each waits for and where it leads.

use super::view::Route;
use super::{Verdict, back, probe, ready, retire, shift};
use crate::model::{Draft, Stage};

/// One row: in this stage, this is asked at each tick.
pub struct Transition {
    pub from: Stage,
    /// Where it leads when all is well.
    pub to: &'static [Stage],
    /// What it waits for, in words.
    pub waits_for: &'static str,
    pub step: fn(Route<'_>, &mut Draft) -> Verdict,
}

/// Every stage once. A rollback, ordered or by a failed gate, leads from each before `Finalized` to
/// `RollingBack` beside what is listed.
pub const TABLE: &[Transition] = &[
    Transition {
        from: Stage::Planned,
        to: &[Stage::Attached],
        waits_for: "a fit listener, and our own rule with blue 100 and green 0",
        step: ready::attach,
    },
    Transition {
        from: Stage::Attached,
        to: &[Stage::Provisioned],
        waits_for: "green's tasks ordered, scale-in of both sides suspended",
        step: ready::provision,
    },
    Transition {
        from: Stage::Provisioned,
        to: &[Stage::Healthy],
        waits_for: "as many healthy targets as the first step needs",
        step: ready::heal,
    },
    Transition {
        from: Stage::Healthy,
        to: &[Stage::Probed],
        waits_for: "good answers of the probe in a row, before any user is sent",
        step: probe::probe,
    },
    Transition {
        from: Stage::Probed,
        to: &[Stage::Shifting],
        waits_for: "the route before, a person where one is wanted, enough healthy targets",
        step: shift::begin,
    },
    Transition {
        from: Stage::Shifting,
        to: &[Stage::Shifting, Stage::Shifted],
        waits_for: "the weight read back and taken up, the bake time, every gate",
        step: shift::shift,
    },
    Transition {
        from: Stage::Shifted,
        to: &[Stage::Baked],
        waits_for: "the bake time at full weight, every gate",
        step: shift::bake_out,
    },
    Transition {
        from: Stage::Baked,
        to: &[Stage::Tombstoned],
        waits_for: "all routes baked, and the tombstone in place",
        step: retire::tombstone,
    },
    Transition {
        from: Stage::Tombstoned,
        to: &[Stage::Finalized],
        waits_for: "the keep-warm time or a person's finalize, and blue at zero",
        step: retire::finalize,
    },
    Transition {
        from: Stage::Finalized,
        to: &[],
        waits_for: "nothing; undo leads back by way of reviving",
        step: stay,
    },
    Transition {
        from: Stage::RollingBack,
        to: &[Stage::RolledBack],
        waits_for: "the rule at blue 100 again, read back and taken up",
        step: back::roll_back,
    },
    Transition { from: Stage::RolledBack, to: &[], waits_for: "nothing", step: stay },
    Transition {
        from: Stage::Reviving,
        to: &[Stage::RollingBack],
        waits_for: "blue's tasks and healthy targets as before step one",
        step: back::revive,
    },
];

/// The row of a stage. The table has every stage.
pub fn transition(stage: Stage) -> &'static Transition {
    let row = TABLE.iter().find(|row| row.from == stage);
    row.unwrap_or(&TABLE[TABLE.len() - 1])
}

fn stay(_: Route<'_>, _: &mut Draft) -> Verdict {
    Verdict::Stay
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_stage_has_exactly_one_row() {
        for stage in Stage::iter() {
            assert_eq!(TABLE.iter().filter(|row| row.from == stage).count(), 1, "{stage}");
        }
    }
}

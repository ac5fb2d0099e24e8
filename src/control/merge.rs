//! One action per subject: the lowest rank wins, the loser becomes a hold.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::model::{Hold, Memory, Plan, Planned, Reason, Snapshot, Subject};
use crate::{cutover, decide};

/// Everything there is to do: traffic first, since it owns what it touches, then capacity.
pub fn plan(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Plan {
    let mut plan = cutover::step(config, snapshot, memory, now);
    let sized = decide::capacity(config, snapshot, memory, now);
    plan.actions.extend(sized.actions);
    plan.actions.sort_by_key(Planned::rank);
    plan.holds.extend(sized.holds);
    plan.notes.extend(sized.notes);
    merge(plan)
}

/// Settles contests between actions of a plan, which is in order of rank already.
pub fn merge(mut plan: Plan) -> Plan {
    let mut taken: BTreeMap<Subject, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for planned in plan.actions {
        let subjects = planned.action.subjects();
        match subjects.iter().find_map(|subject| taken.get(subject)) {
            Some(winner) => {
                let winner: &crate::model::Planned = &kept[*winner];
                let reason = Reason::Outranked { by: winner.rank(), kind: winner.kind };
                plan.holds.push(Hold::new(planned.subject(), planned.kind, reason));
            }
            None => {
                taken.extend(subjects.into_iter().map(|subject| (subject, kept.len())));
                kept.push(planned);
            }
        }
    }
    plan.holds.sort();
    plan.actions = kept;
    plan
}

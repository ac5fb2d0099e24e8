//! One action per subject: the lowest rank wins, the loser becomes a hold.

use std::collections::BTreeMap;

use crate::model::{Hold, Plan, Reason, Subject};

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

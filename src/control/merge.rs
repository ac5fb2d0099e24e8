//! One action per subject: the lowest rank wins, the loser becomes a hold.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::decide::View;
use crate::model::{Hold, Memory, Plan, Planned, Reason, Snapshot, Subject};
use crate::{cutover, decide, handback, release};

/// Everything there is to do: traffic and releases first, since they own what they touch, then
/// capacity, with the room that they will need.
pub fn plan(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Plan {
    let declared = &*handback::declared(config, memory);
    let moved = cutover::step(declared, snapshot, memory, now);
    let released = release::step(config, snapshot, memory, now);
    let bookings = [moved.bookings, released.bookings].concat();
    let sized = decide::capacity(config, snapshot, memory, &bookings, now);
    let mut plan = moved.plan;
    for part in [released.plan, sized] {
        plan.actions.extend(part.actions);
        plan.holds.extend(part.holds);
        plan.notes.extend(part.notes);
    }
    let mut plan = handback::over(View { config, snapshot, memory, now }, plan);
    plan.actions.sort_by_key(Planned::rank);
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

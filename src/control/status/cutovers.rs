//! The cutovers as they are shown: as they stand, with what the tick planned and held of them.

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::cutover::tell::told;
use crate::cutover::told::CutoverTold;
use crate::model::{Hold, Memory, Origin, Plan, Planned, Snapshot};

pub(super) fn cutovers(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    plan: &Plan,
    verdicts: &[(Planned, Result<(), Hold>)],
    now: DateTime<Utc>,
) -> Vec<CutoverTold> {
    let mut all = told(config, snapshot, memory, now);
    for cutover in all.iter_mut().filter(|cutover| cutover.started_at.is_some()) {
        let by = Origin::Cutover(cutover.name.clone());
        let own: Vec<_> = verdicts.iter().filter(|(one, _)| one.by == by).cloned().collect();
        cutover.join(&own, &plan.holds);
    }
    all
}

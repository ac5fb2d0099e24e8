//! What a replica without the lease shows: the same look and plan as a tick, nothing of it done.
//!
//! Rule: it writes to nothing, neither AWS nor journal.

use super::clock::Clock;
use super::cluster::{Cluster, Verdict};
use super::merge::plan;
use super::tick::TickReport;
use crate::cloud::Cloud;
use crate::journal::Holder;
use crate::model::{Hold, Reason};

/// Looks, and tells what the leader would do by what was recorded until now.
pub async fn stand_by(
    cloud: &impl Cloud,
    cx: &mut Cluster,
    clock: &impl Clock,
    leader: &Holder,
) -> TickReport {
    let began_at = clock.now();
    let snapshot = cx.look(cloud, clock).await;
    let ended_at = clock.now();
    let plan = plan(&cx.config, &snapshot, &cx.memory, ended_at);
    let verdicts = plan.actions.iter().map(|planned| {
        let reason = Reason::StandsBy { leader: leader.owner.clone(), since: leader.since };
        let hold = Hold::new(planned.subject(), planned.kind, reason);
        (planned.clone(), Verdict::Held(hold))
    });
    let verdicts = verdicts.collect();
    TickReport { began_at, ended_at, snapshot, plan, verdicts, trouble: None, calls: cloud.calls() }
}

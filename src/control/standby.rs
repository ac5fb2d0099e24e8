//! What a replica without the lease shows: the same look and plan as a tick, nothing of it done.
//!
//! Rule: it writes to nothing, neither AWS nor journal, and looks at AWS seldom: nothing is done by
//! what it sees, and whoever takes over looks at everything first.

use chrono::TimeDelta;

use super::clock::Clock;
use super::cluster::{Cluster, Verdict};
use super::merge::plan;
use super::tick::TickReport;
use crate::cloud::Cloud;
use crate::journal::Holder;
use crate::model::{Hold, Reason};

/// Time between two looks at AWS.
const SELDOM: TimeDelta = TimeDelta::minutes(5);

/// Looks if it is time, and tells what the leader would do by what was recorded until now.
pub async fn stand_by(
    cloud: &impl Cloud,
    cx: &mut Cluster,
    clock: &impl Clock,
    leader: &Holder,
) -> TickReport {
    let began_at = clock.now();
    let recent = cx.looked_at.is_some_and(|at| at <= began_at && began_at - at < SELDOM);
    let snapshot = match cx.seen.clone().filter(|_| recent) {
        Some(seen) => seen,
        None => cx.look(cloud, clock).await,
    };
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

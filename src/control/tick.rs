//! One look, one plan, its writes. Start, steady state, failover, demo and simulation all come
//! through here.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::clock::Clock;
use super::cluster::{Cluster, Verdict};
use super::inbox::Inbox;
use super::merge::plan;
use crate::cloud::{Calls, Cloud};
use crate::decide::edges::hold_edges;
use crate::journal::{Journal, JournalError};
use crate::model::{Fact, Hold, Note, Outcome, Plan, Planned, Snapshot};

/// Wall-clock time between ticks beyond the interval after which timers for removals start anew.
const CLOCK_JUMP: TimeDelta = TimeDelta::seconds(60);

/// What a tick saw, wanted and did.
#[derive(Debug)]
pub struct TickReport {
    pub began_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub snapshot: Snapshot,
    pub plan: Plan,
    /// Of each planned action, in order.
    pub verdicts: Vec<(Planned, Verdict)>,
    /// The journal failed: nothing was written to AWS after that.
    pub trouble: Option<JournalError>,
    /// Requests sent to AWS since the process started.
    pub calls: Calls,
}

impl TickReport {
    /// Whether a request took effect, or something moved on that others wait for, so that looking
    /// again soon is worth it.
    pub fn acted(&self) -> bool {
        let moved = |note: &Note| match note {
            Note::Cutover { .. } | Note::Release { .. } => true,
            Note::Began { what, .. } => *what == Fact::RoomThere,
            _ => false,
        };
        let done = |verdict: &Verdict| {
            matches!(verdict, Verdict::Acted { outcome: Outcome::Done { .. }, .. })
        };
        self.verdicts.iter().any(|(_, verdict)| done(verdict)) || self.plan.notes.iter().any(moved)
    }

    /// Whether everything was seen and what followed is in the journal.
    pub fn is_good(&self) -> bool {
        self.trouble.is_none() && self.snapshot.gaps().next().is_none()
    }

    /// Everything that was not done, whoever declined it.
    pub fn holds(&self) -> Vec<Hold> {
        let refused = self.verdicts.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Held(hold) => Some(hold.clone()),
            Verdict::Acted { .. } => None,
        });
        let mut holds: Vec<_> = self.plan.holds.iter().cloned().chain(refused).collect();
        holds.sort();
        holds.dedup();
        holds
    }
}

/// Never fails as a whole: a dead journal, a gap or a refusal is in the report.
///
/// `previous` is when the tick before ended, to notice a clock that jumped.
pub async fn tick(
    cloud: &impl Cloud,
    journal: &mut impl Journal,
    cx: &mut Cluster,
    clock: &impl Clock,
    inbox: &mut Inbox,
    previous: Option<DateTime<Utc>>,
) -> TickReport {
    let began_at = clock.now();
    let jumped = jump(previous, began_at, cx.config.interval);
    let trouble = cx.note(journal, jumped.into_iter().collect(), clock).await.err();
    let snapshot = cx.look(cloud, clock).await;
    let now = clock.now();
    let plan = plan(&cx.config, &snapshot, &cx.memory, now);
    let (verdicts, calls) = (Vec::new(), Calls::new());
    let mut report =
        TickReport { began_at, ended_at: now, snapshot, plan, verdicts, trouble, calls };
    if report.trouble.is_none() {
        report.trouble = carry_out(cloud, journal, cx, clock, inbox, &mut report).await.err();
    }
    report.ended_at = clock.now();
    report.calls = cloud.calls();
    report
}

/// Notes first, so that timers survive a crash; then batch by batch in order of rank, as long as nothing speaks
/// against it; then the holds that began and ended.
async fn carry_out(
    cloud: &impl Cloud,
    journal: &mut impl Journal,
    cx: &mut Cluster,
    clock: &impl Clock,
    inbox: &mut Inbox,
    report: &mut TickReport,
) -> Result<(), JournalError> {
    cx.note(journal, report.plan.notes.clone(), clock).await?;
    let mut voided = BTreeSet::new();
    for batch in report.plan.batches() {
        cx.take_orders(journal, inbox, clock).await?;
        cx.ask_switch(cloud, clock).await;
        cx.lease = journal.lease();
        let (admitted, refused) = cx.admit(&report.snapshot, batch, &voided, clock);
        report.verdicts.extend(refused.into_iter().map(|(p, hold)| (p, Verdict::Held(hold))));
        let done = cx.perform(cloud, journal, &report.snapshot, admitted, clock).await?;
        for (planned, verdict) in &done {
            if !matches!(verdict, Verdict::Acted { outcome: Outcome::Done { failed, .. }, .. } if failed.is_empty())
            {
                voided.extend(planned.action.subjects());
            }
        }
        report.verdicts.extend(done);
    }
    let edges = hold_edges(&cx.memory, &report.holds());
    cx.note(journal, edges, clock).await
}

fn jump(previous: Option<DateTime<Utc>>, now: DateTime<Utc>, interval: TimeDelta) -> Option<Note> {
    let by = now - previous?;
    let jumped = by > interval + CLOCK_JUMP || by < -TimeDelta::seconds(5);
    jumped.then(|| Note::ClockJumped { by_seconds: by.num_seconds() })
}

//! From a tick's report to what is shown of it.

use chrono::{DateTime, Utc};

use super::{ActionView, ClusterStatus, Decided, Decision, Fate, Publisher};
use crate::control::cluster::{Cluster, Verdict};
use crate::control::tick::TickReport;
use crate::model::{ClusterName, Hold, Planned};

impl Publisher {
    /// Publishes what a tick saw, wanted and did. Returns its decision if it is news, which the
    /// journal's ring should then keep. `at` is the machine's clock.
    pub fn tell(&self, cx: &Cluster, report: &TickReport, at: DateTime<Utc>) -> Option<Decision> {
        let shown = self.0.borrow().clone();
        let before = shown.cluster(cx.config.name.as_str());
        let (status, news) = told(cx, report, before);
        self.publish(status, at);
        news
    }

    /// Shows what the journal's ring kept of before this process started, newest first, behind the
    /// decisions of its own. What cannot be read is left out.
    pub fn remember(&self, cluster: &ClusterName, kept: Vec<serde_json::Value>) {
        let read = |json| serde_json::from_value(json).ok();
        let decisions = kept.into_iter().filter_map(read).collect();
        self.change(|status| {
            status.remembered.insert(cluster.clone(), decisions);
        });
    }
}

fn told(
    cx: &Cluster,
    report: &TickReport,
    before: Option<&ClusterStatus>,
) -> (ClusterStatus, Option<Decision>) {
    let verdicts: Vec<_> = report.verdicts.iter().map(judged).collect();
    let mut status = ClusterStatus::of(
        &cx.config,
        &report.snapshot,
        &cx.memory,
        &report.plan,
        &verdicts,
        report.ended_at,
    );
    if let Some(before) = before {
        status = status.after(before, cx.config.interval);
    }
    status.journal.leader = cx.standing.leader().cloned();
    status.journal.trouble = report.trouble.as_ref().map(ToString::to_string);
    let missed = not_reached(report);
    let views = missed
        .iter()
        .map(|planned| ActionView::new(planned, Some("a journal that works".to_owned())));
    status.plan.not_allowed.extend(views);

    let decided = report.verdicts.iter().map(|(planned, verdict)| {
        let fate = match verdict {
            Verdict::Held(hold) => Fate::Held { hold: hold.clone() },
            Verdict::Acted { outcome, .. } => Fate::Outcome { outcome: outcome.clone() },
        };
        Decided::new(planned.clone(), fate)
    });
    let missed = missed.into_iter().map(|planned| Decided::new(planned, Fate::NotReached));
    let decision = Decision::of(&status, decided.chain(missed).collect());
    let took = (report.ended_at - report.began_at).to_std();
    status.counters.tick(
        &report.snapshot,
        report.trouble.is_none(),
        took.unwrap_or_default(),
        report.ended_at,
    );
    status.counters.calls(&report.calls);
    status.counters.decision(&decision);
    let news = decision.differs_from(status.decisions.first());
    if news {
        status.decided(decision.clone());
    }
    (status, news.then_some(decision))
}

fn judged((planned, verdict): &(Planned, Verdict)) -> (Planned, Result<(), Hold>) {
    let judged = match verdict {
        Verdict::Held(hold) => Err(hold.clone()),
        Verdict::Acted { .. } => Ok(()),
    };
    (planned.clone(), judged)
}

/// Actions whose turn did not come, because the journal failed before.
fn not_reached(report: &TickReport) -> Vec<Planned> {
    let reached = |planned: &Planned| report.verdicts.iter().any(|(one, _)| one == planned);
    let actions = report.plan.actions.iter();
    actions.filter(|action| !reached(action)).cloned().collect()
}

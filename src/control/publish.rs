//! What a tick tells the world: the cluster's new status, and a decision when there is news.

use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::cluster::{Cluster, Verdict};
use super::status::{ClusterStatus, Decided, Decision, Fate, Publisher};
use super::tick::TickReport;
use crate::journal::Journal;

/// Publishes one cluster; keeps what the next status takes over from the last.
pub struct Voice {
    publisher: Publisher,
    before: Option<ClusterStatus>,
}

impl Voice {
    pub fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            before: None,
        }
    }

    /// Publishes what a tick saw, wanted and did; a decision goes to the ring when it is news.
    pub fn tell(&mut self, cx: &Cluster, journal: &mut impl Journal, report: &TickReport) {
        let now = report.ended_at;
        let judged: Vec<_> = report
            .verdicts
            .iter()
            .map(|(p, v)| (p.clone(), judged(v)))
            .collect();
        let mut status = ClusterStatus::of(
            &cx.config,
            &report.snapshot,
            &cx.memory,
            &report.plan,
            &judged,
            now,
        );
        if let Some(before) = &self.before {
            status = status.after(before, cx.config.interval / 2);
        }
        status.journal.trouble = report.trouble.as_ref().map(ToString::to_string);
        let took = (report.ended_at - report.began_at)
            .to_std()
            .unwrap_or(Duration::ZERO);
        status
            .counters
            .tick(&report.snapshot, report.trouble.is_none(), took, now);
        let decision = Decision::of(&status, decided(report));
        status.counters.decision(&decision);
        if decision.differs_from(status.decisions.first()) {
            if let Ok(json) = serde_json::to_value(&decision) {
                journal.keep_decision(&decision.id, decision.at, &json);
            }
            log(&decision);
            status.decided(decision);
        }
        self.before = Some(status.clone());
        self.publisher.publish(status, SystemClock.now());
    }
}

fn judged(verdict: &Verdict) -> Result<(), crate::model::Hold> {
    match verdict {
        Verdict::Held(hold) => Err(hold.clone()),
        Verdict::Acted { .. } => Ok(()),
    }
}

/// Every action of the plan with its fate; what the tick did not get to is said so.
fn decided(report: &TickReport) -> Vec<Decided> {
    let fate = |planned: &crate::model::Planned| {
        let verdict = report.verdicts.iter().find(|(of, _)| of == planned);
        match verdict.map(|(_, verdict)| verdict) {
            Some(Verdict::Held(hold)) => Fate::Held { hold: hold.clone() },
            Some(Verdict::Acted { outcome, .. }) => Fate::Outcome {
                outcome: outcome.clone(),
            },
            None => Fate::NotReached,
        }
    };
    report
        .plan
        .actions
        .iter()
        .map(|p| Decided::new(p.clone(), fate(p)))
        .collect()
}

fn log(decision: &Decision) {
    for decided in &decision.actions {
        if let Fate::Outcome { outcome } = &decided.fate {
            tracing::info!(
                cluster = %decision.cluster, decision = %decision.id, action = %decided.text,
                why = %decided.why, ?outcome, "acted"
            );
        }
    }
}

//! What has been counted since the process started; metrics are filled from it.
//!
//! Rule: only sums, so that a scrape that is missed loses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::decision::{Decision, Fate};
use crate::cloud::Calls;
use crate::model::{Failure, Outcome, Snapshot};

/// Sums since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Counters {
    pub ticks: u64,
    /// Ticks whose observation was complete and whose journal worked.
    pub good_ticks: u64,
    pub last_good_tick_at: Option<DateTime<Utc>>,
    pub tick_durations: Durations,
    /// Actions by name, reason code and what became of them.
    pub actions: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
    /// Refusals of the guard by reason code.
    pub guard_rejections: BTreeMap<String, u64>,
    /// Reads that failed, by AWS call and failure.
    pub failed_reads: BTreeMap<String, BTreeMap<String, u64>>,
    pub throttles: u64,
    /// Requests sent to AWS, retries included, by service, operation and result.
    pub aws_requests: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    /// Given up, after several attempts or at once.
    Lost,
}

/// Sums since the process started, of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Deliveries {
    pub delivered: u64,
    pub lost: u64,
}

/// How long ticks took, in buckets up to [`Durations::BOUNDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Durations {
    pub count: u64,
    pub sum_microseconds: u64,
    /// How many took at most the bound of the same place, and longer than the one before.
    pub buckets: Vec<u64>,
}

impl Durations {
    /// Upper bounds in seconds.
    pub const BOUNDS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

    fn add(&mut self, took: Duration) {
        self.count += 1;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_microseconds = self.sum_microseconds.saturating_add(micros);
        self.buckets.resize(Self::BOUNDS.len(), 0);
        let place = Self::BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place)) {
            *bucket += 1;
        }
    }
}

impl Counters {
    /// Counts one tick. `journalled` is false when the journal could not be used.
    pub fn tick(
        &mut self,
        snapshot: &Snapshot,
        journalled: bool,
        took: Duration,
        now: DateTime<Utc>,
    ) {
        self.ticks += 1;
        self.tick_durations.add(took);
        let complete = snapshot.gaps().next().is_none();
        if complete && journalled {
            self.good_ticks += 1;
            self.last_good_tick_at = Some(now);
        }
        for gap in snapshot.gaps() {
            let calls = self.failed_reads.entry(gap.source.clone()).or_default();
            *calls.entry(code(&gap.failure)).or_default() += 1;
            self.throttles += u64::from(gap.failure == Failure::Throttled);
        }
    }

    /// Takes over what the cloud has counted.
    pub fn calls(&mut self, calls: &Calls) {
        for (call, count) in calls {
            let operations = self.aws_requests.entry(call.service.clone()).or_default();
            let results = operations.entry(call.operation.clone()).or_default();
            results.insert(<&str>::from(call.result).to_owned(), *count);
        }
    }

    /// Counts what a tick decided and what became of it; every tick, stored decision or not.
    pub fn decision(&mut self, decision: &Decision) {
        for decided in &decision.actions {
            let result = match &decided.fate {
                Fate::Outcome { outcome } => result(outcome),
                Fate::Held { hold } => {
                    let rejections = self.guard_rejections.entry(hold.reason.code().to_owned());
                    *rejections.or_default() += 1;
                    "held"
                }
                Fate::NotReached => "not_reached",
            };
            let name = decided.planned.action.name().to_owned();
            let reasons = self.actions.entry(name).or_default();
            let results = reasons.entry(decided.planned.why.code().to_owned()).or_default();
            *results.entry(result.to_owned()).or_default() += 1;
            if let Fate::Outcome { outcome: Outcome::Refused { failure: Failure::Throttled } } =
                &decided.fate
            {
                self.throttles += 1;
            }
        }
    }
}

fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { failed, .. } if failed.is_empty() => "done",
        Outcome::Done { .. } => "partly_done",
        Outcome::Moved { .. } => "moved",
        Outcome::Refused { .. } => "refused",
        Outcome::InDoubt { .. } => "in_doubt",
    }
}

fn code(failure: &Failure) -> String {
    let name = match failure {
        Failure::Throttled => "throttled",
        Failure::AccessDenied { .. } => "access_denied",
        Failure::NotFound { .. } => "not_found",
        Failure::Refused { .. } => "refused",
        Failure::NoCapacity { .. } => "no_capacity",
        Failure::Timeout => "timeout",
        Failure::Unavailable { .. } => "unavailable",
        Failure::Implausible { .. } => "implausible",
        Failure::Credentials { .. } => "credentials",
    };
    name.to_owned()
}

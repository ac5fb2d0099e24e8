//! The safety kernel: the last word on every write. Fails closed and cannot be gone round.
//!
//! Rule: only [`admit`] makes an [`Admitted`], only a journal turns that into an intent, and only
//! an intent can be acted on. Each check is a named function that returns the reason against.

mod checks;
mod handback;
mod release;
mod stop;
mod traffic;

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::ClusterConfig;
use crate::model::{Epoch, Hold, Memory, Mode, Planned, Snapshot, Switch};

/// An action that passed every check. Only [`admit`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted(Planned);

impl Admitted {
    /// What was admitted; used by the journal to make the intent.
    pub fn into_planned(self) -> Planned {
        self.0
    }

    pub fn planned(&self) -> &Planned {
        &self.0
    }
}

/// Proof that this process is the cluster's one writer, under this epoch, until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub epoch: Epoch,
    /// `None`: held for as long as the process lives (an exclusively locked journal).
    pub valid_until: Option<DateTime<Utc>>,
    /// A request is only begun with this much time before the end, and ends before it.
    pub write_time: Duration,
}

impl Lease {
    /// Of a process that nobody can follow while it lives.
    pub fn exclusive(epoch: Epoch) -> Self {
        Self { epoch, valid_until: None, write_time: Duration::ZERO }
    }

    /// How long a request may take that begins now, `most` at most; `None`: it could outlive the
    /// lease.
    pub fn time_limit(&self, now: DateTime<Utc>, most: Duration) -> Option<Duration> {
        let Some(until) = self.valid_until else { return Some(most) };
        let left = (until - now).max(TimeDelta::zero()).to_std().unwrap_or_default();
        (!left.is_zero() && left >= self.write_time).then(|| left.min(most))
    }
}

/// What the guard judges by.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub config: &'a ClusterConfig,
    pub snapshot: &'a Snapshot,
    pub memory: &'a Memory,
    pub lease: &'a Lease,
    /// As it was read for this batch of writes.
    pub switch: &'a Switch,
    pub now: DateTime<Utc>,
}

/// Checks an action freshly before its write. The first reason against it wins.
pub fn admit(case: Case<'_>, planned: Planned) -> Result<Admitted, Hold> {
    match checks::ALL.iter().find_map(|check| check(case, &planned)) {
        None => Ok(Admitted(planned)),
        Some(reason) => Err(Hold::new(planned.subject(), planned.kind, reason)),
    }
}

/// The mode in force: the lowest of the configured ceiling and the stored mode.
pub fn effective_mode(config: &ClusterConfig, memory: &Memory) -> Mode {
    config.mode.min(memory.mode)
}

//! The safety kernel: the last word on every write. Fails closed and cannot be gone round.
//!
//! Rule: only [`admit`] makes an [`Admitted`], only a journal turns that into an intent, and only
//! an intent can be acted on. Each check is a named function that returns the reason against.

mod checks;
mod handback;
mod release;
mod traffic;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::model::{Epoch, Hold, Memory, Mode, Planned, Snapshot};

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
}

/// What the guard judges by.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub config: &'a ClusterConfig,
    pub snapshot: &'a Snapshot,
    pub memory: &'a Memory,
    pub lease: &'a Lease,
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

//! The port to AWS: look, act, and hear of changes. `aws` and `sim` stand behind it.

use std::future::Future;
use std::time::Duration;

use crate::journal::Intent;
use crate::model::{Change, ClusterName, Need, Outcome, Snapshot};

/// AWS, or a simulation of it.
pub trait Cloud: Send + Sync {
    /// Reads what is needed. Never fails as a whole: what could not be read is a gap.
    fn observe(&self, need: &Need) -> impl Future<Output = Snapshot> + Send;

    /// Makes one AWS request: re-reads what the action assumed, sends at most once per intent,
    /// reads back, and ends within `time_limit`.
    fn act(&self, intent: &Intent, time_limit: Duration) -> impl Future<Output = Outcome> + Send;

    /// Returns when something changed. Facts only; never returning means polling only.
    fn changes(&self, cluster: &ClusterName) -> impl Future<Output = Vec<Change>> + Send;
}

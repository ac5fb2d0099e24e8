//! The port to AWS: look, act, and hear of changes. `aws` and `sim` stand behind it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::Intent;
use crate::model::{Change, ClusterName, Failure, Need, Outcome, Snapshot, Stop};

/// AWS, or a simulation of it.
pub trait Cloud: Send + Sync {
    /// Reads what is needed. Never fails as a whole: what could not be read is a gap.
    fn observe(&self, need: &Need) -> impl Future<Output = Snapshot> + Send;

    /// Makes one AWS request: re-reads what the action assumed, sends at most once per intent,
    /// reads back, and ends within `time_limit`.
    fn act(&self, intent: &Intent, time_limit: Duration) -> impl Future<Output = Outcome> + Send;

    /// Returns when something changed. Facts only; never returning means polling only.
    fn changes(&self, cluster: &ClusterName) -> impl Future<Output = Vec<Change>> + Send;

    /// Until when every change would have been told by `changes`; `None` where nothing is told, or
    /// nobody knows, and only looking helps.
    fn hears_until(&self) -> Option<DateTime<Utc>>;

    /// Reads the stop switch; nothing stands in one that is not configured.
    ///
    /// # Errors
    /// When it does not answer within a few seconds, or may not be read.
    fn stop_switch(&self) -> impl Future<Output = Result<Option<Stop>, Failure>> + Send;

    /// Requests sent to AWS so far, retries included.
    fn calls(&self) -> Calls;
}

/// How many calls of each kind. Bounded: one entry an operation and result.
pub type Calls = BTreeMap<Call, u64>;

/// What a count of calls is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// As the SDK names it: `ECS`, `EC2`, `Auto Scaling`, `Application Auto Scaling`.
    pub service: String,
    /// As the API names it: `DescribeServices`.
    pub operation: String,
    pub result: CallResult,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CallResult {
    Ok,
    /// AWS answered with an error, or with what could not be read.
    Error,
    NoAnswer,
}

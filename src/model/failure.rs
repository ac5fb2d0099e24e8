//! How an AWS call can fail, one variant for each different reaction.

use serde::{Deserialize, Serialize};

/// A failure of AWS or of the way to it. `Display` completes "… failed: ".
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Failure {
    /// Slow down; the last answer stays in use while it is young enough.
    #[error("throttled by AWS")]
    Throttled,
    /// Name the missing permission; other actions go on.
    #[error("not permitted: {action}")]
    AccessDenied { action: String },
    /// The thing is gone: look again before anything else.
    #[error("not found: {what}")]
    NotFound { what: String },
    /// AWS refused the request as it stands: repeating it will not help.
    #[error("refused by AWS: {message}")]
    Refused { message: String },
    /// No capacity of this kind just now.
    #[error("no capacity: {message}")]
    NoCapacity { message: String },
    /// Nothing came back in time.
    #[error("no answer within the time limit")]
    Timeout,
    /// AWS failed (5xx) or could not be reached.
    #[error("AWS is failing: {message}")]
    Unavailable { message: String },
    /// The answer cannot be true, or lacks what it must hold.
    #[error("implausible answer: {message}")]
    Implausible { message: String },
    /// No credentials, expired ones, or a clock too far off to sign with.
    #[error("credentials: {message}")]
    Credentials { message: String },
}

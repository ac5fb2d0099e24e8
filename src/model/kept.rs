//! What Tidegate keeps for services on listeners, and since when nobody asks for it.
//!
//! Rule: remembered from before the first of it is made until the last of it is gone, so that what
//! leaves the configuration is found again after any restart.

use serde::{Deserialize, Serialize};

use super::id::{ListenerArn, ServiceName};

/// The rules and the target group of a service on a listener.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct KeptAt {
    pub service: ServiceName,
    pub listener: ListenerArn,
    /// By name: it may not exist yet, and need not be ours.
    pub group: String,
}

/// One edge, written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "edge")]
pub enum KeptEdge {
    /// The configuration asks for it.
    Declared,
    /// It no longer asks for some of what stands: the time until removal begins.
    Unwanted,
    /// It does again.
    Wanted,
    /// Nothing of ours is left.
    Gone,
}

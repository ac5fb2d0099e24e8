//! What people and programs may do, from looking to deciding who may.

use serde::{Deserialize, Serialize};

/// Each may do what those before it may. Stopping is cheaper than starting.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    utoipa::ToSchema,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Stops: pause, a lower mode, abort, rollback.
    Operator,
    /// Starts: a higher mode, resume, handover, cutovers and releases.
    Releaser,
    /// Says who may do what.
    Admin,
}

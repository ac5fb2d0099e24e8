//! How much Tidegate may do, from nothing to everything that is allowed.

use serde::{Deserialize, Serialize};

/// The lowest of the configured ceiling, the stored mode and what a guard left wins.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Look and say what would be done. The first mode of every cluster.
    #[default]
    Observe,
    /// As observe; shown plans are meant to be carried out by a person.
    Recommend,
    /// Do what is allowed.
    Act,
}

//! A drain: a mark on the container instance, kept in ECS, plus what memory knows of it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::action::ActionKind;

/// Why a host leaves.
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
    utoipa::ToSchema,
    strum::Display,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DrainCause {
    /// Its tasks fit elsewhere.
    ScaleIn,
    /// Its agent is lost, or it never registered.
    Repair,
    /// EC2 takes the instance back.
    Spot,
    /// Its launch template, image or age has drifted.
    Replace,
    /// The same tasks are cheaper elsewhere.
    Consolidate,
}

impl DrainCause {
    /// The permission it needs.
    pub fn kind(self) -> ActionKind {
        match self {
            Self::ScaleIn => ActionKind::ScaleIn,
            Self::Repair => ActionKind::Repair,
            Self::Spot => ActionKind::Spot,
            Self::Replace => ActionKind::Replace,
            Self::Consolidate => ActionKind::Consolidate,
        }
    }
}

/// What the ECS attribute [`DrainMark::ATTRIBUTE`] holds: `cause@deadline`.
///
/// ECS allows 1 to 128 characters of letters, digits, hyphens, underscores, periods, at signs,
/// slashes, colons and spaces in a value (API reference, `Attribute`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct DrainMark {
    pub cause: DrainCause,
    /// After it the drain is given a verdict: aborted and reactivated, or forced.
    pub deadline: DateTime<Utc>,
}

impl DrainMark {
    /// The attribute's name on the container instance.
    pub const ATTRIBUTE: &'static str = "tidegate.drain";
}

impl fmt::Display for DrainMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deadline = self.deadline.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{}@{deadline}", self.cause)
    }
}

impl FromStr for DrainMark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a drain mark (`cause@deadline`)");
        let (cause, deadline) = text.split_once('@').ok_or_else(bad)?;
        let deadline = DateTime::parse_from_rfc3339(deadline).map_err(|_| bad())?;
        Ok(Self { cause: cause.parse().map_err(|_| bad())?, deadline: deadline.to_utc() })
    }
}

/// How a drain ended.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum DrainVerdict {
    /// Terminated with all tasks stopped.
    Done,
    /// The deadline passed; the host takes tasks again. `blocked_by` names what would not leave.
    Aborted { blocked_by: String },
    /// The instance disappeared by itself.
    Vanished,
    /// Somebody else took our mark or status away.
    Overruled,
}

/// What memory knows of a drain under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Drain {
    pub mark: DrainMark,
    pub pool: super::id::PoolId,
    pub began_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_way_through_ecs() {
        let mark = DrainMark {
            cause: DrainCause::ScaleIn,
            deadline: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        };
        assert_eq!(mark.to_string(), "scale_in@2027-01-15T08:00:00Z");
        assert_eq!(mark.to_string().parse(), Ok(mark));
        assert!("scale_in".parse::<DrainMark>().is_err());
        assert!("boredom@2027-01-15T08:00:00Z".parse::<DrainMark>().is_err());
    }
}

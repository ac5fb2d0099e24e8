//! Time spans in which kinds of action are forbidden.
//!
//! Rule: pure; the moment is an argument, the time zone is the window's own.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::model::ActionKind;

/// A weekly span, in its own time zone, that forbids kinds of action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub forbid: BTreeSet<ActionKind>,
    /// As written in the configuration: `Fri 16:00 - Mon 07:00 Europe/Berlin`.
    pub text: String,
    pub start: WeekMinute,
    pub end: WeekMinute,
    pub zone: chrono_tz::Tz,
}

/// Minutes since Monday 00:00, local time of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekMinute(pub u32);

impl Window {
    /// Whether this kind may not begin at `now`.
    pub fn forbids(&self, kind: ActionKind, now: DateTime<Utc>) -> bool {
        self.forbid.contains(&kind) && self.contains(now)
    }

    /// Whether `now` lies inside the span; the end is not part of it.
    pub fn contains(&self, _now: DateTime<Utc>) -> bool {
        false
    }

    /// When the window that contains `now` ends.
    pub fn ends_at(&self, _now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        None
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

//! Time spans in which kinds of action are forbidden.
//!
//! Rule: pure; the moment is an argument, the time zone is the window's own. Where a clock change
//! makes a local time happen twice or never, the window is the longer of the possible ones.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};

use crate::model::ActionKind;

/// Weekly spans, in one time zone, that forbid kinds of action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub forbid: BTreeSet<ActionKind>,
    /// As written in the configuration: `Fri 16:00 - Mon 07:00 Europe/Berlin`.
    pub text: String,
    /// Disjoint, not touching, sorted; never the whole week.
    pub spans: Vec<Span>,
    pub zone: chrono_tz::Tz,
}

/// Part of a week. The end is not part of it; an end before the start lies in the next week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: WeekMinute,
    pub end: WeekMinute,
}

/// Minutes since Monday 00:00, local time of the window, below [`WeekMinute::WEEK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekMinute(pub u32);

impl WeekMinute {
    /// Minutes of a week.
    pub const WEEK: u32 = 7 * Self::DAY;
    /// Minutes of a day.
    pub const DAY: u32 = 24 * 60;
}

impl Span {
    fn minutes(self) -> u32 {
        (self.end.0 + WeekMinute::WEEK - self.start.0) % WeekMinute::WEEK
    }
}

impl Window {
    /// Whether a window may bind this kind: only what can wait without harm.
    pub fn binds(kind: ActionKind) -> bool {
        match kind {
            ActionKind::ScaleIn
            | ActionKind::Replace
            | ActionKind::Consolidate
            | ActionKind::Services
            | ActionKind::Cutover => true,
            ActionKind::ScaleOut
            | ActionKind::Repair
            | ActionKind::Spot
            | ActionKind::Handover
            | ActionKind::Handback => false,
        }
    }

    /// Whether this kind may not begin at `now`.
    pub fn forbids(&self, kind: ActionKind, now: DateTime<Utc>) -> bool {
        self.forbid.contains(&kind) && self.contains(now)
    }

    /// Whether `now` lies inside a span; its end is not part of it.
    pub fn contains(&self, now: DateTime<Utc>) -> bool {
        self.ends_at(now).is_some()
    }

    /// The first moment after `now` that lies in no span; `None` when `now` itself lies in none.
    pub fn ends_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let times = self.occurrences_around(now);
        let mut end = None;
        // A clock change may make two spans touch, so the end of one can lie in another.
        while let Some((_, until)) =
            times.iter().find(|(from, until)| (*from..*until).contains(&end.unwrap_or(now)))
        {
            end = Some(*until);
        }
        end
    }

    /// The spans of last, this and next week as moments.
    fn occurrences_around(&self, now: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let local = now.with_timezone(&self.zone).naive_local();
        let since_monday = Days::new(local.weekday().num_days_from_monday().into());
        let Some(monday) = local.date().checked_sub_days(since_monday) else {
            return Vec::new();
        };
        let weeks = [
            monday.checked_sub_days(Days::new(7)),
            Some(monday),
            monday.checked_add_days(Days::new(7)),
        ];
        let occurrence = |monday: chrono::NaiveDate, span: &Span| {
            let start = TimeDelta::minutes(span.start.0.into());
            let start = monday.and_time(chrono::NaiveTime::MIN).checked_add_signed(start)?;
            let end = start.checked_add_signed(TimeDelta::minutes(span.minutes().into()))?;
            Some((self.first_moment(start)?, self.last_moment(end)?))
        };
        weeks
            .into_iter()
            .flatten()
            .flat_map(|monday| {
                let spans = self.spans.iter();
                spans.filter_map(move |span| occurrence(monday, span))
            })
            .collect()
    }

    fn first_moment(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        Some(self.moments(local)?.0)
    }

    fn last_moment(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        Some(self.moments(local)?.1)
    }

    /// When the zone's clocks show this time: twice if they are set back over it. A time they
    /// skip is the moment they jump; the longest jump was a whole day, over a date line.
    fn moments(&self, local: NaiveDateTime) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        (0..=i64::from(WeekMinute::DAY)).find_map(|skipped| {
            let local = local.checked_add_signed(TimeDelta::minutes(skipped))?;
            match self.zone.from_local_datetime(&local) {
                LocalResult::Single(once) => Some((once.to_utc(), once.to_utc())),
                LocalResult::Ambiguous(first, second) => Some((first.to_utc(), second.to_utc())),
                LocalResult::None => None,
            }
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests;

//! The stop switch: one value in AWS by which anyone with the console stops every replica.
//!
//! Rule: what it said holds until it says something else; a switch that does not answer is no
//! permission.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// How far it stops.
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
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StopMode {
    /// Nothing voluntary: what is missing is still ordered, and the way back is open.
    Pin,
    /// Nothing is written at all.
    Observe,
}

/// A stop that stands in the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stop {
    pub mode: StopMode,
    pub because: String,
}

impl Stop {
    /// From the switch's text: `pin REASON` or `observe REASON`. Whoever writes something else
    /// wants a stop as well, and gets the whole one.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let (word, because) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (mode, because) = match word.trim_end_matches(':') {
            "pin" => (StopMode::Pin, because.trim()),
            "observe" => (StopMode::Observe, because.trim()),
            _ => (StopMode::Observe, text),
        };
        Self { mode, because: because.to_owned() }
    }
}

/// What is known of the switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// What it said when it last answered.
    pub stop: Option<Stop>,
    pub answered_at: Option<DateTime<Utc>>,
    pub asked_at: Option<DateTime<Utc>>,
    /// Why it did not answer the last time.
    pub failure: Option<Failure>,
}

impl Switch {
    /// Several batches of one tick share an answer no older than this.
    const FRESH: TimeDelta = TimeDelta::seconds(5);

    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        let age = self.asked_at.map(|at| now - at);
        age.is_some_and(|age| age >= TimeDelta::zero() && age < Self::FRESH)
    }

    /// Takes up what came of asking.
    pub fn take(&mut self, answer: Result<Option<Stop>, Failure>, at: DateTime<Utc>) {
        self.asked_at = Some(at);
        match answer {
            Ok(stop) => (self.stop, self.answered_at, self.failure) = (stop, Some(at), None),
            Err(failure) => self.failure = Some(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_word_of_ours_stops_everything() {
        for (text, mode, because) in [
            ("pin incident 7", StopMode::Pin, "incident 7"),
            ("pin", StopMode::Pin, ""),
            (" observe: freeze\n", StopMode::Observe, "freeze"),
            ("pinned", StopMode::Observe, "pinned"),
            ("stop it", StopMode::Observe, "stop it"),
        ] {
            assert_eq!(Stop::read(text), Stop { mode, because: because.to_owned() }, "{text}");
        }
    }
}

//! Durations, numbers and truth values: how each is written and what it must look like.

use std::borrow::Cow;

use chrono::TimeDelta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::error::Problems;
use super::node::{Node, Value};
use super::read::{Read, needs};

/// A time such as `30s`, `5m`, `2h` or `1h30m`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period(pub(super) TimeDelta);

/// A whole number from 1 to 100.
#[derive(Clone, Copy, Debug)]
pub(super) struct Percent(pub(super) u32);

impl Period {
    /// Reads the number and unit pairs, largest unit first.
    pub(super) fn parse(text: &str) -> Option<TimeDelta> {
        let mut seconds: i64 = 0;
        let mut rest = text;
        let mut unit_above = i64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let unit = match tail.bytes().next()? {
                b'h' => 3600,
                b'm' => 60,
                b's' => 1,
                _ => return None,
            };
            if unit >= unit_above {
                return None;
            }
            unit_above = unit;
            seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
            rest = &tail[1..];
        }
        (!text.is_empty()).then(|| TimeDelta::try_seconds(seconds)).flatten()
    }

    /// As it is written: whole seconds, zero units left out.
    pub(super) fn text(period: TimeDelta) -> String {
        let seconds = period.num_seconds();
        let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
        let nonzero = parts.into_iter().filter(|(count, _)| *count != 0);
        let text: String = nonzero.map(|(count, unit)| format!("{count}{unit}")).collect();
        if text.is_empty() { "0s".to_owned() } else { text }
    }
}

const PERIOD_REMEDY: &str = "write a whole number and a unit: `30s`, `5m`, `2h` or `1h30m`";

impl Read for Period {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let (message, remedy) = match &node.value {
            Value::Text(text) => match Self::parse(text) {
                Some(period) => return Some(Self(period)),
                None => (format!("`{text}` is no duration"), likely_period(text)),
            },
            Value::Whole(number) => (
                format!("{number} has no unit"),
                Some(format!("write `{number}m` for minutes, `{number}s` or `{number}h`")),
            ),
            other => (needs("a duration", other), None),
        };
        problems.add(node.place, path, message, remedy.unwrap_or(PERIOD_REMEDY.to_owned()));
        None
    }
}

/// `15 min` and `15 minutes` can only mean `15m`.
fn likely_period(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" => {
            return Some(format!("write `{number}m` for minutes, `{number}s` or `{number}h`"))
                .filter(|_| digits > 0);
        }
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "min" | "mins" | "minute" | "minutes" | "m" => "m",
        "hr" | "hrs" | "hour" | "hours" | "h" => "h",
        _ => return None,
    };
    (digits > 0).then(|| format!("write `{number}{unit}`"))
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]+[hms])+$" })
    }
}

/// A whole number that fits; `remedy` says which would be good.
fn whole(node: &Node, path: &str, remedy: &str, problems: &mut Problems) -> Option<u32> {
    let (message, remedy) = match &node.value {
        Value::Whole(number) => match u32::try_from(*number) {
            Ok(number) => return Some(number),
            Err(_) => (format!("{number} is out of range"), remedy.to_owned()),
        },
        Value::Text(text) => {
            let bare = text.trim().trim_end_matches('%').trim_end();
            let bare = bare.parse::<u32>().ok();
            let exact = bare.map(|number| format!("write `{number}`, without quotes or unit"));
            let message = needs("a whole number", &node.value);
            (message, exact.unwrap_or_else(|| remedy.to_owned()))
        }
        other => (needs("a whole number", other), remedy.to_owned()),
    };
    problems.add(node.place, path, message, remedy);
    None
}

/// What 0 would mean is for whoever asks to say.
impl Read for u32 {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        whole(node, path, "write a whole number, 1 or more", problems)
    }
}

impl Read for Percent {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write a whole number from 1 to 100";
        match whole(node, path, remedy, problems)? {
            percent @ 1..=100 => Some(Self(percent)),
            other => {
                let message = format!("{other} is out of range");
                problems.add(node.place, path, message, remedy);
                None
            }
        }
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 100 })
    }
}

impl Read for bool {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Flag(flag) => Some(*flag),
            other => {
                let message = needs("true or false", other);
                problems.add(node.place, path, message, "write `true` or `false`");
                None
            }
        }
    }
}

//! Decimal numbers, milliseconds and stickiness: how each is written.

use std::borrow::Cow;

use chrono::TimeDelta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::error::Problems;
use super::node::{Node, Value};
use super::read::{Read, needs};
use super::scalar::Period;

/// A number in plain digits, such as `2`, `0.5` or `-1.25`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal(pub(super) String);

/// A share in percent with up to two decimals, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BasisPoints(pub(super) u32);

/// A time such as `300ms` or `2s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Millis(pub(super) u32);

/// A time that clients stay with what answered them; `None`: they do not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stickiness(pub(super) Option<TimeDelta>);

/// More digits than anybody means.
const DIGITS_MAX: usize = 20;

impl Read for Decimal {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write a number in plain digits, such as `2` or `0.5`, without quotes";
        let text = match &node.value {
            Value::Whole(number) => number.to_string(),
            Value::Fraction(number) => number.to_string(),
            other => {
                problems.add(node.place, path, needs("a number", other), remedy);
                return None;
            }
        };
        if text.len() > DIGITS_MAX {
            problems.add(node.place, path, "has too many digits", remedy);
            return None;
        }
        Some(Self(text))
    }
}

impl BasisPoints {
    /// `0.5` is 50.
    fn parse(text: &str) -> Option<u32> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let (whole, hundredths) = (whole.parse::<u32>().ok()?, format!("{decimals:0<2}"));
        let points = whole.checked_mul(100)?.checked_add(hundredths.parse::<u32>().ok()?)?;
        (hundredths.len() == 2 && points <= 10_000).then_some(points)
    }

    /// As it is written.
    pub(super) fn text(points: u32) -> String {
        let text = format!("{}.{:02}", points / 100, points % 100);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Read for BasisPoints {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let Decimal(text) = Decimal::read(node, path, problems)?;
        let points = Self::parse(&text);
        if points.is_none() {
            let message = format!("{text} is no percentage with two decimals at most");
            problems.add(node.place, path, message, "write a number from 0 to 100, such as `0.5`");
        }
        points.map(Self)
    }
}

/// The longest latency that can be a limit.
const LATENCY_MAX_MS: u32 = 600_000;

impl Millis {
    pub(super) fn parse(text: &str) -> Option<u32> {
        let number = match text.strip_suffix("ms") {
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok(),
            _ => Period::parse(text).and_then(|period| period.num_milliseconds().try_into().ok()),
        };
        number.filter(|number| (1..=LATENCY_MAX_MS).contains(number))
    }

    /// As it is written.
    pub(super) fn text(millis: u32) -> String {
        match millis % 1000 {
            0 => Period::text(TimeDelta::milliseconds(millis.into())),
            _ => format!("{millis}ms"),
        }
    }
}

impl Read for Millis {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write a latency from `1ms` to `10m`, such as `300ms` or `2s`";
        let (message, remedy) = match &node.value {
            Value::Text(text) => match Self::parse(text) {
                Some(millis) => return Some(Self(millis)),
                None => (format!("`{text}` is no latency"), remedy.to_owned()),
            },
            Value::Whole(number) => {
                (format!("{number} has no unit"), format!("write `{number}ms` or `{number}s`"))
            }
            other => (needs("a latency", other), remedy.to_owned()),
        };
        problems.add(node.place, path, message, remedy);
        None
    }
}

impl Read for Stickiness {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "off" => Some(Self(None)),
            Value::Flag(_) => {
                let message = needs("`off` or a duration", &node.value);
                problems.add(node.place, path, message, "write `off`, or a duration such as `1h`");
                None
            }
            _ => Period::read(node, path, problems).map(|Period(period)| Self(Some(period))),
        }
    }
}

macro_rules! schemas {
    ($($name:ident: $schema:tt;)*) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schemas! {
    Decimal: { "type": "number" };
    BasisPoints: { "type": "number", "minimum": 0, "maximum": 100 };
    Millis: { "type": "string", "pattern": "^([0-9]+ms|([0-9]+[hms])+)$" };
    Stickiness: { "type": "string", "pattern": "^(off|([0-9]+[hms])+)$" };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_two_decimals_at_most() {
        for (text, points) in [("0", 0), ("0.5", 50), ("0.25", 25), ("2", 200), ("100", 10_000)] {
            assert_eq!(BasisPoints::parse(text), Some(points));
            assert_eq!(BasisPoints::text(points), text);
        }
        for text in ["-1", "-0.5", "0.125", "100.01", "1e3", "", "."] {
            assert_eq!(BasisPoints::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_latency_is_in_milliseconds_or_longer_units() {
        for (text, millis) in [("300ms", 300), ("2s", 2000), ("1m30s", 90_000), ("1500ms", 1500)] {
            assert_eq!(Millis::parse(text), Some(millis));
            assert_eq!(Millis::text(millis), text);
        }
        for text in ["0ms", "ms", "-1ms", "1s500ms", "11m", "0.3s", "300us"] {
            assert_eq!(Millis::parse(text), None, "{text}");
        }
    }
}

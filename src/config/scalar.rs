//! The single values of the configuration: how each is written and what it must look like.

use std::borrow::Cow;

use chrono::TimeDelta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use strum::IntoEnumIterator;

use super::error::Problems;
use super::node::{Node, Value};
use super::read::{Read, needs};
use super::{CountOwner, Evict, Like, Window, suggest};
use crate::model::{ActionKind, ClusterName, Mode, ServiceName};

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
        (!text.is_empty())
            .then(|| TimeDelta::try_seconds(seconds))
            .flatten()
    }

    /// As it is written: whole seconds, zero units left out.
    pub(super) fn text(period: TimeDelta) -> String {
        let seconds = period.num_seconds();
        let parts = [
            (seconds / 3600, 'h'),
            (seconds / 60 % 60, 'm'),
            (seconds % 60, 's'),
        ];
        let nonzero = parts.into_iter().filter(|(count, _)| *count != 0);
        let text: String = nonzero
            .map(|(count, unit)| format!("{count}{unit}"))
            .collect();
        if text.is_empty() {
            "0s".to_owned()
        } else {
            text
        }
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
                Some(format!(
                    "write `{number}m` for minutes, `{number}s` or `{number}h`"
                )),
            ),
            other => (needs("a duration", other), None),
        };
        problems.add(
            node.place,
            path,
            message,
            remedy.unwrap_or(PERIOD_REMEDY.to_owned()),
        );
        None
    }
}

/// `15 min` and `15 minutes` can only mean `15m`.
fn likely_period(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" => {
            return Some(format!(
                "write `{number}m` for minutes, `{number}s` or `{number}h`"
            ))
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

/// A whole number within `min` and `max`.
fn whole(node: &Node, path: &str, min: i128, max: i128, problems: &mut Problems) -> Option<i128> {
    let number = match &node.value {
        Value::Whole(number) => *number,
        other => {
            let bare = match other {
                Value::Text(text) => text
                    .trim()
                    .trim_end_matches('%')
                    .trim_end()
                    .parse::<i128>()
                    .ok(),
                _ => None,
            };
            let remedy = match bare {
                Some(number) => format!("write `{number}`, without quotes or unit"),
                None => format!("write a whole number from {min} to {max}"),
            };
            problems.add(node.place, path, needs("a whole number", other), remedy);
            return None;
        }
    };
    if !(min..=max).contains(&number) {
        let remedy = format!("write a whole number from {min} to {max}");
        problems.add(
            node.place,
            path,
            format!("{number} is out of range"),
            remedy,
        );
        return None;
    }
    Some(number)
}

impl Read for u32 {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        u32::try_from(whole(node, path, 0, u32::MAX.into(), problems)?).ok()
    }
}

impl Read for Percent {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        u32::try_from(whole(node, path, 1, 100, problems)?)
            .ok()
            .map(Self)
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

impl Read for String {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = match &node.value {
            Value::Text(text)
                if text.chars().any(char::is_control) || text.trim() != text || text.is_empty() =>
            {
                let message = "is empty or has spaces or control characters around or in it";
                problems.add(
                    node.place,
                    path,
                    message,
                    "write it on one line, without them",
                );
                return None;
            }
            Value::Text(text) => return Some(text.clone()),
            Value::Whole(number) => format!("write it in quotes: \"{number}\""),
            Value::Flag(flag) => format!("write it in quotes: \"{flag}\""),
            Value::Fraction(number) => format!("write it in quotes: \"{number}\""),
            Value::Null => "write one, or leave the key out".to_owned(),
            Value::List(_) | Value::Map(_) => "write one name".to_owned(),
        };
        problems.add(node.place, path, needs("text", &node.value), remedy);
        None
    }
}

/// Text of which `fits` is true.
fn checked(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    (what, remedy): (&str, &str),
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = String::read(node, path, problems)?;
    if fits(&text) {
        return Some(text);
    }
    problems.add(node.place, path, format!("`{text}` is no {what}"), remedy);
    None
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $remedy:literal, $fits:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, JsonSchema)]
        #[schemars(transparent, inline)]
        pub(super) struct $name(pub(super) String);

        impl Read for $name {
            fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
                checked(node, path, problems, ($what, $remedy), $fits).map(Self)
            }
        }
    )*};
}

texts! {
    // 1 to 255 characters from 33 to 126 without `:` (Auto Scaling API reference); the prefix is
    // how a fleet is told from a group elsewhere.
    GroupName: "name of an Auto Scaling group",
        "write the group's name as `aws autoscaling describe-auto-scaling-groups` shows it",
        |text| (1..=255).contains(&text.len())
            && text.bytes().all(|byte| (33..=126).contains(&byte) && byte != b':')
            && !text.starts_with("spot-fleet/");
    FleetId: "Spot Fleet request id",
        "write the id, which begins with `sfr-`, as `aws ec2 describe-spot-fleet-requests` shows it",
        |text| text.len() > 4 && text.starts_with("sfr-") && text.bytes().all(is_word);
    Region: "AWS Region",
        "write its code, such as `eu-west-1`",
        |text| text.contains('-') && text.bytes().all(|byte| byte.is_ascii_lowercase()
            || byte.is_ascii_digit() || byte == b'-');
    RoleArn: "ARN of an IAM role",
        "write it in full: `arn:aws:iam::ACCOUNT:role/NAME`",
        is_role;
    // 2 to 1224 of these characters (STS API reference, AssumeRole).
    ExternalId: "external id",
        "write 2 to 1224 letters, digits and any of `_+=,.@:/-`",
        |text| (2..=1224).contains(&text.len())
            && text.bytes().all(|byte| is_word(byte) || b"+=,.@:/".contains(&byte));
}

/// Letters, digits, hyphens and underscores, as ECS allows them in names.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// 1 to 255 characters that ECS allows in names of clusters and services.
pub(super) fn is_ecs_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(is_word)
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
}

/// What a service's name must be, for a place where it is a key.
pub(super) const SERVICE_REMEDY: &str =
    "write the service's name, not its ARN: letters, digits, `-` and `_`";

impl Read for ServiceName {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        checked(
            node,
            path,
            problems,
            ("name of an ECS service", SERVICE_REMEDY),
            is_ecs_name,
        )
        .map(Self::new)
    }
}

impl Read for ClusterName {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let remedy = "write the cluster's name, not its ARN: letters, digits, `-` and `_`";
        checked(
            node,
            path,
            problems,
            ("name of an ECS cluster", remedy),
            is_ecs_name,
        )
        .map(Self::new)
    }
}

/// What headroom is measured by: `largest`, or a service's name.
impl Read for Like {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == Self::LARGEST => Some(Self::LargestTask),
            _ => ServiceName::read(node, path, problems).map(Self::TasksOf),
        }
    }
}

impl JsonSchema for Like {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Like".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// One of `values`, by name.
fn choice<T: ToString>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    what: &str,
    values: impl IntoIterator<Item = T>,
) -> Option<T> {
    let mut values: Vec<(String, T)> = values
        .into_iter()
        .map(|value| (value.to_string(), value))
        .collect();
    if let Value::Text(text) = &node.value
        && let Some(found) = values.iter().position(|(name, _)| name == text)
    {
        return Some(values.swap_remove(found).1);
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let known = format!("write one of: {}", names.join(", "));
    let (message, remedy) = match &node.value {
        Value::Text(text) => {
            let guess =
                suggest::nearest(text, names).map(|name| format!("did you mean `{name}`? "));
            (
                format!("`{text}` is no {what}"),
                guess.unwrap_or_default() + &known,
            )
        }
        other => (needs(&format!("a {what}"), other), known),
    };
    problems.add(node.place, path, message, remedy);
    None
}

impl Read for Mode {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let modes = [Self::Observe, Self::Recommend, Self::Act];
        choice(node, path, problems, "mode", modes)
    }
}

fn says(node: &Node, word: &str) -> bool {
    matches!(&node.value, Value::Text(text) if text == word)
}

impl Read for ActionKind {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        if says(node, "handover") {
            let message = "`handover` cannot be listed: a person orders it each time";
            let remedy = "remove it; `tidegate handover` takes a pool over";
            problems.add(node.place, path, message, remedy);
            return None;
        }
        let kinds = Self::iter().filter(|kind| *kind != Self::Handover);
        choice(node, path, problems, "kind of action", kinds)
    }
}

/// A kind of action that a window may hold back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voluntary(pub(super) ActionKind);

impl Read for Voluntary {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let kind = ActionKind::read(node, path, problems)?;
        if Window::binds(kind) {
            return Some(Self(kind));
        }
        let message =
            format!("{kind} always passes: no window holds back what keeps tasks running");
        let remedy = "remove it; to stop it altogether leave it out of `allow`";
        problems.add(node.place, path, message, remedy);
        None
    }
}

impl JsonSchema for Voluntary {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Voluntary".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = ActionKind::iter().filter(|kind| Window::binds(*kind));
        let names: Vec<String> = kinds.map(|kind| kind.to_string()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

impl Read for CountOwner {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        if says(node, "tidegate") {
            let message = "is not available yet: Tidegate writes no desired counts";
            problems.add(node.place, path, message, "leave it `external`");
            return None;
        }
        choice(
            node,
            path,
            problems,
            "owner of a desired count",
            [Self::External],
        )
    }
}

impl Read for Evict {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        choice(
            node,
            path,
            problems,
            "eviction rule",
            [Self::WhenReplaced, Self::Never],
        )
    }
}

//! A cluster's configuration as lines of YAML.
//!
//! Rule: every setting has its line here; what is printed from them loads to the same value.

use std::fmt;

use chrono::TimeDelta;
use serde::{Serialize, Serializer};

use super::measure::Millis;
use super::scalar::Period;
use super::{ClusterConfig, Like};
use crate::model::PoolId;

mod access;
mod block;
mod cutover;
mod notify;
mod service;

pub(super) use access::access;
use block::Block;
pub(super) use notify::notify;

/// A value as the configuration writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Left out, and nothing stands for it.
    Unset,
    Flag(bool),
    Number(u64),
    /// In plain digits.
    #[serde(serialize_with = "as_number")]
    Decimal(String),
    Text(String),
    List(Vec<String>),
    Numbers(Vec<u32>),
}

fn as_number<S: Serializer>(digits: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match digits.parse::<f64>() {
        Ok(number) => serializer.serialize_f64(number),
        Err(_) => serializer.serialize_str(digits),
    }
}

/// As YAML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => Ok(()),
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Decimal(digits) => f.write_str(digits),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Numbers(items) => write!(f, "{items:?}"),
        }
    }
}

/// Quoted unless YAML reads it as text anyway: a duration, or what begins with a letter and is
/// neither a truth value nor null.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with(':')
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_./:".contains(sign));
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let word = words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let time = Period::parse(text).is_some() || Millis::parse(text).is_some();
    if (plain && !word) || time {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One line: a setting, or a key with more lines below it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Within the cluster: `scale_in.drain_deadline`.
    pub(super) path: String,
    /// Spaces, and the dash of a list's item.
    indent: String,
    key: String,
    /// `None`: a key with lines below it.
    pub(super) value: Option<Value>,
    /// It says what would be so without it.
    pub(super) default: bool,
    /// Where else it may be written, nearest first.
    pub(super) elsewhere: Vec<String>,
}

impl Line {
    fn or_at(&mut self, paths: impl IntoIterator<Item = String>) {
        self.elsewhere.extend(paths);
    }

    /// Whether it belongs to an item of a list or to one service.
    pub(super) fn in_item(&self) -> bool {
        self.path.contains('[') || self.path.starts_with("services.")
    }

    /// How deep it stands below the cluster's own keys, from 0.
    pub(super) fn depth(&self) -> usize {
        self.indent.len() / 2
    }
}

/// Without indentation of the cluster itself.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { indent, key, .. } = self;
        match &self.value {
            None => write!(f, "{indent}{key}:"),
            // A key without a value would be an error when read.
            Some(Value::Unset) => write!(f, "{indent}# {key}: unset"),
            Some(value) => write!(f, "{indent}{key}: {value}"),
        }
    }
}

/// Collects lines; keeps the path and the indentation that belong together.
struct Lines(Vec<Line>);

impl Lines {
    fn push(&mut self, indent: &str, path: String, value: Option<Value>, default: bool) {
        let key = path.rsplit('.').next().unwrap_or_default().to_owned();
        let indent = indent.to_owned();
        self.0.push(Line { path, indent, key, value, default, elsewhere: Vec::new() });
    }

    fn set(&mut self, path: &str, value: Value, default: bool) {
        self.push("", path.to_owned(), Some(value), default);
    }

    /// A table of settings: name, value, default.
    fn table(&mut self, name: &str, settings: Vec<(&str, Value, Value)>) {
        let all_default = settings.iter().all(|(_, value, default)| value == default);
        self.push("", name.to_owned(), None, all_default);
        for (key, value, default) in settings {
            let is_default = value == default;
            self.push("  ", format!("{name}.{key}"), Some(value), is_default);
        }
    }

    /// A list of tables; of each the first setting is always written.
    fn items(&mut self, name: &str, default: bool, items: Vec<Vec<(&str, Value, bool)>>) {
        if items.is_empty() {
            return self.set(name, Value::List(Vec::new()), default);
        }
        self.push("", name.to_owned(), None, default);
        for (index, item) in items.into_iter().enumerate() {
            for (place, (key, value, is_default)) in item.into_iter().enumerate() {
                let indent = if place == 0 { "  - " } else { "    " };
                self.push(indent, format!("{name}[{index}].{key}"), Some(value), is_default);
            }
        }
    }
}

fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

fn optional(value: Option<&String>) -> Value {
    value.map_or(Value::Unset, text)
}

fn number(value: Option<impl Into<u64>>) -> Value {
    value.map_or(Value::Unset, |number| Value::Number(number.into()))
}

fn time(period: TimeDelta) -> Value {
    text(Period::text(period))
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> Value {
    Value::List(values.into_iter().map(|value| value.to_string()).collect())
}

/// All settings of a cluster, in the order in which they are explained.
pub(super) fn lines(cluster: &ClusterConfig) -> Vec<Line> {
    let default = ClusterConfig::new(cluster.name.clone(), Vec::new());
    let mut lines = Lines(Vec::new());
    lines.set("name", text(&cluster.name), false);
    for (key, value) in [
        ("region", &cluster.region),
        ("role_arn", &cluster.role_arn),
        ("external_id", &cluster.external_id),
    ] {
        lines.set(key, optional(value.as_ref()), value.is_none());
    }
    lines.set("mode", text(cluster.mode), cluster.mode == default.mode);
    lines.set("allow", list(&cluster.allow), cluster.allow == default.allow);
    pools(cluster, &mut lines);
    ceiling(cluster, &default, &mut lines);
    headroom(cluster, &default, &mut lines);
    services(cluster, &mut lines);
    cutovers(cluster, &mut lines);
    windows(cluster, &mut lines);
    limits(cluster, &default, &mut lines);
    lines.0
}

fn pools(cluster: &ClusterConfig, lines: &mut Lines) {
    let pool = |pool: &super::PoolConfig| {
        let max = pool.max.map_or(Value::Unset, |max| Value::Number(max.into()));
        let (key, name) = match &pool.id {
            PoolId::AutoScalingGroup(name) => ("auto_scaling_group", name),
            PoolId::SpotFleet(id) => ("spot_fleet", id),
        };
        vec![
            (key, text(name), false),
            ("retiring", Value::Flag(pool.retiring), !pool.retiring),
            ("max", max, pool.max.is_none()),
            ("price_percent", Value::Number(pool.price_percent.into()), pool.price_percent == 100),
        ]
    };
    lines.items("pools", false, cluster.pools.iter().map(pool).collect());
}

fn ceiling(cluster: &ClusterConfig, default: &ClusterConfig, lines: &mut Lines) {
    let (now, default) = (cluster.reservation_ceiling, default.reservation_ceiling);
    let number = Value::Number;
    let settings = vec![
        ("cpu_percent", number(now.cpu_percent), number(default.cpu_percent)),
        ("memory_percent", number(now.memory_percent), number(default.memory_percent)),
    ];
    lines.table("reservation_ceiling", settings);
}

fn headroom(cluster: &ClusterConfig, default: &ClusterConfig, lines: &mut Lines) {
    let is_default = cluster.headroom == default.headroom;
    let item = |headroom: &super::Headroom| {
        let like = match &headroom.like {
            Like::LargestTask => text(Like::LARGEST),
            Like::TasksOf(service) => text(service),
        };
        vec![("tasks_like", like, is_default), ("count", Value::Number(headroom.count), is_default)]
    };
    lines.items("headroom", is_default, cluster.headroom.iter().map(item).collect());
}

fn services(cluster: &ClusterConfig, lines: &mut Lines) {
    if cluster.services.is_empty() {
        return;
    }
    lines.push("", "services".to_owned(), None, false);
    for (name, service) in &cluster.services {
        let path = format!("services.{name}");
        lines.push("  ", path.clone(), None, false);
        if let Some(line) = lines.0.last_mut() {
            line.key = quoted(name.as_str());
        }
        service::service(name, service, &mut Block::below(lines, path, 4));
    }
}

fn cutovers(cluster: &ClusterConfig, lines: &mut Lines) {
    if cluster.cutovers.is_empty() {
        return;
    }
    lines.push("", "cutovers".to_owned(), None, false);
    for (index, cutover) in cluster.cutovers.iter().enumerate() {
        let path = format!("cutovers[{index}]");
        cutover::cutover(cutover, &mut Block::item(lines, path, 4));
    }
}

fn windows(cluster: &ClusterConfig, lines: &mut Lines) {
    let item = |window: &super::Window| {
        vec![("forbid", list(&window.forbid), false), ("when", text(&window.text), false)]
    };
    let windows = cluster.windows.iter().map(item).collect();
    lines.items("windows", cluster.windows.is_empty(), windows);
}

fn limits(cluster: &ClusterConfig, default: &ClusterConfig, lines: &mut Lines) {
    let number = Value::Number;
    let both = |key, of: &dyn Fn(&ClusterConfig) -> Value| (key, of(cluster), of(default));
    lines.table(
        "scale_in",
        vec![
            both("stabilization", &|c| time(c.scale_in.stabilization)),
            both("drain_deadline", &|c| time(c.scale_in.drain_deadline)),
            both("host_age_min", &|c| time(c.scale_in.host_age_min)),
        ],
    );
    lines.table(
        "repair",
        vec![
            both("agent_lost", &|c| time(c.repair.agent_lost)),
            both("registration", &|c| time(c.repair.registration)),
            both("failures_max", &|c| number(c.repair.failures_max.into())),
        ],
    );
    lines.table(
        "releases",
        vec![
            both("room_within", &|c| time(c.releases.room_within)),
            both("done_within", &|c| time(c.releases.done_within)),
        ],
    );
    lines.table(
        "budgets",
        vec![
            both("draining_hosts", &|c| number(c.budgets.draining_hosts)),
            both("removed_hosts_per_hour", &|c| number(c.budgets.removed_hosts_per_hour)),
            both("launched_units_per_hour", &|c| number(c.budgets.launched_units_per_hour.into())),
        ],
    );
    lines.set("retention", time(cluster.retention), cluster.retention == default.retention);
    lines.set("interval", time(cluster.interval), cluster.interval == default.interval);
    lines.set("queue", optional(cluster.queue.as_ref()), cluster.queue.is_none());
    let stop = cluster.stop_parameter.as_ref();
    lines.set("stop_parameter", optional(stop), stop.is_none());
    lines.set("resync", time(cluster.resync), cluster.resync == default.resync);
}

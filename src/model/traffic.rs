//! What a load balancer does with requests: listeners, rules, target groups, their health and load.
//!
//! Rule: a rule is kept whole. What this program does not understand of it is carried along as AWS
//! gave it, so that writing a weight never loses an action.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{
    CutoverName, ListenerArn, LoadBalancerArn, RouteId, RuleArn, ServiceName, TargetGroupArn,
};

/// The listeners a cluster's cutovers and services stand on, and every target group they name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub listeners: BTreeMap<ListenerArn, Listener>,
    pub groups: BTreeMap<TargetGroupArn, TargetGroup>,
    /// What gates beyond the load balancer's own metrics said, by their name.
    #[serde(default)]
    pub readings: BTreeMap<String, Reading>,
}

impl Traffic {
    /// The group of this name, which is unique per account and Region.
    pub fn group_named(&self, name: &str) -> Option<&TargetGroup> {
        self.groups.values().find(|group| group.name == name)
    }

    /// The rule that serves this purpose of ours on a listener.
    pub fn rule_for(&self, listener: &ListenerArn, purpose: &Purpose) -> Option<&Rule> {
        let listener = self.listeners.get(listener)?;
        listener.rules.iter().find(|rule| rule.owner == Owner::Tidegate(purpose.clone()))
    }

    /// Every rule of every listener that gives this group weight.
    pub fn weighted<'a>(
        &'a self,
        group: &'a TargetGroupArn,
    ) -> impl Iterator<Item = (&'a Listener, Option<&'a Rule>)> {
        self.listeners.values().flat_map(move |listener| {
            let default = (listener.default.weight_of(group) > 0).then_some((listener, None));
            let rules = listener.rules.iter().filter(|rule| rule.image.weight_of(group) > 0);
            default.into_iter().chain(rules.map(move |rule| (listener, Some(rule))))
        })
    }
}

/// One listener of an Application Load Balancer with all its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub arn: ListenerArn,
    pub load_balancer: LoadBalancerArn,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    pub port: u16,
    /// What answers when no rule matches.
    pub default: RuleImage,
    /// In order of priority, the default left out.
    pub rules: Vec<Rule>,
}

/// One rule of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub arn: RuleArn,
    /// 1 to 50,000; the lowest that matches wins.
    pub priority: u16,
    pub conditions: BTreeSet<Condition>,
    pub image: RuleImage,
    pub owner: Owner,
}

/// Who made a rule or a target group, by its tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    Tidegate(Purpose),
    /// A template, a pipeline or a person: read, never written.
    Other,
}

/// What a rule or a target group of ours is for; kept in AWS as a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Purpose {
    /// Carries a route of a cutover.
    Route(RouteId),
    /// Lets only the probe of a route through to green.
    Probe(RouteId),
    /// Answers for the n-th rule by which blue was reached, once it is retired.
    Tombstone(CutoverName, u16),
    /// Names the target group of a service that has no rule of its own, so that its health is
    /// checked; nobody sends its header.
    Park(ServiceName),
    /// The target group of a service.
    Group(ServiceName),
    /// Carries what a service serves by configuration.
    Service(ServiceName),
}

impl Purpose {
    /// The key of the tag that holds it.
    pub const TAG: &str = "tidegate:purpose";
    /// The key of the tag that names the cluster it belongs to.
    pub const CLUSTER_TAG: &str = "tidegate:cluster";
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => write!(f, "route/{route}"),
            Self::Probe(route) => write!(f, "probe/{route}"),
            Self::Tombstone(cutover, n) => write!(f, "tombstone/{cutover}/{n}"),
            Self::Park(service) => write!(f, "park/{service}"),
            Self::Group(service) => write!(f, "group/{service}"),
            Self::Service(service) => write!(f, "service/{service}"),
        }
    }
}

impl FromStr for Purpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is no purpose this version knows");
        match text.split_once('/') {
            Some(("route", route)) => Ok(Self::Route(route.parse()?)),
            Some(("probe", route)) => Ok(Self::Probe(route.parse()?)),
            Some(("park", service)) => Ok(Self::Park(service.into())),
            Some(("group", service)) => Ok(Self::Group(service.into())),
            Some(("service", service)) => Ok(Self::Service(service.into())),
            Some(("tombstone", rest)) => {
                let (cutover, n) = rest.rsplit_once('/').ok_or_else(unknown)?;
                let n = n.parse().map_err(|_| unknown())?;
                Ok(Self::Tombstone(cutover.into(), n))
            }
            _ => Err(unknown()),
        }
    }
}

impl utoipa::PartialSchema for Purpose {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for Purpose {}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.to_string()
    }
}

impl TryFrom<String> for Purpose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What a request must be for a rule to take it. Conditions of one rule all hold; values of one
/// condition are alternatives.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "field")]
pub enum Condition {
    /// `*` stands for any characters, `?` for one; case matters.
    Path {
        values: BTreeSet<String>,
    },
    /// Case does not matter.
    Host {
        values: BTreeSet<String>,
    },
    Header {
        name: String,
        values: BTreeSet<String>,
    },
    Method {
        values: BTreeSet<String>,
    },
    /// A regular expression, a query string or a source address, as AWS gave it.
    Other {
        json: String,
    },
}

impl Condition {
    /// All of a rule's, for people.
    pub fn list(conditions: &BTreeSet<Self>) -> String {
        conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
        match self {
            Self::Path { values } => write!(f, "path {}", list(values)),
            Self::Host { values } => write!(f, "host {}", list(values)),
            Self::Header { name, values } => write!(f, "header {name}: {}", list(values)),
            Self::Method { values } => write!(f, "method {}", list(values)),
            Self::Other { json } => f.write_str(json),
        }
    }
}

/// What a rule does: the list that `ModifyRule` replaces as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleImage {
    pub actions: Vec<RuleAction>,
}

/// The list itself, as it is written.
impl utoipa::PartialSchema for RuleImage {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Vec::<RuleAction>::schema()
    }
}

impl utoipa::ToSchema for RuleImage {
    fn schemas(all: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        RuleAction::schemas(all);
    }
}

/// One action of a rule.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum RuleAction {
    Forward {
        /// 0 to 999 each, at most five groups.
        weights: BTreeMap<TargetGroupArn, u32>,
        /// A client stays with the group it met for so long.
        stickiness_seconds: Option<u32>,
    },
    FixedResponse {
        status: u16,
        content_type: String,
        body: String,
    },
    Redirect {
        status: u16,
        /// `#{protocol}://#{host}:#{port}/#{path}?#{query}` with parts replaced.
        location: String,
    },
    /// Authentication, or an action newer than this program.
    Other {
        kind: String,
        json: String,
    },
}

impl RuleImage {
    /// All requests to one group.
    pub fn forward_to(group: &TargetGroupArn) -> Self {
        Self::split([(group.clone(), 100)])
    }

    /// Requests by weight.
    pub fn split(weights: impl IntoIterator<Item = (TargetGroupArn, u32)>) -> Self {
        let weights = weights.into_iter().collect();
        Self { actions: vec![RuleAction::Forward { weights, stickiness_seconds: None }] }
    }

    /// The same actions with other weights in the forward among them; `None` if there is none.
    #[must_use]
    pub fn with_weights(&self, new: &BTreeMap<TargetGroupArn, u32>) -> Option<Self> {
        let mut image = self.clone();
        image.actions.iter_mut().find_map(|action| match action {
            RuleAction::Forward { weights, .. } => {
                *weights = new.clone();
                Some(())
            }
            _ => None,
        })?;
        Some(image)
    }

    /// The weights of its forward action, if it has one.
    pub fn weights(&self) -> Option<&BTreeMap<TargetGroupArn, u32>> {
        self.actions.iter().find_map(|action| match action {
            RuleAction::Forward { weights, .. } => Some(weights),
            _ => None,
        })
    }

    /// Whether a forward of it names this group, at whatever weight.
    pub fn names(&self, group: &TargetGroupArn) -> bool {
        self.actions.iter().any(|action| match action {
            RuleAction::Forward { weights, .. } => weights.contains_key(group),
            _ => false,
        })
    }

    /// This group's weight, 0 where it is not named.
    pub fn weight_of(&self, group: &TargetGroupArn) -> u32 {
        self.weights().and_then(|weights| weights.get(group)).copied().unwrap_or_default()
    }

    /// This group's share of the requests in percent, rounded down; 0 where nothing has weight.
    pub fn percent_of(&self, group: &TargetGroupArn) -> u32 {
        let sum: u64 =
            self.weights().into_iter().flat_map(BTreeMap::values).copied().map(u64::from).sum();
        let percent = (u64::from(self.weight_of(group)) * 100).checked_div(sum);
        percent.and_then(|percent| u32::try_from(percent).ok()).unwrap_or_default()
    }
}

/// `blue 75, green 25`, or what else answers.
impl fmt::Display for RuleImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, action) in self.actions.iter().enumerate() {
            if n > 0 {
                f.write_str(", then ")?;
            }
            match action {
                RuleAction::Forward { weights, .. } => {
                    for (n, (group, weight)) in weights.iter().enumerate() {
                        let comma = if n > 0 { ", " } else { "" };
                        write!(f, "{comma}{} {weight}", group.short())?;
                    }
                }
                RuleAction::FixedResponse { status, .. } => write!(f, "answer {status}")?,
                RuleAction::Redirect { status, location } => {
                    write!(f, "redirect {status} to {location}")?;
                }
                RuleAction::Other { kind, .. } => f.write_str(kind)?,
            }
        }
        Ok(())
    }
}

/// A target group as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    pub arn: TargetGroupArn,
    /// At most 32 letters, digits and hyphens.
    pub name: String,
    pub owner: Owner,
    pub settings: GroupSettings,
    /// The load balancer it is associated with, by any rule.
    pub load_balancer: Option<LoadBalancerArn>,
    /// How many of its targets are in each state; absent where health was not asked for.
    pub health: Option<Health>,
    /// Requests as CloudWatch tells them, oldest first, only as far back as asked for.
    #[serde(default)]
    pub load: Vec<Load>,
}

/// How a target group checks, drains and warms its targets.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct GroupSettings {
    pub health_check: HealthCheck,
    /// 0 to 3600, AWS's default 300.
    pub deregistration_delay_seconds: u32,
    /// 30 to 900, or 0 for off. Bends weights while targets warm.
    pub slow_start_seconds: u32,
    /// Stickiness of the group itself. Bends weights.
    pub stickiness_seconds: Option<u32>,
}

#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct HealthCheck {
    pub path: String,
    /// `200`, `200,302` or `200-299`.
    pub expect: String,
    /// 5 to 300.
    pub interval_seconds: u32,
    /// 2 to 120, below the interval.
    pub timeout_seconds: u32,
    /// Checks in a row after which a target is used, 2 to 10.
    pub healthy_after: u32,
    /// Checks in a row after which a target is no longer used, 2 to 10.
    pub unhealthy_after: u32,
}

/// What ALB does when nothing is said (`CreateTargetGroup`, API reference).
impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            health_check: HealthCheck {
                path: "/".to_owned(),
                expect: "200".to_owned(),
                interval_seconds: 30,
                timeout_seconds: 5,
                healthy_after: 5,
                unhealthy_after: 2,
            },
            deregistration_delay_seconds: 300,
            slow_start_seconds: 0,
            stickiness_seconds: None,
        }
    }
}

/// Targets of a group by state. A target that drains still answers what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    pub healthy: u64,
    pub unhealthy: u64,
    /// Registered, not checked often enough yet.
    pub initial: u64,
    pub draining: u64,
    /// No rule names the group, so that nothing checks it.
    pub unused: u64,
}

impl Health {
    /// All that are registered, whatever their state.
    pub fn targets(self) -> u64 {
        self.healthy + self.unhealthy + self.initial + self.draining + self.unused
    }
}

/// What one target group served in one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Load {
    /// Start of the period.
    pub at: DateTime<Utc>,
    pub period_seconds: u32,
    pub requests: u64,
    /// Answers 5xx of the targets, and those the load balancer gave for them.
    pub errors_5xx: u64,
    pub latency_p50_ms: Option<u32>,
    pub latency_p95_ms: Option<u32>,
    pub latency_p99_ms: Option<u32>,
}

/// What a gate outside the load balancer said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reading {
    pub at: DateTime<Utc>,
    pub said: Said,
    /// The value or the words it came with.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Pass,
    Fail,
    Inconclusive,
    /// It could not be asked.
    Nothing,
}

//! Finds what is wrong with a listener, and with what is to move on it, before any rule is written.
//!
//! Rule: pure, and each finding names a request or a setting that shows it, and what to do.

mod answers;
mod limits;
mod moves;
mod order;
pub mod pattern;
mod place;
mod scope;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::pattern::Pattern;
pub use self::place::{Placed, placed};
use self::scope::Scope;
use crate::model::{
    Listener, Owner, Purpose, Rule, RuleArn, RuleImage, ServiceName, TargetGroupArn, Traffic,
};

/// A listener, and what is to be done on it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub listener: &'a Listener,
    pub traffic: &'a Traffic,
    /// Rules that ECS native deployments rewrite.
    pub native_rules: &'a BTreeSet<RuleArn>,
    /// What is to move, in order; empty for a mere check.
    pub moves: &'a [Move],
    /// The group that serves today; `None` for a mere check.
    pub from: Option<&'a TargetGroupArn>,
    /// Paths of which an operator knows that they are asked for.
    pub known_paths: &'a [String],
}

/// Paths that another service shall serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub to: ServiceName,
    pub paths: Vec<String>,
    /// Empty for every host.
    pub hosts: Vec<String>,
    /// Its target group, once there is one.
    pub group: Option<TargetGroupArn>,
}

/// One thing that is wrong, or worth knowing.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Finding {
    pub kind: FindingKind,
    pub severity: Severity,
    /// Absent for the default action, and for what is only to be.
    pub rule: Option<RuleArn>,
    pub priority: Option<u16>,
    pub pattern: Option<String>,
    pub explanation: String,
    pub remedy: String,
}

/// How bad it is.
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
    strum::Display,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// Requests go where they should not, or nobody answers them.
    Misroutes,
    /// What is to move cannot.
    Blocks,
    /// Works, and may surprise.
    Advice,
}

/// What kind of thing it is.
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
    strum::Display,
    strum::EnumIter,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FindingKind {
    /// Rules above take every request of a rule.
    Shadowed,
    /// Rules above take every request of one of its patterns, or cross it.
    PartlyShadowed,
    /// A pattern takes more than what is below its path.
    TooWide,
    /// A pattern takes what is below a path and not the path itself.
    MissesBarePath,
    /// No request can match a pattern.
    NeverMatches,
    /// Capital letters in a path, where case matters.
    UpperCase,
    /// Two moves claim the same requests.
    OverlappingMoves,
    /// Some requests of a move stay where they are.
    MovedInPart,
    /// A move would take requests that the group it moves from does not serve.
    TakesOthers,
    /// The group to move from serves nothing of a move.
    NotServed,
    /// Requests of the group to move from that no move takes.
    NoSuccessor,
    /// A group with weight has no target: 503.
    EmptyGroup,
    /// A group with weight has targets, and none of them is healthy.
    NoHealthyTarget,
    /// No group of a rule has weight: 503.
    AllWeightsZero,
    /// A limit of the load balancer.
    Quota,
    /// No priority is free where a rule must stand.
    NoPriority,
    /// ECS rewrites the rule with each deployment.
    NativeRule,
    /// An action that cannot be put in another rule.
    CannotCopy,
    /// Clients stay with a group whatever the weights say.
    Sticky,
    /// New targets get less than the weights say.
    SlowStart,
    /// The rule that serves today has other conditions than a path.
    Narrowed,
    /// A health check that says nothing about the route.
    HealthOnRoot,
    /// Targets leave too soon, or very late.
    DeregistrationDelay,
}

/// Everything there is to say about a listener, the worst first.
pub fn analyse(question: &Question<'_>) -> Vec<Finding> {
    let lines = lines(question.listener);
    let mut findings = order::findings(&lines);
    findings.extend(shape::findings(question, &lines));
    findings.extend(answers::findings(question, &lines));
    findings.extend(limits::findings(question));
    findings.extend(moves::findings(question, &lines));
    findings.extend(native(question, &lines));
    findings.sort_by_key(|f| (f.severity, f.priority.unwrap_or(u16::MAX), f.kind));
    findings.dedup();
    findings
}

/// A rule or the default action, with what it takes where nothing is above it.
struct Line<'a> {
    rule: Option<&'a Rule>,
    image: &'a RuleImage,
    scope: Scope,
}

/// In the order in which a request meets them.
fn lines(listener: &Listener) -> Vec<Line<'_>> {
    let mut rules: Vec<_> = listener.rules.iter().collect();
    rules.sort_by_key(|rule| rule.priority);
    let rules = rules.into_iter().map(|rule| Line {
        rule: Some(rule),
        image: &rule.image,
        scope: Scope::of(&rule.conditions),
    });
    rules.chain([Line { rule: None, image: &listener.default, scope: Scope::all() }]).collect()
}

impl Line<'_> {
    fn name(&self) -> String {
        match self.rule {
            Some(rule) => format!("rule {}", rule.priority),
            None => "the default action".to_owned(),
        }
    }

    fn purpose(&self) -> Option<&Purpose> {
        match self.rule.map(|rule| &rule.owner) {
            Some(Owner::Tidegate(purpose)) => Some(purpose),
            _ => None,
        }
    }

    /// The priority; the default action comes after every rule.
    fn priority(&self) -> u16 {
        self.rule.map_or(u16::MAX, |rule| rule.priority)
    }
}

impl Finding {
    fn new(kind: FindingKind, severity: Severity, explanation: String, remedy: String) -> Self {
        Self { kind, severity, rule: None, priority: None, pattern: None, explanation, remedy }
    }

    fn at(mut self, line: &Line<'_>) -> Self {
        self.rule = line.rule.map(|rule| rule.arn.clone());
        self.priority = line.rule.map(|rule| rule.priority);
        if let (None, [path]) = (&self.pattern, line.scope.paths.as_slice()) {
            self.pattern = line.rule.map(|_| path.to_string());
        }
        self
    }

    fn on(mut self, pattern: impl ToString) -> Self {
        self.pattern = Some(pattern.to_string());
        self
    }
}

fn scopes<'a>(lines: &'a [Line<'_>]) -> Vec<&'a Scope> {
    lines.iter().map(|line| &line.scope).collect()
}

/// The known paths that a line takes once those above have had theirs.
fn known<'a>(question: &Question<'a>, line: &Line<'_>, above: &[&Scope]) -> Vec<&'a str> {
    let reaches = |path: &&str| {
        let asked = Scope::of_paths(vec![Pattern::literal(path)]);
        scope::example(&[&asked, &line.scope], above).is_some()
    };
    question.known_paths.iter().map(String::as_str).filter(reaches).collect()
}

/// `users` for a group by its ARN.
fn group_name<'a>(traffic: &'a Traffic, group: &'a TargetGroupArn) -> &'a str {
    traffic.groups.get(group).map_or(group.short(), |group| &group.name)
}

/// Rules that ECS rewrites: what is written there does not last, and what ECS writes is not ours.
fn native(question: &Question<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let owned = lines
        .iter()
        .filter(|line| line.rule.is_some_and(|rule| question.native_rules.contains(&rule.arn)));
    let finding = |line: &Line<'_>| {
        Finding::new(
            FindingKind::NativeRule,
            Severity::Blocks,
            format!(
                "ECS native deployments own {} and set its weights anew with each deployment",
                line.name()
            ),
            "set the service's deployment strategy to ROLLING before its routes move, or leave its \
             traffic to ECS"
                .to_owned(),
        )
        .at(line)
    };
    owned.map(finding).collect()
}

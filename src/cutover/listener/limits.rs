//! Limits of an Application Load Balancer, as its quotas stand by default.

use super::pattern::Pattern;
use super::{Finding, FindingKind, Question, Severity};
use crate::model::{Condition, Owner, Purpose};

pub(super) const GROUPS_PER_ACTION: usize = 5;
pub(super) const LAST_PRIORITY: u16 = 50_000;
const RULES: usize = 100;
const VALUES: usize = 5;
const WILDCARDS: usize = 5;
const LENGTH: usize = 128;

/// Rules that a cutover has beside those of its routes: a probe at a time, and a tombstone.
const RULES_BESIDE: usize = 2;

pub(super) fn findings(question: &Question<'_>) -> Vec<Finding> {
    let listeners = question.traffic.listeners.values();
    let mine = &question.listener.load_balancer;
    let elsewhere = listeners
        .filter(|other| other.load_balancer == *mine && other.arn != question.listener.arn)
        .map(|other| other.rules.len());
    let have = elsewhere.sum::<usize>() + question.listener.rules.len();
    let need = match question.moves {
        [] => 1,
        moves => moves.iter().filter(|moving| !is_there(question, moving)).count() + RULES_BESIDE,
    };
    if have + need <= RULES {
        return Vec::new();
    }
    let severity = if question.moves.is_empty() { Severity::Advice } else { Severity::Blocks };
    let explanation =
        format!("the load balancer has {have} rules of {RULES}, and {need} more may be needed");
    let remedy = "have the quota of rules raised, or delete rules that get no request".to_owned();
    vec![Finding::new(FindingKind::Quota, severity, explanation, remedy)]
}

/// What keeps a rule with these conditions from being made.
pub(super) fn of_rule<'a>(
    service: &str,
    conditions: impl Iterator<Item = &'a Condition>,
) -> Vec<Finding> {
    let values: Vec<_> = conditions.flat_map(values).collect();
    let wildcards: usize = values.iter().map(|value| Pattern::new(value).wildcards()).sum();
    let blocks = |explanation: String, remedy: &str| {
        let kind = FindingKind::Quota;
        Finding::new(kind, Severity::Blocks, explanation, remedy.to_owned())
    };
    let mut findings = Vec::new();
    for value in values.iter().filter(|value| value.chars().count() > LENGTH) {
        let explanation = format!("a pattern of `{service}` is longer than {LENGTH} characters");
        findings.push(blocks(explanation, "shorten it with a wildcard").on(value));
    }
    if values.len() > VALUES {
        let count = values.len();
        findings.push(blocks(
            format!("the rule of `{service}` would have {count} condition values of {VALUES}"),
            "split it into two routes; values of the rule that serves today count too",
        ));
    }
    if wildcards > WILDCARDS {
        findings.push(blocks(
            format!("the rule of `{service}` would have {wildcards} wildcards of {WILDCARDS}"),
            "split it into two routes; wildcards of the rule that serves today count too",
        ));
    }
    findings
}

/// An opaque condition counts as one.
fn values(condition: &Condition) -> Vec<&str> {
    match condition {
        Condition::Path { values }
        | Condition::Host { values }
        | Condition::Method { values }
        | Condition::Header { values, .. } => values.iter().map(String::as_str).collect(),
        Condition::Other { .. } => vec![""],
    }
}

/// Whether the rule of a move exists already.
pub(super) fn is_there(question: &Question<'_>, moving: &super::Move) -> bool {
    question.listener.rules.iter().any(|rule| match &rule.owner {
        Owner::Tidegate(Purpose::Route(route)) => route.to == moving.to,
        _ => false,
    })
}

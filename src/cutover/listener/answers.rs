//! Who answers a rule's requests: the weights of its groups, their targets and their settings.

use std::collections::BTreeMap;

use super::pattern::Pattern;
use super::scope::{Scope, example};
use super::{Finding, FindingKind, Line, Question, Severity, known, scopes};
use crate::model::{Health, Purpose, RuleAction, TargetGroup, TargetGroupArn};

/// A drain longer than this is worth a question.
const LONG_DRAIN_SECONDS: u32 = 600;

pub(super) fn findings(question: &Question<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        // Nobody sends the header that such a rule asks for.
        let parks = matches!(line.purpose(), Some(Purpose::Park(_)));
        let above = scopes(&lines[..n]);
        if !parks && example(&[&line.scope], &above).is_some() {
            findings.extend(unanswered(question, line, &above));
            findings.extend(sticky_rule(line));
        }
    }
    for (group, first) in groups(question, lines) {
        let settings = sticky(group).into_iter().chain(slow_start(group)).chain(drain(group));
        let settings = settings.chain(health_on_root(question, group, lines));
        findings.extend(settings.map(|finding| match first {
            Some(line) => finding.at(line),
            None => finding,
        }));
    }
    findings
}

fn unanswered(question: &Question<'_>, line: &Line<'_>, above: &[&Scope]) -> Vec<Finding> {
    let Some(weights) = line.image.weights() else { return Vec::new() };
    let reached = reached(question, line, above);
    if weights.values().all(|weight| *weight == 0) {
        let explanation = format!("{} gives no group any weight: 503 for {reached}", line.name());
        let remedy = "give the group that serves it weight, or delete the rule".to_owned();
        let kind = FindingKind::AllWeightsZero;
        return vec![Finding::new(kind, Severity::Misroutes, explanation, remedy).at(line)];
    }
    let with_weight = weights.iter().filter(|(_, weight)| **weight > 0);
    let found = with_weight.filter_map(|(arn, _)| {
        let group = question.traffic.groups.get(arn)?;
        let finding = without_targets(&line.name(), &group.name, group.health?, &reached)?;
        Some(finding.at(line))
    });
    found.collect()
}

fn without_targets(rule: &str, group: &str, health: Health, reached: &str) -> Option<Finding> {
    let registered = health.unhealthy + health.initial + health.unused;
    if health.healthy > 0 {
        return None;
    }
    let (kind, explanation, remedy) = if registered == 0 {
        (
            FindingKind::EmptyGroup,
            format!("{rule} sends to `{group}`, which has no target: 503 for {reached}"),
            format!(
                "give `{group}` weight 0 beside a group that serves, until its service has healthy \
                 targets; or answer with a fixed response"
            ),
        )
    } else {
        (
            FindingKind::NoHealthyTarget,
            format!(
                "{rule} sends to `{group}`, where none of {registered} targets is healthy: the \
                 load balancer then sends {reached} to all of them"
            ),
            format!("wait until targets of `{group}` are healthy, or give it weight 0"),
        )
    };
    Some(Finding::new(kind, Severity::Misroutes, explanation, remedy))
}

/// What a line takes: the known paths, or an example.
fn reached(question: &Question<'_>, line: &Line<'_>, above: &[&Scope]) -> String {
    let known = known(question, line, above);
    let example = example(&[&line.scope], above);
    match (known.as_slice(), example) {
        ([], Some(request)) => request.to_string(),
        (known, _) => {
            known.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(" and ")
        }
    }
}

fn sticky_rule(line: &Line<'_>) -> Option<Finding> {
    line.image.actions.iter().find_map(|action| match action {
        RuleAction::Forward { weights, stickiness_seconds: Some(seconds) } if weights.len() > 1 => {
            let explanation = format!(
                "{} keeps a client with the group it met for {seconds} s, whatever the weights",
                line.name()
            );
            Some(
                Finding::new(FindingKind::Sticky, Severity::Advice, explanation, unstick())
                    .at(line),
            )
        }
        _ => None,
    })
}

fn unstick() -> String {
    "turn stickiness off while weights move, or expect clients to follow late".to_owned()
}

fn sticky(group: &TargetGroup) -> Option<Finding> {
    let seconds = group.settings.stickiness_seconds?;
    let explanation = format!("`{}` keeps a client with its target for {seconds} s", group.name);
    Some(Finding::new(FindingKind::Sticky, Severity::Advice, explanation, unstick()))
}

fn slow_start(group: &TargetGroup) -> Option<Finding> {
    let seconds = group.settings.slow_start_seconds;
    let explanation = format!(
        "`{}` warms new targets for {seconds} s: each gets less than its share until then",
        group.name
    );
    let remedy = "bake each step for longer than that, or turn slow start off".to_owned();
    let kind = FindingKind::SlowStart;
    (seconds > 0).then(|| Finding::new(kind, Severity::Advice, explanation, remedy))
}

fn drain(group: &TargetGroup) -> Option<Finding> {
    let seconds = group.settings.deregistration_delay_seconds;
    let name = &group.name;
    let (explanation, remedy) = match seconds {
        0 => (
            format!("a target that leaves `{name}` is cut off in the middle of its requests"),
            "set a deregistration delay longer than the longest request, such as 30 s".to_owned(),
        ),
        LONG_DRAIN_SECONDS.. => (
            format!("a target that leaves `{name}` drains for {seconds} s, and so holds its host"),
            "set a deregistration delay a little longer than the longest request".to_owned(),
        ),
        _ => return None,
    };
    let kind = FindingKind::DeregistrationDelay;
    Some(Finding::new(kind, Severity::Advice, explanation, remedy))
}

/// A check of `/` where the group serves something else.
fn health_on_root(
    question: &Question<'_>,
    group: &TargetGroup,
    lines: &[Line<'_>],
) -> Option<Finding> {
    let root = Pattern::literal("/");
    let rules = lines.iter().filter(|line| line.image.weight_of(&group.arn) > 0);
    let patterns = rules.flat_map(|line| line.scope.paths.clone());
    let moves = question.moves.iter().filter(|moving| moving.group.as_ref() == Some(&group.arn));
    let moved = moves.flat_map(|moving| moving.paths.iter().map(|path| Pattern::new(path)));
    let patterns: Vec<_> = patterns.chain(moved).collect();
    let served = patterns.first()?;
    if group.settings.health_check.path != "/" || patterns.iter().any(|p| p.covers(&root)) {
        return None;
    }
    let explanation = format!(
        "the health check of `{}` asks for `/` and passes while `{served}` is broken",
        group.name
    );
    let remedy =
        "check a path of the route, or let a probe ask for one before each shift".to_owned();
    Some(Finding::new(FindingKind::HealthOnRoot, Severity::Advice, explanation, remedy))
}

/// Each group that is named or will be, with the first line that gives it weight, or names it.
fn groups<'a>(
    question: &Question<'a>,
    lines: &'a [Line<'a>],
) -> Vec<(&'a TargetGroup, Option<&'a Line<'a>>)> {
    let mut first: BTreeMap<&TargetGroupArn, Option<&Line<'_>>> = BTreeMap::new();
    let named = |line: &'a Line<'a>| line.image.weights().into_iter().flatten();
    let weighted = lines.iter().flat_map(|line| named(line).map(move |(g, w)| (line, g, *w > 0)));
    let mut weighted: Vec<_> = weighted.collect();
    weighted.sort_by_key(|(_, _, has_weight)| !has_weight);
    for (line, group, _) in weighted {
        first.entry(group).or_insert(Some(line));
    }
    for group in
        question.from.into_iter().chain(question.moves.iter().filter_map(|m| m.group.as_ref()))
    {
        first.entry(group).or_insert(None);
    }
    let known = first.into_iter();
    known.filter_map(|(arn, line)| Some((question.traffic.groups.get(arn)?, line))).collect()
}

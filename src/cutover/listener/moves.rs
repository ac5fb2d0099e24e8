//! What would happen to requests if paths moved: what goes, what stays, what goes by mistake.
//!
//! Rule: a move is judged as the rule it would get, above the first rule that serves all its paths
//! today, with that rule's other conditions and actions.

use super::limits::{self, GROUPS_PER_ACTION};
use super::place::{self, Place, asked, conditions, place, priority, serves};
use super::scope::example;
use super::{Finding, FindingKind, Line, Move, Question, Severity, group_name, known, scopes};
use crate::model::RuleAction;

pub(super) fn findings(question: &Question<'_>, all: &[Line<'_>]) -> Vec<Finding> {
    if question.moves.is_empty() {
        return Vec::new();
    }
    let lines = place::before(all);
    let mut findings = Vec::new();
    let mut planned = Vec::new();
    for moving in question.moves {
        match place(question.from, moving, &lines) {
            Some(plan) => planned.push(plan),
            None => findings.push(not_served(question, moving, &lines)),
        }
    }
    for plan in &planned {
        findings.extend(above(question, plan, &lines));
        findings.extend(takes_others(question, plan, &lines));
        findings.extend(moved_in_part(question, plan, &lines));
        findings.extend(rule_to_be(question, plan, &lines, all));
    }
    findings.extend(overlaps(&planned));
    findings.extend(no_successor(question, &planned, &lines));
    findings
}

fn misroutes(kind: FindingKind, explanation: String, remedy: String) -> Finding {
    Finding::new(kind, Severity::Misroutes, explanation, remedy)
}

fn blue<'a>(question: &Question<'a>) -> &'a str {
    question.from.map_or("today's group", |from| group_name(question.traffic, from))
}

fn not_served(question: &Question<'_>, moving: &Move, lines: &[Line<'_>]) -> Finding {
    let asked = asked(moving);
    let mut reached = lines.iter().enumerate();
    let taker = reached
        .find(|(n, line)| example(&[&asked, &line.scope], &scopes(&lines[..*n])).is_some())
        .map(|(_, line)| line);
    let who = taker.map_or_else(|| "no rule".to_owned(), Line::name);
    let (blue, to) = (blue(question), &moving.to);
    let there = moving.group.as_ref().zip(taker);
    let finding = if there.is_some_and(|(green, line)| line.image.percent_of(green) == 100) {
        let explanation = format!("{who} sends what `{to}` shall take there already");
        let remedy = "nothing to do, or leave the route out".to_owned();
        Finding::new(FindingKind::NotServed, Severity::Advice, explanation, remedy)
    } else {
        let explanation = format!(
            "no one rule sends all that `{to}` shall take to `{blue}`: {who} takes it, or some of it"
        );
        let remedy = format!(
            "check the paths and that `{blue}` serves them; give each rule a route of its own"
        );
        Finding::new(FindingKind::NotServed, Severity::Blocks, explanation, remedy)
    };
    let finding = finding.on(moving.paths.join(" "));
    match taker {
        Some(line) => finding.at(line),
        None => finding,
    }
}

/// Rules above that go on taking some of the move's requests.
fn above(question: &Question<'_>, plan: &Place<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let higher = lines.iter().enumerate().take(plan.serving);
    let higher =
        higher.filter(|(_, line)| question.from.is_none() || !serves(question.from, line.image));
    let keeping = higher.filter_map(|(n, line)| {
        let green = plan.moving.group.as_ref();
        let arrived = green.is_some_and(|green| line.image.weight_of(green) > 0);
        let request = example(&[&plan.asked, &line.scope], &scopes(&lines[..n]))?;
        (!arrived).then(|| {
            let (to, name) = (&plan.moving.to, line.name());
            let finding = Finding::new(
                FindingKind::MovedInPart,
                Severity::Advice,
                format!("{name} stands above and goes on taking {request}, which `{to}` asks for"),
                format!("delete {name} if `{to}` shall have that, else leave it"),
            );
            finding.at(line)
        })
    });
    keeping.collect()
}

/// Requests that another action answers today, and the new rule would take.
fn takes_others(question: &Question<'_>, plan: &Place<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let lower = lines.iter().enumerate().skip(plan.serving + 1);
    let taken =
        lower.filter(|(_, line)| !serves(question.from, line.image)).filter_map(|(n, line)| {
            let green = plan.moving.group.as_ref();
            if green.is_some_and(|green| line.image.percent_of(green) == 100) {
                return None;
            }
            let request = example(&[&plan.own, &line.scope], &scopes(&lines[..n]))?;
            let (to, name, blue) = (&plan.moving.to, line.name(), blue(question));
            let finding = misroutes(
                FindingKind::TakesOthers,
                format!("`{to}` would take {request}, which {name} answers today, not `{blue}`"),
                format!("narrow the paths of `{to}`"),
            );
            Some(finding.at(line))
        });
    taken.collect()
}

/// Requests the move asks for that still reach the group to move from.
fn moved_in_part(question: &Question<'_>, plan: &Place<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    if question.from.is_none() {
        return Vec::new();
    }
    let serving = lines.iter().enumerate().filter(|(_, line)| serves(question.from, line.image));
    let left = serving.filter_map(|(n, line)| {
        let mut before = scopes(&lines[..n]);
        before.extend((n >= plan.serving).then_some(&plan.own));
        let request = example(&[&plan.asked, &line.scope], &before)?;
        let (to, name, blue) = (&plan.moving.to, line.name(), blue(question));
        let finding = misroutes(
            FindingKind::MovedInPart,
            format!("{request} shall move to `{to}` and would still reach `{blue}` by {name}"),
            "give the hosts of the move, and a route of its own for each rule that serves"
                .to_owned(),
        );
        Some(finding.at(line))
    });
    left.collect()
}

/// Whether the rule can be made, and what it inherits.
fn rule_to_be(
    question: &Question<'_>,
    plan: &Place<'_>,
    lines: &[Line<'_>],
    all: &[Line<'_>],
) -> Vec<Finding> {
    let serving = &lines[plan.serving];
    let (to, name) = (&plan.moving.to, serving.name());
    let at = |kind, severity, explanation, remedy: &str| {
        Finding::new(kind, severity, explanation, remedy.to_owned()).at(serving)
    };
    let mut findings = limits::of_rule(to.as_str(), conditions(&plan.own).iter());
    let uncopied = serving.image.actions.iter().find_map(|action| match action {
        RuleAction::Other { kind, .. } => Some(kind),
        _ => None,
    });
    if let Some(kind) = uncopied {
        findings.push(at(
            FindingKind::CannotCopy,
            Severity::Blocks,
            format!("{name} has the action `{kind}`, which a rule of Tidegate's own cannot have"),
            "use `rules: adopt` for this cutover, so that the action stays where it is",
        ));
    }
    let groups = serving.image.weights().map_or(0, |weights| weights.len());
    let has = plan.moving.group.as_ref().is_some_and(|green| {
        serving.image.weights().is_some_and(|weights| weights.contains_key(green))
    });
    if groups >= GROUPS_PER_ACTION && !has {
        findings.push(at(
            FindingKind::Quota,
            Severity::Blocks,
            format!("{name} forwards to {groups} groups, and one more is one too many"),
            "take groups without weight out of the rule first",
        ));
    }
    if plan.moving.hosts.is_empty() && !serving.scope.any_host() || !serving.scope.rest.is_empty() {
        findings.push(at(
            FindingKind::Narrowed,
            Severity::Advice,
            format!(
                "{name} has conditions beside the path; `{to}` gets only requests that meet them"
            ),
            "nothing to do if that is meant, else move the other requests by a route of their own",
        ));
    }
    findings.extend(sticky(serving));
    let there = limits::is_there(question, plan.moving);
    if !there && priority(question.moves, plan, lines, all).is_none() {
        findings.push(at(
            FindingKind::NoPriority,
            Severity::Blocks,
            format!("too few priorities are free right above {name} for the rule of `{to}`"),
            "move the listener's rules apart (SetRulePriorities), or use `rules: adopt`",
        ));
    }
    findings
}

/// A forward to one group is not sticky, and becomes so with the second.
fn sticky(serving: &Line<'_>) -> Option<Finding> {
    serving.image.actions.iter().find_map(|action| match action {
        RuleAction::Forward { weights, stickiness_seconds: Some(seconds) } if weights.len() < 2 => {
            let explanation = format!(
                "{} has stickiness of {seconds} s, which holds clients back once it has weights",
                serving.name()
            );
            let remedy = "turn it off before the move, or expect clients to follow late".to_owned();
            let kind = FindingKind::Sticky;
            Some(Finding::new(kind, Severity::Advice, explanation, remedy).at(serving))
        }
        _ => None,
    })
}

fn overlaps(planned: &[Place<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, first) in planned.iter().enumerate() {
        for second in &planned[n + 1..] {
            let Some(request) = first.own.overlap(&second.own) else { continue };
            let (one, other) = (&first.moving.to, &second.moving.to);
            let pattern = second
                .own
                .paths
                .iter()
                .find(|path| first.own.overlap(&second.own.with_path(path)).is_some());
            let finding = misroutes(
                FindingKind::OverlappingMoves,
                format!("both `{one}` and `{other}` would take {request}"),
                format!("narrow the paths of `{one}` or of `{other}`"),
            );
            findings.push(match pattern {
                Some(pattern) => finding.on(pattern),
                None => finding,
            });
        }
    }
    findings
}

/// What still reaches the group to move from when everything has moved.
fn no_successor(
    question: &Question<'_>,
    planned: &[Place<'_>],
    lines: &[Line<'_>],
) -> Vec<Finding> {
    if question.from.is_none() {
        return Vec::new();
    }
    let blue = blue(question);
    let remedy =
        format!("move it too, keep `{blue}` for it, or choose what answers when `{blue}` is gone");
    let mut findings = Vec::new();
    for (n, line) in lines.iter().enumerate().filter(|(_, line)| serves(question.from, line.image))
    {
        let mut before = scopes(&lines[..n]);
        before.extend(planned.iter().map(|plan| &plan.own));
        let name = line.name();
        let known = known(question, line, &before);
        for path in &known {
            let explanation = format!("`{path}` still reaches `{blue}` by {name} after all moves");
            let finding = misroutes(FindingKind::NoSuccessor, explanation, remedy.clone());
            findings.push(finding.at(line).on(path));
        }
        let example = example(&[&line.scope], &before);
        if let Some(request) = example.filter(|_| known.is_empty()) {
            let explanation =
                format!("{name} still sends to `{blue}` after all moves, {request} for one");
            let kind = FindingKind::NoSuccessor;
            let finding = Finding::new(kind, Severity::Advice, explanation, remedy.clone());
            findings.push(finding.at(line));
        }
    }
    findings
}

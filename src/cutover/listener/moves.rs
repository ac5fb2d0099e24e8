//! What would happen to requests if paths moved: what goes, what stays, what goes by mistake.
//!
//! Rule: a move is judged as the rule it would get, above the first rule that serves all its paths
//! today, with that rule's other conditions and actions.

use std::collections::BTreeSet;

use super::limits::{self, GROUPS_PER_ACTION, LAST_PRIORITY};
use super::pattern::Pattern;
use super::scope::{Scope, example};
use super::{Finding, FindingKind, Line, Move, Question, Severity, group_name, known, scopes};
use crate::model::{Condition, Purpose, RuleAction, RuleImage};

/// A move, and the rule it would get.
struct Planned<'a> {
    moving: &'a Move,
    /// What it asks for.
    asked: Scope,
    /// Of all lines, the place of the first that serves all its paths today.
    serving: usize,
    /// What its own rule would take, if nothing stood above.
    own: Scope,
}

pub(super) fn findings(question: &Question<'_>, all: &[Line<'_>]) -> Vec<Finding> {
    if question.moves.is_empty() {
        return Vec::new();
    }
    // As it was before Tidegate came: a move that has begun is judged like one that has not.
    let lines: Vec<_> = all
        .iter()
        .filter(|line| line.purpose().is_none_or(|p| matches!(p, Purpose::Service(_))))
        .map(|line| Line { scope: line.scope.clone(), ..*line })
        .collect();
    let mut findings = Vec::new();
    let mut planned = Vec::new();
    for moving in question.moves {
        match plan(question, moving, &lines) {
            Some(plan) => planned.push(plan),
            None => findings.push(not_served(question, moving, &lines)),
        }
    }
    for plan in &planned {
        findings.extend(above(question, plan, &lines));
        findings.extend(takes_others(question, plan, &lines));
        findings.extend(moved_in_part(question, plan, &lines));
        findings.extend(rule_to_be(question, plan, &lines));
    }
    findings.extend(overlaps(&planned));
    findings.extend(no_successor(question, &planned, &lines));
    findings
}

fn plan<'a>(question: &Question<'_>, moving: &'a Move, lines: &[Line<'_>]) -> Option<Planned<'a>> {
    let asked = asked(moving);
    let whole = |line: &Line<'_>| {
        asked.paths.iter().all(|path| line.scope.paths.iter().any(|wide| wide.covers(path)))
    };
    let serving = lines.iter().enumerate().position(|(n, line)| {
        serves(question, line.image)
            && whole(line)
            && example(&[&asked, &line.scope], &scopes(&lines[..n])).is_some()
    })?;
    let today = &lines[serving].scope;
    let hosts = if moving.hosts.is_empty() { &today.hosts } else { &asked.hosts };
    let own = Scope { hosts: hosts.clone(), rest: today.rest.clone(), ..asked.clone() };
    Some(Planned { moving, asked, serving, own })
}

fn asked(moving: &Move) -> Scope {
    let mut conditions = BTreeSet::new();
    if !moving.paths.is_empty() {
        conditions.insert(Condition::Path { values: moving.paths.iter().cloned().collect() });
    }
    if !moving.hosts.is_empty() {
        conditions.insert(Condition::Host { values: moving.hosts.iter().cloned().collect() });
    }
    Scope::of(&conditions)
}

/// Whether the group to move from answers here; in a question that names none, anything does.
fn serves(question: &Question<'_>, image: &RuleImage) -> bool {
    question.from.is_none_or(|from| image.weight_of(from) > 0)
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
fn above(question: &Question<'_>, plan: &Planned<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let higher = lines.iter().enumerate().take(plan.serving);
    let higher =
        higher.filter(|(_, line)| question.from.is_none() || !serves(question, line.image));
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
fn takes_others(question: &Question<'_>, plan: &Planned<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    let lower = lines.iter().enumerate().skip(plan.serving + 1);
    let taken = lower.filter(|(_, line)| !serves(question, line.image)).filter_map(|(n, line)| {
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
fn moved_in_part(question: &Question<'_>, plan: &Planned<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
    if question.from.is_none() {
        return Vec::new();
    }
    let serving = lines.iter().enumerate().filter(|(_, line)| serves(question, line.image));
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
fn rule_to_be(question: &Question<'_>, plan: &Planned<'_>, lines: &[Line<'_>]) -> Vec<Finding> {
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
    if !there && free_priority(question, plan, lines).is_none() {
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

fn conditions(scope: &Scope) -> BTreeSet<Condition> {
    let written = |patterns: &[Pattern]| -> BTreeSet<String> {
        patterns.iter().map(ToString::to_string).filter(|text| text != "*").collect()
    };
    let (paths, hosts) = (written(&scope.paths), written(&scope.hosts));
    let path = (!paths.is_empty()).then_some(Condition::Path { values: paths });
    let host = (!hosts.is_empty()).then_some(Condition::Host { values: hosts });
    path.into_iter().chain(host).chain(scope.rest.iter().cloned()).collect()
}

/// The priority its rule will get: above the line that serves, in a row with those of the other
/// moves, the first highest and all above a tombstone's. `None` if it would stand above a rule that
/// takes some of the same requests first, or if none is left.
fn free_priority(question: &Question<'_>, plan: &Planned<'_>, lines: &[Line<'_>]) -> Option<u16> {
    let overlapping = lines.iter().take(plan.serving);
    let overlapping = overlapping.filter(|line| line.scope.overlap(&plan.own).is_some());
    let floor = overlapping.map(Line::priority).max().unwrap_or(0);
    let ceiling = lines.get(plan.serving)?.priority().min(LAST_PRIORITY + 1);
    let taken: BTreeSet<u16> = lines.iter().map(Line::priority).collect();
    let below = question.moves.iter().rev().position(|moving| moving.to == plan.moving.to)?;
    let mut free = (floor + 1..ceiling).rev().filter(|priority| !taken.contains(priority));
    free.nth(1 + below)
}

fn overlaps(planned: &[Planned<'_>]) -> Vec<Finding> {
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
    planned: &[Planned<'_>],
    lines: &[Line<'_>],
) -> Vec<Finding> {
    if question.from.is_none() {
        return Vec::new();
    }
    let blue = blue(question);
    let remedy =
        format!("move it too, keep `{blue}` for it, or choose what answers when `{blue}` is gone");
    let mut findings = Vec::new();
    for (n, line) in lines.iter().enumerate().filter(|(_, line)| serves(question, line.image)) {
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

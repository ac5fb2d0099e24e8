//! Rules that get fewer requests than they ask for, because others stand above them.
//!
//! Rule: a narrow rule above a wide one is how a listener is meant to be, and no finding.

use super::scope::example;
use super::{Finding, FindingKind, Line, Severity};
use crate::model::{Owner, Purpose};

pub(super) fn findings(lines: &[Line<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        // A park rule is there to be named, not to be reached.
        if line.rule.is_none() || matches!(line.purpose(), Some(Purpose::Park(_))) {
            continue;
        }
        let above: Vec<_> = lines.iter().take(n).filter(|other| of_others(other)).collect();
        match shadowed(line, &above) {
            Some(finding) => findings.push(finding),
            None => {
                let lost = lost_patterns(line, &above);
                if lost.is_empty() {
                    findings.extend(above.iter().filter_map(|other| crossing(line, other)));
                }
                findings.extend(lost);
            }
        }
    }
    findings
}

/// What Tidegate put above a rule is meant to take its requests.
fn of_others(line: &Line<'_>) -> bool {
    line.rule.is_some_and(|rule| rule.owner == Owner::Other)
}

fn shadowed(line: &Line<'_>, above: &[&Line<'_>]) -> Option<Finding> {
    let scopes: Vec<_> = above.iter().map(|other| &other.scope).collect();
    if example(&[&line.scope], &scopes).is_some() {
        return None;
    }
    // A pattern that no request matches is another matter.
    let such = example(&[&line.scope], &[])?;
    let (who, severity) = takers(line, above);
    let explanation = format!("{} gets no request: {who} all of them, {such} too", line.name());
    Some(Finding::new(FindingKind::Shadowed, severity, explanation, higher(line, above)).at(line))
}

/// Patterns of a rule of which nothing is left.
fn lost_patterns(line: &Line<'_>, above: &[&Line<'_>]) -> Vec<Finding> {
    let scopes: Vec<_> = above.iter().map(|other| &other.scope).collect();
    let lost = line.scope.paths.iter().filter_map(|path| {
        let part = Line { scope: line.scope.with_path(path), ..*line };
        if example(&[&part.scope], &scopes).is_some() {
            return None;
        }
        example(&[&part.scope], &[])?;
        let (who, severity) = takers(&part, above);
        let explanation = format!("no request for `{path}` reaches {}: {who} it", line.name());
        let remedy = higher(&part, above);
        let finding = Finding::new(FindingKind::PartlyShadowed, severity, explanation, remedy);
        Some(finding.at(line).on(path))
    });
    lost.collect()
}

/// Neither is the narrower one, so that nobody can tell which was meant to win.
fn crossing(line: &Line<'_>, other: &Line<'_>) -> Option<Finding> {
    let alike = line.scope.hosts == other.scope.hosts && line.scope.rest == other.scope.rest;
    if !alike || line.image == other.image {
        return None;
    }
    let request = line.scope.overlap(&other.scope)?;
    if line.scope.covers(&other.scope) {
        return None;
    }
    let (name, above) = (line.name(), other.name());
    let explanation = format!("both {above} and {name} match {request}; {above} takes it");
    let remedy = format!(
        "if {name} shall have it, give a narrower rule for it a priority below {}",
        other.priority()
    );
    let finding = Finding::new(FindingKind::PartlyShadowed, Severity::Advice, explanation, remedy);
    Some(finding.at(line))
}

/// `rule 1 takes`, and how bad that is: no harm where they do the same.
fn takers(line: &Line<'_>, above: &[&Line<'_>]) -> (String, Severity) {
    let alone = above.iter().find(|other| other.scope.covers(&line.scope));
    let takers: Vec<_> = match alone {
        Some(one) => vec![*one],
        None => {
            let some = above.iter().filter(|other| other.scope.overlap(&line.scope).is_some());
            some.copied().collect()
        }
    };
    let same = takers.iter().all(|other| other.image == line.image);
    let names: Vec<_> = takers.iter().map(|other| other.name()).collect();
    let verb = if names.len() == 1 { "takes" } else { "together take" };
    let who = format!("{} {verb}", names.join(" and "));
    (who, if same { Severity::Advice } else { Severity::Misroutes })
}

fn higher(line: &Line<'_>, above: &[&Line<'_>]) -> String {
    let first = above.iter().find(|other| other.scope.overlap(&line.scope).is_some());
    let first = first.map_or(0, |other| other.priority());
    if first > 1 {
        format!("give {} a priority below {first}, or delete it", line.name())
    } else {
        format!(
            "move the rules above down (SetRulePriorities) and {} above them, or delete it",
            line.name()
        )
    }
}

//! Where the rule of a move stands: above which rule, for what requests, at which priority.
//!
//! Rule: worked out here alone, for the analysis and for the cutover that acts on it; and from the
//! rules of others alone, so that it is the same at every look and after every crash.

use std::collections::BTreeSet;

use super::limits::LAST_PRIORITY;
use super::pattern::Pattern;
use super::scope::{Scope, example};
use super::{Line, Move, lines, scopes};
use crate::model::{Condition, Listener, Purpose, RuleImage, ServiceName, TargetGroupArn};

/// A move, and the rule it would get.
pub(super) struct Place<'a> {
    pub moving: &'a Move,
    /// What it asks for.
    pub asked: Scope,
    /// Of all lines, the place of the first that serves all its paths today.
    pub serving: usize,
    /// What its own rule would take, if nothing stood above.
    pub own: Scope,
}

/// The rule a move gets, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Of the rule that serves it today; `None`: the default action.
    pub above: Option<u16>,
    /// What answers today.
    pub image: RuleImage,
    pub conditions: BTreeSet<Condition>,
    /// `None`: no place is left.
    pub priority: Option<u16>,
}

/// The rule of one of the moves; `None` if no one rule leads all its paths to the group.
///
/// The listener is given without the rules of these moves themselves.
pub fn placed(
    listener: &Listener,
    from: &TargetGroupArn,
    moves: &[Move],
    to: &ServiceName,
) -> Option<Placed> {
    let all = lines(listener);
    let before = before(&all);
    let moving = moves.iter().find(|moving| moving.to == *to)?;
    let place = place(Some(from), moving, &before)?;
    let serving = &before[place.serving];
    Some(Placed {
        above: serving.rule.map(|rule| rule.priority),
        image: serving.image.clone(),
        conditions: conditions(&place.own),
        priority: priority(moves, &place, &before, &all),
    })
}

/// As it was before any cutover came: a move that has begun is judged like one that has not.
pub(super) fn before<'a>(all: &[Line<'a>]) -> Vec<Line<'a>> {
    let kept = |line: &&Line<'_>| {
        line.purpose().is_none_or(|purpose| matches!(purpose, Purpose::Service(_)))
    };
    all.iter().filter(kept).map(|line| Line { scope: line.scope.clone(), ..*line }).collect()
}

pub(super) fn place<'a>(
    from: Option<&TargetGroupArn>,
    moving: &'a Move,
    lines: &[Line<'_>],
) -> Option<Place<'a>> {
    let asked = asked(moving);
    let whole = |line: &Line<'_>| {
        asked.paths.iter().all(|path| line.scope.paths.iter().any(|wide| wide.covers(path)))
    };
    let serving = lines.iter().enumerate().position(|(n, line)| {
        serves(from, line.image)
            && whole(line)
            && example(&[&asked, &line.scope], &scopes(&lines[..n])).is_some()
    })?;
    let today = &lines[serving].scope;
    let hosts = if moving.hosts.is_empty() { &today.hosts } else { &asked.hosts };
    let own = Scope { hosts: hosts.clone(), rest: today.rest.clone(), ..asked.clone() };
    Some(Place { moving, asked, serving, own })
}

pub(super) fn asked(moving: &Move) -> Scope {
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
pub(super) fn serves(from: Option<&TargetGroupArn>, image: &RuleImage) -> bool {
    from.is_none_or(|from| image.weight_of(from) > 0)
}

pub(super) fn conditions(scope: &Scope) -> BTreeSet<Condition> {
    let written = |patterns: &[Pattern]| -> BTreeSet<String> {
        patterns.iter().map(ToString::to_string).filter(|text| text != "*").collect()
    };
    let (paths, hosts) = (written(&scope.paths), written(&scope.hosts));
    let path = (!paths.is_empty()).then_some(Condition::Path { values: paths });
    let host = (!hosts.is_empty()).then_some(Condition::Host { values: hosts });
    path.into_iter().chain(host).chain(scope.rest.iter().cloned()).collect()
}

/// Above the line that serves, in a row with those of the other moves, the first highest and all
/// above a tombstone's. `None` if it would stand above a rule that takes some of the same requests
/// first, or if none is left.
pub(super) fn priority(
    moves: &[Move],
    place: &Place<'_>,
    before: &[Line<'_>],
    all: &[Line<'_>],
) -> Option<u16> {
    let overlapping = before.iter().take(place.serving);
    let overlapping = overlapping.filter(|line| line.scope.overlap(&place.own).is_some());
    let floor = overlapping.map(Line::priority).max().unwrap_or(0);
    let ceiling = before.get(place.serving)?.priority().min(LAST_PRIORITY + 1);
    let taken: BTreeSet<u16> = all.iter().map(Line::priority).collect();
    let below = moves.iter().rev().position(|moving| moving.to == place.moving.to)?;
    let mut free = (floor + 1..ceiling).rev().filter(|priority| !taken.contains(priority));
    free.nth(1 + below)
}

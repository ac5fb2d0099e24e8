//! Which rule serves a route today, and at which priority ours goes above it.
//!
//! Rule: the answer depends on the rules of others alone, so that it is the same at every tick and
//! after every crash: rules of the cutover itself never take up a place.

use std::collections::BTreeSet;

use crate::model::{Condition, Owner, Purpose, RuleImage, TargetGroupArn};

use super::listener::pattern::Pattern;
use super::view::{Route, Saga};

/// The highest priority number a rule may have (`CreateRule`, API reference).
const PRIORITY_MAX: u16 = 50_000;

/// What serves a route before it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `None`: the listener's default action.
    pub priority: Option<u16>,
    /// Its conditions besides the paths.
    pub others: BTreeSet<Condition>,
    /// All of its conditions; none for the default action.
    pub all: BTreeSet<Condition>,
    pub image: RuleImage,
}

/// The rules of others by which blue is reached, in order of priority, the default last.
pub fn bases(saga: Saga<'_>, blue: &TargetGroupArn) -> Vec<Base> {
    let Some(listener) = saga.listener() else {
        return Vec::new();
    };
    let theirs = listener.rules.iter().filter(|rule| !is_own(saga, &rule.owner));
    let forwarding = theirs.filter(|rule| rule.image.weight_of(blue) > 0);
    let mut bases: Vec<_> = forwarding
        .map(|rule| Base {
            priority: Some(rule.priority),
            others: rule.conditions.iter().filter(|c| !is_path(c)).cloned().collect(),
            all: rule.conditions.clone(),
            image: rule.image.clone(),
        })
        .collect();
    if listener.default.weight_of(blue) > 0 {
        let image = listener.default.clone();
        let (others, all) = (BTreeSet::new(), BTreeSet::new());
        bases.push(Base { priority: None, others, all, image });
    }
    bases
}

/// The rule that serves the route's paths today: the first by which blue answers all of them.
pub fn base_of(route: Route<'_>, blue: &TargetGroupArn) -> Option<Base> {
    let wanted = &route.config.paths;
    let takes = |base: &Base| {
        let paths: Vec<_> = base.all.iter().filter_map(paths_of).flatten().collect();
        paths.is_empty() || wanted.iter().all(|path| paths.iter().any(|p| covers(p, path)))
    };
    bases(route.saga, blue).into_iter().find(takes)
}

/// The conditions of the route's own rule: its paths and hosts, and what else the base asks for.
pub fn conditions(route: Route<'_>, base: &Base) -> BTreeSet<Condition> {
    let mut conditions = base.others.clone();
    if !route.config.hosts.is_empty() {
        conditions.retain(|condition| !matches!(condition, Condition::Host { .. }));
        let values = route.config.hosts.iter().cloned().collect();
        conditions.insert(Condition::Host { values });
    }
    let values: BTreeSet<_> = route.config.paths.iter().cloned().collect();
    if !values.is_empty() {
        conditions.insert(Condition::Path { values });
    }
    conditions
}

/// The place of the tombstone above a base: the nearest one that no rule of others has.
pub fn tombstone_slot(saga: Saga<'_>, base: &Base) -> Option<u16> {
    free(saga, base).next()
}

/// The place of a route: above the tombstone's, the first route highest.
pub fn route_slot(route: Route<'_>, base: &Base) -> Option<u16> {
    let routes = route.saga.config.routes.iter();
    let index = routes.rev().position(|other| other.to == route.config.to)?;
    free(route.saga, base).nth(1 + index)
}

/// The place of a probe: above everything, since nobody else sends its header.
pub fn probe_slot(route: Route<'_>) -> Option<u16> {
    let listener = route.saga.listener()?;
    let taken: BTreeSet<_> = listener.rules.iter().map(|rule| rule.priority).collect();
    (1..=PRIORITY_MAX).find(|priority| !taken.contains(priority))
}

/// Priorities above the base that others leave free, the nearest first.
fn free<'a>(saga: Saga<'a>, base: &Base) -> impl Iterator<Item = u16> + use<'a> {
    let rules = saga.listener().map(|listener| listener.rules.as_slice()).unwrap_or_default();
    let theirs = rules.iter().filter(move |rule| !is_own(saga, &rule.owner));
    let taken: BTreeSet<_> = theirs.map(|rule| rule.priority).collect();
    let below = base.priority.unwrap_or(PRIORITY_MAX + 1);
    (1..below).rev().filter(move |priority| !taken.contains(priority))
}

fn is_own(saga: Saga<'_>, owner: &Owner) -> bool {
    let name = &saga.config.name;
    match owner {
        Owner::Tidegate(Purpose::Route(route) | Purpose::Probe(route)) => route.cutover == *name,
        Owner::Tidegate(Purpose::Tombstone(cutover, _)) => cutover == name,
        _ => false,
    }
}

fn is_path(condition: &Condition) -> bool {
    matches!(condition, Condition::Path { .. })
}

fn paths_of(condition: &Condition) -> Option<&BTreeSet<String>> {
    match condition {
        Condition::Path { values } => Some(values),
        _ => None,
    }
}

fn covers(whole: &str, part: &str) -> bool {
    Pattern::new(whole).covers(&Pattern::new(part))
}

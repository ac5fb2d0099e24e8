//! By which rules blue is reached, and where tombstones and probes stand.
//!
//! Rule: the answer depends on the rules of others alone, so that it is the same at every tick and
//! after every crash: rules of the cutover itself never take up a place.

use std::collections::BTreeSet;

use crate::model::{Condition, CutoverName, Owner, Purpose, RuleImage, TargetGroupArn};

use super::view::{Route, Saga};

/// The highest priority number a rule may have (`CreateRule`, API reference).
const PRIORITY_MAX: u16 = 50_000;

/// A rule of others by which blue is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `None`: the listener's default action.
    pub priority: Option<u16>,
    /// All of its conditions; none for the default action.
    pub all: BTreeSet<Condition>,
    pub image: RuleImage,
}

/// The rules of others by which blue is reached, in order of priority, the default last.
pub fn bases(saga: Saga<'_>, blue: &TargetGroupArn) -> Vec<Base> {
    let Some(listener) = saga.listener() else {
        return Vec::new();
    };
    let theirs = listener.rules.iter().filter(|rule| !is_own(&saga.config.name, &rule.owner));
    let forwarding = theirs.filter(|rule| rule.image.weight_of(blue) > 0);
    let mut bases: Vec<_> = forwarding
        .map(|rule| Base {
            priority: Some(rule.priority),
            all: rule.conditions.clone(),
            image: rule.image.clone(),
        })
        .collect();
    if listener.default.weight_of(blue) > 0 {
        let image = listener.default.clone();
        bases.push(Base { priority: None, all: BTreeSet::new(), image });
    }
    bases
}

/// The place of the tombstone above a base: the nearest one that no rule of others has.
pub fn tombstone_slot(saga: Saga<'_>, base: &Base) -> Option<u16> {
    free(saga, base).next()
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
    let theirs = rules.iter().filter(move |rule| !is_own(&saga.config.name, &rule.owner));
    let taken: BTreeSet<_> = theirs.map(|rule| rule.priority).collect();
    let below = base.priority.unwrap_or(PRIORITY_MAX + 1);
    (1..below).rev().filter(move |priority| !taken.contains(priority))
}

/// Whether a rule is one of this cutover's own.
pub fn is_own(cutover: &CutoverName, owner: &Owner) -> bool {
    match owner {
        Owner::Tidegate(Purpose::Route(route) | Purpose::Probe(route)) => route.cutover == *cutover,
        Owner::Tidegate(Purpose::Tombstone(of, _)) => of == cutover,
        _ => false,
    }
}

//! Turns the facts that stand now into notes of what began and what ended.
//!
//! Rule: a fact ends only when it was looked for and not found. What could not be seen goes on.

use std::collections::BTreeSet;

use super::view::View;
use crate::model::{Fact, Hold, Note, Subject};

/// The edges between the facts remembered and those that stand.
pub fn edges(view: View<'_>, facts: &BTreeSet<(Subject, Fact)>) -> Vec<Note> {
    let known: BTreeSet<_> =
        view.memory.since.keys().filter(|(_, fact)| !matches!(fact, Fact::Held { .. })).collect();
    let blind = view.snapshot.hosts.gaps.iter().chain(&view.snapshot.pools.gaps).next().is_some();
    let ended = known
        .iter()
        .filter(|key| !blind && !facts.contains(*key))
        .map(|(subject, what)| Note::Ended { subject: subject.clone(), what: what.clone() });
    let began = facts
        .iter()
        .filter(|key| !known.contains(key))
        .map(|(subject, what)| Note::Began { subject: subject.clone(), what: what.clone() });
    ended.chain(began).collect()
}

/// The edges between the holds remembered and those that stand, for their `since`.
pub fn hold_edges(remembered: &crate::model::Memory, holds: &[Hold]) -> Vec<Note> {
    let standing: BTreeSet<_> = holds.iter().map(Hold::key).collect();
    let known: BTreeSet<_> = remembered
        .since
        .keys()
        .filter_map(|(_, fact)| match fact {
            Fact::Held { key } => Some(key.clone()),
            _ => None,
        })
        .collect();
    let note = |key: &crate::model::HoldKey, began: bool| {
        let (subject, what) = (key.subject.clone(), Fact::Held { key: key.clone() });
        if began { Note::Began { subject, what } } else { Note::Ended { subject, what } }
    };
    let ended = known.difference(&standing).map(|key| note(key, false));
    let began = standing.difference(&known).map(|key| note(key, true));
    ended.chain(began).collect()
}

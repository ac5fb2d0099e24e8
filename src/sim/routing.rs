//! Which rule of a listener takes a request, and how its weights share requests out.
//!
//! Rule: as ALB does it: the lowest priority that matches wins, no weight at all is nobody, and a
//! group without targets gets its share all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Condition, Listener, RuleAction, RuleImage, TargetGroupArn};

/// What a rule can see of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) header: Option<(&'a str, &'a str)>,
}

/// What the rule that takes a request does with it.
pub(super) fn route<'a>(listener: &'a Listener, request: &Request<'_>) -> &'a RuleImage {
    let takes = |conditions: &BTreeSet<Condition>| conditions.iter().all(|c| holds(c, request));
    let rule = listener.rules.iter().find(|rule| takes(&rule.conditions));
    rule.map_or(&listener.default, |rule| &rule.image)
}

/// The action that answers: the last, after any authentication.
pub(super) fn answering(image: &RuleImage) -> Option<&RuleAction> {
    image.actions.iter().find(|action| !matches!(action, RuleAction::Other { .. }))
}

/// Conditions this world does not understand match nothing.
fn holds(condition: &Condition, request: &Request<'_>) -> bool {
    match condition {
        Condition::Path { values } => values.iter().any(|value| matches(value, request.path)),
        Condition::Host { values } => {
            values.iter().any(|value| matches_any_case(value, request.host))
        }
        Condition::Header { name, values } => request.header.is_some_and(|(key, text)| {
            key.eq_ignore_ascii_case(name) && values.iter().any(|v| matches_any_case(v, text))
        }),
        Condition::Method { values } => values.contains("GET"),
        Condition::Other { .. } => false,
    }
}

fn matches_any_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// `*` stands for any characters, `?` for one.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how far what it stands for reaches.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((stands, reaches)) = star else {
                    return false;
                };
                star = Some((stands, reaches + 1));
                at = stands + 1;
                read = reaches + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

/// What each group is owed by its weight and has not got, in requests times the sum of weights.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(BTreeMap<TargetGroupArn, i64>);

impl Shares {
    /// Shares `count` requests out by weight, none lost and none twice; `None` if nothing has
    /// weight.
    pub(super) fn split(
        &mut self,
        weights: &BTreeMap<TargetGroupArn, u32>,
        count: u64,
    ) -> Option<Vec<(TargetGroupArn, u64)>> {
        let sum: i64 = weights.values().map(|weight| i64::from(*weight)).sum();
        if sum == 0 {
            return None;
        }
        if !self.0.keys().eq(weights.keys()) {
            self.0 = weights.keys().map(|group| (group.clone(), 0)).collect();
        }
        let whole = i64::try_from(count).unwrap_or(i64::MAX / 1000);
        let mut left = whole;
        let mut parts = Vec::with_capacity(weights.len());
        for (owed, (group, weight)) in self.0.values_mut().zip(weights) {
            let weight = i64::from(*weight);
            *owed = if weight == 0 { 0 } else { *owed + whole * weight };
            let part = (*owed / sum).clamp(0, left);
            *owed -= part * sum;
            left -= part;
            parts.push((group.clone(), part, weight));
        }
        while left > 0 {
            let owed = self.0.values_mut().zip(&mut parts).filter(|(_, part)| part.2 > 0);
            if let Some((owed, part)) = owed.max_by_key(|(owed, _)| **owed) {
                *owed -= sum;
                part.1 += 1;
            }
            left -= 1;
        }
        let parts = parts.into_iter().filter(|(_, part, _)| *part > 0);
        Some(parts.map(|(group, part, _)| (group, part.unsigned_abs())).collect())
    }
}

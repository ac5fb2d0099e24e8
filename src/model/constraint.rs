//! Placement constraints, as far as they can be judged for a host from what ECS tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// One condition a host must meet.
///
/// Covers the part of the ECS cluster query language that compares attributes, joined by `and`.
/// Anything else is kept as [`Constraint::Unknown`]: a task that carries it is never proved to fit
/// elsewhere, so its host is never removed for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// At most one task of the service per host.
    DistinctInstance,
    /// The attribute has one of these values.
    AttributeIn(String, BTreeSet<String>),
    /// The attribute has none of these values, or is absent.
    AttributeNotIn(String, BTreeSet<String>),
    AttributeExists(String),
    AttributeAbsent(String),
    /// An expression this program cannot judge, as written.
    Unknown(String),
}

/// What is known of a host's attributes when a constraint is judged.
pub type Attributes = BTreeMap<String, String>;

impl Constraint {
    /// Reads a `memberOf` expression; `and` gives several constraints.
    pub fn member_of(expression: &str) -> Vec<Self> {
        let unknown = || vec![Self::Unknown(expression.to_owned())];
        if expression.contains(" or ") || expression.contains('(') || expression.contains("||") {
            return unknown();
        }
        let parts = expression.split(" and ").flat_map(|part| part.split("&&"));
        let parsed: Option<Vec<_>> = parts.map(|part| comparison(part.trim())).collect();
        parsed.unwrap_or_else(unknown)
    }

    /// Whether a host with these attributes meets it; `None` when that cannot be known.
    pub fn met_by(&self, attributes: &Attributes) -> Option<bool> {
        Some(match self {
            Self::DistinctInstance => true,
            Self::AttributeIn(name, values) => {
                attributes.get(name).is_some_and(|value| values.contains(value))
            }
            Self::AttributeNotIn(name, values) => {
                attributes.get(name).is_none_or(|value| !values.contains(value))
            }
            Self::AttributeExists(name) => attributes.contains_key(name),
            Self::AttributeAbsent(name) => !attributes.contains_key(name),
            Self::Unknown(_) => return None,
        })
    }
}

fn comparison(text: &str) -> Option<Constraint> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let name_of = |word: &str| word.strip_prefix("attribute:").map(str::to_owned);
    let one = |value: &str| BTreeSet::from([value.to_owned()]);
    match words.as_slice() {
        [name, "==" | "equals", value] => Some(Constraint::AttributeIn(name_of(name)?, one(value))),
        [name, "!=" | "not_equals", value] => {
            Some(Constraint::AttributeNotIn(name_of(name)?, one(value)))
        }
        [name, "exists"] => Some(Constraint::AttributeExists(name_of(name)?)),
        [name, "!exists" | "not_exists"] => Some(Constraint::AttributeAbsent(name_of(name)?)),
        [name, "in", rest @ ..] => Some(Constraint::AttributeIn(name_of(name)?, list(rest)?)),
        [name, "!in" | "not_in", rest @ ..] => {
            Some(Constraint::AttributeNotIn(name_of(name)?, list(rest)?))
        }
        _ => None,
    }
}

fn list(words: &[&str]) -> Option<BTreeSet<String>> {
    let joined = words.join(" ");
    let inner = joined.strip_prefix('[')?.strip_suffix(']')?;
    let values: BTreeSet<String> = inner.split(',').map(|v| v.trim().to_owned()).collect();
    (!values.contains("")).then_some(values)
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join =
            |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
        match self {
            Self::DistinctInstance => f.write_str("distinctInstance"),
            Self::AttributeIn(name, values) => write!(f, "{name} in [{}]", join(values)),
            Self::AttributeNotIn(name, values) => write!(f, "{name} not in [{}]", join(values)),
            Self::AttributeExists(name) => write!(f, "{name} exists"),
            Self::AttributeAbsent(name) => write!(f, "{name} absent"),
            Self::Unknown(text) => write!(f, "`{text}` (not understood)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, host: &[(&str, &str)], met: Option<bool>) {
        let attributes: Attributes =
            host.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let verdicts: Vec<_> =
            Constraint::member_of(expression).iter().map(|c| c.met_by(&attributes)).collect();
        let all = verdicts.into_iter().try_fold(true, |all, one| one.map(|one| all && one));
        assert_eq!(all, met, "{expression}");
    }

    #[test]
    fn attribute_comparisons_are_judged_and_the_rest_is_admitted_unknown() {
        let large = [("ecs.instance-type", "m5.large"), ("stack", "blue")];
        check("attribute:ecs.instance-type == m5.large", &large, Some(true));
        check("attribute:ecs.instance-type != m5.large", &large, Some(false));
        check("attribute:ecs.instance-type in [m5.large, m5.xlarge]", &large, Some(true));
        check("attribute:stack exists and attribute:ecs.os-type !exists", &large, Some(true));
        check("attribute:stack == blue and attribute:stack == green", &large, Some(false));
        check("attribute:ecs.instance-type =~ m5.*", &large, None);
        check("task:group == service:web", &large, None);
        check("attribute:a == b or attribute:a == c", &large, None);
    }
}

//! Values that are one word of a list.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use strum::IntoEnumIterator;

use super::error::Problems;
use super::node::{Node, Value};
use super::read::{Read, needs};
use super::{CountOwner, Evict, Window, suggest};
use crate::model::{ActionKind, Mode, Role};

/// One of `values`, by name.
fn choice<T: ToString>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    what: &str,
    values: impl IntoIterator<Item = T>,
) -> Option<T> {
    let mut values: Vec<(String, T)> =
        values.into_iter().map(|value| (value.to_string(), value)).collect();
    if let Value::Text(text) = &node.value
        && let Some(found) = values.iter().position(|(name, _)| name == text)
    {
        return Some(values.swap_remove(found).1);
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let known = format!("write one of: {}", names.join(", "));
    let (message, remedy) = match &node.value {
        Value::Text(text) => {
            let guess =
                suggest::nearest(text, names).map(|name| format!("did you mean `{name}`? "));
            (format!("`{text}` is no {what}"), guess.unwrap_or_default() + &known)
        }
        other => (needs(&format!("a {what}"), other), known),
    };
    problems.add(node.place, path, message, remedy);
    None
}

impl Read for Mode {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let modes = [Self::Observe, Self::Recommend, Self::Act];
        choice(node, path, problems, "mode", modes)
    }
}

impl Read for Role {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        choice(node, path, problems, "role", Self::iter())
    }
}

fn says(node: &Node, word: &str) -> bool {
    matches!(&node.value, Value::Text(text) if text == word)
}

impl Read for ActionKind {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        if says(node, "handover") {
            let message = "`handover` cannot be listed: a person orders it each time";
            let remedy = "remove it; `tidegate handover` takes a pool over";
            problems.add(node.place, path, message, remedy);
            return None;
        }
        let kinds = Self::iter().filter(|kind| !kind.is_ordered());
        choice(node, path, problems, "kind of action", kinds)
    }
}

/// A kind of action that a window may hold back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voluntary(pub(super) ActionKind);

impl Read for Voluntary {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let kind = ActionKind::read(node, path, problems)?;
        if Window::binds(kind) {
            return Some(Self(kind));
        }
        let message =
            format!("{kind} always passes: no window holds back what keeps tasks running");
        let remedy = "remove it; to stop it altogether leave it out of `allow`";
        problems.add(node.place, path, message, remedy);
        None
    }
}

impl JsonSchema for Voluntary {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Voluntary".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = ActionKind::iter().filter(|kind| Window::binds(*kind));
        let names: Vec<String> = kinds.map(|kind| kind.to_string()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

impl Read for CountOwner {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        if says(node, "tidegate") {
            let message = "is not available yet: Tidegate writes no desired counts";
            problems.add(node.place, path, message, "leave it `external`");
            return None;
        }
        choice(node, path, problems, "owner of a desired count", [Self::External])
    }
}

/// The steps of a cutover in a word.
#[derive(Clone, Copy, Debug, schemars::JsonSchema, strum::Display, strum::EnumIter)]
#[schemars(rename_all = "snake_case", inline)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Strategy {
    AllAtOnce,
    Canary,
    Linear,
}

impl Strategy {
    /// The new service's share at each step.
    pub(super) fn steps_percent(self) -> Vec<u32> {
        match self {
            Self::AllAtOnce => vec![100],
            Self::Canary => vec![10, 100],
            Self::Linear => (1..=10).map(|step| step * 10).collect(),
        }
    }
}

impl Read for Strategy {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        choice(node, path, problems, "strategy", Self::iter())
    }
}

impl Read for Evict {
    fn read(node: &Node, path: &str, problems: &mut Problems) -> Option<Self> {
        choice(node, path, problems, "eviction rule", [Self::WhenReplaced, Self::Never])
    }
}

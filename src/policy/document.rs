//! A policy document in the grammar of IAM.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Most characters of a managed policy; IAM does not count white space (IAM quotas).
pub const SIZE_MAX: usize = 6_144;

/// Values by key by operator.
pub(super) type Conditions = BTreeMap<&'static str, BTreeMap<String, Vec<String>>>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    version: &'static str,
    pub statement: Vec<Clause>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Clause {
    pub sid: &'static str,
    pub effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<BTreeMap<&'static str, &'static str>>,
    pub action: Vec<String>,
    /// Empty only where the document belongs to the resource itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: Conditions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Effect {
    Allow,
    Deny,
}

impl Document {
    pub(super) fn new(statement: Vec<Clause>) -> Self {
        Self { version: "2012-10-17", statement }
    }

    /// As it is written to a file.
    pub fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("a document is plain data") + "\n"
    }

    /// Characters as IAM counts them.
    pub fn size(&self) -> usize {
        self.json().chars().filter(|c| !c.is_whitespace()).count()
    }
}

/// Sorted, each once.
pub(super) fn arrange(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let all: BTreeSet<String> = values.into_iter().collect();
    all.into_iter().collect()
}

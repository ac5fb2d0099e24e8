//! A decision as operators read it: what was wanted, why, what became of it, and what was held.
//!
//! Rule: kept when it differs from the one before, so that a calm day is a short list.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ClusterStatus, HoldView};
use crate::model::{ClusterName, Hold, Mode, Outcome, Planned};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// `d-YYYYMMDD-HHMMSS-xx`, the time in UTC.
    pub id: String,
    pub at: DateTime<Utc>,
    pub cluster: ClusterName,
    pub mode: Mode,
    pub saw: Saw,
    pub actions: Vec<Decided>,
    pub holds: Vec<HoldView>,
}

/// What the decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Saw {
    pub hosts: usize,
    pub usable_hosts: usize,
    pub unplaced_tasks: u64,
    pub age_seconds: i64,
    pub complete: bool,
}

/// One action and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decided {
    pub text: String,
    pub why: String,
    pub planned: Planned,
    #[serde(flatten)]
    pub fate: Fate,
}

impl Decided {
    pub fn new(planned: Planned, fate: Fate) -> Self {
        Self { text: planned.action.to_string(), why: planned.why.to_string(), planned, fate }
    }
}

/// What became of a planned action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Fate {
    /// A request was made, or found needless.
    Outcome { outcome: Outcome },
    /// The guard refused it.
    Held { hold: Hold },
    /// The tick ended before its turn.
    NotReached,
}

impl Decision {
    /// What this tick decided, told by its status and the fates of its actions.
    pub fn of(status: &ClusterStatus, actions: Vec<Decided>) -> Self {
        let mut decision = Self {
            id: String::new(),
            at: status.at,
            cluster: status.name.clone(),
            mode: status.mode.effective,
            saw: Saw {
                hosts: status.host_counts.all,
                usable_hosts: status.host_counts.usable,
                unplaced_tasks: status.tasks.unplaced,
                age_seconds: status.seen.age_seconds,
                complete: status.seen.complete,
            },
            actions,
            holds: status.plan.held.clone(),
        };
        decision.id = decision.name();
        decision
    }

    /// Whether this one is news: other actions, other fates or other holds, numbers aside.
    pub fn differs_from(&self, before: Option<&Self>) -> bool {
        let Some(before) = before else {
            return !self.actions.is_empty() || !self.holds.is_empty();
        };
        // What was carried out is news each time, even if it was wanted before.
        self.actions.iter().any(|decided| matches!(decided.fate, Fate::Outcome { .. }))
            || self.gist() != before.gist()
    }

    fn gist(&self) -> BTreeSet<String> {
        let actions = self.actions.iter().map(|decided| {
            let fate = match &decided.fate {
                Fate::Outcome { .. } => "outcome",
                Fate::Held { hold } => hold.reason.code(),
                Fate::NotReached => "not_reached",
            };
            format!("{} {fate}", decided.text)
        });
        let holds = self.holds.iter().map(|view| format!("{:?}", view.hold.key()));
        actions.chain(holds).collect()
    }

    /// Two clusters may decide in the same second, so the content has a say.
    fn name(&self) -> String {
        let content = format!("{} {:?} {:?}", self.cluster, self.at, self.gist());
        let hash = crc32fast::hash(content.as_bytes()) & 0xff;
        format!("d-{}-{hash:02x}", self.at.format("%Y%m%d-%H%M%S"))
    }
}

//! A plan: what would be done, what is held back, and what was noticed; all three typed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::action::{Action, ActionKind, Rank, Subject};
use super::id::ServiceName;
use super::note::{Fact, Note};
use super::reason::Reason;
use super::why::Why;

/// What one tick decided. The same input gives the same plan, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub as_of: DateTime<Utc>,
    /// In order of rank, then subject.
    pub actions: Vec<Planned>,
    pub holds: Vec<Hold>,
    pub notes: Vec<Note>,
}

impl Plan {
    /// Requests of equal rank that are under way at one time.
    pub const AT_ONCE: usize = 8;

    /// Whether there is nothing to do, allowed or not.
    pub fn is_idle(&self) -> bool {
        self.actions.is_empty()
    }

    /// The actions in groups of equal rank, lowest first, each no larger than what is under way
    /// at one time.
    pub fn batches(&self) -> impl Iterator<Item = &[Planned]> {
        let ranks = self.actions.chunk_by(|a, b| a.rank() == b.rank());
        ranks.flat_map(|rank| rank.chunks(Self::AT_ONCE))
    }
}

/// A plan in the making.
#[derive(Debug, Default)]
pub struct Draft {
    pub actions: Vec<Planned>,
    pub holds: Vec<Hold>,
    pub notes: Vec<Note>,
    /// What lasts and stands now; from it follow notes of what began and ended.
    pub facts: BTreeSet<(Subject, Fact)>,
    pub bookings: Vec<Booking>,
}

impl Draft {
    pub fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    pub fn fact(&mut self, subject: Subject, fact: Fact) {
        self.facts.insert((subject, fact));
    }

    /// Sorted, so that equal input gives equal plans.
    pub fn into_plan(mut self, now: DateTime<Utc>) -> Plan {
        self.holds.sort();
        self.holds.dedup();
        self.actions.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.action.cmp(&b.action)));
        self.actions.dedup_by(|a, b| a.action == b.action);
        Plan { as_of: now, actions: self.actions, holds: self.holds, notes: self.notes }
    }

    /// With the room that is booked beside the plan.
    pub fn into_steps(mut self, now: DateTime<Utc>) -> Steps {
        let bookings = std::mem::take(&mut self.bookings);
        Steps { plan: self.into_plan(now), bookings }
    }
}

/// A plan, and the room that what it begins will need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    pub plan: Plan,
    pub bookings: Vec<Booking>,
}

/// Room for more tasks of a service, wanted before ECS is asked to start them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Booking {
    pub service: ServiceName,
    /// Tasks beside those that run, each of the shape the service has now.
    pub count: u64,
}

/// An action with the permission it needs, its reason and who wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Planned {
    #[serde(flatten)]
    pub action: Action,
    pub kind: ActionKind,
    pub why: Why,
    pub by: Origin,
}

impl Planned {
    pub fn rank(&self) -> Rank {
        self.action.rank(self.kind)
    }

    /// The subject holds and breakers speak of: the first one it writes to.
    pub fn subject(&self) -> Subject {
        self.action.subjects().into_iter().next_back().unwrap_or(Subject::Cluster)
    }
}

/// Which part of Tidegate, or who, wants an action.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Capacity,
    /// `load_balancing` of a service, kept as declared.
    LoadBalancing,
    Cutover(super::id::CutoverName),
    /// The release of this service.
    Release(ServiceName),
    /// A person, by name.
    Operator(String),
}

/// Something not done: on what, which kind of action, and why not.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Hold {
    pub subject: Subject,
    pub wants: ActionKind,
    pub reason: Reason,
}

impl Hold {
    pub fn new(subject: Subject, wants: ActionKind, reason: Reason) -> Self {
        Self { subject, wants, reason }
    }

    /// The hold without its numbers, so that it has a `since` although they change.
    pub fn key(&self) -> HoldKey {
        HoldKey {
            subject: self.subject.clone(),
            wants: self.wants,
            code: self.reason.code().to_owned(),
        }
    }
}

/// What makes two holds the same over time.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct HoldKey {
    pub subject: Subject,
    pub wants: ActionKind,
    /// The reason's stable code.
    pub code: String,
}

//! Traffic: how each route moves from the service that serves today to the one that shall.
//!
//! Rule: pure. A route is a walk through the stages of one table; each tick takes at most one stage
//! of it, from what is observed alone, so that a crash anywhere changes nothing but the time.

pub mod back;
pub mod fitness;
pub mod floors;
pub mod forward;
pub mod gates;
pub mod keep;
pub mod listener;
pub mod need;
pub mod orders;
pub mod probe;
pub mod retire;
pub mod sight;
pub mod slots;
pub mod table;
pub mod told;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;

use chrono::{DateTime, Utc};

pub use need::need;
pub use view::{Route, Saga};

use crate::config::ClusterConfig;
use crate::model::{
    Booking, CutoverEdge, Hold, Memory, Note, Plan, Planned, Snapshot, Stage, Steps,
};
use table::transition;

/// Everything there is to do about traffic, in one look, and the room it will need.
pub fn step(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Steps {
    let mut draft = Draft::default();
    keep::keep(config, snapshot, &mut draft);
    for saga in Saga::open(config, snapshot, memory, now) {
        floors::floors(saga, &mut draft);
        for route in saga.routes() {
            let verdict = match sight::blind(route) {
                Some(reason) => sight::unseen(route, reason, &mut draft),
                None => (transition(route.stage()).step)(route, &mut draft),
            };
            draft.take(route, verdict);
        }
    }
    let bookings = std::mem::take(&mut draft.bookings);
    Steps { plan: draft.into_plan(now), bookings }
}

/// What a stage says of its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing moves; what is wanted or missing is in the draft.
    Stay,
    /// On to a stage, at a step.
    Go(Stage, usize, String),
    /// Back to blue, and why.
    Back(String),
    /// A person has to look.
    Stop(String),
}

/// A plan in the making.
#[derive(Debug, Default)]
pub struct Draft {
    pub actions: Vec<Planned>,
    pub holds: Vec<Hold>,
    pub notes: Vec<Note>,
    pub bookings: Vec<Booking>,
}

impl Draft {
    /// Notes an edge of a route's cutover.
    pub fn edge(&mut self, saga: Saga<'_>, edge: CutoverEdge) {
        let cutover = saga.config.name.clone();
        self.notes.push(Note::Cutover { cutover, edge });
    }

    fn take(&mut self, route: Route<'_>, verdict: Verdict) {
        let to = route.config.to.clone();
        let moved = |stage, step, because| CutoverEdge::Moved { to, stage, step, because };
        let edge = match verdict {
            Verdict::Stay => return,
            Verdict::Go(stage, step, because) => moved(stage, step, because),
            Verdict::Back(because) => moved(Stage::RollingBack, 0, because),
            Verdict::Stop(because) => CutoverEdge::Stopped { because },
        };
        self.edge(route.saga, edge);
    }

    fn into_plan(mut self, now: DateTime<Utc>) -> Plan {
        self.holds.sort();
        self.holds.dedup();
        self.actions.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.action.cmp(&b.action)));
        self.actions.dedup_by(|a, b| a.action == b.action);
        Plan { as_of: now, actions: self.actions, holds: self.holds, notes: self.notes }
    }
}

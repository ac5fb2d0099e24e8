//! Traffic: how each route moves from the service that serves today to the one that shall.
//!
//! Rule: pure. A route is a walk through the stages of one table; each tick takes at most one stage
//! of it, from what is observed alone, so that a crash anywhere changes nothing but the time.

pub mod back;
pub mod fitness;
pub mod floors;
pub mod gates;
pub mod keep;
pub mod listener;
pub mod need;
pub mod probe;
pub mod ready;
pub mod remove;
pub mod retire;
pub mod shift;
pub mod sight;
pub mod slots;
pub mod table;
pub mod tell;
pub mod told;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;

use chrono::{DateTime, Utc};

pub use need::need;
pub use view::{Route, Saga};

use crate::config::ClusterConfig;
use crate::model::{CutoverEdge, Draft, Memory, Snapshot, Stage, Steps};
use table::transition;

/// Everything there is to do about traffic, in one look, and the room it will need.
pub fn step(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Steps {
    let mut draft = Draft::default();
    keep::keep(config, snapshot, memory, &mut draft);
    remove::remove(config, snapshot, memory, now, &mut draft);
    for saga in Saga::open(config, snapshot, memory, now) {
        floors::floors(saga, &mut draft);
        for route in saga.routes() {
            let verdict = match sight::blind(route) {
                Some(reason) => sight::unseen(route, reason, &mut draft),
                None => (transition(route.stage()).step)(route, &mut draft),
            };
            take(route, verdict, &mut draft);
        }
    }
    draft.into_steps(now)
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

/// Notes where a verdict leads.
fn take(route: Route<'_>, verdict: Verdict, draft: &mut Draft) {
    let to = route.config.to.clone();
    let moved = |stage, step, because| CutoverEdge::Moved { to, stage, step, because };
    let edge = match verdict {
        Verdict::Stay => return,
        Verdict::Go(stage, step, because) => moved(stage, step, because),
        Verdict::Back(because) => moved(Stage::RollingBack, 0, because),
        Verdict::Stop(because) => CutoverEdge::Stopped { because },
    };
    route.saga.note(draft, edge);
}

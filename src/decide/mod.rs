//! Capacity: how many hosts there should be, which ones go, and why.
//!
//! Rule: pure. The same snapshot, memory and moment give the same plan, and once the world has
//! taken a plan, deciding again yields nothing new.

pub mod demand;
pub mod drain;
pub mod edges;
pub mod evictable;
pub mod handover;
pub mod interruption;
pub mod placement;
pub mod pools;
pub mod repair;
pub mod room;
pub mod scale_in;
pub mod scale_out;
pub mod view;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use view::{Reservation, View};

use crate::config::ClusterConfig;
use crate::model::{Booking, Fact, Lifecycle, Memory, Plan, Snapshot, Subject};
use view::Draft;

/// Everything there is to do about capacity, in one look. `booked` is room that is wanted beside
/// what runs: ordered where it is missing, kept where it is there.
pub fn capacity(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    booked: &[Booking],
    now: DateTime<Utc>,
) -> Plan {
    let view = View { config, snapshot, memory, now };
    let mut draft = Draft::default();

    let wanted = demand::tasks(view, &mut draft);
    let fresh = room::FreshHosts::of(view);
    let mut bins = room::bins(view, &fresh);
    let booked = demand::booked(view, booked);
    let growing = scale_out::scale_out(view, &fresh, &mut bins, wanted, booked, &mut draft);
    interruption::interruptions(view, &mut draft);
    repair::repair(view, &mut draft);
    let reclaimed = room::reclaimed(&bins);
    if !growing && reclaimed.is_empty() {
        scale_in::scale_in(view, &mut bins, &mut draft);
    }
    drain::drains(view, &reclaimed, &mut draft);
    handover::handovers(view, &mut draft);
    pools::pools(view, &mut draft);

    watch(view, &mut draft);
    draft.notes.extend(edges::edges(view, &draft.facts));
    draft.into_plan(now)
}

/// Hosts whose tasks the next tick must list, besides those that look removable.
fn watch(view: View<'_>, draft: &mut Draft) {
    let leaving = |host: &&crate::model::Host| {
        view.is_leaving(host) || (host.is_registered() && !host.agent_connected)
    };
    let alive = view.hosts().filter(|host| host.lifecycle != Lifecycle::Terminating);
    for host in alive.filter(leaving) {
        draft.fact(Subject::Host(host.instance.clone()), Fact::Watched);
    }
}

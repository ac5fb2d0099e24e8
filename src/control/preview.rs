//! A dry run: the same look, plan and guard as a tick, with nothing written anywhere.

use chrono::{DateTime, Utc};

use super::clock::Clock;
use super::merge::plan;
use super::need::need;
use crate::cloud::Cloud;
use crate::config::ClusterConfig;
use crate::guard::{self, Case, Lease};
use crate::model::{Entry, Hold, Memory, Note, Plan, Planned, Record, Snapshot, Switch};

/// Looks needed at most: one finds who might leave, the next lists their tasks.
const LOOKS: usize = 3;

/// What a tick would do.
#[derive(Clone, Debug)]
pub struct Preview {
    pub snapshot: Snapshot,
    pub memory: Memory,
    pub plan: Plan,
    pub verdicts: Vec<(Planned, Result<(), Hold>)>,
}

/// Looks until nothing more needs to be listed, and asks the guard about each action.
pub async fn preview(
    cloud: &impl Cloud,
    config: &ClusterConfig,
    mut memory: Memory,
    clock: &impl Clock,
) -> Preview {
    let mut switch = Switch::default();
    switch.take(cloud.stop_switch().await, clock.now());
    for _ in 1..LOOKS {
        let wanted = need(config, &memory, None, clock.now());
        let snapshot = cloud.observe(&wanted).await;
        let plan = plan(config, &snapshot, &memory, clock.now());
        memory = noted(memory, &plan);
        if need(config, &memory, None, clock.now()).tasks_of == wanted.tasks_of {
            return judged(config, snapshot, memory, &switch, clock.now());
        }
    }
    let snapshot = cloud.observe(&need(config, &memory, None, clock.now())).await;
    judged(config, snapshot, memory, &switch, clock.now())
}

/// Plans from a snapshot that was taken before, as of the moment it was taken.
pub fn replay(config: &ClusterConfig, snapshot: Snapshot, memory: Memory) -> Preview {
    let at = snapshot.taken_at;
    let answered_at = Some(at);
    judged(config, snapshot, memory, &Switch { answered_at, ..Switch::default() }, at)
}

fn judged(
    config: &ClusterConfig,
    snapshot: Snapshot,
    memory: Memory,
    switch: &Switch,
    now: DateTime<Utc>,
) -> Preview {
    let plan = plan(config, &snapshot, &memory, now);
    let lease = Lease::exclusive(memory.epoch);
    let case = Case { config, snapshot: &snapshot, memory: &memory, lease: &lease, switch, now };
    let ask = |planned: &Planned| guard::admit(case, planned.clone()).map(|_| ());
    let verdicts = plan.actions.iter().map(|p| (p.clone(), ask(p))).collect();
    Preview { snapshot, memory, plan, verdicts }
}

fn noted(memory: Memory, plan: &Plan) -> Memory {
    let fold = |memory: Memory, note: &Note| {
        let (seq, epoch) = (crate::model::Seq(memory.seq.0 + 1), memory.epoch);
        let record = Record::Noted { note: note.clone() };
        memory.fold(&Entry { seq, epoch, at: plan.as_of, record })
    };
    // What is noted of traffic and releases is an event, not something a dry run may take for done.
    let event = |note: &&Note| {
        matches!(note, Note::Cutover { .. } | Note::Kept { .. } | Note::Release { .. })
    };
    let facts = plan.notes.iter().filter(|note| !event(note));
    facts.fold(memory, fold)
}

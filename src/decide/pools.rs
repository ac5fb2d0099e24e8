//! What the pools' own numbers tell: capacity that is late, writes by others, and shapes learnt.

use super::room::undelivered_units;
use super::view::{Draft, View};
use crate::model::{Action, Attribute, Doubt, Fact, Note, Pool, Subject, Units};

/// Foreign writes within the hour that lower a pool to recommend.
const FOREIGN_WRITES_MAX: usize = 2;

/// Notes about every pool.
pub fn pools(view: View<'_>, draft: &mut Draft) {
    // An old value that stands in for a failed read is nobody's write.
    let seen = view.snapshot.pools.gaps.is_empty();
    for pool in view.pools().filter(|_| seen) {
        if undelivered_units(view, pool) > 0 {
            draft.fact(Subject::Pool(pool.id.clone()), Fact::Undelivered);
        }
        capacity(view, pool, draft);
    }
    learn_shapes(view, draft);
    settle_doubts(view, draft);
}

/// A capacity that nobody here set was set by somebody else. It only counts as a contest once we
/// have written it ourselves: before that, it is theirs.
fn capacity(view: View<'_>, pool: &Pool, draft: &mut Draft) {
    let memory = view.memory.pool(&pool.id);
    let subject = Subject::Pool(pool.id.clone());
    let seen = |units| Note::CapacitySeen { pool: pool.id.clone(), units };
    let Some(expected) = memory.expected else {
        return draft.notes.push(seen(pool.desired));
    };
    let ours = view.memory.originals.contains_key(&(subject.clone(), Attribute::DesiredCapacity));
    if expected == pool.desired {
        return;
    }
    if !ours || view.memory.in_doubt.values().any(|doubt| explains(doubt, pool, pool.desired)) {
        return draft.notes.push(seen(pool.desired));
    }
    let found = pool.desired;
    draft.notes.push(Note::ForeignWrite { pool: pool.id.clone(), expected, found });
    if memory.foreign_writes.len() + 1 >= FOREIGN_WRITES_MAX && memory.demoted.is_none() {
        let because = format!("somebody else set its capacity again, to {found}");
        draft.notes.push(Note::Demoted { pool: pool.id.clone(), because });
    }
}

/// Whether a request in doubt would have left the pool at this capacity.
fn explains(doubt: &Doubt, pool: &Pool, found: Units) -> bool {
    match &doubt.planned.action {
        Action::SetPoolCapacity { pool: of, now, .. } => *of == pool.id && *now == found,
        Action::TerminateHost { pool: of, desired_was, .. } => {
            *of == pool.id && found < *desired_was
        }
        _ => false,
    }
}

fn learn_shapes(view: View<'_>, draft: &mut Draft) {
    for host in view.hosts().filter(|host| host.is_usable()) {
        let same_type = |noted: &Note| match noted {
            Note::ShapeLearnt { instance_type, .. } => *instance_type == host.instance_type,
            _ => false,
        };
        // Two hosts of one type may differ by a few MiB: the first one seen is kept.
        let known = view.memory.shapes.contains_key(&host.instance_type);
        if !known && !draft.notes.iter().any(same_type) {
            let instance_type = host.instance_type.clone();
            draft.notes.push(Note::ShapeLearnt { instance_type, registers: host.registered });
        }
    }
}

/// A doubt is over once two complete observations have come after it.
fn settle_doubts(view: View<'_>, draft: &mut Draft) {
    if view.snapshot.gaps().next().is_some() {
        return;
    }
    for (intent, doubt) in &view.memory.in_doubt {
        let fact = Fact::ReadBack { intent: *intent };
        let subject = doubt.planned.subject();
        if view.snapshot.oldest() <= doubt.since {
            continue;
        }
        if view.memory.since(&subject, &fact).is_some() {
            draft.notes.push(Note::DoubtSettled { intent: *intent });
        } else {
            draft.fact(subject, fact);
        }
    }
}

//! The counts both sides keep while a cutover is open, so that the way back never waits for tasks.

use crate::model::{
    Action, Attribute, CutoverEdge, Draft, Rival, ServiceName, Stage, Subject, Suspension, Why,
};

use super::view::Saga;

/// Notes the counts once, and raises whatever has fallen below them.
pub fn floors(saga: Saga<'_>, draft: &mut Draft) {
    let live = |stage: Stage| (Stage::Attached..=Stage::Tombstoned).contains(&stage);
    let back = |stage: Stage| matches!(stage, Stage::RollingBack | Stage::Reviving);
    let routes: Vec<_> = saga.routes().filter(|r| live(r.stage()) || back(r.stage())).collect();
    if routes.is_empty() || retiring(saga) {
        return;
    }
    keep(saga, &saga.config.from, draft);
    for route in routes.iter().filter(|route| live(route.stage())) {
        if route.stage() >= Stage::Provisioned {
            keep(saga, &route.config.to, draft);
        }
    }
}

fn keep(saga: Saga<'_>, name: &ServiceName, draft: &mut Draft) {
    let Some(service) = saga.service(name) else {
        return;
    };
    match saga.memory.floors.get(name) {
        None => {
            let (service, count) = (name.clone(), service.desired_count);
            saga.note(draft, CutoverEdge::Floor { service, count });
        }
        Some(&floor) if service.desired_count < floor => {
            let (was, now) = (service.desired_count, floor);
            let action = Action::SetServiceCount { service: name.clone(), was, now };
            saga.act(draft, action, Why::KeepsFloor { service: name.clone(), floor });
        }
        Some(_) => {}
    }
}

/// Whether blue is on its way to zero, by time or by a person's word.
pub fn retiring(saga: Saga<'_>) -> bool {
    let over = |stage: Stage| matches!(stage, Stage::Tombstoned | Stage::Finalized);
    let all = saga.routes().all(|route| over(route.stage()));
    all && saga.tombstone().is_some() && saga.is_kept_long_enough()
}

/// What Application Auto Scaling may do to a service, if it has a say.
pub fn suspension(saga: Saga<'_>, name: &ServiceName) -> Option<Suspension> {
    saga.snapshot.rivals.value.iter().find_map(|rival| match rival {
        Rival::ScalableTarget { service, suspended, .. } if service == name => Some(*suspended),
        _ => None,
    })
}

/// Asks for a suspension; whether it stands already.
pub fn suspended(
    saga: Saga<'_>,
    name: &ServiceName,
    wanted: Suspension,
    draft: &mut Draft,
) -> bool {
    let Some(was) = suspension(saga, name) else {
        return true;
    };
    let now = Suspension {
        scale_in: was.scale_in || wanted.scale_in,
        scale_out: was.scale_out || wanted.scale_out,
        scheduled: was.scheduled || wanted.scheduled,
    };
    if now == was {
        return true;
    }
    let what = format!("suspended scaling of {name}");
    let action = Action::SuspendScaling { service: name.clone(), was, now };
    saga.act(draft, action, Why::Declared { what });
    false
}

/// Gives a service's scaling back as it was before the first write; whether it is so.
pub fn restored(saga: Saga<'_>, name: &ServiceName, draft: &mut Draft) -> bool {
    let (Some(was), Some(now)) = (suspension(saga, name), original(saga, name)) else {
        return true;
    };
    // What somebody else has made of it since is theirs.
    if now == was || !is_ours(saga, name, was) {
        return true;
    }
    let what = format!("the suspended scaling of {name}");
    let action = Action::SuspendScaling { service: name.clone(), was, now };
    saga.act(draft, action, Why::Tidies { what });
    false
}

fn original(saga: Saga<'_>, name: &ServiceName) -> Option<Suspension> {
    serde_json::from_value(saga.all.originals.get(&key(name))?.clone()).ok()
}

fn is_ours(saga: Saga<'_>, name: &ServiceName, found: Suspension) -> bool {
    let written = saga.all.written.get(&key(name));
    let found = serde_json::to_value(found).unwrap_or_default();
    written.is_none_or(|written| written.has(&found))
}

fn key(name: &ServiceName) -> (Subject, Attribute) {
    (Subject::ScalingOf(name.clone()), Attribute::Scaling)
}

//! Whether a host's tasks can be moved at all, before anything is done to it.
//!
//! Rule: what would make a drain hang is found here, not after the host was drained.

use std::collections::BTreeMap;

use super::demand::shape_of;
use super::placement::Demand;
use super::view::View;
use crate::config::Evict;
use crate::model::{
    Constraint, Host, Launch, PoolId, Reason, Scheduling, Service, ServiceName, TaskOwner,
    TaskStatus,
};

/// The tasks that must find another host, by service; daemons end with their host.
pub fn tasks_to_move(view: View<'_>, host: &Host) -> Result<Vec<Demand>, Reason> {
    let tasks = match view.snapshot.tasks.value.get(&host.instance) {
        Some(tasks) => tasks.as_slice(),
        None if host.counted_tasks() == 0 && host.reserved().is_zero() => &[],
        None => return Err(Reason::TasksUnseen),
    };
    let alive = |status| !matches!(status, TaskStatus::Stopped | TaskStatus::Stopping);
    let mut counts: BTreeMap<&ServiceName, u64> = BTreeMap::new();
    let mut daemons = 0;
    for task in tasks.iter().filter(|task| alive(task.status)) {
        let TaskOwner::Service(name) = &task.owner else {
            let TaskOwner::Standalone(group) = &task.owner else {
                continue;
            };
            return Err(Reason::StandaloneTask { group: group.clone() });
        };
        let service = view.snapshot.services.value.get(name).ok_or(Reason::TasksUnseen)?;
        if service.scheduling == Scheduling::Daemon {
            daemons += 1;
        } else if task.protected || view.config.service(name).evict == Evict::Never {
            return Err(Reason::NeverEvicted { service: name.clone() });
        } else {
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    let listed = counts.values().sum::<u64>() + daemons;
    let stopping = tasks.iter().filter(|task| task.status == TaskStatus::Stopping).count() as u64;
    if listed + stopping < host.counted_tasks() {
        return Err(Reason::TasksUnseen);
    }
    counts.into_iter().map(|(name, count)| movable(view, name, count)).collect()
}

fn movable(view: View<'_>, name: &ServiceName, count: u64) -> Result<Demand, Reason> {
    let service = view.snapshot.services.value.get(name).ok_or(Reason::TasksUnseen)?;
    if service.is_deploying() {
        return Err(Reason::Deploying { service: name.clone() });
    }
    if !can_move_one(service) {
        return Err(Reason::DrainImpossible {
            service: name.clone(),
            minimum_healthy: service.minimum_healthy_percent,
            maximum: service.maximum_percent,
        });
    }
    let shape = shape_of(view, service, &service.definition).ok_or(Reason::TasksUnseen)?;
    let unknown = |c: &&Constraint| matches!(c, Constraint::Unknown(_));
    if let Some(constraint) = shape.constraints.iter().find(unknown) {
        let expression = constraint.to_string();
        return Err(Reason::ConstraintUnknown { of: name.to_string(), expression });
    }
    let distinct = shape.constraints.contains(&Constraint::DistinctInstance);
    let usable = super::room::usable(view).count() as u64;
    let pools: Option<std::collections::BTreeSet<PoolId>> = match &service.launch {
        Launch::Providers(pools) => Some(pools.clone()),
        Launch::Ec2 | Launch::Elsewhere => None,
    };
    let hosts_without = distinct.then(|| usable.saturating_sub(service.running_count));
    Ok(Demand { of: name.to_string(), shape, count, pools, hosts_without, booked: false })
}

/// Whether the scheduler may either stop one task first or start one more first.
fn can_move_one(service: &Service) -> bool {
    let desired = service.desired_count;
    let least = (desired * service.minimum_healthy_percent).div_ceil(100);
    let most = desired * service.maximum_percent / 100;
    desired > least || most > desired || desired == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::build;

    #[track_caller]
    fn check(desired: u64, minimum: u64, maximum: u64, moves: bool) {
        let mut service = build::service("web", desired, desired);
        (service.minimum_healthy_percent, service.maximum_percent) = (minimum, maximum);
        assert_eq!(can_move_one(&service), moves, "{desired} tasks at {minimum}/{maximum}");
    }

    #[test]
    fn a_drain_needs_room_below_or_above_the_desired_count() {
        check(4, 100, 100, false);
        check(4, 100, 200, true);
        check(4, 50, 100, true);
        check(1, 50, 100, false);
        check(1, 0, 100, true);
        check(3, 100, 110, false);
        check(10, 100, 110, true);
    }
}

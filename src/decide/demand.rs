//! Which tasks should exist and are on no host that counts.
//!
//! ECS has no field for an unplaced task: per deployment it is desired less running less pending,
//! capped by the service's maximum percent. Tasks on hosts that are leaving or lost are demand
//! again, because they will be started elsewhere.

use std::collections::BTreeMap;

use super::placement::Demand;
use super::view::{Draft, View};
use crate::config::Like;
use crate::model::{
    ActionKind, Booking, Constraint, Deployment, Hold, Launch, PoolId, Reason, Rollout, Scheduling,
    Service, ServiceName, Subject, TaskOwner, TaskShape, TaskStatus, WaitingTasks,
};

/// Failed starts of a deployment without one running task after which no host is added for it.
const CRASH_LOOP_FAILURES: u64 = 3;

/// How the group of a service's task begins.
const OF_SERVICE: &str = "service:";

/// Tasks that want a host now, by shape.
pub fn tasks(view: View<'_>, draft: &mut Draft) -> Vec<Demand> {
    let displaced = displaced(view);
    let replicas = view.snapshot.services.value.values().filter(|service| on_hosts(service));
    let mut demands = Vec::new();
    for service in replicas.filter(|service| service.scheduling == Scheduling::Replica) {
        let moved = displaced.get(&service.name).copied().unwrap_or(0);
        demands.extend(of_service(view, service, moved, draft));
    }
    let standalone = |waiting: &&WaitingTasks| !waiting.group.starts_with(OF_SERVICE);
    for waiting in view.snapshot.waiting.value.iter().filter(standalone) {
        let Some(shape) = view.snapshot.shapes.value.get(&waiting.definition) else {
            continue;
        };
        demands.push(Demand {
            of: waiting.group.clone(),
            shape: shape.clone(),
            count: waiting.count,
            pools: waiting.pool.clone().map(|pool| [pool].into()),
            ..Demand::default()
        });
    }
    demands.retain(|demand| demand.count > 0);
    demands
}

/// Tasks that will be started beside those that run, as the service's next revision is shaped.
pub fn booked(view: View<'_>, bookings: &[Booking]) -> Vec<Demand> {
    let demands = bookings.iter().filter_map(|booking| {
        let service = view.snapshot.services.value.get(&booking.service)?;
        let shape = shape_of(view, service, &service.definition)?;
        let distinct = shape.constraints.contains(&Constraint::DistinctInstance);
        let usable = view.hosts().filter(|host| host.is_usable()).count() as u64;
        let alive: u64 = service.deployments.iter().map(present).sum();
        Some(Demand {
            of: booking.service.to_string(),
            shape,
            count: booking.count,
            pools: pools_of(service),
            hosts_without: distinct.then(|| usable.saturating_sub(alive)),
            booked: true,
        })
    });
    demands.filter(|demand| demand.count > 0).collect()
}

/// Room wanted free, as tasks that do not exist yet.
pub fn headroom(view: View<'_>) -> Vec<Demand> {
    let wanted = view.config.headroom.iter().filter_map(|headroom| {
        let (of, shape) = match &headroom.like {
            Like::TasksOf(name) => {
                let service = view.snapshot.services.value.get(name)?;
                (name.to_string(), shape_of(view, service, &service.definition)?)
            }
            Like::LargestTask => largest(view)?,
        };
        // Headroom is room, not a placement: ports and spread do not matter for it.
        let shape = TaskShape { needs: shape.needs, ..TaskShape::default() };
        Some(Demand { of, shape, count: headroom.count, ..Demand::default() })
    });
    wanted.filter(|demand| demand.count > 0).collect()
}

/// What the daemons take of a fresh host.
pub fn daemons<'a>(view: View<'a>) -> impl Iterator<Item = (&'a Service, TaskShape)> {
    let services = view.snapshot.services.value.values();
    let daemons = services.filter(|s| on_hosts(s) && s.scheduling == Scheduling::Daemon);
    daemons.filter_map(move |s| Some((s, shape_of(view, s, &s.definition)?)))
}

/// The shape of a service's task: its task definition's, with the service's own constraints.
pub fn shape_of(
    view: View<'_>,
    service: &Service,
    definition: &crate::model::TaskDefinitionArn,
) -> Option<TaskShape> {
    let mut shape = view.snapshot.shapes.value.get(definition)?.clone();
    shape.constraints.extend(service.constraints.iter().cloned());
    Some(shape)
}

fn on_hosts(service: &Service) -> bool {
    service.launch != Launch::Elsewhere
}

fn largest(view: View<'_>) -> Option<(String, TaskShape)> {
    let services = view.snapshot.services.value.values();
    let replicas = services.filter(|s| on_hosts(s) && s.scheduling == Scheduling::Replica);
    let shapes = replicas.filter(|service| service.desired_count > 0).filter_map(|service| {
        let shape = shape_of(view, service, &service.definition)?;
        Some((service.name.to_string(), shape))
    });
    shapes.max_by(|(_, a), (_, b)| {
        let size = |shape: &TaskShape| {
            let needs = shape.needs;
            // One vCPU weighs as much as 4 GiB, as in the general purpose families.
            (needs.gpus, (needs.cpu_units * 4).max(needs.memory_mib), needs)
        };
        size(a).cmp(&size(b))
    })
}

/// Per service, tasks that live on hosts that are leaving or given up.
fn displaced(view: View<'_>) -> BTreeMap<ServiceName, u64> {
    let mut displaced = BTreeMap::new();
    let leaving = view.hosts().filter(|host| view.is_leaving(host) || view.is_given_up(host));
    for tasks in leaving.filter_map(|host| view.snapshot.tasks.value.get(&host.instance)) {
        for task in tasks {
            if let TaskOwner::Service(service) = &task.owner
                && matches!(task.status, TaskStatus::Starting | TaskStatus::Running)
            {
                *displaced.entry(service.clone()).or_insert(0) += 1;
            }
        }
    }
    displaced
}

fn of_service(view: View<'_>, service: &Service, displaced: u64, draft: &mut Draft) -> Vec<Demand> {
    let alive: u64 = service.deployments.iter().map(present).sum();
    // A service of one task at 100 % maximum may still start that one.
    let maximum = (service.desired_count * service.maximum_percent / 100)
        .max(u64::from(service.desired_count > 0));
    let mut startable = maximum.saturating_sub(alive);
    let mut demands = Vec::new();
    for deployment in &service.deployments {
        let missing = deployment.desired_count.saturating_sub(present(deployment)).min(startable);
        let missing = missing.max(waiting(view, service, deployment));
        startable = startable.saturating_sub(missing);
        // Tasks already started elsewhere for those on leaving hosts show as a surplus.
        let surplus = present(deployment).saturating_sub(deployment.desired_count);
        let moved = if deployment.primary { displaced.saturating_sub(surplus) } else { 0 };
        if missing + moved == 0 {
            continue;
        }
        if missing > 0 && is_crash_looping(deployment) {
            let failed = deployment.failed_tasks;
            let reason = Reason::CrashLooping { service: service.name.clone(), failed };
            let subject = Subject::Service(service.name.clone());
            draft.hold(Hold::new(subject, ActionKind::ScaleOut, reason));
            continue;
        }
        let Some(shape) = shape_of(view, service, &deployment.definition) else {
            continue;
        };
        let distinct = shape.constraints.contains(&Constraint::DistinctInstance);
        let usable = view.hosts().filter(|host| host.is_usable()).count() as u64;
        demands.push(Demand {
            of: service.name.to_string(),
            shape,
            count: missing + moved,
            pools: pools_of(service),
            hosts_without: distinct.then(|| usable.saturating_sub(alive - displaced.min(alive))),
            booked: false,
        });
    }
    demands
}

/// Its tasks that ECS has created and holds until a host has room.
fn waiting(view: View<'_>, service: &Service, deployment: &Deployment) -> u64 {
    let group = format!("{OF_SERVICE}{}", service.name);
    let tasks = view.snapshot.waiting.value.iter();
    let own = tasks.filter(|w| w.group == group && w.definition == deployment.definition);
    own.map(|waiting| waiting.count).sum()
}

fn present(deployment: &Deployment) -> u64 {
    deployment.running_count + deployment.pending_count
}

fn is_crash_looping(deployment: &Deployment) -> bool {
    deployment.rollout == Rollout::Failed
        || (deployment.failed_tasks >= CRASH_LOOP_FAILURES && deployment.running_count == 0)
}

fn pools_of(service: &Service) -> Option<std::collections::BTreeSet<PoolId>> {
    match &service.launch {
        Launch::Providers(pools) => Some(pools.clone()),
        Launch::Ec2 | Launch::Elsewhere => None,
    }
}

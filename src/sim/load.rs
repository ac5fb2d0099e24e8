//! Random load: what a cluster may meet in weeks, from one seed.
//!
//! Rule: drawn in advance from its own stream, so that what is done about one event does not
//! change the next.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{InstanceType, PoolId, Scheduling, ServiceName, TaskShape, Zone};

use super::event::Event;
use super::rng::Rng;
use super::world::World;

/// The last hours of each day nothing happens, so that one can see whether things settle.
pub const QUIET: TimeDelta = TimeDelta::hours(3);

/// What there is in a world to load.
struct Targets {
    /// With the count each service walks around.
    services: Vec<(ServiceName, u64)>,
    pools: Vec<PoolId>,
    supplies: Vec<(InstanceType, Zone)>,
}

/// Enters so many days of random events into a world: counts that walk, deployments, standalone
/// tasks, lost agents, dead hosts, failed registrations, insufficient capacity, and people.
pub fn random_load(world: &mut World, seed: u64, days: u32) {
    let targets = targets(world);
    let mut rng = Rng::new(seed);
    let mut counts: Vec<u64> = targets.services.iter().map(|(_, count)| *count).collect();
    for day in 0..days {
        let start = world.now() + TimeDelta::days(i64::from(day));
        let end = start + TimeDelta::days(1) - QUIET;
        let mut at = start;
        loop {
            at += rng.time_between(TimeDelta::minutes(1), TimeDelta::minutes(15));
            if at >= end {
                break;
            }
            for (after, event) in draw(&mut rng, &targets, &mut counts) {
                enter(world, at + after, event);
            }
        }
        enter(world, end, Event::AgentBack { host: None });
    }
}

fn enter(world: &mut World, at: DateTime<Utc>, event: Event) {
    world.schedule(at, event, None);
}

fn targets(world: &World) -> Targets {
    let replicas = world.services.values().map(|service| &service.spec);
    let replicas = replicas.filter(|spec| spec.scheduling == Scheduling::Replica);
    let pools = world.pools.values().map(|sim| &sim.pool);
    let supplies = pools.clone().flat_map(|pool| {
        let types = pool.offerings.iter().map(|o| o.instance_type.clone());
        types.flat_map(|of| pool.zones.iter().map(move |zone| (of.clone(), zone.clone())))
    });
    Targets {
        services: replicas.map(|spec| (spec.name.clone(), spec.count)).collect(),
        supplies: supplies.collect(),
        pools: pools.map(|pool| pool.id.clone()).collect(),
    }
}

/// One thing that happens, and what follows from it. Of a thousand, most are changes of a count.
fn draw(rng: &mut Rng, targets: &Targets, counts: &mut [u64]) -> Vec<(TimeDelta, Event)> {
    let now = TimeDelta::zero();
    let soon = rng.time_between(TimeDelta::minutes(2), TimeDelta::minutes(60));
    let which = usize::try_from(rng.below(counts.len() as u64)).unwrap_or(0);
    let Some((service, usual)) = targets.services.get(which) else {
        return Vec::new();
    };
    let event = match rng.below(1000) {
        0..800 => {
            let step = rng.between(0, 2 + usual / 3);
            let count = &mut counts[which];
            *count = (*count + step).saturating_sub(rng.between(0, 2 + usual / 3));
            *count = (*count).clamp(1, usual * 3);
            Event::SetCount { service: service.clone(), count: *count }
        }
        800..860 => Event::Deploy { service: service.clone(), shape: None },
        860..910 => Event::RunTasks {
            group: "job".to_owned(),
            shape: TaskShape::plain(256, 256),
            count: rng.between(1, 3),
            pool: None,
            lasts: Some(soon),
        },
        910..950 => {
            let lost = (now, Event::LoseAgent { host: None });
            let back = (soon, Event::AgentBack { host: None });
            let flaps = rng.chance(500);
            return if flaps { vec![lost, back] } else { vec![lost] };
        }
        950..965 => Event::HostDies { host: None },
        965..980 => match rng.pick(&targets.pools) {
            Some(pool) => Event::FailRegistrations { pool: pool.clone(), count: 1 },
            None => Event::Remark,
        },
        980..995 => match rng.pick(&targets.supplies) {
            Some((instance_type, zone)) => Event::NoCapacity {
                instance_type: instance_type.clone(),
                zone: zone.clone(),
                lasts: soon,
            },
            None => Event::Remark,
        },
        _ => match rng.pick(&targets.pools) {
            Some(pool) => Event::SetDesired {
                pool: pool.clone(),
                desired: u32::try_from(rng.between(1, 10)).unwrap_or(1),
            },
            None => Event::Remark,
        },
    };
    vec![(now, event)]
}

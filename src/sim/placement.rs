//! Which host ECS puts a task on: constraints filter, then spread over zones, then over hosts.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Constraint, InstanceId, Launch, ServiceName, TaskShape, Zone};

use super::state::SimHost;
use super::world::World;

/// How a service's live tasks lie on zones and hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    by_zone: BTreeMap<Zone, u64>,
    by_host: BTreeMap<InstanceId, u64>,
}

impl Spread {
    pub(super) fn add(&mut self, zone: &Zone, host: &InstanceId) {
        *self.by_zone.entry(zone.clone()).or_default() += 1;
        *self.by_host.entry(host.clone()).or_default() += 1;
    }

    pub(super) fn take(&mut self, zone: &Zone, host: &InstanceId) {
        let counts = [self.by_zone.get_mut(zone), self.by_host.get_mut(host)];
        for count in counts.into_iter().flatten() {
            *count = count.saturating_sub(1);
        }
    }

    /// Tasks in its zone, then on the host itself.
    pub(super) fn load(&self, zone: &Zone, host: &InstanceId) -> (u64, u64) {
        let zone = self.by_zone.get(zone).copied().unwrap_or(0);
        let host = self.by_host.get(host).copied().unwrap_or(0);
        (zone, host)
    }
}

impl World {
    pub(super) fn spread(&self, name: &ServiceName) -> Spread {
        let mut spread = Spread::default();
        let tasks = self.services.get(name).map(|service| &service.tasks);
        for no in tasks.into_iter().flatten() {
            let task = self.tasks.get(no).filter(|task| task.is_live());
            let host = task.and_then(|task| task.host.as_ref());
            if let Some(sim) = host.and_then(|id| self.hosts.get(id)) {
                spread.add(&sim.host.zone, &sim.host.instance);
            }
        }
        spread
    }

    /// The host for one more task of this shape, if any has room.
    pub(super) fn place(
        &self,
        shape: &TaskShape,
        constraints: &BTreeSet<Constraint>,
        launch: &Launch,
        spread: &Spread,
    ) -> Option<InstanceId> {
        let distinct = constraints.contains(&Constraint::DistinctInstance);
        let candidates = self.hosts.values().filter(|sim| {
            has_room(sim, shape)
                && may_run(sim, constraints, launch)
                && meets(sim, &shape.constraints)
        });
        let ranked = candidates.filter_map(|sim| {
            let (zone, own) = spread.load(&sim.host.zone, &sim.host.instance);
            let rank = (zone, own, sim.tasks.len(), &sim.host.instance);
            (!distinct || own == 0).then_some(rank)
        });
        ranked.min().map(|(_, _, _, instance)| instance.clone())
    }
}

pub(super) fn has_room(sim: &SimHost, shape: &TaskShape) -> bool {
    sim.takes_tasks()
        && shape.needs.fits(&sim.host.remaining)
        && shape.host_ports.is_disjoint(&sim.host.ports_used)
}

/// Whether the host is of a pool the task may use and meets what its service asks.
pub(super) fn may_run(sim: &SimHost, constraints: &BTreeSet<Constraint>, launch: &Launch) -> bool {
    let of_pool = match launch {
        Launch::Ec2 => true,
        Launch::Providers(pools) => sim.host.pool.as_ref().is_some_and(|p| pools.contains(p)),
        Launch::Elsewhere => false,
    };
    of_pool && meets(sim, constraints)
}

fn meets(sim: &SimHost, constraints: &BTreeSet<Constraint>) -> bool {
    constraints.iter().all(|constraint| constraint.met_by(&sim.host.attributes) == Some(true))
}

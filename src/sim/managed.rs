//! A rival the world plays: a capacity provider's managed scaling, from its own documentation.
//!
//! Rule: it acts through the group's alarms, so a suspended `AlarmNotification` silences it.

use std::collections::BTreeMap;

use crate::model::{Host, Launch, PoolId, TaskShape};

use super::delays;
use super::state::Due;
use super::world::World;

impl World {
    /// One datapoint of `CapacityProviderReservation`, and what its two alarms make of it.
    pub(super) fn alarm(&mut self, id: &PoolId) {
        self.enter(delays::ALARM, Due::Alarm(id.clone()));
        self.protect_busy(id);
        let has = u32::try_from(self.members(id).count()).unwrap_or(u32::MAX);
        let needed = self.hosts_needed(id, has);
        let warming = self.members(id).any(|h| self.age(h) < delays::WARMUP);
        let Some(sim) = self.pools.get_mut(id) else {
            return;
        };
        let low = needed < has;
        sim.low_datapoints = if low { sim.low_datapoints + 1 } else { 0 };
        let low_fires = sim.low_datapoints >= delays::LOW_ALARM_DATAPOINTS;
        if sim.pool.is_suspended("AlarmNotification") {
            return;
        }
        let (desired, max, min) = (sim.pool.desired.0, sim.pool.max.0, sim.pool.min.0);
        if needed > has && !warming && needed.min(max) > desired {
            self.set_desired(id, needed);
        } else if low_fires && desired > min {
            // At least one, and less than half at a time.
            let most = (has.saturating_sub(1) / 2).max(1);
            let fewer = desired.saturating_sub((has - needed).min(most));
            self.set_desired(id, fewer);
        }
    }

    /// M of the metric: what waits is sized on the largest type, if the smallest can take it; with
    /// nothing waiting, the hosts that run something.
    fn hosts_needed(&self, id: &PoolId, has: u32) -> u32 {
        let Some(sim) = self.pools.get(id) else {
            return has;
        };
        let (smallest, largest) = (sim.pool.guaranteed(), sim.pool.largest());
        let mut waiting: BTreeMap<&TaskShape, u64> = BTreeMap::new();
        for task in self.waiting.iter().filter_map(|no| self.tasks.get(no)) {
            let ours = matches!(&task.launch, Launch::Providers(pools) if pools.contains(id));
            if ours && task.shape.needs.fits(&smallest) {
                *waiting.entry(&task.shape).or_default() += 1;
            }
        }
        let hosts = waiting.iter().map(|(shape, count)| {
            let each = shape.needs.times_in(&largest).max(1);
            count.div_ceil(each)
        });
        let more = u32::try_from(hosts.sum::<u64>()).unwrap_or(u32::MAX);
        match (has, more) {
            (_, 0) => u32::try_from(self.busy(id).count()).unwrap_or(has),
            // An empty group reads 200 %, so it gets two hosts whatever is needed.
            (0, _) => 2,
            _ => has.saturating_add(more),
        }
    }

    /// Hosts of the pool with a task that is no daemon's; those that still start count as busy.
    fn busy<'a>(&'a self, id: &'a PoolId) -> impl Iterator<Item = &'a Host> {
        self.members(id).filter(|host| {
            let tasks = self.hosts.get(&host.instance).map(|sim| sim.tasks.iter());
            let mut tasks = tasks.into_iter().flatten();
            !host.is_registered() || tasks.any(|no| !self.is_daemon(*no))
        })
    }

    /// Managed termination protection: hosts with work are protected, others are not.
    fn protect_busy(&mut self, id: &PoolId) {
        let provider = self.pools.get(id).and_then(|sim| sim.pool.provider.as_ref());
        if !provider.is_some_and(|p| p.managed_scaling && p.managed_termination_protection) {
            return;
        }
        let busy: Vec<_> = self.busy(id).map(|host| host.instance.clone()).collect();
        for sim in self.hosts.values_mut() {
            if sim.host.pool.as_ref() == Some(id) {
                sim.host.protected = busy.contains(&sim.host.instance);
            }
        }
    }
}

//! How a group or fleet keeps its size: launches where it has least, and ends hosts of its own
//! choice where it has too many.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::model::{Host, InstanceId, Offering, PoolId, PoolState, Units, Zone};

use super::delays;
use super::laws::Violation;
use super::state::Due;
use super::world::World;

impl World {
    /// Looks at a pool's size after a while, if that is not planned sooner already.
    pub(super) fn resize_in(&mut self, id: &PoolId, after: TimeDelta) {
        let at = self.now + after;
        if let Some(sim) = self.pools.get_mut(id)
            && sim.resize_due.is_none_or(|due| due > at)
        {
            sim.resize_due = Some(at);
            self.enter(after, Due::Resize(id.clone()));
        }
    }

    pub(super) fn resize(&mut self, id: &PoolId) {
        let now = self.now;
        let Some(sim) = self.pools.get_mut(id) else {
            return;
        };
        if sim.resize_due != Some(now) {
            return;
        }
        sim.resize_due = None;
        let pool = sim.pool.clone();
        let fleet_keeps = id.is_fleet() && pool.protects_new_hosts;
        let keep_excess = fleet_keeps || pool.is_suspended("Terminate");
        while self.capacity(id) < pool.desired.0 && !pool.is_suspended("Launch") {
            let Some((offering, zone)) = self.offer(id) else {
                self.log(format!("{id}: no capacity in any zone"));
                self.resize_in(id, delays::LAUNCH_RETRY);
                return;
            };
            self.launch(id, &offering, &zone);
        }
        while !keep_excess && self.end_excess(id) {}
    }

    /// What its hosts count, those on their way out not included.
    pub(super) fn capacity(&self, id: &PoolId) -> u32 {
        let Some(sim) = self.pools.get(id) else {
            return 0;
        };
        let weight = |host: &Host| sim.pool.weight_of(&host.instance_type);
        self.members(id).map(weight).sum()
    }

    /// The pool's hosts that are not on their way out.
    pub(super) fn members<'a>(&'a self, id: &'a PoolId) -> impl Iterator<Item = &'a Host> {
        let staying = self.hosts.values().filter(|sim| !sim.is_leaving());
        let hosts = staying.map(|sim| &sim.host);
        hosts.filter(move |host| host.pool.as_ref() == Some(id))
    }

    fn by_zone(&self, id: &PoolId) -> BTreeMap<Zone, usize> {
        let zones = self.pools.get(id).map(|sim| sim.pool.zones.iter());
        let zones = zones.into_iter().flatten();
        let mut counts: BTreeMap<Zone, usize> = zones.map(|zone| (zone.clone(), 0)).collect();
        for host in self.members(id) {
            *counts.entry(host.zone.clone()).or_default() += 1;
        }
        counts
    }

    /// The next launch: the zone with the fewest hosts that has capacity, the first type that has.
    fn offer(&self, id: &PoolId) -> Option<(Offering, Zone)> {
        let mut zones: Vec<_> = self.by_zone(id).into_iter().collect();
        zones.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        let offerings = &self.pools.get(id)?.pool.offerings;
        zones.into_iter().find_map(|(zone, _)| {
            let offering = self.available(offerings, &zone)?.clone();
            Some((offering, zone))
        })
    }

    /// The first type that EC2 has in a zone.
    fn available<'a>(&self, of: &'a [Offering], zone: &Zone) -> Option<&'a Offering> {
        of.iter().find(|offering| {
            let key = (offering.instance_type.clone(), zone.clone());
            let until = self.no_capacity_until.get(&key);
            until.is_none_or(|until| *until <= self.now)
        })
    }

    /// Ends one host by the default termination policy, if the group has one too many: of the
    /// fullest zone the oldest that is not protected.
    fn end_excess(&mut self, id: &PoolId) -> bool {
        let Some(sim) = self.pools.get(id) else {
            return false;
        };
        let excess = self.capacity(id).saturating_sub(sim.pool.desired.0);
        let zones = self.by_zone(id);
        let open = |host: &&Host| {
            !host.protected && sim.pool.weight_of(&host.instance_type) <= excess.max(1)
        };
        let order = |host: &&Host| {
            let crowd = zones.get(&host.zone).copied().unwrap_or(0);
            (std::cmp::Reverse(crowd), host.launched_at, host.instance.clone())
        };
        let victim = self.members(id).filter(open).min_by_key(order);
        let Some(victim) = victim.map(|host| host.instance.clone()).filter(|_| excess > 0) else {
            return false;
        };
        let tasks = self.hosts.get(&victim).map_or(0, |sim| sim.tasks.len());
        if sim.lowered_by_us && tasks > 0 {
            self.violations.push(Violation::GroupChose {
                at: self.now,
                pool: id.clone(),
                host: victim.clone(),
                tasks,
            });
        }
        self.disturbed_at = Some(self.now);
        self.shut_down(&victim, &format!("{id} is above its desired capacity"));
        true
    }

    pub(super) fn fleet_modified(&mut self, id: &PoolId) {
        if let Some(sim) = self.pools.get_mut(id)
            && sim.pool.state == PoolState::Changing
        {
            sim.pool.state = PoolState::Active;
        }
    }

    /// Somebody else sets the desired capacity, as far as the bounds allow.
    pub(super) fn set_desired(&mut self, id: &PoolId, desired: u32) {
        if let Some(sim) = self.pools.get_mut(id) {
            let desired = desired.clamp(sim.pool.min.0, sim.pool.max.0);
            sim.pool.desired = Units(desired);
            sim.lowered_by_us = false;
            self.log(format!("{id}: desired capacity set to {desired} by another"));
            self.resize_in(id, delays::RESIZE);
        }
    }

    /// `AZRebalance`: launches in the emptiest zone first, then ends an unprotected host of the
    /// fullest, once they differ by two.
    pub(super) fn zone_check(&mut self, id: &PoolId) {
        self.enter(delays::ZONE_CHECK, Due::ZoneCheck(id.clone()));
        let Some(sim) = self.pools.get(id) else {
            return;
        };
        if sim.pool.is_suspended("AZRebalance") || sim.pool.is_suspended("Launch") {
            return;
        }
        let zones = self.by_zone(id);
        let emptiest = zones.iter().min_by_key(|(_, count)| **count);
        let fullest = zones.iter().max_by_key(|(_, count)| **count);
        let (Some((to, few)), Some((from, many))) = (emptiest, fullest) else {
            return;
        };
        let movable = |host: &&Host| host.zone == *from && !host.protected;
        let victim = self.members(id).find(movable);
        let (Some(victim), true) = (victim.map(|host| host.instance.clone()), *many >= few + 2)
        else {
            return;
        };
        let to = to.clone();
        let Some(offering) = self.available(&sim.pool.offerings, &to).cloned() else {
            return;
        };
        self.log(format!("{id}: rebalancing zones, {victim} will go"));
        self.launch(id, &offering, &to);
        self.enter(delays::WARMUP, Due::ZoneMove(victim));
    }

    pub(super) fn zone_move(&mut self, victim: &InstanceId) {
        let movable = |host: &Host| !host.protected;
        if self.hosts.get(victim).is_some_and(|sim| movable(&sim.host)) {
            self.disturbed_at = Some(self.now);
            self.shut_down(victim, "zones are rebalanced");
        }
    }
}

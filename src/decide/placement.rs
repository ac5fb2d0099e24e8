//! Puts tasks on hosts on paper: first-fit decreasing, by shape and not by task.
//!
//! Rule: the result equals placing every task one by one, largest first, on the first host that
//! takes it. Equal tasks and runs of equal hosts are counted instead of walked, so 51,000 tasks
//! of two shapes cost two divisions for each kind of host.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Attributes, Constraint, InstanceId, PoolId, Resources, TaskShape};

/// Tasks of one shape that want a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// A service's name, a standalone task's group: what the explanation calls them.
    pub of: String,
    pub shape: TaskShape,
    pub count: u64,
    /// Only hosts of these pools will do (a capacity provider strategy); `None`: any host.
    pub pools: Option<BTreeSet<PoolId>>,
    /// With `distinctInstance`: how many existing hosts have no task of it yet.
    pub hosts_without: Option<u64>,
    /// Nobody has asked ECS for these tasks yet: their room is kept.
    pub booked: bool,
}

/// What a bin stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BinOf {
    Host(InstanceId),
    /// Being drained to save it, and could be given back.
    Leaving(InstanceId),
    /// Ordered or launching; which instance does not matter.
    Coming,
    /// Not ordered yet.
    Fresh,
}

/// A run of equal hosts and the room left on each.
#[derive(Clone, Debug)]
pub struct Bin<'a> {
    pub of: BinOf,
    pub pool: Option<&'a PoolId>,
    pub room: Resources,
    pub ports: BTreeSet<u16>,
    pub attributes: &'a Attributes,
    /// How many equal hosts in a row it stands for.
    pub hosts: u64,
    /// Tasks placed here, on each of the hosts.
    pub placed: u64,
    /// Of these, tasks whose room is booked.
    pub booked: u64,
    /// Demands with `distinctInstance` that have a task here.
    distinct: BTreeSet<String>,
}

impl<'a> Bin<'a> {
    pub fn new(of: BinOf, pool: Option<&'a PoolId>, room: Resources, at: &'a Attributes) -> Self {
        Self {
            of,
            pool,
            room,
            ports: BTreeSet::new(),
            attributes: at,
            hosts: 1,
            placed: 0,
            booked: 0,
            distinct: BTreeSet::new(),
        }
    }

    /// How many tasks of this demand one of its hosts can take.
    pub fn takes(&self, demand: &Demand) -> u64 {
        let allowed = |pools: &BTreeSet<PoolId>| self.pool.is_some_and(|p| pools.contains(p));
        if !demand.pools.as_ref().is_none_or(allowed) {
            return 0;
        }
        let shape = &demand.shape;
        let fit = shape.needs.times_in(&self.room);
        if fit == 0 || !shape.constraints.iter().all(|c| c.met_by(self.attributes) == Some(true)) {
            return 0;
        }
        if !shape.host_ports.is_disjoint(&self.ports) {
            return 0;
        }
        let distinct = shape.constraints.contains(&Constraint::DistinctInstance);
        if distinct && self.distinct.contains(&demand.of) {
            return 0;
        }
        if distinct || !shape.host_ports.is_empty() { 1 } else { fit }
    }

    fn put(&mut self, demand: &Demand, tasks: u64) {
        self.room -= demand.shape.needs * tasks;
        self.ports.extend(&demand.shape.host_ports);
        self.placed += tasks;
        self.booked += if demand.booked { tasks } else { 0 };
        if demand.shape.constraints.contains(&Constraint::DistinctInstance) {
            self.distinct.insert(demand.of.clone());
        }
    }
}

/// Places as many tasks of the demand as fit, first bin first; returns how many are left.
pub fn place(bins: &mut Vec<Bin<'_>>, demand: &Demand) -> u64 {
    let mut left = demand.count;
    let mut existing = demand.hosts_without.unwrap_or(u64::MAX);
    let mut at = 0;
    while left > 0 && at < bins.len() {
        let bin = &bins[at];
        let each = bin.takes(demand).min(left);
        let usable_hosts = match bin.of {
            BinOf::Host(_) => bin.hosts.min(existing),
            BinOf::Leaving(_) | BinOf::Coming | BinOf::Fresh => bin.hosts,
        };
        if each == 0 || usable_hosts == 0 {
            at += 1;
            continue;
        }
        let full = (left / each).min(usable_hosts);
        let rest = if full < usable_hosts { left % each } else { 0 };
        left -= full * each + rest;
        existing -= if matches!(bin.of, BinOf::Host(_)) { full } else { 0 };
        at = fill(bins, at, demand, each, full, rest);
    }
    left
}

/// Splits a run into the hosts filled with `each` tasks, one with the `rest`, and the untouched
/// ones. Returns the index after the last host written to.
fn fill(
    bins: &mut Vec<Bin<'_>>,
    at: usize,
    demand: &Demand,
    each: u64,
    full: u64,
    rest: u64,
) -> usize {
    let untouched = bins[at].hosts - full - u64::from(rest > 0);
    let mut pieces = Vec::with_capacity(3);
    if full > 0 {
        let mut piece = bins[at].clone();
        piece.hosts = full;
        piece.put(demand, each);
        pieces.push(piece);
    }
    if rest > 0 {
        let mut piece = bins[at].clone();
        piece.hosts = 1;
        piece.put(demand, rest);
        pieces.push(piece);
    }
    let written = pieces.len();
    if untouched > 0 {
        let mut piece = bins[at].clone();
        piece.hosts = untouched;
        pieces.push(piece);
    }
    if let [only] = pieces.as_mut_slice() {
        std::mem::swap(&mut bins[at], only);
    } else {
        bins.splice(at..=at, pieces);
    }
    at + written
}

/// Orders demands largest first, by their dominant share of a reference host. Ties go by needs
/// and name, so that equal input gives equal plans.
pub fn sort_decreasing(demands: &mut [Demand], reference: Resources) {
    demands.sort_by(|a, b| {
        let by_size = dominant(b.shape.needs, reference).cmp(&dominant(a.shape.needs, reference));
        by_size.then_with(|| b.shape.needs.cmp(&a.shape.needs)).then_with(|| a.of.cmp(&b.of))
    });
}

/// The larger of its two shares of the reference, in millionths; GPUs outweigh all.
fn dominant(needs: Resources, reference: Resources) -> (u64, u128) {
    let share = |part: u64, whole: u64| u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    let cpu = share(needs.cpu_units, reference.cpu_units);
    let memory = share(needs.memory_mib, reference.memory_mib);
    (needs.gpus, cpu.max(memory))
}

/// Places all demands, largest first; returns what did not fit, in the same order.
pub fn place_all<'a>(bins: &mut Vec<Bin<'_>>, demands: &'a mut [Demand]) -> Vec<(&'a Demand, u64)> {
    let reference = bins.iter().map(|bin| bin.room).fold(Resources::ZERO, |a, b| a.each_max(&b));
    sort_decreasing(demands, reference);
    demands.iter().map(|demand| (demand, place(bins, demand))).filter(|(_, n)| *n > 0).collect()
}

/// The most room any existing host has that this demand may use, by the needs' own measure.
pub fn best_free(bins: &[Bin<'_>], demand: &Demand) -> Option<Resources> {
    let hosts = bins.iter().filter(|bin| matches!(bin.of, BinOf::Host(_) | BinOf::Coming));
    let rooms = hosts.map(|bin| bin.room);
    rooms.max_by(|a, b| closeness(demand.shape.needs, *a).cmp(&closeness(demand.shape.needs, *b)))
}

/// How near a room comes to the needs: the worse of its two ratios, capped at enough.
fn closeness(needs: Resources, room: Resources) -> (u128, Resources) {
    let ratio = |need: u64, room: u64| match need {
        0 => 1_000_000,
        _ => (u128::from(room) * 1_000_000 / u128::from(need)).min(1_000_000),
    };
    let worse = match ratio(needs.cpu_units, room.cpu_units)
        .cmp(&ratio(needs.memory_mib, room.memory_mib))
    {
        Ordering::Less | Ordering::Equal => ratio(needs.cpu_units, room.cpu_units),
        Ordering::Greater => ratio(needs.memory_mib, room.memory_mib),
    };
    (worse, room)
}

/// Attributes that every host of a pool shares, by pool: what a fresh host may be expected to have.
pub fn shared_attributes<'a>(
    hosts: impl Iterator<Item = (&'a PoolId, &'a Attributes)>,
) -> BTreeMap<&'a PoolId, Attributes> {
    let mut shared: BTreeMap<&PoolId, Attributes> = BTreeMap::new();
    for (pool, attributes) in hosts {
        match shared.get_mut(pool) {
            Some(common) => common.retain(|name, value| attributes.get(name) == Some(value)),
            None => {
                shared.insert(pool, attributes.clone());
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Attributes = Attributes::new();

    fn demand(of: &str, cpu: u64, memory: u64, count: u64) -> Demand {
        let shape = TaskShape::plain(cpu, memory);
        Demand { of: of.to_owned(), shape, count, ..Demand::default() }
    }

    fn bins(rooms: &[(u64, u64)], fresh: (u64, u64), fresh_hosts: u64) -> Vec<Bin<'static>> {
        static EMPTY: Attributes = NONE;
        let hosts = rooms.iter().enumerate().map(|(n, (cpu, memory))| {
            let of = BinOf::Host(format!("i-{n}").into());
            Bin::new(of, None, Resources::new(*cpu, *memory), &EMPTY)
        });
        let room = Resources::new(fresh.0, fresh.1);
        let fresh = Bin { hosts: fresh_hosts, ..Bin::new(BinOf::Fresh, None, room, &EMPTY) };
        hosts.chain([fresh]).collect()
    }

    /// The definition: one task after the other, the first host that has room.
    fn task_by_task(
        rooms: &[(u64, u64)],
        fresh: (u64, u64),
        fresh_hosts: usize,
        demands: &[Demand],
    ) -> Vec<(u64, u64)> {
        let mut rooms: Vec<_> = rooms.to_vec();
        rooms.extend(std::iter::repeat_n(fresh, fresh_hosts));
        for demand in demands {
            let Resources { cpu_units, memory_mib, .. } = demand.shape.needs;
            for _ in 0..demand.count {
                let fits =
                    |(cpu, memory): &&mut (u64, u64)| *cpu >= cpu_units && *memory >= memory_mib;
                if let Some(room) = rooms.iter_mut().find(fits) {
                    *room = (room.0 - cpu_units, room.1 - memory_mib);
                }
            }
        }
        rooms
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn counting_shapes_equals_placing_task_by_task(
            rooms in prop::collection::vec((0..9_u64, 0..9_u64), 0..5),
            fresh in (1..9_u64, 1..9_u64),
            fresh_hosts in 0..6_usize,
            wants in prop::collection::vec((0..5_u64, 0..5_u64, 0..9_u64), 0..5),
        ) {
            let mut demands: Vec<_> = wants.iter().enumerate()
                .filter(|(_, (cpu, memory, _))| cpu + memory > 0)
                .map(|(n, (cpu, memory, count))| demand(&n.to_string(), *cpu, *memory, *count))
                .collect();
            let mut bins = bins(&rooms, fresh, fresh_hosts as u64);
            place_all(&mut bins, &mut demands);
            let counted: Vec<_> = bins.iter()
                .flat_map(|bin| (0..bin.hosts).map(|_| (bin.room.cpu_units, bin.room.memory_mib)))
                .collect();
            prop_assert_eq!(counted, task_by_task(&rooms, fresh, fresh_hosts, &demands));
        }
    }

    #[track_caller]
    fn left_over(rooms: &[(u64, u64)], mut demands: Vec<Demand>) -> Vec<(String, u64)> {
        let mut bins = bins(rooms, (0, 0), 0);
        let left = place_all(&mut bins, &mut demands);
        left.into_iter().map(|(demand, n)| (demand.of.clone(), n)).collect()
    }

    #[test]
    fn sixty_percent_reserved_can_still_have_no_room() {
        let rooms = [(800, 3000), (800, 3000), (800, 3000)];
        assert_eq!(left_over(&rooms, vec![demand("web", 1024, 512, 1)]), [("web".to_owned(), 1)]);
    }

    #[test]
    fn a_fixed_host_port_takes_one_host_per_task() {
        let mut web = demand("web", 1, 1, 3);
        web.shape.host_ports.insert(80);
        assert_eq!(left_over(&[(9, 9), (9, 9)], vec![web]), [("web".to_owned(), 1)]);
    }

    #[test]
    fn distinct_tasks_skip_the_hosts_that_have_one() {
        let mut web = demand("web", 1, 1, 3);
        web.shape.constraints.insert(Constraint::DistinctInstance);
        web.hosts_without = Some(2);
        assert_eq!(left_over(&[(9, 9), (9, 9), (9, 9)], vec![web]), [("web".to_owned(), 1)]);
    }

    #[test]
    fn a_constraint_nobody_understands_fits_nowhere() {
        let mut web = demand("web", 1, 1, 1);
        web.shape.constraints.insert(Constraint::Unknown("task:group == x".to_owned()));
        assert_eq!(left_over(&[(9, 9)], vec![web]), [("web".to_owned(), 1)]);
    }
}

//! What can take tasks: usable hosts, and hosts that are on their way.
//!
//! Rule: a host that is leaving, lost or terminating is no room; one that was ordered is, until
//! it is given up.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::demand;
use super::placement::{Bin, BinOf, shared_attributes};
use super::view::View;
use crate::model::{
    Attributes, DrainCause, Fact, Host, InstanceId, Lifecycle, Pool, PoolId, Resources, Subject,
    TaskShape,
};

/// Time AWS has to launch what was ordered before the pool counts as out of capacity
/// (Karpenter's launch timeout: 5 minutes).
pub const DELIVERY: TimeDelta = TimeDelta::minutes(5);

/// What a fresh host of each pool would offer.
pub struct FreshHosts<'a> {
    pub pools: Vec<FreshHost<'a>>,
}

/// A host of a pool that does not exist yet.
pub struct FreshHost<'a> {
    pub pool: &'a Pool,
    pub attributes: Attributes,
    /// What the daemons take of each host before any other task.
    pub daemons: Resources,
}

impl<'a> FreshHosts<'a> {
    pub fn of(view: View<'a>) -> Self {
        let with_pool = view.hosts().filter(|host| host.is_registered());
        let pairs = with_pool.filter_map(|host| Some((host.pool.as_ref()?, &host.attributes)));
        let mut shared = shared_attributes(pairs);
        let pools = view.pools().map(|pool| {
            let mut attributes = shared.remove(&pool.id).unwrap_or_default();
            attributes.extend(pool.attributes.clone());
            if let [only] = pool.offerings.as_slice() {
                let name = only.instance_type.to_string();
                attributes.insert("ecs.instance-type".to_owned(), name);
            }
            let daemons = daemons_on(view, &attributes);
            FreshHost { pool, attributes, daemons }
        });
        Self { pools: pools.collect() }
    }

    pub fn get(&self, pool: &PoolId) -> Option<&FreshHost<'a>> {
        self.pools.iter().find(|fresh| fresh.pool.id == *pool)
    }
}

impl FreshHost<'_> {
    /// What every host of it surely has left for tasks.
    pub fn room(&self) -> Resources {
        self.pool.guaranteed().without_eni_limit() - self.daemons
    }
}

fn daemons_on(view: View<'_>, attributes: &Attributes) -> Resources {
    let runs_here = |shape: &TaskShape| {
        shape.constraints.iter().all(|constraint| constraint.met_by(attributes) != Some(false))
    };
    demand::daemons(view).filter(|(_, s)| runs_here(s)).map(|(_, s)| s.needs).sum()
}

/// Usable hosts in order of their ids, then those that could be given back, then those on their
/// way.
pub fn bins<'a>(view: View<'a>, fresh: &'a FreshHosts<'a>) -> Vec<Bin<'a>> {
    let mut bins: Vec<_> = usable(view).map(|host| bin_of(host)).collect();
    expect_daemons(view, &mut bins);
    bins.extend(reclaimable(view).map(|host| {
        let of = BinOf::Leaving(host.instance.clone());
        let mut bin = bin_of(host);
        bin.of = of;
        bin
    }));
    for FreshHost { pool, attributes, daemons } in &fresh.pools {
        let expected = launching(view, pool).map(|host| registers(pool, host));
        let hidden = std::iter::repeat_n(pool.guaranteed(), hidden_hosts(view, pool));
        bins.extend(expected.chain(hidden).map(|size| {
            Bin::new(BinOf::Coming, Some(&pool.id), size.without_eni_limit() - *daemons, attributes)
        }));
    }
    bins
}

/// Hosts ECS would place tasks on, less those the memory knows to be leaving.
pub fn usable<'a>(view: View<'a>) -> impl Iterator<Item = &'a Host> {
    view.hosts().filter(move |host| host.is_usable() && !view.is_leaving(host))
}

/// Hosts that drain only to save money: keeping one is better than ordering one.
fn reclaimable<'a>(view: View<'a>) -> impl Iterator<Item = &'a Host> {
    view.hosts().filter(|host| {
        host.mark.is_some_and(|mark| mark.cause == DrainCause::ScaleIn)
            && host.agent_connected
            && host.lifecycle != Lifecycle::Terminating
    })
}

fn bin_of(host: &Host) -> Bin<'_> {
    let of = BinOf::Host(host.instance.clone());
    // ECS counts no network interfaces: what is left of none is no limit.
    let counted = host.registered.enis > 0;
    let room = if counted { host.remaining } else { host.remaining.without_eni_limit() };
    let mut bin = Bin::new(of, host.pool.as_ref(), room, &host.attributes);
    bin.ports.clone_from(&host.ports_used);
    bin
}

/// Daemons not started yet will land on the youngest hosts.
fn expect_daemons(view: View<'_>, bins: &mut [Bin<'_>]) {
    for (service, shape) in demand::daemons(view) {
        let present = service.running_count + service.pending_count;
        let missing = service.desired_count.saturating_sub(present);
        let mut youngest: Vec<usize> = (0..bins.len()).collect();
        youngest.sort_by_key(|at| match &bins[*at].of {
            BinOf::Host(instance) => view.host(instance).and_then(|host| host.registered_at),
            BinOf::Leaving(_) | BinOf::Coming | BinOf::Fresh => None,
        });
        let count = usize::try_from(missing).unwrap_or(usize::MAX);
        for at in youngest.into_iter().rev().take(count) {
            bins[at].room -= shape.needs;
        }
    }
}

/// Hosts of the pool that AWS has launched, that have not registered, and are not given up.
pub fn launching<'a>(view: View<'a>, pool: &'a Pool) -> impl Iterator<Item = &'a Host> {
    let hosts = view.snapshot.hosts_of(&pool.id);
    hosts.filter(move |host| host.is_launching() && !view.is_given_up(host))
}

/// What a pool's hosts on their way will register.
pub fn coming(view: View<'_>, pool: &Pool) -> Resources {
    let launching: Resources = launching(view, pool).map(|host| registers(pool, host)).sum();
    launching + pool.guaranteed() * hidden_hosts(view, pool) as u64
}

fn registers(pool: &Pool, host: &Host) -> Resources {
    let offering = pool.offerings.iter().find(|o| o.instance_type == host.instance_type);
    offering.map_or_else(|| pool.guaranteed(), |offering| offering.registers)
}

/// Units ordered from AWS that no instance stands for yet.
pub fn undelivered_units(view: View<'_>, pool: &Pool) -> u32 {
    let hosts = view.snapshot.hosts_of(&pool.id);
    let alive = hosts.filter(|host| host.lifecycle != Lifecycle::Terminating);
    let units: u32 = alive.map(|host| pool.weight_of(&host.instance_type)).sum();
    pool.desired.0.saturating_sub(units)
}

/// Whether AWS has failed to deliver what was ordered for longer than a launch takes.
pub fn is_out_of_capacity(view: View<'_>, pool: &Pool) -> bool {
    let since = view.since(&Subject::Pool(pool.id.clone()), &Fact::Undelivered);
    undelivered_units(view, pool) > 0 && view.now - since >= DELIVERY
}

fn hidden_hosts(view: View<'_>, pool: &Pool) -> usize {
    if is_out_of_capacity(view, pool) {
        return 0;
    }
    let heaviest = pool.offerings.iter().map(|offering| offering.weight).max().unwrap_or(1).max(1);
    undelivered_units(view, pool).div_ceil(heaviest) as usize
}

/// Hosts under drain on which something was placed: they are needed again.
pub fn reclaimed(bins: &[Bin<'_>]) -> BTreeSet<InstanceId> {
    let needed = bins.iter().filter(|bin| bin.placed > 0);
    let of = needed.filter_map(|bin| match &bin.of {
        BinOf::Leaving(instance) => Some(instance.clone()),
        BinOf::Host(_) | BinOf::Coming | BinOf::Fresh => None,
    });
    of.collect()
}

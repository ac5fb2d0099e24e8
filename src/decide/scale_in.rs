//! Which hosts may leave: those whose tasks provably fit elsewhere, for long enough.
//!
//! Rule: a proof places the host's own tasks, shape by shape, on what is left after every removal
//! decided before it, with headroom and ceilings kept. Sums only choose whom to look at.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::drain::batches;
use super::placement::{Bin, BinOf, Demand, best_free, place_all};
use super::room::usable;
use super::scale_out::dearest;
use super::view::{Draft, View, percent};
use super::{demand, evictable};
use crate::model::{
    Action, ActionKind, DrainCause, DrainMark, Fact, Hold, Host, InstanceId, Origin, Planned, Pool,
    PoolId, Reason, Resources, Rival, Subject, Why, Zone,
};

/// Hosts looked at in one tick at most: each may cost two list calls.
const CANDIDATES_MAX: usize = 10;

/// Plans the removals that are due; hosts on their way there are held with their time.
pub fn scale_in<'a>(view: View<'a>, bins: &mut Vec<Bin<'a>>, draft: &mut Draft) {
    let mut left = Remaining::of(view);
    let mut due = Vec::new();
    for host in candidates(view, &left, draft) {
        // Those before it may have taken the last that was to spare.
        if !is_retiring(view, host) && !left.might_spare(view, host) {
            continue;
        }
        let subject = Subject::Host(host.instance.clone());
        draft.fact(subject.clone(), Fact::Watched);
        match removable(view, host, bins, &mut left) {
            Ok(tasks) => {
                draft.fact(subject.clone(), Fact::Unneeded);
                let since = view.since(&subject, &Fact::Unneeded);
                let until = since + stabilization(view, host);
                if view.now < until {
                    let reason = Reason::Stabilizing { since, until };
                    draft.hold(Hold::new(subject, ActionKind::ScaleIn, reason));
                } else {
                    due.push((host, tasks, since));
                }
            }
            // Its tasks are listed by the next tick.
            Err(Reason::TasksUnseen) => {}
            Err(reason) => draft.hold(Hold::new(subject, ActionKind::ScaleIn, reason)),
        }
    }
    remove(view, due, draft);
}

fn stabilization(view: View<'_>, host: &Host) -> chrono::TimeDelta {
    if is_retiring(view, host) {
        chrono::TimeDelta::zero()
    } else {
        view.config.scale_in.stabilization
    }
}

fn is_retiring(view: View<'_>, host: &Host) -> bool {
    let pool = host.pool.as_ref().and_then(|pool| view.config.pool(pool));
    pool.is_some_and(|pool| pool.retiring)
}

/// What is left of pools and reservation as removals are decided one after the other.
struct Remaining {
    units: BTreeMap<PoolId, u32>,
    registered: Resources,
    reserved: Resources,
    free: Resources,
}

impl Remaining {
    fn of(view: View<'_>) -> Self {
        let total = view.reservation();
        let mut units: BTreeMap<_, _> =
            view.pools().map(|pool| (pool.id.clone(), pool.desired.0)).collect();
        let leaving = |host: &&Host| {
            // What terminates has left its pool's desired capacity already.
            view.is_leaving(host) && host.lifecycle != crate::model::Lifecycle::Terminating
        };
        for host in view.hosts().filter(leaving) {
            if let Some(pool) = host.pool.as_ref().and_then(|pool| view.pool(pool))
                && let Some(units) = units.get_mut(&pool.id)
            {
                *units = units.saturating_sub(pool.weight_of(&host.instance_type));
            }
        }
        let (registered, reserved) = (total.registered, total.reserved);
        Self { units, registered, reserved, free: registered - reserved }
    }

    /// Judged by sums alone, whether the cluster might do without it.
    fn might_spare(&self, view: View<'_>, host: &Host) -> bool {
        let headroom: Resources =
            demand::headroom(view).iter().map(|want| want.shape.needs * want.count).sum();
        let free = self.free - host.remaining;
        let needed = host.reserved() + headroom;
        needed.cpu_units <= free.cpu_units
            && needed.memory_mib <= free.memory_mib
            && self.keeps_ceilings(view, host)
    }

    fn is_at_minimum(&self, pool: &Pool, host: &Host) -> bool {
        let units = self.units.get(&pool.id).copied().unwrap_or(0);
        units < pool.min.0 + pool.weight_of(&host.instance_type)
    }

    fn keeps_ceilings(&self, view: View<'_>, host: &Host) -> bool {
        let registered = self.registered - host.registered;
        let ceiling = view.config.reservation_ceiling;
        let keeps = |reserved, registered, ceiling| {
            // At 100 the ceiling is off: that tasks fit is proved by placing them.
            ceiling >= 100 || (registered > 0 && percent(reserved, registered) <= ceiling)
        };
        keeps(self.reserved.cpu_units, registered.cpu_units, ceiling.cpu_percent)
            && keeps(self.reserved.memory_mib, registered.memory_mib, ceiling.memory_percent)
    }

    fn remove(&mut self, pool: &Pool, host: &Host) {
        if let Some(units) = self.units.get_mut(&pool.id) {
            *units = units.saturating_sub(pool.weight_of(&host.instance_type));
        }
        self.registered -= host.registered;
        self.free -= host.registered;
    }
}

/// Hosts that might go, the ones with least to move first; the zones stay level.
fn candidates<'a>(view: View<'a>, left: &Remaining, draft: &mut Draft) -> Vec<&'a Host> {
    let mut per_zone: BTreeMap<&Zone, usize> = BTreeMap::new();
    for host in usable(view) {
        *per_zone.entry(&host.zone).or_default() += 1;
    }
    let old = |host: &&Host| view.now - host.launched_at >= view.config.scale_in.host_age_min;
    let ours = |host: &&Host| host.lifecycle != crate::model::Lifecycle::Other;
    let in_pool = |host: &&Host| host.pool.as_ref().is_some_and(|pool| view.pool(pool).is_some());
    let spare = |host: &&Host| is_retiring(view, host) || left.might_spare(view, host);
    let mut hosts: Vec<_> =
        usable(view).filter(in_pool).filter(ours).filter(old).filter(spare).collect();
    hosts.retain(|host| {
        let Some(pool) = host.pool.as_ref().and_then(|pool| view.pool(pool)) else {
            return false;
        };
        let at_minimum = left.is_at_minimum(pool, host);
        if at_minimum {
            let reason = Reason::AtMinimum { min: pool.min.0 };
            draft.hold(Hold::new(Subject::Pool(pool.id.clone()), ActionKind::ScaleIn, reason));
        }
        !at_minimum
    });
    hosts.sort_by_key(|host| {
        let reserved = percent(host.reserved().cpu_units, host.registered.cpu_units)
            .max(percent(host.reserved().memory_mib, host.registered.memory_mib));
        let zone = per_zone.get(&host.zone).copied().unwrap_or(0);
        let price = host.pool.as_ref().and_then(|pool| view.pool(pool)).map_or(0, dearest);
        (
            !is_retiring(view, host),
            reserved.div_ceil(10),
            std::cmp::Reverse(zone),
            std::cmp::Reverse(price),
            host.instance.clone(),
        )
    });
    hosts.truncate(CANDIDATES_MAX);
    hosts
}

/// Proves that the host can go, and takes its room away if so. Returns how many tasks move.
fn removable<'a>(
    view: View<'a>,
    host: &'a Host,
    bins: &mut Vec<Bin<'a>>,
    left: &mut Remaining,
) -> Result<u64, Reason> {
    let pool = host.pool.as_ref().and_then(|pool| view.pool(pool)).ok_or(Reason::PoolClosed)?;
    if left.is_at_minimum(pool, host) {
        return Err(Reason::AtMinimum { min: pool.min.0 });
    }
    if let Some(refresh) = refresh_of(view, &pool.id) {
        return Err(Reason::InstanceRefresh { refresh });
    }
    if bins.iter().any(|bin| bin.of == BinOf::Host(host.instance.clone()) && bin.booked > 0) {
        return Err(Reason::RoomBooked);
    }
    let tasks = evictable::tasks_to_move(view, host)?;
    let moved = tasks.iter().map(|task| task.count).sum();
    let mut without: Vec<_> = bins.clone();
    without.retain(|bin| bin.of != BinOf::Host(host.instance.clone()));
    // Headroom must fit after the tasks have moved; hosts on their way do not count for moving.
    without.retain(|bin| matches!(bin.of, BinOf::Host(_)));
    let mut tasks = tasks;
    if let Some((task, _)) = place_all(&mut without, &mut tasks).first() {
        return Err(fits_nowhere(task, &without));
    }
    let placed = without.clone();
    if let Some((want, _)) = place_all(&mut without, &mut demand::headroom(view)).first() {
        let mut reason = fits_nowhere(want, &placed);
        if let Reason::TasksFitNowhere { of, .. } = &mut reason {
            *of = format!("headroom for {of}");
        }
        return Err(reason);
    }
    *bins = placed;
    left.remove(pool, host);
    Ok(moved)
}

fn fits_nowhere(task: &Demand, bins: &[Bin<'_>]) -> Reason {
    let (of, needs) = (task.of.clone(), task.shape.needs);
    Reason::TasksFitNowhere { of, needs, best_free: best_free(bins, task) }
}

fn refresh_of(view: View<'_>, pool: &PoolId) -> Option<String> {
    view.rivals().iter().find_map(|rival| match rival {
        Rival::InstanceRefresh { pool: of, refresh } if of == pool => Some(refresh.clone()),
        _ => None,
    })
}

/// Plans what the due hosts need next: protection of their pool first, then the mark.
fn remove(view: View<'_>, due: Vec<(&Host, u64, DateTime<Utc>)>, draft: &mut Draft) {
    let draining = view.draining();
    let limit = view.config.budgets.draining_hosts;
    let mut budget = limit.saturating_sub(draining);
    let mut marked: BTreeMap<(u64, DateTime<Utc>), BTreeSet<InstanceId>> = BTreeMap::new();
    for (host, tasks, since) in due {
        let Some(pool) = host.pool.as_ref().and_then(|pool| view.pool(pool)) else {
            continue;
        };
        let subject = Subject::Host(host.instance.clone());
        let hold = |reason| Hold::new(subject.clone(), ActionKind::ScaleIn, reason);
        if !is_protected(view, pool) {
            protect(view, pool, draft);
            draft.hold(hold(Reason::ZonesRebalance));
        } else if budget == 0 {
            let budget = "draining_hosts".to_owned();
            draft.hold(hold(Reason::BudgetSpent { budget, used: draining, limit }));
        } else {
            budget -= 1;
            marked.entry((tasks, since)).or_default().insert(host.instance.clone());
        }
    }
    let deadline = view.now + view.config.scale_in.drain_deadline;
    let mark = DrainMark { cause: DrainCause::ScaleIn, deadline };
    for ((tasks, since), hosts) in marked {
        let saves = hosts.iter().filter_map(|host| price(view, host)).reduce(u64::saturating_add);
        for hosts in batches(&hosts, Action::DRAIN_MAX) {
            let count = tasks * hosts.len() as u64;
            draft.actions.push(Planned {
                action: Action::MarkHosts { hosts, mark: Some(mark) },
                kind: ActionKind::ScaleIn,
                why: Why::Removable { tasks: count, since, saves_micro_usd_per_hour: saves },
                by: Origin::Capacity,
            });
        }
    }
}

fn price(view: View<'_>, host: &InstanceId) -> Option<u64> {
    let host = view.host(host)?;
    let pool = view.pool(host.pool.as_ref()?)?;
    let offering = pool.offerings.iter().find(|o| o.instance_type == host.instance_type)?;
    offering.list_price_micro_usd_per_hour
}

/// Whether nobody but us will choose which of its hosts ends. Fleets end none by themselves,
/// since their target is only lowered with `noTermination`.
fn is_protected(view: View<'_>, pool: &Pool) -> bool {
    pool.id.is_fleet() || (pool.protects_new_hosts && unprotected(view, pool).is_empty())
}

fn unprotected(view: View<'_>, pool: &Pool) -> BTreeSet<InstanceId> {
    let hosts = view.snapshot.hosts_of(&pool.id);
    let open = hosts.filter(|h| !h.protected && h.lifecycle == crate::model::Lifecycle::InService);
    open.map(|host| host.instance.clone()).collect()
}

/// Takes the group's protection on: the flag for new hosts, then the hosts there are.
fn protect(view: View<'_>, pool: &Pool, draft: &mut Draft) {
    let planned = |action| Planned {
        action,
        kind: ActionKind::ScaleIn,
        why: Why::Unprotected,
        by: Origin::Capacity,
    };
    let id = || pool.id.clone();
    let mut actions = Vec::new();
    if !pool.protects_new_hosts {
        actions.push(Action::SetNewHostProtection { pool: id(), was: false, now: true });
    }
    for hosts in batches(&unprotected(view, pool), Action::PROTECT_MAX) {
        actions.push(Action::ProtectHosts { pool: id(), hosts, now: true });
    }
    for action in actions.into_iter().map(planned) {
        if !draft.actions.contains(&action) {
            draft.actions.push(action);
        }
    }
}

//! How many hosts are missing, and which pool shall grow for them.
//!
//! Rule: the choice is among pools, never among instance types, since a group cannot be told
//! which type to launch. A pool counts for what every host of it surely has.

use super::placement::{Bin, BinOf, Demand, best_free, place, place_all, sort_decreasing};
use super::repair::just_given_up;
use super::room::{FreshHost, FreshHosts, is_out_of_capacity};
use super::view::{Draft, View};
use crate::model::{
    Action, ActionKind, Constraint, Fact, Hold, Offering, Origin, Planned, Pool, PoolState, Reason,
    Rejected, Resources, ServiceName, Shortfall, Subject, Units, Why, why::usd,
};

/// After this many minutes a pool whose hosts kept failing is tried with again.
const FAILED_HOSTS_PAUSE: chrono::TimeDelta = chrono::TimeDelta::minutes(30);

/// Something to find room for: tasks, bookings, or the headroom for tasks to come.
struct Want {
    demand: Demand,
    headroom: bool,
    best_free: Option<Resources>,
}

/// What one pool shall add.
struct Order<'a> {
    pool: &'a Pool,
    hosts: u64,
    units: u32,
    shortfalls: Vec<Shortfall>,
}

/// Places tasks, bookings and headroom on what is there and coming, and orders what is missing.
/// Returns whether anything was ordered.
pub fn scale_out<'a>(
    view: View<'a>,
    fresh: &'a FreshHosts<'a>,
    bins: &mut Vec<Bin<'a>>,
    mut tasks: Vec<Demand>,
    mut bookings: Vec<Demand>,
    draft: &mut Draft,
) -> bool {
    let wanted = tasks.iter().chain(&bookings);
    let booked: Resources = wanted.map(|task| task.shape.needs * task.count).sum();
    let mut wants = short(bins, &mut tasks, false);
    for want in &wants {
        let of = want.demand.of.clone();
        draft.fact(Subject::Cluster, Fact::Unplaced { of });
    }
    rooms(bins, &bookings, draft);
    wants.extend(short(bins, &mut bookings, false));
    wants.extend(short(bins, &mut super::demand::headroom(view), true));
    let mut orders = Vec::new();
    while let Some(order) = cheapest(view, fresh, &mut wants, &orders) {
        orders.push(order);
    }
    for want in &wants {
        draft.hold(unplaceable(view, fresh, want));
    }
    let nowhere = wants.iter().filter(|want| !want.headroom);
    let nowhere: Resources = nowhere.map(|w| w.demand.shape.needs * w.demand.count).sum();
    let booked = booked - nowhere;
    raise_for_ceilings(view, fresh, booked, &mut orders, draft);
    let ordered = !orders.is_empty();
    for order in orders {
        limited(view, fresh, order, draft);
    }
    ordered
}

/// Which bookings fit on hosts that are there, one after the other, after the tasks that are due.
fn rooms(bins: &[Bin<'_>], bookings: &[Demand], draft: &mut Draft) {
    if bookings.is_empty() {
        return;
    }
    let there = bins.iter().filter(|bin| matches!(bin.of, BinOf::Host(_)));
    let mut there: Vec<_> = there.cloned().collect();
    for booking in bookings {
        if place(&mut there, booking) == 0 {
            let service = ServiceName::from(booking.of.as_str());
            draft.fact(Subject::Service(service), Fact::RoomThere);
        }
    }
}

fn short(bins: &mut Vec<Bin<'_>>, demands: &mut [Demand], headroom: bool) -> Vec<Want> {
    let left: Vec<_> = place_all(bins, demands).into_iter().map(|(d, n)| (d.clone(), n)).collect();
    let wants = left.into_iter().map(|(demand, count)| {
        let best_free = best_free(bins, &demand);
        Want { demand: Demand { count, ..demand }, headroom, best_free }
    });
    wants.collect()
}

/// Takes out of `wants` what the pool with the lowest price for it can house.
fn cheapest<'a>(
    view: View<'a>,
    fresh: &'a FreshHosts<'a>,
    wants: &mut Vec<Want>,
    orders: &[Order<'a>],
) -> Option<Order<'a>> {
    let open = fresh.pools.iter().filter(|fresh| {
        let taken = orders.iter().any(|order| order.pool.id == fresh.pool.id);
        !taken && closed(view, fresh.pool).is_none()
    });
    let trials = open.filter_map(|fresh| Some((fresh, trial(view, fresh, wants)?)));
    let (fresh, trial) = trials.min_by(|(_, a), (_, b)| {
        // Price for each placed resource, compared without dividing; ties keep the order of
        // preference, since `min_by` returns the first.
        (a.price * b.placed).cmp(&(b.price * a.placed))
    })?;
    let mut shortfalls = Vec::new();
    for (want, taken) in wants.iter_mut().zip(&trial.taken).filter(|(_, taken)| **taken > 0) {
        shortfalls.push(shortfall(want, *taken));
        want.demand.count -= taken;
    }
    wants.retain(|want| want.demand.count > 0);
    Some(Order { pool: fresh.pool, hosts: trial.hosts, units: trial.units, shortfalls })
}

fn shortfall(want: &Want, count: u64) -> Shortfall {
    let Demand { of, shape, .. } = &want.demand;
    if want.headroom {
        Shortfall::Headroom { like: of.clone(), count, needs: shape.needs }
    } else if want.demand.booked {
        Shortfall::Booked { of: of.clone(), count, needs: shape.needs, best_free: want.best_free }
    } else {
        Shortfall::Tasks { of: of.clone(), count, needs: shape.needs, best_free: want.best_free }
    }
}

/// Placing all wants on fresh hosts of one pool.
struct Trial {
    hosts: u64,
    units: u32,
    /// Per want, how many it took.
    taken: Vec<u64>,
    price: u128,
    placed: u128,
}

/// `None` when the pool can house none of it.
fn trial(view: View<'_>, fresh: &FreshHost<'_>, wants: &[Want]) -> Option<Trial> {
    let pool = fresh.pool;
    let most = most_units(view, pool).saturating_sub(pool.desired.0);
    let (hosts, taken) = fill(fresh, fresh.room(), u64::from(most / heaviest(pool)), wants);
    let placed = wants.iter().zip(&taken).map(|(want, n)| weight(want.demand.shape.needs) * n);
    let placed: u64 = placed.sum();
    if placed == 0 && taken.iter().all(|n| *n == 0) {
        return None;
    }
    let units = if pool.is_weighted() { units(fresh, wants, &taken) } else { hosts };
    let units = u32::try_from(units).unwrap_or(u32::MAX).min(most);
    let percent = view.config.pool(&pool.id).map_or(100, |pool| pool.price_percent);
    let price = u128::from(dearest(pool)) * u128::from(percent) * u128::from(hosts);
    Some(Trial { hosts, units, taken, price, placed: u128::from(placed.max(1)) })
}

/// Fills at most `most` fresh hosts of this room; returns the hosts used and what each want got.
fn fill(fresh: &FreshHost<'_>, room: Resources, most: u64, wants: &[Want]) -> (u64, Vec<u64>) {
    let pool = Some(&fresh.pool.id);
    let mut run = Bin::new(BinOf::Fresh, pool, room, &fresh.attributes);
    run.hosts = most;
    let mut bins = vec![run];
    let mut order: Vec<usize> = (0..wants.len()).collect();
    let mut sorted: Vec<_> = wants.iter().map(|want| want.demand.clone()).collect();
    sort_decreasing(&mut sorted, room);
    order.sort_by_key(|at| {
        let demand = &wants[*at].demand;
        // Tasks come before headroom, which may be bound by the pool's maximum.
        (wants[*at].headroom, sorted.iter().position(|sorted| sorted == demand))
    });
    let mut taken = vec![0; wants.len()];
    for at in order {
        let demand = &wants[at].demand;
        taken[at] = demand.count - place(&mut bins, demand);
    }
    let used = bins.iter().filter(|bin| bin.placed > 0).map(|bin| bin.hosts).sum();
    (used, taken)
}

/// Units a weighted pool must grow by, so that the tasks fit whichever of its types AWS launches.
fn units(fresh: &FreshHost<'_>, wants: &[Want], taken: &[u64]) -> u64 {
    let wanted: Vec<_> = wants
        .iter()
        .zip(taken)
        .map(|(want, taken)| Want {
            demand: Demand { count: *taken, ..want.demand.clone() },
            headroom: want.headroom,
            best_free: None,
        })
        .collect();
    let each = fresh.pool.offerings.iter().map(|offering| {
        let room = Resources { enis: fresh.room().enis, ..offering.registers - fresh.daemons };
        let (hosts, _) = fill(fresh, room, u64::from(u32::MAX), &wanted);
        hosts * u64::from(offering.weight)
    });
    each.max().unwrap_or(0)
}

/// One number for the size of a need: a vCPU weighs as much as 4 GiB.
fn weight(needs: Resources) -> u64 {
    needs.cpu_units * 4 + needs.memory_mib
}

fn heaviest(pool: &Pool) -> u32 {
    pool.offerings.iter().map(|offering| offering.weight).max().unwrap_or(1).max(1)
}

/// List price of the dearest type it may launch; by size where no price is known.
pub fn dearest(pool: &Pool) -> u64 {
    let prices = pool.offerings.iter().map(|offering| match offering {
        Offering { list_price_micro_usd_per_hour: Some(price), .. } => *price,
        // The general purpose families cost about this for each CPU unit and MiB.
        Offering { registers, .. } => registers.cpu_units * 24 + registers.memory_mib * 6,
    });
    prices.max().unwrap_or(0)
}

fn most_units(view: View<'_>, pool: &Pool) -> u32 {
    let own = view.config.pool(&pool.id).and_then(|pool| pool.max).unwrap_or(u32::MAX);
    pool.max.0.min(own)
}

/// Why a pool may not grow, whatever is wanted of it.
fn closed(view: View<'_>, pool: &Pool) -> Option<Reason> {
    let memory = view.memory.pool(&pool.id);
    if view.config.pool(&pool.id).is_some_and(|pool| pool.retiring) {
        return Some(Reason::Retiring);
    }
    if pool.state != PoolState::Active || pool.offerings.is_empty() {
        return Some(Reason::PoolClosed);
    }
    if pool.is_suspended("Launch") {
        return Some(Reason::ProcessSuspended { process: "Launch".to_owned() });
    }
    if is_out_of_capacity(view, pool) {
        let since = view.since(&Subject::Pool(pool.id.clone()), &Fact::Undelivered);
        return Some(Reason::NoCapacity { since });
    }
    // Those given up in this look count at once, or the last of the row would be replaced.
    let now_failed = just_given_up(view, pool);
    let failures = memory.failed_hosts.saturating_add(now_failed);
    let failed_at = if now_failed > 0 { Some(view.now) } else { memory.failed_at };
    let until = failed_at.map(|at| at + FAILED_HOSTS_PAUSE);
    if failures >= view.config.repair.failures_max && until > Some(view.now) {
        let breaker = format!("hosts of {}", pool.id);
        return Some(Reason::BreakerOpen { breaker, failures, until });
    }
    None
}

/// Why nothing can be ordered for a want that is left over.
fn unplaceable(view: View<'_>, fresh: &FreshHosts<'_>, want: &Want) -> Hold {
    let demand = &want.demand;
    let of = demand.of.clone();
    let needs = demand.shape.needs;
    let fits = |fresh: &&FreshHost<'_>| {
        Bin::new(BinOf::Fresh, Some(&fresh.pool.id), fresh.room(), &fresh.attributes).takes(demand)
            > 0
    };
    let kind = ActionKind::ScaleOut;
    if let Some(fresh) = fresh.pools.iter().find(fits) {
        let max = most_units(view, fresh.pool);
        let wanted = fresh.pool.desired.0.saturating_add(1).max(max.saturating_add(1));
        let reason = closed(view, fresh.pool).unwrap_or(Reason::AtMaximum { max, wanted });
        return Hold::new(Subject::Pool(fresh.pool.id.clone()), kind, reason);
    }
    let subject = Subject::Service(of.as_str().into());
    let unknown = |c: &&Constraint| matches!(c, Constraint::Unknown(_));
    if let Some(constraint) = demand.shape.constraints.iter().find(unknown) {
        let expression = constraint.to_string();
        return Hold::new(subject, kind, Reason::ConstraintUnknown { of, expression });
    }
    let reason = no_pool_fits(fresh, of, needs);
    Hold::new(subject, kind, reason)
}

/// Whether a larger type would do, and if not, what the largest host offers.
fn no_pool_fits(fresh: &FreshHosts<'_>, of: String, needs: Resources) -> Reason {
    let larger =
        fresh.pools.iter().find(|fresh| needs.fits(&fresh.pool.largest().without_eni_limit()));
    match larger {
        Some(FreshHost { pool, .. }) if !needs.fits(&pool.guaranteed().without_eni_limit()) => {
            let guaranteed = pool.guaranteed();
            Reason::LargerTypeOnly { service: of, needs, guaranteed, pool: pool.id.clone() }
        }
        Some(FreshHost { pool, .. }) => {
            let advice = format!("{} is large enough but does not meet its constraints", pool.id);
            Reason::FitsNoPool { service: of, needs, advice }
        }
        None => {
            let sizes = fresh.pools.iter().map(|fresh| fresh.room());
            let most = sizes.reduce(|a, b| a.each_max(&b));
            let advice = match most {
                Some(Resources { cpu_units, memory_mib, .. }) => {
                    let most = Resources::new(cpu_units, memory_mib);
                    format!("the most a fresh host offers is {most}: add a pool of a larger type")
                }
                None => "no pool was seen".to_owned(),
            };
            Reason::FitsNoPool { service: of, needs, advice }
        }
    }
}

/// Adds hosts until CPU and memory reservation are at or under their ceilings.
fn raise_for_ceilings<'a>(
    view: View<'a>,
    fresh: &'a FreshHosts<'a>,
    booked: Resources,
    orders: &mut Vec<Order<'a>>,
    draft: &mut Draft,
) {
    let first = orders.first().map(|order| &order.pool.id);
    let open = fresh.pools.iter().filter(|fresh| closed(view, fresh.pool).is_none());
    let mut preferred = open.filter(|fresh| first.is_none_or(|first| fresh.pool.id == *first));
    let Some(FreshHost { pool, .. }) = preferred.next() else {
        return;
    };
    let over = above_ceilings(view, fresh, booked, orders, pool.guaranteed());
    let Some(hosts) = over.iter().map(|(hosts, _)| *hosts).max() else {
        return;
    };
    if !orders.iter().any(|order| order.pool.id == pool.id) {
        orders.push(Order { pool, hosts: 0, units: 0, shortfalls: Vec::new() });
    }
    let Some(order) = orders.iter_mut().find(|order| order.pool.id == pool.id) else {
        return;
    };
    let size = heaviest(pool);
    let wanted = u32::try_from(hosts).unwrap_or(u32::MAX).saturating_mul(size);
    let max = most_units(view, pool);
    let units = wanted.min(max.saturating_sub(pool.desired.0 + order.units));
    if units < wanted {
        let wanted = pool.desired.0.saturating_add(order.units).saturating_add(wanted);
        let subject = Subject::Pool(pool.id.clone());
        let reason = Reason::AtMaximum { max, wanted };
        draft.hold(Hold::new(subject, ActionKind::ScaleOut, reason));
    }
    order.units += units;
    order.hosts += u64::from(units / size);
    order.shortfalls.extend(over.into_iter().map(|(_, shortfall)| shortfall));
    orders.retain(|order| order.units > 0);
}

/// The resources whose reservation would be above its ceiling, with the hosts each lacks.
fn above_ceilings(
    view: View<'_>,
    fresh: &FreshHosts<'_>,
    booked: Resources,
    orders: &[Order<'_>],
    size: Resources,
) -> Vec<(u64, Shortfall)> {
    let current = view.reservation();
    let coming: Resources = fresh.pools.iter().map(|f| super::room::coming(view, f.pool)).sum();
    let ordered: Resources = orders.iter().map(|order| order.pool.guaranteed() * order.hosts).sum();
    let has = current.registered + coming + ordered;
    let reserved = current.reserved + booked;
    let ceiling = view.config.reservation_ceiling;
    let measures = [
        ("cpu", reserved.cpu_units, has.cpu_units, size.cpu_units, ceiling.cpu_percent),
        ("memory", reserved.memory_mib, has.memory_mib, size.memory_mib, ceiling.memory_percent),
    ];
    let over =
        measures.into_iter().filter_map(|(resource, reserved, has, each, ceiling_percent)| {
            let excess = (reserved * 100).saturating_sub(ceiling_percent * has);
            let hosts = excess.div_ceil((ceiling_percent * each).max(1));
            let reserved_percent = super::view::percent(reserved, has);
            let resource = resource.to_owned();
            // Above 100 % the tasks do not fit, which is demand's business.
            let shortfall = Shortfall::Ceiling { resource, reserved_percent, ceiling_percent };
            (hosts > 0 && has > 0 && ceiling_percent < 100).then_some((hosts, shortfall))
        });
    over.collect()
}

/// Applies the limits to an order and plans what is left of it.
fn limited(view: View<'_>, fresh: &FreshHosts<'_>, order: Order<'_>, draft: &mut Draft) {
    let Order { pool, hosts, units, shortfalls } = order;
    let budget = view.config.budgets.launched_units_per_hour;
    let used = view.memory.launched_units(view.now);
    let allowed = units.min(budget.saturating_sub(used));
    if allowed < units {
        let reason = Reason::BudgetSpent {
            budget: "launched_units_per_hour".to_owned(),
            used: u64::from(used),
            limit: u64::from(budget),
        };
        let subject = Subject::Pool(pool.id.clone());
        draft.hold(Hold::new(subject, ActionKind::ScaleOut, reason));
    }
    if allowed == 0 {
        return;
    }
    let was = pool.desired;
    let now = Units(was.0 + allowed);
    let rejected = rejected(view, fresh, pool, &shortfalls);
    draft.actions.push(Planned {
        action: Action::SetPoolCapacity { pool: pool.id.clone(), was, now },
        kind: ActionKind::ScaleOut,
        why: Why::Short { shortfalls, hosts, rejected },
        by: Origin::Capacity,
    });
}

fn rejected(
    view: View<'_>,
    fresh: &FreshHosts<'_>,
    chosen: &Pool,
    shortfalls: &[Shortfall],
) -> Vec<Rejected> {
    let too_small = |fresh: &FreshHost<'_>| {
        let mut needs = shortfalls.iter().filter_map(|shortfall| match shortfall {
            Shortfall::Tasks { needs, .. }
            | Shortfall::Booked { needs, .. }
            | Shortfall::Headroom { needs, .. } => Some(needs),
            Shortfall::Ceiling { .. } => None,
        });
        needs.any(|needs| !needs.fits(&fresh.room()))
    };
    let others = fresh.pools.iter().filter(|fresh| fresh.pool.id != chosen.id);
    let others = others.map(|fresh| Rejected {
        pool: fresh.pool.id.clone(),
        because: match closed(view, fresh.pool) {
            Some(reason) => reason.to_string(),
            None if too_small(fresh) => "its hosts are too small".to_owned(),
            None => format!("{} a host against {}", usd(dearest(fresh.pool)), usd(dearest(chosen))),
        },
    });
    others.collect()
}

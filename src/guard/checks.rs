//! The guard's checks, in the order in which their reasons are shown.
//!
//! Rule: each is a pure function that names what speaks against the action, or nothing. Operator
//! permissions come first, then what is known, then limits.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Case, effective_mode, handback, release, stop, traffic};
use crate::model::{
    Action, ActionKind, Gap, HostStatus, Lifecycle, Mode, Planned, Pool, PoolId, Purpose, Rank,
    Reason, Rival, Subject,
};

type Check = fn(Case<'_>, &Planned) -> Option<Reason>;

pub(super) const ALL: &[Check] = &[
    lease,
    stop::switch,
    mode,
    allowed,
    paused,
    window,
    managed_scaling,
    demoted,
    in_doubt,
    breaker,
    sight,
    clock,
    plausible,
    healthy_enough,
    foreign_write,
    pool_bounds,
    launch_budget,
    removal_budget,
    unprotected,
    handback::wanted,
    traffic::some_weight,
    traffic::forward,
    traffic::backward,
    traffic::places,
    traffic::deletes,
    traffic::removes,
    traffic::floor,
    release::image,
    release::deployment,
];

/// Removals read their own subjects again right before the write; this bounds everything else.
const SIGHT_INTERVALS: i32 = 2;
/// Observations are never expected to be fresher than this, however short the interval.
const SIGHT_MIN: TimeDelta = TimeDelta::seconds(60);
/// Share of hosts that may look unhealthy together before removals stop (and at least
/// [`UNHEALTHY_HOSTS`] of them): suspect the observer first.
const UNHEALTHY_PERCENT: u64 = 20;
const UNHEALTHY_HOSTS: u64 = 3;

fn lease(case: Case<'_>, _: &Planned) -> Option<Reason> {
    let ends = case.lease.valid_until.unwrap_or(DateTime::<Utc>::MAX_UTC);
    if case.now >= ends || case.lease.epoch < case.memory.epoch {
        return Some(Reason::LeaseLost);
    }
    let is_short = case.lease.time_limit(case.now, case.lease.write_time).is_none();
    is_short.then_some(Reason::LeaseEnds { until: ends })
}

/// What is handed back is handed back in any mode: the cluster is only watched from then on.
fn mode(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if planned.kind == ActionKind::Handback {
        return None;
    }
    if case.memory.unknown_record {
        return Some(Reason::NewerRecord);
    }
    let mode = effective_mode(case.config, case.memory);
    (mode < Mode::Act).then_some(Reason::ModeTooLow { mode })
}

fn allowed(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    // The way back of what was once permitted always is.
    let by_order = planned.kind.is_ordered() || is_rollback(planned);
    let permitted = by_order || case.config.allow.contains(&planned.kind);
    (!permitted).then_some(Reason::NotAllowed)
}

fn is_rollback(planned: &Planned) -> bool {
    planned.rank() == Rank::Rollback
}

/// A rollback passes a pause: it restores what was there before.
fn paused(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if is_rollback(planned) {
        return None;
    }
    let pause = case.memory.pause.as_ref()?;
    Some(Reason::Paused { by: pause.by.clone(), because: pause.reason.clone() })
}

fn window(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let window = case.config.forbidding_window(planned.kind, case.now)?;
    // A drain under way is finished or given back; only what begins is forbidden.
    let begins = match &planned.action {
        Action::MarkHosts { mark, .. } => mark.is_some(),
        Action::SetProcesses { .. }
        | Action::SetNewHostProtection { .. }
        | Action::ProtectHosts { .. } => true,
        // What undoes is never bound.
        Action::DeleteRule { purpose: Purpose::Service(_) | Purpose::Park(_), .. } => true,
        Action::WriteRule { was: None, .. }
        | Action::DeleteRule { .. }
        | Action::Deploy { back: true, .. } => false,
        Action::SetServiceCount { was, now, .. } => now < was,
        Action::SetHostStatus { .. }
        | Action::SetPoolCapacity { .. }
        | Action::TerminateHost { .. } => false,
        _ => true,
    };
    begins.then(|| Reason::Window { window: window.to_string(), until: window.ends_at(case.now) })
}

fn managed_scaling(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if planned.kind.is_ordered() {
        return None;
    }
    let pools = pools_of(case, planned);
    case.snapshot.rivals.value.iter().find_map(|rival| match rival {
        Rival::ManagedScaling { pool, provider, silenced: false } if pools.contains(&pool) => {
            Some(Reason::ManagedScaling { provider: provider.clone() })
        }
        Rival::ScalingPolicy { pool, policy, silenced: false } if pools.contains(&pool) => {
            Some(Reason::ScalingPolicy { policy: policy.clone() })
        }
        _ => None,
    })
}

fn demoted(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    // A drain under way may still be given back.
    if !starts(&planned.action) || planned.kind == ActionKind::Handback {
        return None;
    }
    let pools = pools_of(case, planned);
    let demoted = pools.iter().find_map(|pool| case.memory.pools.get(*pool)?.demoted.clone());
    Some(Reason::Demoted { because: demoted? })
}

fn in_doubt(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let subjects = planned.action.subjects();
    let doubt = subjects.iter().find_map(|subject| case.memory.doubt(subject))?;
    let repeats = planned.action.removes() || planned.action.resizes().is_some();
    repeats.then_some(Reason::InDoubt { since: doubt.since })
}

fn breaker(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if is_rollback(planned) {
        return None;
    }
    let name = planned.action.name();
    let breaker = case.memory.breakers.get(name)?;
    let until = breaker.open_until.filter(|until| case.now < *until)?;
    let (breaker, failures) = (format!("{name} ({})", breaker.last), breaker.failures);
    Some(Reason::BreakerOpen { breaker, failures, until: Some(until) })
}

/// Adding may rest on parts up to two intervals old; removing also needs them complete.
fn sight(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if traffic::is_traffic(&planned.action) {
        return traffic::sight(case, planned);
    }
    let snapshot = case.snapshot;
    let removes = planned.action.removes();
    let parts = [
        ("hosts", snapshot.hosts.as_of, &snapshot.hosts.gaps),
        ("pools", snapshot.pools.as_of, &snapshot.pools.gaps),
        ("services", snapshot.services.as_of, &snapshot.services.gaps),
        ("task definitions", snapshot.shapes.as_of, &snapshot.shapes.gaps),
        ("rivals", snapshot.rivals.as_of, &snapshot.rivals.gaps),
        ("tasks", snapshot.tasks.as_of, &snapshot.tasks.gaps),
        ("waiting tasks", snapshot.waiting.as_of, &snapshot.waiting.gaps),
    ];
    let limit = sight_limit(case);
    // What scale-out itself rests on; the rest only has to be whole for removals.
    let needed = if removes { parts.len() } else { 4 };
    parts[..needed].iter().find_map(|(part, as_of, gaps)| {
        let age = case.now - *as_of;
        let too_old = age > limit || age < -SIGHT_MIN;
        // Not knowing who else sizes a pool is reason enough not to.
        let gap = gaps.first().filter(|_| removes || too_old || *part == "rivals");
        (too_old || gap.is_some()).then(|| Reason::Blind {
            part: (*part).to_owned(),
            age_seconds: age.num_seconds(),
            gap: gap.map(|gap| gap.failure.clone()),
        })
    })
}

fn sight_limit(case: Case<'_>) -> TimeDelta {
    (case.config.interval * SIGHT_INTERVALS).max(SIGHT_MIN)
}

/// Why a part cannot be relied on, if so: too old, or incomplete.
pub(super) fn blind(
    case: Case<'_>,
    part: &str,
    as_of: DateTime<Utc>,
    gaps: &[Gap],
) -> Option<Reason> {
    let age = case.now - as_of;
    let too_old = age > sight_limit(case) || age < -SIGHT_MIN;
    (too_old || !gaps.is_empty()).then(|| Reason::Blind {
        part: part.to_owned(),
        age_seconds: age.num_seconds(),
        gap: gaps.first().map(|gap| gap.failure.clone()),
    })
}

/// A snapshot taken in the memory's future, or a tick long after its observation.
fn clock(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let ahead = case.snapshot.taken_at - case.now;
    (planned.action.removes() && ahead > TimeDelta::seconds(5)).then_some(Reason::ClockJumped)
}

/// Nothing is removed on the word of an observation that has lost sight of its subjects.
fn plausible(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if !planned.action.removes() {
        return None;
    }
    let unseen = |what: String| Some(Reason::Implausible { what: format!("{what} was not seen") });
    for subject in planned.action.subjects() {
        match &subject {
            Subject::Host(host) if !case.snapshot.hosts.value.contains_key(host) => {
                return unseen(host.to_string());
            }
            Subject::Pool(pool) if !case.snapshot.pools.value.contains_key(pool) => {
                return unseen(pool.to_string());
            }
            _ => {}
        }
    }
    None
}

/// Many hosts that look lost at once speak against the observer, not against the hosts.
fn healthy_enough(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if !planned.action.removes() {
        return None;
    }
    let hosts = case.snapshot.hosts.value.values();
    let registered: Vec<_> = hosts.filter(|host| host.is_registered()).collect();
    let of = registered.len() as u64;
    let unhealthy = registered.iter().filter(|host| !host.agent_connected).count() as u64;
    let tolerated = UNHEALTHY_HOSTS.max(of * UNHEALTHY_PERCENT / 100);
    (unhealthy > tolerated).then_some(Reason::UnhealthyHalt { unhealthy, of })
}

/// Somebody else's capacity stands for one stabilization window.
fn foreign_write(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::SetPoolCapacity { pool, was, .. } = &planned.action else {
        return None;
    };
    let memory = case.memory.pools.get(pool)?;
    let until = *memory.foreign_writes.back()? + case.config.scale_in.stabilization;
    let expected = memory.overruled.map_or(was.0, |units| units.0);
    let reason = Reason::ForeignWrite { expected, found: was.0, until };
    (case.now < until).then_some(reason)
}

fn pool_bounds(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let pool = case.snapshot.pools.value.get(planned.action.resizes()?)?;
    let own = case.config.pool(&pool.id);
    let own_max = own.and_then(|own| own.max).unwrap_or(u32::MAX);
    let max = pool.max.0.min(own_max);
    match &planned.action {
        Action::SetPoolCapacity { was, now, .. } if now > was => {
            if own.is_some_and(|own| own.retiring) {
                return Some(Reason::Retiring);
            }
            (now.0 > max).then_some(Reason::AtMaximum { max, wanted: now.0 })
        }
        Action::SetPoolCapacity { now, .. } => below_minimum(pool, now.0),
        Action::TerminateHost { host, desired_was, replace: false, .. } if !pool.id.is_fleet() => {
            let host = case.snapshot.hosts.value.get(host)?;
            let weight = pool.weight_of(&host.instance_type);
            below_minimum(pool, desired_was.0.saturating_sub(weight))
        }
        _ => None,
    }
}

fn below_minimum(pool: &Pool, units: u32) -> Option<Reason> {
    (units < pool.min.0).then_some(Reason::AtMinimum { min: pool.min.0 })
}

fn launch_budget(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::SetPoolCapacity { was, now, .. } = &planned.action else {
        return None;
    };
    let used = case.memory.launched_units(case.now);
    let limit = case.config.budgets.launched_units_per_hour;
    let over = now > was && used.saturating_add(now.0 - was.0) > limit;
    over.then(|| spent("launched_units_per_hour", u64::from(used), u64::from(limit)))
}

/// Interruptions and lost hosts pass, but count. A drain begun is never stopped by its budget.
fn removal_budget(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let removed = case.memory.removed_hosts(case.now) as u64;
    let budgets = case.config.budgets;
    match &planned.action {
        Action::MarkHosts { hosts, mark: Some(_) } => {
            let leaving = case
                .snapshot
                .hosts
                .value
                .values()
                .filter(|host| host.mark.is_some() && host.lifecycle != Lifecycle::Terminating);
            let draining = leaving.count() as u64;
            let more = hosts.len() as u64;
            if draining + more > budgets.draining_hosts && planned.kind != ActionKind::Spot {
                return Some(spent("draining_hosts", draining, budgets.draining_hosts));
            }
            let limit = budgets.removed_hosts_per_hour;
            (removed + draining + more > limit)
                .then(|| spent("removed_hosts_per_hour", removed, limit))
        }
        Action::TerminateHost { forced: true, .. } => {
            let limit = budgets.removed_hosts_per_hour;
            (removed >= limit).then(|| spent("removed_hosts_per_hour", removed, limit))
        }
        _ => None,
    }
}

fn spent(budget: &str, used: u64, limit: u64) -> Reason {
    Reason::BudgetSpent { budget: budget.to_owned(), used, limit }
}

/// While the group itself may choose a victim, no removal of ours may unbalance its zones.
fn unprotected(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let voluntary =
        matches!(planned.kind, ActionKind::ScaleIn | ActionKind::Replace | ActionKind::Consolidate);
    if !voluntary || !planned.action.removes() {
        return None;
    }
    let live = |pool: &&PoolId| {
        let Some(pool) = case.snapshot.pools.value.get(*pool) else {
            return false;
        };
        let open =
            |host: &crate::model::Host| !host.protected && host.lifecycle == Lifecycle::InService;
        !pool.id.is_fleet()
            && !pool.is_suspended("AZRebalance")
            && case.snapshot.hosts_of(&pool.id).any(open)
    };
    pools_of(case, planned).iter().any(live).then_some(Reason::ZonesRebalance)
}

/// Whether the action begins something, as against ending or undoing it.
fn starts(action: &Action) -> bool {
    match action {
        Action::MarkHosts { mark, .. } => mark.is_some(),
        Action::SetHostStatus { now, .. } => *now == HostStatus::Draining,
        Action::TerminateHost { forced, .. } => *forced,
        _ => true,
    }
}

/// The pools an action touches, directly or through its hosts.
fn pools_of<'a>(case: Case<'a>, planned: &'a Planned) -> Vec<&'a PoolId> {
    let of_host = |host| case.snapshot.hosts.value.get(host).and_then(|host| host.pool.as_ref());
    match &planned.action {
        Action::SetPoolCapacity { pool, .. }
        | Action::SetNewHostProtection { pool, .. }
        | Action::ProtectHosts { pool, .. }
        | Action::SetProcesses { pool, .. }
        | Action::TerminateHost { pool, .. } => vec![pool],
        Action::MarkHosts { hosts, .. } | Action::SetHostStatus { hosts, .. } => {
            hosts.iter().filter_map(of_host).collect()
        }
        _ => Vec::new(),
    }
}

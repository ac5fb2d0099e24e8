//! A cluster's status, computed from what the tick held in its hands.
//!
//! Rule: pure; every number is counted here once, so that page, API and metrics agree.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::*;
use crate::config::ClusterConfig;
use crate::decide::View;
use crate::guard;
use crate::handback;
use crate::model::{
    Fact, Host, HostStatus, Launch, Lifecycle, Memory, Plan, Reason, Scheduling, Service, Snapshot,
    Subject, TaskOwner, TaskStatus,
};

impl ClusterStatus {
    /// What a tick knows at its end; history, decisions and counters start empty, see `after`.
    /// `verdicts` is what the guard says to each planned action.
    pub fn of(
        config: &ClusterConfig,
        snapshot: &Snapshot,
        memory: &Memory,
        plan: &Plan,
        verdicts: &[(Planned, Result<(), Hold>)],
        now: DateTime<Utc>,
    ) -> Self {
        let cutovers = cutovers::cutovers(config, snapshot, memory, plan, verdicts, now);
        let releases = release::told::told(config, snapshot, memory, &plan.holds, verdicts, now);
        let plan = plan_view(plan, verdicts, memory);
        let hosts: Vec<_> = (snapshot.hosts.value.values())
            .map(|host| host_view(host, snapshot, memory, &plan))
            .collect();
        let host_counts = count_hosts(&hosts);
        let reservation = reservation(config, snapshot);
        let services: Vec<_> = snapshot.services.value.values().map(service_view).collect();
        let tasks = count_tasks(&services, snapshot, memory);
        let point = Point {
            at: now,
            cpu_percent: reservation.cpu_percent,
            memory_percent: reservation.memory_percent,
            hosts: host_counts.all,
            unplaced: tasks.unplaced,
        };
        Self {
            name: config.name.clone(),
            region: config.region.clone(),
            at: now,
            interval_seconds: config.interval.num_seconds(),
            mode: mode(config, memory),
            pause: memory.pause.clone(),
            allow: config.allow.clone(),
            seen: seen(snapshot, now),
            cost: cost::cost(config, snapshot, &plan),
            hosts,
            host_counts,
            reservation,
            tasks,
            pools: pools::pools(config, snapshot, memory, now),
            services,
            cutovers,
            releases,
            handback: handback::told::told(View { config, snapshot, memory, now }),
            plan,
            others_writing: snapshot.rivals.value.iter().map(other_writer).collect(),
            budgets: budgets(config, snapshot, memory, now),
            breakers: breakers(memory, now),
            journal: JournalView {
                seq: memory.seq,
                epoch: memory.epoch,
                in_doubt: memory.in_doubt.len(),
                unknown_record: memory.unknown_record,
                leader: None,
                trouble: None,
            },
            decisions: Vec::new(),
            history: vec![point],
            counters: Counters::default(),
        }
    }
}

fn mode(config: &ClusterConfig, memory: &Memory) -> ModeStatus {
    ModeStatus {
        ceiling: config.mode,
        stored: memory.mode,
        effective: guard::effective_mode(config, memory),
    }
}

fn seen(snapshot: &Snapshot, now: DateTime<Utc>) -> Seen {
    let gaps = snapshot.gaps();
    let gaps: BTreeSet<_> =
        gaps.map(|gap| format!("{} failed: {}", gap.source, gap.failure)).collect();
    Seen {
        taken_at: snapshot.taken_at,
        age_seconds: (now - snapshot.oldest()).num_seconds(),
        complete: gaps.is_empty(),
        gaps: gaps.into_iter().collect(),
    }
}

fn plan_view(plan: &Plan, verdicts: &[(Planned, Result<(), Hold>)], memory: &Memory) -> PlanView {
    let mut view = PlanView::default();
    for (planned, verdict) in verdicts {
        match verdict {
            Ok(()) => view.would_do.push(ActionView::new(planned, None)),
            Err(hold) if asks_permission(&hold.reason) => {
                let needs = match hold.reason {
                    Reason::ModeTooLow { .. } => "mode act".to_owned(),
                    _ => format!("{} in `allow`", planned.kind),
                };
                view.not_allowed.push(ActionView::new(planned, Some(needs)));
            }
            Err(hold) => view.held.push(hold_view(hold, memory)),
        }
    }
    let holds = plan.holds.iter().map(|hold| hold_view(hold, memory));
    view.held.extend(holds);
    view.held.dedup();
    view
}

/// Whether a person's word alone would let it through.
fn asks_permission(reason: &Reason) -> bool {
    matches!(reason, Reason::ModeTooLow { .. } | Reason::NotAllowed)
}

impl ActionView {
    pub(super) fn new(planned: &Planned, needs: Option<String>) -> Self {
        Self {
            kind: planned.kind,
            text: planned.action.to_string(),
            why: planned.why.to_string(),
            needs,
            planned: planned.clone(),
        }
    }
}

fn hold_view(hold: &Hold, memory: &Memory) -> HoldView {
    let fact = Fact::Held { key: hold.key() };
    HoldView {
        subject: hold.subject.to_string(),
        wants: hold.wants,
        why: hold.reason.to_string(),
        since: memory.since(&hold.subject, &fact),
        hold: hold.clone(),
    }
}

fn host_view(host: &Host, snapshot: &Snapshot, memory: &Memory, plan: &PlanView) -> HostView {
    let subject = Subject::Host(host.instance.clone());
    let held = plan.held.iter().filter(|view| view.hold.subject == subject);
    let mut tasks = BTreeMap::<String, u64>::new();
    let listed = snapshot.tasks.value.get(&host.instance);
    for task in listed.into_iter().flatten() {
        if task.status != TaskStatus::Stopped {
            let of = match &task.owner {
                TaskOwner::Service(service) => service.to_string(),
                TaskOwner::Standalone(group) => group.clone(),
            };
            *tasks.entry(of).or_default() += 1;
        }
    }
    HostView {
        instance: host.instance.clone(),
        zone: host.zone.clone(),
        instance_type: host.instance_type.clone(),
        pool: host.pool.clone(),
        market: host.market,
        state: host_state(host),
        registered: host.registered,
        reserved: host.reserved(),
        running_tasks: host.running_tasks,
        pending_tasks: host.pending_tasks,
        tasks: tasks.into_iter().map(|(of, count)| TasksOnHost { of, count }).collect(),
        protected: host.protected,
        mark: host.mark,
        unneeded_since: memory.since(&subject, &Fact::Unneeded),
        held: held.map(|view| format!("{}: {}", view.wants, view.why)).collect(),
    }
}

fn host_state(host: &Host) -> HostState {
    if host.is_usable() {
        HostState::Usable
    } else if host.is_launching() {
        HostState::Launching
    } else if host.status == HostStatus::Draining || host.mark.is_some() {
        HostState::Draining
    } else if host.is_registered()
        && !host.agent_connected
        && host.lifecycle != Lifecycle::Terminating
    {
        HostState::AgentLost
    } else {
        HostState::Other
    }
}

fn count_hosts(hosts: &[HostView]) -> HostCounts {
    let of = |state| hosts.iter().filter(|host| host.state == state).count();
    HostCounts {
        all: hosts.len(),
        usable: of(HostState::Usable),
        launching: of(HostState::Launching),
        draining: of(HostState::Draining),
        agent_lost: of(HostState::AgentLost),
        other: of(HostState::Other),
    }
}

fn reservation(config: &ClusterConfig, snapshot: &Snapshot) -> Reservation {
    let hosts: Vec<_> = (snapshot.hosts.value.values()).filter(|host| host.is_usable()).collect();
    let registered: Resources = hosts.iter().map(|host| host.registered).sum();
    let reserved: Resources = hosts.iter().map(|host| host.reserved()).sum();
    let room = |free: &Resources| u128::from(free.cpu_units) * u128::from(free.memory_mib);
    Reservation {
        cpu_percent: percent(reserved.cpu_units, registered.cpu_units),
        memory_percent: percent(reserved.memory_mib, registered.memory_mib),
        cpu_ceiling_percent: config.reservation_ceiling.cpu_percent,
        memory_ceiling_percent: config.reservation_ceiling.memory_percent,
        hosts: hosts.len(),
        registered,
        reserved,
        largest_hole: hosts.iter().map(|host| host.remaining).max_by_key(room),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a tenth of a percent is shown")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    let tenths = (part.saturating_mul(1_000) + whole / 2).checked_div(whole)?;
    Some(tenths as f64 / 10.0)
}

fn service_view(service: &Service) -> ServiceView {
    let on_hosts = service.launch != Launch::Elsewhere;
    let placed = service.running_count + service.pending_count;
    let counts = on_hosts && service.scheduling == Scheduling::Replica;
    ServiceView {
        name: service.name.clone(),
        desired: service.desired_count,
        running: service.running_count,
        pending: service.pending_count,
        unplaced: if counts { service.desired_count.saturating_sub(placed) } else { 0 },
        deploying: service.is_deploying(),
        on_hosts,
    }
}

fn count_tasks(services: &[ServiceView], snapshot: &Snapshot, memory: &Memory) -> TaskCounts {
    let on_hosts = || services.iter().filter(|service| service.on_hosts);
    let waiting: u64 = snapshot.waiting.value.iter().map(|tasks| tasks.count).sum();
    let unplaced = on_hosts().map(|s| s.unplaced).sum::<u64>() + waiting;
    let mut since = memory.since.iter();
    let began = since.by_ref().filter(|((_, fact), _)| matches!(fact, Fact::Unplaced { .. }));
    TaskCounts {
        desired: on_hosts().map(|s| s.desired).sum::<u64>() + waiting,
        running: on_hosts().map(|s| s.running).sum(),
        pending: on_hosts().map(|s| s.pending).sum(),
        unplaced,
        unplaced_since: began.map(|(_, at)| *at).min(),
    }
}

fn other_writer(rival: &Rival) -> OtherWriter {
    let (text, harmless) = words::rival(rival);
    OtherWriter { text, harmless, rival: rival.clone() }
}

fn budgets(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Vec<Budget> {
    let draining = snapshot.hosts.value.values();
    let draining = draining.filter(|host| host_state(host) == HostState::Draining);
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let budget = |name: &str, used, limit| Budget { name: name.to_owned(), used, limit };
    let limits = &config.budgets;
    vec![
        budget("draining_hosts", count(draining.count()), limits.draining_hosts),
        budget(
            "removed_hosts_per_hour",
            count(memory.removed_hosts(now)),
            limits.removed_hosts_per_hour,
        ),
        budget(
            "launched_units_per_hour",
            memory.launched_units(now).into(),
            limits.launched_units_per_hour.into(),
        ),
    ]
}

fn breakers(memory: &Memory, now: DateTime<Utc>) -> Vec<BreakerView> {
    let breakers = memory.breakers.iter();
    breakers
        .map(|(name, breaker)| BreakerView {
            name: name.clone(),
            failures: breaker.failures,
            last: breaker.last.clone(),
            open_until: breaker.open_until,
            open: breaker.open_until.is_some_and(|until| now < until),
        })
        .collect()
}

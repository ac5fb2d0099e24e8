//! Tells each cutover of the configuration from what was seen and is remembered.
//!
//! Rule: said once, here. One that was not started is told as it would begin.

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::{ClusterConfig, CutoverConfig};
use crate::model::{CutoverMemory, Draft, Memory, Snapshot, Stage};

use super::fitness;
use super::gates::{self, Gate};
use super::table::transition;
use super::told::{CutoverTold, FindingTold, GateTold, MoveTold, RouteTold, StepTold};
use super::view::{Route, Saga};

/// Every cutover of the configuration.
pub fn told(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Vec<CutoverTold> {
    let one = |cutover: &CutoverConfig| {
        let known = memory.cutovers.get(&cutover.name);
        let fresh = fresh(cutover, now);
        let state = known.unwrap_or(&fresh);
        let saga =
            Saga { cluster: config, config: cutover, memory: state, all: memory, snapshot, now };
        let mut told = cutover_told(saga, known);
        if known.is_none() {
            rehearse(&mut told, saga);
        }
        told
    };
    config.cutovers.iter().map(one).collect()
}

/// A cutover's memory as if it were started now.
pub fn fresh(cutover: &CutoverConfig, now: DateTime<Utc>) -> CutoverMemory {
    let routes: Vec<_> = cutover.routes.iter().map(|route| route.to.clone()).collect();
    CutoverMemory::started("", "", &routes, now)
}

fn cutover_told(saga: Saga<'_>, known: Option<&CutoverMemory>) -> CutoverTold {
    let config = saga.config;
    let shifts = config.routes.iter().map(|route| {
        let steps = i32::try_from(route.steps_percent.len()).unwrap_or(i32::MAX);
        (route.bake + config.settle) * steps
    });
    let shift_min = if config.in_order { shifts.sum() } else { shifts.max().unwrap_or_default() };
    CutoverTold {
        name: config.name.clone(),
        listener: config.listener.clone(),
        from: config.from.clone(),
        started_at: known.map(|known| known.started_at),
        started_by: known.map(|known| known.started_by.clone()),
        open: known.is_some_and(CutoverMemory::is_open),
        paused: saga.memory.paused.clone(),
        asks: known.is_some_and(|known| known.is_open() && known.paused.is_some()),
        approve_before_percent: config.approve_before_percent,
        lag_seconds: config.lag().num_seconds(),
        bake_min_seconds: config.bake_min().num_seconds(),
        shift_min_seconds: shift_min.num_seconds(),
        keep_warm_seconds: config.keep_warm.num_seconds(),
        warm_until: saga.warm_until(),
        findings: findings(saga),
        next: Vec::new(),
        routes: saga.routes().map(route_told).collect(),
        history: history(saga),
    }
}

fn history(saga: Saga<'_>) -> Vec<MoveTold> {
    let of = |route: Route<'_>| {
        let to = route.config.to.clone();
        let moves = route.memory.history.iter().cloned();
        moves.map(|moved| MoveTold { to: to.clone(), moved }).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = saga.routes().flat_map(of).collect();
    // Moves of one moment stay in the order of the routes.
    all.sort_by_key(|told| std::cmp::Reverse(told.moved.at));
    all
}

/// What the first tick would do.
fn rehearse(told: &mut CutoverTold, saga: Saga<'_>) {
    let mut draft = Draft::default();
    for route in saga.routes() {
        let _verdict = (transition(route.stage()).step)(route, &mut draft);
    }
    let planned: Vec<_> = draft.actions.into_iter().map(|action| (action, Ok(()))).collect();
    told.join(&planned, &draft.holds);
}

fn route_told(route: Route<'_>) -> RouteTold {
    let judged = route.stage().sends_traffic();
    RouteTold {
        to: route.config.to.clone(),
        paths: route.config.paths.clone(),
        hosts: route.config.hosts.clone(),
        base: base(route),
        stage: route.stage(),
        waits_for: transition(route.stage()).waits_for.to_owned(),
        since: route.memory.since,
        percent: route.percent_now(),
        steps: route.config.steps_percent.iter().map(|percent| step(route, *percent)).collect(),
        step: route.memory.step,
        baking_since: route.memory.baking_since,
        bakes_until: route.baked_at(),
        promoted: route.memory.promoted || route.memory.promoted_full,
        gates: gates::gates(route).into_iter().map(|gate| gate_told(route, gate, judged)).collect(),
        held: Vec::new(),
        because: route.memory.because.clone(),
    }
}

fn base(route: Route<'_>) -> Option<String> {
    let placed = fitness::placed(route, &route.saga.blue_group()?.arn)?;
    let base = placed.above.map_or("the default action".to_owned(), |n| format!("rule {n}"));
    Some(format!("{base}: {}", placed.image))
}

fn step(route: Route<'_>, percent: u32) -> StepTold {
    let exposed = gates::exposed(route, percent);
    let reaction = gates::reaction(route.saga.config);
    StepTold {
        percent,
        bake_seconds: route.config.bake.num_seconds(),
        exposed,
        worst_case: worst_case(percent, exposed, reaction),
    }
}

fn worst_case(percent: u32, exposed: Option<u64>, reaction: TimeDelta) -> String {
    let hurt = match exposed {
        Some(1) => "about 1 request fails".to_owned(),
        Some(n) => format!("about {} requests fail", grouped(n)),
        None => format!("{percent} % of the requests fail (no load was seen, so not how many)"),
    };
    let lag = reaction.num_seconds();
    format!("if green is wholly broken at {percent} %, {hurt} before rollback (lag {lag} s)")
}

/// `1,900`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut parts: Vec<&str> = Vec::new();
    if first > 0 {
        parts.push(&digits[..first]);
    }
    parts.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    parts.join(",")
}

fn gate_told(route: Route<'_>, gate: Gate, judged: bool) -> GateTold {
    let config = &route.saga.config.gates;
    let other = config.others.iter().find(|other| other.name == gate.name);
    let lag = match other {
        Some(other) => other.lag,
        // Health is read from the load balancer itself.
        None if gate.name == gates::TARGETS => TimeDelta::zero(),
        None => config.metric_lag,
    };
    GateTold {
        verdict: judged.then_some(gate.verdict),
        value: if judged { gate.value } else { "not yet".to_owned() },
        name: gate.name,
        limit: gate.limit,
        lag_seconds: lag.num_seconds(),
    }
}

/// What the listener's analysis says, as long as nothing has been written: later it is history.
fn findings(saga: Saga<'_>) -> Vec<FindingTold> {
    if saga.routes().any(|route| !matches!(route.stage(), Stage::Planned | Stage::RolledBack)) {
        return Vec::new();
    }
    let found = fitness::findings(saga.cluster, saga.config, saga.snapshot);
    found
        .into_iter()
        .map(|finding| FindingTold {
            severity: finding.severity,
            kind: finding.kind.to_string(),
            at: finding.pattern.or(finding.priority.map(|priority| format!("rule {priority}"))),
            explanation: finding.explanation,
            remedy: finding.remedy,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worst_case_is_a_sentence() {
        let lag = TimeDelta::seconds(180);
        for (exposed, said) in [
            (Some(1_900), "about 1,900 requests fail before rollback (lag 180 s)"),
            (Some(1), "about 1 request fails before rollback (lag 180 s)"),
            (Some(1_234_567), "about 1,234,567 requests fail before rollback (lag 180 s)"),
            (
                None,
                "5 % of the requests fail (no load was seen, so not how many) before rollback \
                 (lag 180 s)",
            ),
        ] {
            let want = format!("if green is wholly broken at 5 %, {said}");
            assert_eq!(worst_case(5, exposed, lag), want);
        }
    }
}

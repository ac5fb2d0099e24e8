//! A cutover as people see it: each route's weight, stage, gates and what it waits for.
//!
//! Rule: said once, here; API, command line and dashboard only show it. One that was not started is
//! told as it would begin.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::config::{ClusterConfig, CutoverConfig};
use crate::model::{
    CutoverMemory, CutoverName, CutoverPause, Hold, Known, ListenerArn, Memory, Move, Planned,
    Reason, Said, ServiceName, Snapshot, Stage, Subject,
};

use super::gates::{self, Gate};
use super::table::transition;
use super::view::{Route, Saga};
use super::{Draft, slots};

/// One cutover of the configuration, started or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CutoverTold {
    pub name: CutoverName,
    pub listener: ListenerArn,
    pub from: ServiceName,
    pub started_at: Option<DateTime<Utc>>,
    pub started_by: Option<String>,
    pub open: bool,
    pub paused: Option<CutoverPause>,
    /// Nothing moves before a person has given an order or changed something.
    pub asks: bool,
    /// Steps from this percentage on wait for a promote.
    pub approve_before_percent: Option<u32>,
    /// From green going wrong until the slowest gate can say so.
    pub lag_seconds: i64,
    /// The shortest bake that the gates can judge.
    pub bake_min_seconds: i64,
    /// All bakes one after the other, if nothing holds it up.
    pub shift_min_seconds: i64,
    pub keep_warm_seconds: i64,
    /// Until then blue is kept for all of its old traffic.
    pub warm_until: Option<DateTime<Utc>>,
    /// What the listener's analysis says of it.
    pub findings: Vec<FindingTold>,
    /// What is written next, and what keeps it back.
    pub next: Vec<NextTold>,
    pub routes: Vec<RouteTold>,
    /// Moves of all routes, newest first, as far as they are remembered.
    pub history: Vec<MoveTold>,
}

/// One route of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RouteTold {
    pub to: ServiceName,
    pub paths: Vec<String>,
    pub hosts: Vec<String>,
    /// The rule that serves it before it moves.
    pub base: Option<String>,
    pub stage: Stage,
    /// What this stage waits for, in words.
    pub waits_for: String,
    pub since: Option<DateTime<Utc>>,
    /// Green's share by the live rule; `None`: no rule of its own was seen.
    pub percent: Option<u32>,
    pub steps: Vec<StepTold>,
    /// Which of the steps it is at, from 0.
    pub step: usize,
    pub baking_since: Option<DateTime<Utc>>,
    /// The end of the present bake.
    pub bakes_until: Option<DateTime<Utc>>,
    /// A person has let its next step pass.
    pub promoted: bool,
    pub gates: Vec<GateTold>,
    /// Why it does not move on.
    pub held: Vec<HeldTold>,
    /// Why it goes back, or went.
    pub because: Option<String>,
}

/// One weight on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepTold {
    pub percent: u32,
    pub bake_seconds: i64,
    /// Requests hurt if green is wholly broken at this step; `None`: no load was seen.
    pub exposed: Option<u64>,
    /// The same as a sentence.
    pub worst_case: String,
}

/// A gate with its lag; without a verdict before green has traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateTold {
    pub name: String,
    pub verdict: Option<Said>,
    pub value: String,
    pub limit: String,
    pub lag_seconds: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeldTold {
    /// Stable; programs decide by it.
    pub code: String,
    pub why: String,
    /// It lasts until a person does something.
    pub asks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NextTold {
    pub text: String,
    pub why: String,
    pub held: Option<HeldTold>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindingTold {
    pub severity: String,
    pub kind: String,
    /// A rule's priority or a pattern.
    pub at: Option<String>,
    pub explanation: String,
    pub remedy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveTold {
    pub to: ServiceName,
    #[serde(flatten)]
    pub moved: Move,
}

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
            told.rehearse(saga);
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
    let base = slots::base_of(route, &route.saga.blue_group()?.arn)?;
    let place = base.priority.map_or("the default action".to_owned(), |n| format!("rule {n}"));
    Some(format!("{place}: {}", base.image))
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

impl CutoverTold {
    /// What decides which orders make sense.
    pub fn known(&self) -> Known {
        let stages = self.routes.iter().map(|route| (route.to.clone(), route.stage)).collect();
        Known {
            name: self.name.clone(),
            stages: self.started_at.map(|_| stages),
            paused: self.paused.is_some(),
        }
    }

    pub fn route(&self, to: &ServiceName) -> Option<&RouteTold> {
        self.routes.iter().find(|route| route.to == *to)
    }

    /// Puts beside it what a tick planned and held.
    pub fn join(&mut self, planned: &[(Planned, Result<(), Hold>)], holds: &[Hold]) {
        for route in &mut self.routes {
            let of = |hold: &&Hold| {
                matches!(&hold.subject, Subject::Route(id)
                    if id.cutover == self.name && id.to == route.to)
            };
            route.held = holds.iter().filter(of).map(|hold| HeldTold::of(&hold.reason)).collect();
        }
        self.next = planned.iter().map(NextTold::of).collect();
        let next = self.next.iter().filter_map(|next| next.held.as_ref());
        let mut held = self.routes.iter().flat_map(|route| &route.held).chain(next);
        self.asks = self.open && (self.paused.is_some() || held.any(|held| held.asks));
    }

    /// What the first tick would do.
    fn rehearse(&mut self, saga: Saga<'_>) {
        let mut draft = Draft::default();
        for route in saga.routes() {
            let _verdict = (transition(route.stage()).step)(route, &mut draft);
        }
        let planned: Vec<_> = draft.actions.into_iter().map(|action| (action, Ok(()))).collect();
        self.join(&planned, &draft.holds);
    }
}

impl HeldTold {
    fn of(reason: &Reason) -> Self {
        Self { code: reason.code().to_owned(), why: reason.to_string(), asks: asks(reason) }
    }
}

impl NextTold {
    fn of((planned, verdict): &(Planned, Result<(), Hold>)) -> Self {
        let held = verdict.as_ref().err().map(|hold| HeldTold::of(&hold.reason));
        Self { text: planned.action.to_string(), why: planned.why.to_string(), held }
    }
}

/// Whether time alone does not release it.
fn asks(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::ModeTooLow { .. }
            | Reason::NotAllowed
            | Reason::Paused { .. }
            | Reason::ListenerUnfit { .. }
            | Reason::NoTargetGroup { .. }
            | Reason::OtherTargetGroup { .. }
            | Reason::NoService { .. }
            | Reason::NoRule { .. }
            | Reason::NoPriority { .. }
            | Reason::AlreadySends { .. }
            | Reason::NativeDeployment { .. }
            | Reason::RuleChanged { .. }
            | Reason::AwaitsPromotion { .. }
            | Reason::RouteRolledBack { .. }
            | Reason::CutoverPaused { .. }
            | Reason::TooFewRequests { .. }
            | Reason::GateSilent { .. }
            | Reason::StillServes { .. }
    )
}

/// What the listener's analysis says, as long as nothing has been written: later it is history.
fn findings(saga: Saga<'_>) -> Vec<FindingTold> {
    if saga.routes().any(|route| !matches!(route.stage(), Stage::Planned | Stage::RolledBack)) {
        return Vec::new();
    }
    let found = super::fitness::findings(saga.cluster, saga.config, saga.snapshot);
    found
        .into_iter()
        .map(|finding| FindingTold {
            severity: finding.severity.to_string(),
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

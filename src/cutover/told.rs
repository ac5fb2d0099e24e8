//! A cutover as people see it: each route's weight, stage, gates and what it waits for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::{ClusterConfig, CutoverConfig};
use crate::model::{
    CutoverName, CutoverPause, ListenerArn, Memory, Move, ServiceName, Snapshot, Stage,
};

use super::gates::{self, Gate};
use super::table::transition;
use super::view::{Route, Saga};

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
    /// Until then blue is kept for all of its old traffic.
    pub warm_until: Option<DateTime<Utc>>,
    pub routes: Vec<RouteTold>,
}

/// One route of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RouteTold {
    pub to: ServiceName,
    pub paths: Vec<String>,
    pub stage: Stage,
    /// What this stage waits for, in words.
    pub waits_for: String,
    pub since: Option<DateTime<Utc>>,
    /// Green's share by the live rule; `None`: no rule of its own was seen.
    pub percent: Option<u32>,
    pub steps_percent: Vec<u32>,
    pub step: usize,
    /// The end of the present bake.
    pub bakes_until: Option<DateTime<Utc>>,
    pub gates: Vec<Gate>,
    /// Requests hurt if green is wholly broken at each step.
    pub exposed: Vec<Option<u64>>,
    pub because: Option<String>,
    pub history: Vec<Move>,
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
        // One that was not started is shown as it would begin.
        let fresh = crate::model::CutoverMemory::started(
            "",
            "",
            &cutover.routes.iter().map(|route| route.to.clone()).collect::<Vec<_>>(),
            now,
        );
        let state = known.unwrap_or(&fresh);
        let saga =
            Saga { cluster: config, config: cutover, memory: state, all: memory, snapshot, now };
        CutoverTold {
            name: cutover.name.clone(),
            listener: cutover.listener.clone(),
            from: cutover.from.clone(),
            started_at: known.map(|known| known.started_at),
            started_by: known.map(|known| known.started_by.clone()),
            open: known.is_some_and(crate::model::CutoverMemory::is_open),
            paused: state.paused.clone(),
            warm_until: saga.warm_until(),
            routes: saga.routes().map(route).collect(),
        }
    };
    config.cutovers.iter().map(one).collect()
}

fn route(route: Route<'_>) -> RouteTold {
    let steps = &route.config.steps_percent;
    RouteTold {
        to: route.config.to.clone(),
        paths: route.config.paths.clone(),
        stage: route.stage(),
        waits_for: transition(route.stage()).waits_for.to_owned(),
        since: route.memory.since,
        percent: route.percent_now(),
        steps_percent: steps.clone(),
        step: route.memory.step,
        bakes_until: route.baked_at(),
        gates: if route.stage().sends_traffic() { gates::gates(route) } else { Vec::new() },
        exposed: steps.iter().map(|percent| gates::exposed(route, *percent)).collect(),
        because: route.memory.because.clone(),
        history: route.memory.history.iter().cloned().collect(),
    }
}

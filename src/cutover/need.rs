//! What must be seen of load balancers: from configuration and memory alone.

use chrono::{DateTime, Utc};

use crate::config::{ClusterConfig, GateSource};
use crate::model::{Ask, Asked, Memory, Snapshot, Stage, TrafficNeed};

use super::retire::DROP_TRAFFIC;
use super::view::{Saga, group_name};

/// How many datapoints are read, so that limits can be learnt from blue: an hour of ALB's own.
const LEARNT_FROM: i32 = 60;

/// Nothing where no listener is configured.
///
/// `last` is what was seen before: only a probe whose rule stands is worth asking.
pub fn need(
    config: &ClusterConfig,
    memory: &Memory,
    last: Option<&Snapshot>,
    now: DateTime<Utc>,
) -> Option<TrafficNeed> {
    let mut need = TrafficNeed { load_period_seconds: 60, ..TrafficNeed::default() };
    for (name, service) in &config.services {
        if let Some(exposure) = &service.exposure {
            need.listeners.insert(exposure.listener.clone());
            need.groups.insert(group_name(config, name, exposure.target_group.as_deref()));
        }
    }
    for cutover in &config.cutovers {
        need.listeners.insert(cutover.listener.clone());
        need.groups.insert(group_name(config, &DROP_TRAFFIC.into(), None));
        let open = memory.cutovers.get(&cutover.name).is_some_and(|memory| memory.is_open());
        if open {
            let period = cutover.gates.metric_period.num_seconds().clamp(1, 3600);
            need.load_period_seconds = u32::try_from(period).unwrap_or(60);
            need.load_since = Some(now - cutover.gates.metric_period * LEARNT_FROM);
            need.asks.extend(
                cutover
                    .gates
                    .others
                    .iter()
                    .map(|gate| Ask { name: gate.name.clone(), of: asked(&gate.source) }),
            );
        }
    }
    for at in memory.kept.keys() {
        need.groups.insert(at.group.clone());
        if !need.listeners.contains(&at.listener) {
            need.left.insert(at.listener.clone());
        }
    }
    if let Some(snapshot) = last {
        let sagas = Saga::open(config, snapshot, memory, now);
        need.asks.extend(sagas.flat_map(Saga::routes).filter_map(super::probe::ask));
    }
    (!need.listeners.is_empty() || !need.left.is_empty()).then_some(need)
}

fn asked(source: &GateSource) -> Asked {
    match source.clone() {
        GateSource::CloudwatchAlarm(alarm) => Asked::Alarm { alarm },
        GateSource::Prometheus { url, query, below, above } => {
            Asked::Prometheus { url, query, below, above }
        }
        GateSource::Http(url) => Asked::Http { url },
    }
}

/// Whether some route sends traffic to a green that is still being judged, or goes back: looking
/// must be quick.
pub fn is_urgent(config: &ClusterConfig, memory: &Memory) -> bool {
    let judged = |stage: Stage| {
        matches!(stage, Stage::Shifting | Stage::Shifted | Stage::RollingBack | Stage::Healthy)
    };
    config.cutovers.iter().any(|cutover| {
        let memory = memory.cutovers.get(&cutover.name);
        memory.is_some_and(|memory| memory.routes.values().any(|route| judged(route.stage)))
    })
}

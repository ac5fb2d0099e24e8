//! What the next tick must see: from configuration and memory alone.

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::model::{Fact, Memory, Need, Snapshot, Subject};
use crate::{cutover, release};

/// `last` is what was seen before, if anything. The pools of the configuration, and the tasks of hosts that drain, are lost or may leave.
pub fn need(
    config: &ClusterConfig,
    memory: &Memory,
    last: Option<&Snapshot>,
    now: DateTime<Utc>,
) -> Need {
    let watched = memory.since.keys().filter_map(|(subject, fact)| match (subject, fact) {
        (Subject::Host(host), Fact::Watched) => Some(host.clone()),
        _ => None,
    });
    Need {
        cluster: config.name.clone(),
        pools: config.pools.iter().map(|pool| pool.id.clone()).collect(),
        tasks_of: memory.drains.keys().cloned().chain(watched).collect(),
        traffic: cutover::need(config, memory, last, now),
        releases: release::need(config, memory, last, now),
        only_traffic: false,
    }
}

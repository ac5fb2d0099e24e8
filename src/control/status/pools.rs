//! The pools as they are shown.

use chrono::{DateTime, Utc};

use super::{PoolView, words};
use crate::config::ClusterConfig;
use crate::decide::handover;
use crate::decide::view::View;
use crate::model::{Memory, PoolId, Rival, Snapshot, Units};

pub(super) fn pools(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Vec<PoolView> {
    let view = View { config, snapshot, memory, now };
    let pools = snapshot.pools.value.values();
    pools
        .map(|pool| {
            let own = config.pool(&pool.id);
            let max = own.and_then(|own| own.max).map_or(pool.max.0, |max| max.min(pool.max.0));
            let writers = snapshot.rivals.value.iter();
            PoolView {
                id: pool.id.clone(),
                fleet: pool.id.is_fleet(),
                state: pool.state,
                desired: pool.desired,
                min: pool.min,
                max: (max < u32::MAX).then_some(Units(max)),
                hosts: snapshot.hosts_of(&pool.id).count(),
                usable_hosts: snapshot.hosts_of(&pool.id).filter(|h| h.is_usable()).count(),
                instance_types: pool
                    .offerings
                    .iter()
                    .map(|offering| offering.instance_type.clone())
                    .collect(),
                retiring: own.is_some_and(|own| own.retiring),
                demoted: memory.pool(&pool.id).demoted,
                others_writing: writers
                    .filter(|rival| pool_of(rival) == Some(&pool.id))
                    .map(|rival| words::rival(rival).0)
                    .chain(words::foreign_write(&pool.id, &memory.pool(&pool.id)))
                    .collect(),
                handover: if is_managed(snapshot, &pool.id) {
                    let steps = handover::steps(view, pool);
                    steps.iter().map(ToString::to_string).collect()
                } else {
                    Vec::new()
                },
            }
        })
        .collect()
}

fn pool_of(rival: &Rival) -> Option<&PoolId> {
    match rival {
        Rival::ManagedScaling { pool, .. }
        | Rival::ScalingPolicy { pool, .. }
        | Rival::ScheduledAction { pool, .. }
        | Rival::InstanceRefresh { pool, .. }
        | Rival::TerminateHook { pool, .. }
        | Rival::WarmPool { pool }
        | Rival::SuspendedProcess { pool, .. } => Some(pool),
        Rival::ScalableTarget { .. } | Rival::Deployment { .. } => None,
    }
}

fn is_managed(snapshot: &Snapshot, pool: &PoolId) -> bool {
    let mut rivals = snapshot.rivals.value.iter();
    rivals.any(
        |rival| matches!(rival, Rival::ManagedScaling { pool: managed, .. } if managed == pool),
    )
}

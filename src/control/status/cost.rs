//! What the fleet costs by list price, and what the plan would make of it.
//!
//! Rule: on-demand list prices times the pool's factor, Spot hosts too: an upper bound that is the
//! same for everyone who reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::{ActionView, Cost, PlanView};
use crate::config::ClusterConfig;
use crate::model::{Action, Host, Lifecycle, Pool, Snapshot};

/// List prices of all hosts that run, and of what the plan would make of them.
pub(super) fn cost(config: &ClusterConfig, snapshot: &Snapshot, plan: &PlanView) -> Cost {
    let prices: BTreeMap<_, _> = (snapshot.hosts.value.values())
        .filter(|host| host.lifecycle != Lifecycle::Terminating)
        .map(|host| (&host.instance, price(config, snapshot, host)))
        .collect();
    let now: u64 = prices.values().flatten().sum();
    let effect = |actions: &mut dyn Iterator<Item = &ActionView>| -> (u64, u64) {
        let (mut more, mut leaving) = (0, BTreeSet::new());
        for view in actions {
            match &view.planned.action {
                Action::SetPoolCapacity { pool, was, now } => {
                    let units = now.0.saturating_sub(was.0);
                    let pool = snapshot.pools.value.get(pool);
                    more += pool.map_or(0, |pool| unit_price(config, pool) * u64::from(units));
                }
                Action::TerminateHost { host, replace, .. } if !replace => {
                    leaving.insert(host);
                }
                action
                @ (Action::MarkHosts { hosts, .. } | Action::SetHostStatus { hosts, .. })
                    if action.removes() =>
                {
                    leaving.extend(hosts);
                }
                _ => {}
            }
        }
        let less = leaving.iter().filter_map(|host| *prices.get(host)?);
        (more, less.sum())
    };
    let (more, less) = effect(&mut plan.would_do.iter());
    let (all_more, all_less) = effect(&mut plan.would_do.iter().chain(&plan.not_allowed));
    Cost {
        now_micro_usd_per_hour: now,
        after_micro_usd_per_hour: (now + more).saturating_sub(less),
        if_allowed_micro_usd_per_hour: (now + all_more).saturating_sub(all_less),
        unpriced_hosts: prices.values().filter(|price| price.is_none()).count(),
    }
}

fn price(config: &ClusterConfig, snapshot: &Snapshot, host: &Host) -> Option<u64> {
    let pool = snapshot.pools.value.get(host.pool.as_ref()?)?;
    let mut offerings = pool.offerings.iter();
    let offering = offerings.find(|offering| offering.instance_type == host.instance_type)?;
    Some(factored(config, pool, offering.list_price_micro_usd_per_hour?))
}

/// What one more unit of a pool costs at least.
fn unit_price(config: &ClusterConfig, pool: &Pool) -> u64 {
    let offerings = pool.offerings.iter();
    let prices = offerings.filter_map(|offering| {
        let list = offering.list_price_micro_usd_per_hour?;
        list.checked_div(offering.weight.into())
    });
    factored(config, pool, prices.min().unwrap_or(0))
}

fn factored(config: &ClusterConfig, pool: &Pool, micro_usd: u64) -> u64 {
    let percent = config.pool(&pool.id).map_or(100, |own| own.price_percent);
    micro_usd.saturating_mul(percent.into()) / 100
}

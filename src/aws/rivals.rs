//! Who else writes: what changes rarely is read in turns, about once a minute.
//!
//! Rule: at most [`CALLS_PER_LOOK`] calls an observation once everything has been read, so that a
//! large cluster's observation stays within its budget; but what is older than [`STALE_AGE`], as
//! everything is where looks are rare, is read at once. A read that fails for that long is a gap.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::autoscaling::PolicyRow;
use super::clients::Reads;
use super::failure::implausible;
use super::kept::{Kept, SLOW_AGE};
use super::rows::{ScalableTarget, never};
use crate::model::*;

/// Calls one observation spends here, unless more is needed.
const CALLS_PER_LOOK: u64 = 4;
/// Age at which the part counts as incomplete.
const STALE_AGE: TimeDelta = TimeDelta::minutes(3);

/// One thing that is read in turns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SlowRead {
    /// The cluster's capacity providers; kept apart, since services are joined with them.
    Providers,
    Policies,
    Schedules,
    Targets,
    TerminateHooks(String),
    Refreshes(String),
}

/// What such a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlowRow {
    Policy(String, PolicyRow),
    Schedule(String, String),
    Target(ServiceName, ScalableTarget),
    TerminateHook(String, String),
    Refresh(String, String),
}

impl SlowRead {
    fn source(&self) -> &'static str {
        match self {
            Self::Providers => "ecs:DescribeCapacityProviders",
            Self::Policies => "autoscaling:DescribePolicies",
            Self::Schedules => "autoscaling:DescribeScheduledActions",
            Self::Targets => "application-autoscaling:DescribeScalableTargets",
            Self::TerminateHooks(_) => "autoscaling:DescribeLifecycleHooks",
            Self::Refreshes(_) => "autoscaling:DescribeInstanceRefreshes",
        }
    }

    /// Calls it takes: 50 scalable targets come in one page.
    fn calls(&self, services: usize) -> u64 {
        match self {
            Self::Targets => services.div_ceil(50).max(1) as u64,
            _ => 1,
        }
    }

    /// All there is to read for these pools.
    fn all(pools: &BTreeSet<PoolId>) -> BTreeSet<Self> {
        let mut all =
            BTreeSet::from([Self::Providers, Self::Policies, Self::Schedules, Self::Targets]);
        for pool in pools.iter().filter(|pool| !pool.is_fleet()) {
            all.insert(Self::TerminateHooks(pool.name().to_owned()));
            all.insert(Self::Refreshes(pool.name().to_owned()));
        }
        all
    }

    async fn read(&self, reads: &Reads, cluster: &ClusterName) -> Result<Vec<SlowRow>, Gap> {
        let of = |name: &String, rows: Vec<String>, row: fn(String, String) -> SlowRow| {
            rows.into_iter().map(|found| row(name.clone(), found)).collect()
        };
        Ok(match self {
            Self::Providers => Vec::new(),
            Self::Policies => {
                let rows = reads.policies().await?.into_iter();
                rows.map(|(group, policy)| SlowRow::Policy(group, policy)).collect()
            }
            Self::Schedules => {
                let rows = reads.schedules().await?.into_iter();
                rows.map(|(group, action)| SlowRow::Schedule(group, action)).collect()
            }
            Self::Targets => {
                let rows = reads.scalable_targets(cluster).await?.into_iter();
                rows.map(|(service, target)| SlowRow::Target(service, target)).collect()
            }
            Self::TerminateHooks(group) => {
                of(group, reads.terminate_hooks(group).await?, SlowRow::TerminateHook)
            }
            Self::Refreshes(group) => of(group, reads.refreshes(group).await?, SlowRow::Refresh),
        })
    }
}

impl Kept {
    /// Which of them this observation reads: all that were never read or would be missed, then the
    /// oldest that are due, within the budget.
    fn due(&self, pools: &BTreeSet<PoolId>, at: DateTime<Utc>) -> Vec<SlowRead> {
        let age = |read: &SlowRead| match read {
            SlowRead::Providers => self.providers.as_of,
            read => self.slow.get(read).map_or(DateTime::UNIX_EPOCH, |part| part.as_of),
        };
        let all = SlowRead::all(pools).into_iter();
        let mut due: Vec<SlowRead> = all.filter(|read| at - age(read) >= SLOW_AGE).collect();
        due.sort_by_key(|read| age(read));
        let services = self.services.value.len();
        let mut spent = 0;
        due.retain(|read| {
            let fits = spent == 0 || spent + read.calls(services) <= CALLS_PER_LOOK;
            let needed = at - age(read) >= STALE_AGE;
            if fits || needed {
                spent += read.calls(services);
            }
            fits || needed
        });
        due
    }

    /// Reads what is due.
    pub(super) async fn look_at_rivals(
        &mut self,
        reads: &Reads,
        cluster: &ClusterName,
        pools: &BTreeSet<PoolId>,
        at: DateTime<Utc>,
    ) {
        let wanted = SlowRead::all(pools);
        self.slow.retain(|read, _| wanted.contains(read));
        let due = self.due(pools, at);
        let names = self.cluster.value.providers.clone();
        let providers = async {
            let asked = due.contains(&SlowRead::Providers);
            if asked { Some(reads.providers(&names).await) } else { None }
        };
        let others = due.iter().filter(|read| **read != SlowRead::Providers);
        let others = join_all(others.map(async |read| (read, read.read(reads, cluster).await)));
        let (providers, others) = futures::join!(providers, others);
        if let Some(answer) = providers {
            super::rows::renew(&mut self.providers, answer, at);
        }
        for (read, answer) in others {
            let part = self.slow.entry(read.clone()).or_insert_with(never);
            match answer {
                Ok(rows) => *part = Part::complete(rows, at),
                Err(gap) => part.gaps = vec![gap],
            }
        }
    }

    /// All who write what this cluster's pools and services are. As old as the groups and
    /// services it stands on; what is read in turns may be up to [`STALE_AGE`] older.
    pub(super) fn rivals(
        &self,
        pools: &BTreeSet<PoolId>,
        at: DateTime<Utc>,
    ) -> Part<BTreeSet<Rival>> {
        let mut rivals = BTreeSet::new();
        for (name, group) in self.groups.value.iter() {
            let pool = PoolId::group(name);
            if !pools.contains(&pool) {
                continue;
            }
            if group.warm_pool {
                rivals.insert(Rival::WarmPool { pool: pool.clone() });
            }
            rivals.extend(group.suspended.iter().map(|process| Rival::SuspendedProcess {
                pool: pool.clone(),
                process: process.clone(),
            }));
        }
        for row in self.providers.value.values() {
            if row.provider.managed_scaling && pools.contains(&row.pool) {
                rivals.insert(Rival::ManagedScaling {
                    pool: row.pool.clone(),
                    provider: row.provider.name.clone(),
                    silenced: self.suspended(&row.pool, "AlarmNotification"),
                });
            }
        }
        let rows = self.slow.values().flat_map(|part| &part.value);
        rivals.extend(rows.filter_map(|row| self.rival(row, pools)));
        rivals.extend(deployments(&self.services.value));
        Part {
            value: rivals,
            as_of: self.groups.as_of.min(self.services.as_of),
            gaps: self.rival_gaps(at),
        }
    }

    fn suspended(&self, pool: &PoolId, process: &str) -> bool {
        let group = self.groups.value.get(pool.name());
        group.is_some_and(|group| group.suspended.contains(process))
    }

    fn rival(&self, row: &SlowRow, pools: &BTreeSet<PoolId>) -> Option<Rival> {
        let ours = |group: &String| Some(PoolId::group(group)).filter(|pool| pools.contains(pool));
        Some(match row {
            SlowRow::Policy(group, policy) => {
                let pool = ours(group)?;
                let suspended = self.groups.value.get(group).map(|group| &group.suspended);
                Rival::ScalingPolicy {
                    pool,
                    policy: policy.name.clone(),
                    silenced: suspended.is_some_and(|suspended| policy.silenced(suspended)),
                }
            }
            // A schedule that is suspended writes nothing.
            SlowRow::Schedule(group, action) => Rival::ScheduledAction {
                pool: ours(group).filter(|pool| !self.suspended(pool, "ScheduledActions"))?,
                action: action.clone(),
            },
            SlowRow::Target(service, target) => Rival::ScalableTarget {
                service: service.clone(),
                min: target.min,
                max: target.max,
                suspended: target.suspended,
            },
            SlowRow::TerminateHook(group, hook) => {
                Rival::TerminateHook { pool: ours(group)?, hook: hook.clone() }
            }
            SlowRow::Refresh(group, refresh) => {
                Rival::InstanceRefresh { pool: ours(group)?, refresh: refresh.clone() }
            }
        })
    }

    fn rival_gaps(&self, at: DateTime<Utc>) -> Vec<Gap> {
        let fast = self.groups.gaps.iter().chain(&self.services.gaps);
        let slow = self.slow.values().flat_map(|part| &part.gaps);
        let all = fast.chain(&self.providers.gaps).chain(slow).cloned();
        let stale = self.slow.iter().filter(|(_, part)| at - part.as_of > STALE_AGE);
        let stale = stale.filter(|(_, part)| part.gaps.is_empty());
        let stale = stale.map(|(read, _)| implausible(read.source(), "not read for minutes"));
        let unique: BTreeSet<Gap> = all.chain(stale).collect();
        unique.into_iter().collect()
    }
}

fn deployments(
    services: &BTreeMap<ServiceName, super::rows::ServiceRow>,
) -> impl Iterator<Item = Rival> {
    let deploying = services.values().map(|row| &row.service).filter(|s| s.is_deploying());
    deploying.flat_map(|service| {
        let current = service.deployments.iter().filter(|d| d.rollout == Rollout::InProgress);
        // Without a rollout state, the newest is the one under way.
        let newest = service.deployments.iter().max_by_key(|d| d.created_at);
        let mut under_way: Vec<_> = current.collect();
        if under_way.is_empty() {
            under_way.extend(newest);
        }
        under_way.into_iter().map(|deployment| Rival::Deployment {
            service: service.name.clone(),
            deployment: deployment.id.clone(),
        })
    })
}

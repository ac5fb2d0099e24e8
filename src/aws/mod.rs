//! The port on the real AWS SDK, one file per service. SDK types stop here.
//!
//! Rule: a read that fails is a gap, never an error; a write is sent at most once.

mod act;
mod act_groups;
mod act_hosts;
mod act_pools;
mod act_rules;
mod act_services;
mod act_tasks;
mod asks;
mod autoscaling;
mod clients;
mod cloudwatch;
mod count;
mod discover;
mod ec2;
mod ecr;
mod ecs;
mod ecs_services;
mod ecs_tasks;
mod elb_image;
mod elbv2;
mod failure;
mod identity;
mod join;
mod kept;
mod object;
mod observe;
mod parameter;
mod queue;
mod releases;
mod rivals;
mod rows;
mod scaling_targets;
mod settings;
mod signed;
mod spot_fleet;
mod stamp;
mod stop_switch;
mod table;
#[cfg(test)]
mod tests;
mod topic;
mod traffic;

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

pub use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
pub use clients::ConnectError;
use count::CallCounter;
pub use discover::DiscoverError;
pub use identity::identity;
pub use settings::Settings;
pub use table::AwsTable;
use tokio::sync::Mutex;
pub use topic::publish;

use self::clients::{Reads, Writes};
use self::kept::Kept;
use self::queue::Queue;
use self::stamp::Stamp;
use self::stop_switch::StopSwitch;
use crate::cloud::{Calls, Cloud};
use crate::config::ClusterConfig;
use crate::control::Clock;
use crate::journal::Intent;
use crate::model::{
    Change, ClusterName, ContainerInstanceArn, Failure, InstanceId, Need, Outcome, Snapshot, Stop,
};

/// AWS as one scope sees it: one cluster's account, Region and role.
#[derive(Debug)]
pub struct Aws<K> {
    cluster: ClusterName,
    reads: Reads,
    writes: Writes,
    /// Where events come from, if they do.
    queue: Option<Queue>,
    /// Where anyone may stop it, if that is configured.
    stop_switch: Option<StopSwitch>,
    /// What the clients that write are stamped with.
    stamp: Stamp,
    calls: CallCounter,
    clock: K,
    kept: Mutex<Kept>,
    /// Container instances by host, as last observed, so that an act need not list them anew.
    known: std::sync::Mutex<BTreeMap<InstanceId, ContainerInstanceArn>>,
}

impl<K: Clock> Aws<K> {
    /// Clients for this cluster's scope. Region, endpoint and credentials come by the SDK's
    /// conventions where the configuration says nothing. Makes no call to AWS but to assume a
    /// role, and that only when the first request needs it.
    pub async fn connect(config: &ClusterConfig, clock: K) -> Result<Self, ConnectError> {
        let sdk = clients::load(config).await?;
        let mut aws = Self::with_config(&sdk, config.name.clone(), clock);
        let queue = config.queue.as_ref();
        aws.queue = queue.map(|url| Queue::new(&sdk, &aws.calls, url, config.name.clone()));
        let switch = config.stop_parameter.as_ref();
        aws.stop_switch = switch
            .map(|name| StopSwitch::new(&sdk, &aws.calls, name))
            .transpose()
            .map_err(|why| ConnectError::NoTls { why })?;
        Ok(aws)
    }

    /// Clients on a ready SDK configuration.
    pub fn with_config(config: &SdkConfig, cluster: ClusterName, clock: K) -> Self {
        let (calls, stamp) = (CallCounter::default(), Stamp::default());
        Self {
            cluster,
            reads: Reads::new(config, &calls),
            writes: Writes::new(config, &calls, &stamp),
            stamp,
            queue: None,
            stop_switch: None,
            calls,
            clock,
            kept: Mutex::default(),
            known: std::sync::Mutex::default(),
        }
    }
}

impl<K: Clock> Cloud for Aws<K> {
    async fn observe(&self, need: &Need) -> Snapshot {
        let mut kept = self.kept.lock().await;
        if need.only_traffic {
            return observe::observe_traffic(&self.reads, &mut kept, need, self.clock.now()).await;
        }
        let seen = observe::observe(&self.reads, &mut kept, need, self.clock.now()).await;
        let hosts = seen.hosts.value.iter();
        let known =
            hosts.filter_map(|(id, host)| Some((id.clone(), host.container_instance.clone()?)));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known.collect();
        seen
    }

    async fn act(&self, intent: &Intent, time_limit: Duration) -> Outcome {
        self.stamp.set(intent.epoch());
        let action = &intent.planned().action;
        let outcome = self.perform(action, time_limit).await;
        self.kept.lock().await.outdate(action);
        outcome
    }

    async fn changes(&self, _cluster: &ClusterName) -> Vec<Change> {
        match &self.queue {
            Some(queue) => queue.changes(&self.clock).await,
            None => std::future::pending().await,
        }
    }

    fn hears_until(&self) -> Option<DateTime<Utc>> {
        self.queue.as_ref()?.until()
    }

    async fn stop_switch(&self) -> Result<Option<Stop>, Failure> {
        match &self.stop_switch {
            Some(switch) => switch.read().await,
            None => Ok(None),
        }
    }

    fn calls(&self) -> Calls {
        self.calls.counts()
    }
}

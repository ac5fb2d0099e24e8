//! Finds what a cluster stands on, for a first configuration and for plans without one. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use super::Aws;
use super::ec2::Machine;
use crate::config::{ClusterConfig, PoolConfig, ServiceConfig};
use crate::control::Clock;
use crate::model::*;

/// The tag EC2 Auto Scaling puts on its instances.
const GROUP_TAG: &str = "aws:autoscaling:groupName";
/// The tag Spot Fleet puts on its instances.
const FLEET_TAG: &str = "aws:ec2spot:fleet-request-id";

/// What could not be looked at, so that no configuration can be proposed.
#[derive(Debug, thiserror::Error)]
#[error("{source_call} failed: {failure}")]
pub struct DiscoverError {
    /// The AWS call, `ecs:DescribeClusters`.
    pub source_call: String,
    pub failure: Failure,
}

impl From<Gap> for DiscoverError {
    fn from(gap: Gap) -> Self {
        Self { source_call: gap.source, failure: gap.failure }
    }
}

impl<K: Clock> Aws<K> {
    /// A configuration of the cluster with all defaults, in mode observe, with the pools and
    /// services it has; Region and role are the caller's. Pools are found by the capacity
    /// providers' groups and by the groups and fleets of the container instances, so an empty
    /// group without a provider is not.
    ///
    /// # Errors
    /// When the cluster does not exist or one of the reads is refused: a configuration that
    /// silently lacks a pool is worse than none.
    pub async fn discover(&self, cluster: &ClusterName) -> Result<ClusterConfig, DiscoverError> {
        let reads = &self.reads;
        let found = reads.cluster(cluster).await?;
        let (providers, containers, services) = futures::try_join!(
            reads.providers(&found.providers),
            reads.containers(cluster),
            reads.services(cluster),
        )?;
        let hosts: BTreeSet<String> =
            containers.found.values().map(|row| row.instance.to_string()).collect();
        let hosts: Vec<String> = hosts.into_iter().collect();
        let (machines, groups) =
            futures::try_join!(reads.machines(&hosts), reads.groups_of(&hosts))?;

        let providers = providers.found.into_values().map(|row| row.pool);
        let mut pools: BTreeSet<PoolId> = providers.collect();
        let hosts = hosts.iter().map(|host| InstanceId::from(host.as_str()));
        pools.extend(hosts.filter_map(|host| pool_of(&host, &groups, &machines)));
        let pools = pools.into_iter().map(PoolConfig::new).collect();
        let names = services.found.into_keys().chain(services.lacking.into_keys());
        let mut config = ClusterConfig::new(cluster.clone(), pools);
        config.services = names.map(|name| (name, ServiceConfig::default())).collect();
        Ok(config)
    }
}

/// The group Auto Scaling names, else what the instance's own tags say.
fn pool_of(
    host: &InstanceId,
    groups: &BTreeMap<InstanceId, String>,
    machines: &BTreeMap<InstanceId, Machine>,
) -> Option<PoolId> {
    if let Some(group) = groups.get(host) {
        return Some(PoolId::group(group));
    }
    let tags = &machines.get(host)?.tags;
    let group = tags.get(GROUP_TAG).map(PoolId::group);
    group.or_else(|| tags.get(FLEET_TAG).map(|id| PoolId::SpotFleet(id.clone())))
}

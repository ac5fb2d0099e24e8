//! Reads of ECS: the cluster, its capacity providers and its container instances.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::{
    CapacityProvider as SdkProvider, ClusterField, ContainerInstance, Failure as SdkFailure,
    ManagedDraining, ManagedScalingStatus, ManagedTerminationProtection, Resource,
};
use futures::future::try_join_all;

use super::clients::Reads;
use super::failure::implausible;
use super::rows::{Answer, ClusterRow, ContainerRow, ProviderRow, count, time};
use crate::model::*;

/// Most ARNs `DescribeContainerInstances`, `DescribeTasks` and their listings take or give.
pub(super) const PAGE: usize = 100;

/// The entries of an answer's `failures[]` that are not simply gone since they were listed.
pub(super) fn lacking<K: Ord>(
    source: &str,
    failures: &[SdkFailure],
    key: impl Fn(String) -> K,
) -> BTreeMap<K, Gap> {
    let real = failures.iter().filter(|failure| failure.reason() != Some("MISSING"));
    real.map(|failure| {
        let reason = failure.reason().unwrap_or("no reason given");
        let message = match failure.detail() {
            Some(detail) => format!("{reason}: {detail}"),
            None => reason.to_owned(),
        };
        let gap = Gap { source: source.to_owned(), failure: Failure::Refused { message } };
        (key(failure.arn().unwrap_or_default().to_owned()), gap)
    })
    .collect()
}

impl Reads {
    /// `DescribeClusters` with statistics.
    pub(super) async fn cluster(&self, cluster: &ClusterName) -> Result<ClusterRow, Gap> {
        const SOURCE: &str = "ecs:DescribeClusters";
        let call = self
            .ecs
            .describe_clusters()
            .clusters(cluster.as_str())
            .include(ClusterField::Statistics);
        let answer = self.one(SOURCE, call.send()).await?;
        match answer.clusters() {
            [found] if found.status() != Some("INACTIVE") => Ok(ClusterRow {
                pending_tasks: count(found.pending_tasks_count()),
                providers: found.capacity_providers().iter().cloned().collect(),
                has_strategy: !found.default_capacity_provider_strategy().is_empty(),
            }),
            _ => Err(Gap {
                source: SOURCE.to_owned(),
                failure: Failure::NotFound { what: format!("cluster {cluster}") },
            }),
        }
    }

    /// `DescribeCapacityProviders`; those of Fargate and Managed Instances have no pool of ours.
    pub(super) async fn providers(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<Answer<String, ProviderRow>, Gap> {
        const SOURCE: &str = "ecs:DescribeCapacityProviders";
        let ours: Vec<String> =
            names.iter().filter(|name| !name.starts_with("FARGATE")).cloned().collect();
        if ours.is_empty() {
            return Ok(Answer::default());
        }
        let calls = ours.chunks(PAGE).map(|chunk| async move {
            let call =
                self.ecs.describe_capacity_providers().set_capacity_providers(Some(chunk.to_vec()));
            self.one(SOURCE, call.send()).await
        });
        let mut all = Answer::default();
        for answer in try_join_all(calls).await? {
            let rows = answer.capacity_providers().iter().filter_map(provider);
            all.found.extend(rows.map(|row| (row.provider.name.clone(), row)));
            all.lacking.extend(lacking(SOURCE, answer.failures(), |arn| last_segment(&arn)));
        }
        Ok(all)
    }

    /// `ListContainerInstances` and `DescribeContainerInstances` of the whole cluster.
    pub(super) async fn containers(
        &self,
        cluster: &ClusterName,
    ) -> Result<Answer<ContainerInstanceArn, ContainerRow>, Gap> {
        let arns = self.list_containers(cluster).await?;
        self.describe_containers(cluster, &arns).await
    }

    /// ARNs of the cluster's container instances, but those that are `INACTIVE`.
    pub(super) async fn list_containers(&self, cluster: &ClusterName) -> Result<Vec<String>, Gap> {
        let listing = self
            .ecs
            .list_container_instances()
            .cluster(cluster.as_str())
            .max_results(100)
            .into_paginator()
            .send();
        let pages = self.pages("ecs:ListContainerInstances", listing).await?;
        let arns =
            pages.into_iter().flat_map(|page| page.container_instance_arns.unwrap_or_default());
        Ok(arns.collect())
    }

    /// Describes container instances, a hundred at a time.
    pub(super) async fn describe_containers(
        &self,
        cluster: &ClusterName,
        arns: &[String],
    ) -> Result<Answer<ContainerInstanceArn, ContainerRow>, Gap> {
        let calls = arns.chunks(PAGE).map(|chunk| self.describe_container_page(cluster, chunk));
        let mut all = Answer::default();
        for answer in try_join_all(calls).await? {
            all.absorb(answer);
        }
        Ok(all)
    }

    async fn describe_container_page(
        &self,
        cluster: &ClusterName,
        arns: &[String],
    ) -> Result<Answer<ContainerInstanceArn, ContainerRow>, Gap> {
        const SOURCE: &str = "ecs:DescribeContainerInstances";
        let call = self
            .ecs
            .describe_container_instances()
            .cluster(cluster.as_str())
            .set_container_instances(Some(arns.to_vec()));
        let answer = self.one(SOURCE, call.send()).await?;
        let (found, failed) = (answer.container_instances(), answer.failures());
        // Hosts do not vanish a page at a time: an answer without any is not believed.
        if found.is_empty() || found.len() + failed.len() < arns.len() {
            let (listed, described) = (arns.len(), found.len());
            let message = format!("{listed} container instances listed, {described} described");
            return Err(implausible(SOURCE, message));
        }
        Ok(Answer {
            found: found.iter().filter_map(container).collect(),
            lacking: lacking(SOURCE, failed, ContainerInstanceArn::from),
        })
    }
}

fn last_segment(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

/// A provider that stands on a group; anything else is not ours to know.
fn provider(provider: &SdkProvider) -> Option<ProviderRow> {
    let name = provider.name()?;
    let group = provider.auto_scaling_group_provider()?;
    let scaling = group.managed_scaling().and_then(|scaling| scaling.status());
    Some(ProviderRow {
        // The ARN ends in `autoScalingGroupName/NAME`; a bare name is accepted as well.
        pool: PoolId::group(last_segment(group.auto_scaling_group_arn())),
        provider: CapacityProvider {
            name: name.to_owned(),
            // Whatever it is called by then, a state that is not `DISABLED` writes.
            managed_scaling: scaling.is_some_and(|s| *s != ManagedScalingStatus::Disabled),
            managed_termination_protection: group.managed_termination_protection()
                == Some(&ManagedTerminationProtection::Enabled),
            managed_draining: group.managed_draining() == Some(&ManagedDraining::Enabled),
        },
    })
}

/// `None` for an external instance, which is not of EC2.
fn container(found: &ContainerInstance) -> Option<(ContainerInstanceArn, ContainerRow)> {
    let arn = found.container_instance_arn()?;
    let instance = found.ec2_instance_id().filter(|instance| instance.starts_with("i-"))?;
    let attributes = found.attributes().iter();
    let row = ContainerRow {
        instance: instance.into(),
        status: status(found.status()),
        agent_connected: found.agent_connected(),
        registered: resources(found.registered_resources()),
        remaining: resources(found.remaining_resources()),
        enis_used: enis(found),
        // For ports, `remainingResources` lists those taken (API reference, ContainerInstance).
        ports_used: ports(found.remaining_resources()),
        running_tasks: count(found.running_tasks_count()),
        pending_tasks: count(found.pending_tasks_count()),
        attributes: attributes
            .map(|a| (a.name().to_owned(), a.value().unwrap_or_default().to_owned()))
            .collect(),
        registered_at: time(found.registered_at()),
        version: u64::try_from(found.version()).unwrap_or(0),
    };
    Some((arn.into(), row))
}

/// The container instance's status; names this program does not know are `Other`.
fn status(status: Option<&str>) -> HostStatus {
    match status {
        Some("ACTIVE") => HostStatus::Active,
        Some("DRAINING") => HostStatus::Draining,
        Some("REGISTERING") => HostStatus::Registering,
        _ => HostStatus::Other,
    }
}

fn resources(all: &[Resource]) -> Resources {
    let of = |name: &str| all.iter().find(|resource| resource.name() == Some(name));
    let number = |name: &str| of(name).map_or(0, |resource| count(resource.integer_value()));
    Resources {
        cpu_units: number("CPU"),
        memory_mib: number("MEMORY"),
        gpus: of("GPU").map_or(0, |gpu| gpu.string_set_value().len() as u64),
        enis: 0,
    }
}

fn ports(all: &[Resource]) -> BTreeSet<u16> {
    all.iter()
        .filter(|resource| matches!(resource.name(), Some("PORTS" | "PORTS_UDP")))
        .flat_map(|resource| resource.string_set_value())
        .filter_map(|port| port.parse().ok())
        .collect()
}

/// Interfaces attached for tasks in `awsvpc` mode.
fn enis(found: &ContainerInstance) -> u64 {
    let attached = found.attachments().iter().filter(|attachment| {
        matches!(attachment.r#type(), Some("eni" | "ElasticNetworkInterface"))
            && attachment.status() != Some("DELETED")
    });
    attached.count() as u64
}

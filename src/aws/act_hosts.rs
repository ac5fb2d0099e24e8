//! Writes to hosts, and the re-reads before them: drain marks, status, termination.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_ecs::types::{Attribute, ContainerInstanceStatus, TargetType};

use super::Aws;
use super::act::{Containers, Ready, done, moved, senseless, unknown};
use super::act_pools::{gone, open, same_capacity, sent};
use super::clients::{Writes, write_limits};
use super::ecs::lacking;
use super::failure;
use super::rows::ContainerRow;
use crate::control::Clock;
use crate::model::*;

impl<K: Clock> Aws<K> {
    /// The container instances of these hosts as they are now: those the last observation knew,
    /// or all of the cluster when it did not know one of them.
    pub(super) async fn containers_of(
        &self,
        hosts: &BTreeSet<InstanceId>,
    ) -> Result<Containers, Outcome> {
        let listed = match self.known_containers(hosts) {
            Some(known) => known,
            None => self.reads.list_containers(&self.cluster).await.map_err(unknown)?,
        };
        let answer = self.reads.describe_containers(&self.cluster, &listed).await;
        let answer = answer.map_err(unknown)?;
        if let Some(gap) = answer.lacking.into_values().next() {
            return Err(unknown(gap));
        }
        let mut found = Containers::new();
        for (arn, row) in answer.found {
            let last = found.get(&row.instance).map(|(_, last)| last);
            let rank = |row: &ContainerRow| (row.agent_connected, row.registered_at);
            let newer = last.is_none_or(|last| rank(last) < rank(&row));
            if newer && hosts.contains(&row.instance) {
                found.insert(row.instance.clone(), (arn, row));
            }
        }
        Ok(found)
    }

    /// Their ARNs, if the last observation knew them all.
    fn known_containers(&self, hosts: &BTreeSet<InstanceId>) -> Option<Vec<String>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let arns = hosts.iter().map(|host| known.get(host));
        arns.map(|arn| Some(arn?.to_string())).collect()
    }

    /// The container instances of all these hosts, at most as many as one call takes.
    async fn all_containers_of(&self, hosts: &BTreeSet<InstanceId>) -> Result<Containers, Outcome> {
        if hosts.is_empty() || hosts.len() > Action::DRAIN_MAX {
            return Err(senseless("1 to 10 container instances are changed at a time"));
        }
        let found = self.containers_of(hosts).await?;
        match hosts.iter().find(|host| !found.contains_key(*host)) {
            Some(host) => Err(moved(format!("{host} in the cluster"), "no container instance")),
            None => Ok(found),
        }
    }

    pub(super) async fn check_marks(
        &self,
        hosts: &BTreeSet<InstanceId>,
        mark: Option<&DrainMark>,
    ) -> Result<Ready, Outcome> {
        let found = self.all_containers_of(hosts).await?;
        let wanted = mark.map(ToString::to_string);
        let marked = |row: &ContainerRow| row.attributes.get(DrainMark::ATTRIBUTE).cloned();
        if found.values().all(|(_, row)| marked(row) == wanted) {
            return Err(done());
        }
        Ok(ready(found))
    }

    pub(super) async fn check_status(
        &self,
        hosts: &BTreeSet<InstanceId>,
        was: HostStatus,
    ) -> Result<Ready, Outcome> {
        let found = self.all_containers_of(hosts).await?;
        let mut rows = found.iter();
        if let Some((host, (_, row))) = rows.find(|(_, (_, row))| row.status != was) {
            let text = |status| format!("{host} {status:?}");
            return Err(moved(text(was), text(row.status)));
        }
        Ok(ready(found))
    }

    /// A host goes only from the pool, at the size and in the state the plan saw.
    pub(super) async fn check_pool_of(
        &self,
        pool: &PoolId,
        host: &InstanceId,
        desired_was: Units,
        replace: bool,
    ) -> Result<(), Outcome> {
        let lifecycle = match pool {
            PoolId::AutoScalingGroup(_) => {
                let group = self.group(pool).await?;
                open(group.state)?;
                same_capacity(desired_was, group.desired)?;
                group.members.get(host).map(|row| row.lifecycle)
            }
            PoolId::SpotFleet(id) => {
                let fleet = self.fleet(id).await?;
                open(fleet.state)?;
                same_capacity(desired_was, fleet.target)?;
                let weight = fleet.weight_of(host);
                let least = (u64::from(fleet.target.0) + u64::from(weight)) * 100;
                if !replace && least > fleet.fulfilled_hundredths {
                    let expected = format!("{weight} units more than the target {}", fleet.target);
                    let units = fleet.fulfilled_hundredths / 100;
                    return Err(moved(expected, format!("{units} fulfilled")));
                }
                fleet.members.get(host).map(|row| row.lifecycle)
            }
        };
        if !matches!(lifecycle, Some(Lifecycle::InService | Lifecycle::Pending)) {
            return Err(moved(format!("{host} in {pool}"), gone(lifecycle)));
        }
        Ok(())
    }

    /// Every task STOPPED, and none can come.
    pub(super) async fn check_empty(&self, host: &InstanceId) -> Result<(), Outcome> {
        let mut found = self.containers_of(&BTreeSet::from([host.clone()])).await?;
        let Some((container, row)) = found.remove(host) else {
            return Ok(());
        };
        if row.agent_connected && row.status == HostStatus::Active {
            return Err(moved(format!("{host} draining"), "active, so tasks may still come"));
        }
        let listed = self.reads.tasks_of(&self.cluster, &container).await;
        let listed = listed.map_err(unknown)?;
        let answer = self.reads.describe_tasks(&self.cluster, &listed).await;
        let answer = answer.map_err(unknown)?;
        if let Some(gap) = answer.lacking.into_values().next() {
            return Err(unknown(gap));
        }
        let rows = answer.found.values();
        let alive = rows.filter(|row| row.task.status != TaskStatus::Stopped).count();
        if alive > 0 {
            return Err(moved("all tasks stopped", format!("{alive} not stopped")));
        }
        Ok(())
    }

    /// Whether a terminated host is on its way out, or gone.
    pub(super) async fn is_ending(
        &self,
        pool: &PoolId,
        host: &InstanceId,
    ) -> Result<bool, Outcome> {
        Ok(match pool {
            PoolId::AutoScalingGroup(_) => {
                let group = self.group(pool).await?;
                let member = group.members.get(host);
                member.is_none_or(|row| row.lifecycle == Lifecycle::Terminating)
            }
            PoolId::SpotFleet(_) => {
                let ids = [host.to_string()];
                let machines = self.reads.machines(&ids).await.map_err(unknown)?;
                machines.get(host).is_none_or(|machine| machine.ending)
            }
        })
    }
}

fn ready(found: Containers) -> Ready {
    let containers = found.into_iter().map(|(host, (arn, _))| (host, arn));
    Ready { containers: containers.collect(), ..Ready::default() }
}

impl Writes {
    /// `PutAttributes` or `DeleteAttributes`: all or none.
    pub(super) async fn mark(
        &self,
        cluster: &ClusterName,
        containers: &BTreeMap<InstanceId, ContainerInstanceArn>,
        mark: Option<&DrainMark>,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let value = mark.map(ToString::to_string);
        let attributes: Result<Vec<Attribute>, _> = containers
            .values()
            .map(|arn| {
                Attribute::builder()
                    .name(DrainMark::ATTRIBUTE)
                    .set_value(value.clone())
                    .target_type(TargetType::ContainerInstance)
                    .target_id(arn.as_str())
                    .build()
            })
            .collect();
        let attributes = attributes.map_err(|error| senseless(&error.to_string()))?;
        if mark.is_some() {
            let call = self.ecs.put_attributes().cluster(cluster.as_str());
            let call = call.set_attributes(Some(attributes));
            sent!(aws_sdk_ecs, "ecs:PutAttributes", limit, call).map(drop)
        } else {
            let call = self.ecs.delete_attributes().cluster(cluster.as_str());
            let call = call.set_attributes(Some(attributes));
            sent!(aws_sdk_ecs, "ecs:DeleteAttributes", limit, call).map(drop)
        }
    }

    /// `UpdateContainerInstancesState`; hosts that AWS could not change are named.
    pub(super) async fn set_status(
        &self,
        cluster: &ClusterName,
        containers: &BTreeMap<InstanceId, ContainerInstanceArn>,
        now: HostStatus,
        limit: Duration,
    ) -> Result<Vec<SubjectFailure>, Outcome> {
        const SOURCE: &str = "ecs:UpdateContainerInstancesState";
        let status = match now {
            HostStatus::Active => ContainerInstanceStatus::Active,
            HostStatus::Draining => ContainerInstanceStatus::Draining,
            HostStatus::Registering | HostStatus::Other => {
                return Err(senseless("a host is made ACTIVE or DRAINING, nothing else"));
            }
        };
        let arns = containers.values().map(ContainerInstanceArn::to_string);
        let call = self.ecs.update_container_instances_state();
        let call = call.cluster(cluster.as_str()).status(status);
        let call = call.set_container_instances(Some(arns.collect()));
        let answer = sent!(aws_sdk_ecs, SOURCE, limit, call)?;
        let changed = answer.container_instances().iter();
        let changed: BTreeSet<&str> = changed.filter_map(|c| c.container_instance_arn()).collect();
        let mut why = lacking(SOURCE, answer.failures(), ContainerInstanceArn::from);
        let failed = containers.iter().filter(|(_, arn)| !changed.contains(arn.as_str()));
        Ok(failed
            .map(|(host, arn)| SubjectFailure {
                subject: Subject::Host(host.clone()),
                failure: why.remove(arn).map_or_else(
                    || Failure::NotFound { what: arn.short().to_owned() },
                    |gap| gap.failure,
                ),
            })
            .collect())
    }

    /// `TerminateInstanceInAutoScalingGroup`, or `TerminateInstances` for a fleet's host.
    pub(super) async fn terminate(
        &self,
        pool: &PoolId,
        host: &InstanceId,
        replace: bool,
        limit: Duration,
    ) -> Result<(), Outcome> {
        match pool {
            PoolId::AutoScalingGroup(_) => {
                const SOURCE: &str = "autoscaling:TerminateInstanceInAutoScalingGroup";
                let call = self.autoscaling.terminate_instance_in_auto_scaling_group();
                let call = call.instance_id(host.as_str());
                let call = call.should_decrement_desired_capacity(!replace);
                sent!(aws_sdk_autoscaling, SOURCE, limit, call).map(drop)
            }
            PoolId::SpotFleet(_) => {
                let call = self.ec2.terminate_instances().instance_ids(host.as_str());
                sent!(aws_sdk_ec2, "ec2:TerminateInstances", limit, call).map(drop)
            }
        }
    }
}

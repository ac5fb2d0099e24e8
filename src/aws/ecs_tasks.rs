//! Reads of ECS: task definitions and tasks.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::{
    DesiredStatus, NetworkMode, PortMapping, ResourceType, Task as SdkTask, TaskDefinition,
};
use futures::future::try_join_all;

use super::clients::Reads;
use super::ecs::{PAGE, lacking};
use super::failure::implausible;
use super::rows::{Answer, TaskRow, count};
use crate::model::*;

impl Reads {
    /// `DescribeTaskDefinition`. The answer never changes for an ARN.
    pub(super) async fn shape(&self, arn: &TaskDefinitionArn) -> Result<TaskShape, Gap> {
        const SOURCE: &str = "ecs:DescribeTaskDefinition";
        let call = self.ecs.describe_task_definition().task_definition(arn.as_str());
        let answer = self.one(SOURCE, call.send()).await?;
        let shape = answer.task_definition().and_then(shape);
        shape.ok_or_else(|| implausible(SOURCE, format!("{} has no readable size", arn.short())))
    }

    /// `ListTasks` of one container instance: those to run and those told to stop. ECS lists
    /// stopped tasks for about an hour.
    pub(super) async fn tasks_of(
        &self,
        cluster: &ClusterName,
        container: &ContainerInstanceArn,
    ) -> Result<Vec<String>, Gap> {
        let list = |status| {
            let listing = self
                .ecs
                .list_tasks()
                .cluster(cluster.as_str())
                .container_instance(container.short())
                .desired_status(status)
                .into_paginator()
                .send();
            self.pages("ecs:ListTasks", listing)
        };
        let pages = [list(DesiredStatus::Running).await?, list(DesiredStatus::Stopped).await?];
        let pages = pages.into_iter().flatten();
        Ok(pages.flat_map(|page| page.task_arns.unwrap_or_default()).collect())
    }

    /// `ListTasks` of the whole cluster: all that should run, with a host or without.
    pub(super) async fn tasks_to_run(&self, cluster: &ClusterName) -> Result<Vec<String>, Gap> {
        let listing = self
            .ecs
            .list_tasks()
            .cluster(cluster.as_str())
            .desired_status(DesiredStatus::Running)
            .into_paginator()
            .send();
        let pages = self.pages("ecs:ListTasks", listing).await?.into_iter();
        Ok(pages.flat_map(|page| page.task_arns.unwrap_or_default()).collect())
    }

    /// `DescribeTasks`, a hundred at a time.
    pub(super) async fn describe_tasks(
        &self,
        cluster: &ClusterName,
        arns: &[String],
    ) -> Result<Answer<TaskArn, TaskRow>, Gap> {
        const SOURCE: &str = "ecs:DescribeTasks";
        let calls = arns.chunks(PAGE).map(|chunk| async move {
            let call =
                self.ecs.describe_tasks().cluster(cluster.as_str()).set_tasks(Some(chunk.to_vec()));
            let answer = self.one(SOURCE, call.send()).await?;
            let (found, failed) = (answer.tasks(), answer.failures());
            if found.len() + failed.len() < chunk.len() {
                let (listed, described) = (chunk.len(), found.len());
                let message = format!("{listed} tasks listed, {described} described");
                return Err(implausible(SOURCE, message));
            }
            Ok(Answer {
                found: found.iter().filter_map(task).collect(),
                lacking: lacking(SOURCE, failed, TaskArn::from),
            })
        });
        let mut all = Answer::default();
        for answer in try_join_all(calls).await? {
            all.absorb(answer);
        }
        Ok(all)
    }

    /// `GetTaskProtection`: which of these service tasks protect themselves.
    pub(super) async fn protected(
        &self,
        cluster: &ClusterName,
        tasks: &[String],
    ) -> Result<BTreeSet<TaskArn>, Gap> {
        let calls = tasks.chunks(PAGE).map(|chunk| {
            let call = self
                .ecs
                .get_task_protection()
                .cluster(cluster.as_str())
                .set_tasks(Some(chunk.to_vec()));
            self.one("ecs:GetTaskProtection", call.send())
        });
        let answers = try_join_all(calls).await?;
        let tasks = answers.iter().flat_map(|answer| answer.protected_tasks());
        let on = tasks.filter(|task| task.protection_enabled());
        Ok(on.filter_map(|task| task.task_arn()).map(TaskArn::from).collect())
    }
}

/// What one task books on its host: the task's own size, else the sum of its containers', where
/// `memoryReservation` goes before `memory` (API reference, ContainerDefinition).
fn shape(definition: &TaskDefinition) -> Option<TaskShape> {
    let containers = definition.container_definitions();
    let own_cpu = definition.cpu().map(cpu_units);
    let own_memory = definition.memory().map(memory_mib);
    let cpu = || containers.iter().map(|c| count(c.cpu())).sum();
    let memory = || {
        let sizes = containers.iter();
        sizes.map(|c| c.memory_reservation().or(c.memory()).map_or(0, count)).sum()
    };
    let gpus = containers
        .iter()
        .flat_map(|container| container.resource_requirements())
        .filter(|requirement| *requirement.r#type() == ResourceType::Gpu)
        .filter_map(|requirement| requirement.value().parse::<u64>().ok())
        .sum();
    let mode = definition.network_mode();
    let ports = containers.iter().flat_map(|container| container.port_mappings());
    let expressions = definition.placement_constraints().iter();
    Some(TaskShape {
        needs: Resources {
            cpu_units: own_cpu.unwrap_or_else(|| Some(cpu()))?,
            memory_mib: own_memory.unwrap_or_else(|| Some(memory()))?,
            gpus,
            enis: u64::from(mode == Some(&NetworkMode::Awsvpc)),
        },
        host_ports: ports.filter_map(|port| host_port(mode, port)).collect(),
        constraints: expressions
            .flat_map(|constraint| match constraint.expression() {
                Some(text) => Constraint::member_of(text),
                None => vec![Constraint::Unknown("a constraint without expression".to_owned())],
            })
            .collect(),
    })
}

/// `1024`, or `1 vCPU` as people write it.
fn cpu_units(text: &str) -> Option<u64> {
    size(text, "vcpu")
}

/// `512`, or `0.5 GB` as people write it.
fn memory_mib(text: &str) -> Option<u64> {
    size(text, "gb")
}

/// A whole number, or a decimal one times 1,024 when the unit is written behind it.
fn size(text: &str, unit: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let Some(number) = text.strip_suffix(unit) else {
        return text.parse().ok();
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole.checked_mul(1024)? + part * 1024 / 10_u64.pow(digits))
}

/// A fixed port on the host, if this mapping takes one.
fn host_port(mode: Option<&NetworkMode>, port: &PortMapping) -> Option<u16> {
    let fixed = match mode {
        // A task with its own interface, or none, takes no port of the host.
        Some(NetworkMode::Awsvpc | NetworkMode::None) => None,
        // In host mode the container's port is the host's.
        Some(NetworkMode::Host) => port.host_port().filter(|n| *n > 0).or(port.container_port()),
        _ => port.host_port(),
    };
    u16::try_from(fixed?).ok().filter(|port| *port > 0)
}

fn task(found: &SdkTask) -> Option<(TaskArn, TaskRow)> {
    let arn = TaskArn::from(found.task_arn()?);
    let group = found.group().unwrap_or_default();
    let container = found.container_instance_arn().map(ContainerInstanceArn::from);
    let task = Task {
        arn: arn.clone(),
        definition: found.task_definition_arn()?.into(),
        owner: match group.strip_prefix("service:") {
            Some(service) => TaskOwner::Service(service.into()),
            None => TaskOwner::Standalone(group.to_owned()),
        },
        status: task_status(found.last_status(), found.desired_status(), container.is_some()),
        protected: false,
    };
    let provider = found.capacity_provider_name().map(str::to_owned);
    Some((arn, TaskRow { task, container, provider }))
}

/// Folds a task's two states. One this program does not know counts as stopping: the host is
/// not empty, and nothing is built on the task either.
fn task_status(last: Option<&str>, desired: Option<&str>, placed: bool) -> TaskStatus {
    match last {
        Some("STOPPED" | "DELETED") => TaskStatus::Stopped,
        _ if desired == Some("STOPPED") => TaskStatus::Stopping,
        Some("PROVISIONING") if !placed => TaskStatus::Waiting,
        Some("PROVISIONING" | "PENDING" | "ACTIVATING") => TaskStatus::Starting,
        Some("RUNNING") => TaskStatus::Running,
        _ => TaskStatus::Stopping,
    }
}

/// Tasks without a host, of services and standalone, counted by shape, group and pool.
pub(super) fn waiting<'a>(
    tasks: impl Iterator<Item = &'a TaskRow>,
    pool_of: impl Fn(&str) -> Option<PoolId>,
) -> Vec<WaitingTasks> {
    let mut counts: BTreeMap<(TaskDefinitionArn, String, Option<PoolId>), u64> = BTreeMap::new();
    for TaskRow { task, provider, .. } in tasks {
        if task.status == TaskStatus::Waiting {
            let group = match &task.owner {
                TaskOwner::Service(name) => format!("service:{name}"),
                TaskOwner::Standalone(group) => group.clone(),
            };
            let pool = provider.as_deref().and_then(&pool_of);
            let key = (task.definition.clone(), group, pool);
            *counts.entry(key).or_default() += 1;
        }
    }
    let groups = counts.into_iter();
    groups
        .map(|((definition, group, pool), count)| WaitingTasks { definition, group, count, pool })
        .collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{
        ContainerDefinition, ResourceRequirement, TaskDefinitionPlacementConstraint,
    };

    use super::*;

    fn container(cpu: i32, memory: Option<i32>, reservation: Option<i32>) -> ContainerDefinition {
        ContainerDefinition::builder()
            .cpu(cpu)
            .set_memory(memory)
            .set_memory_reservation(reservation)
            .build()
    }

    #[test]
    fn a_task_books_its_own_size_or_the_sum_of_its_containers() {
        let two = || {
            TaskDefinition::builder()
                .container_definitions(container(256, Some(1024), Some(512)))
                .container_definitions(container(0, Some(128), None))
        };
        assert_eq!(shape(&two().build()), Some(TaskShape::plain(256, 640)));
        let sized = two().cpu("512").memory("2048").build();
        assert_eq!(shape(&sized), Some(TaskShape::plain(512, 2048)));
        let half = two().cpu(".5 vCPU").build();
        assert_eq!(shape(&half), Some(TaskShape::plain(512, 640)));
        assert_eq!(shape(&two().memory("lots").build()), None);
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [
            ("1024", Some(1024)),
            ("1 vCPU", Some(1024)),
            ("0.25 vcpu", Some(256)),
            ("16 vCPU", Some(16_384)),
            ("", None),
            ("vCPU", Some(0)),
            ("-1", None),
        ];
        for (text, units) in cases {
            assert_eq!(cpu_units(text), units, "{text}");
        }
        assert_eq!(memory_mib("0.5 GB"), Some(512));
    }

    #[test]
    fn ports_gpus_interfaces_and_constraints_are_part_of_the_shape() {
        let gpu = ResourceRequirement::builder().r#type(ResourceType::Gpu).value("2");
        let fixed = PortMapping::builder().container_port(80).host_port(8080).build();
        let dynamic = PortMapping::builder().container_port(80).host_port(0).build();
        let same = PortMapping::builder().container_port(9000).build();
        let container = ContainerDefinition::builder()
            .memory(64)
            .resource_requirements(gpu.build().unwrap())
            .port_mappings(fixed)
            .port_mappings(dynamic)
            .port_mappings(same)
            .build();
        let constraint = TaskDefinitionPlacementConstraint::builder()
            .expression("attribute:stack == blue")
            .build();
        let of = |mode: NetworkMode| {
            let definition = TaskDefinition::builder()
                .network_mode(mode)
                .container_definitions(container.clone())
                .placement_constraints(constraint.clone());
            shape(&definition.build()).unwrap()
        };
        let bridge = of(NetworkMode::Bridge);
        assert_eq!(bridge.host_ports, BTreeSet::from([8080]));
        assert_eq!((bridge.needs.gpus, bridge.needs.enis), (2, 0));
        assert_eq!(bridge.constraints.len(), 1);
        assert_eq!(of(NetworkMode::Host).host_ports, BTreeSet::from([80, 8080, 9000]));
        let own = of(NetworkMode::Awsvpc);
        assert_eq!((own.host_ports.len(), own.needs.enis), (0, 1));
    }

    #[test]
    fn a_task_counts_until_it_is_stopped_whatever_it_is_told() {
        let cases = [
            ("PROVISIONING", "RUNNING", false, TaskStatus::Waiting),
            ("PROVISIONING", "RUNNING", true, TaskStatus::Starting),
            ("PENDING", "RUNNING", true, TaskStatus::Starting),
            ("ACTIVATING", "RUNNING", true, TaskStatus::Starting),
            ("RUNNING", "RUNNING", true, TaskStatus::Running),
            ("RUNNING", "STOPPED", true, TaskStatus::Stopping),
            ("PENDING", "STOPPED", true, TaskStatus::Stopping),
            ("DEACTIVATING", "STOPPED", true, TaskStatus::Stopping),
            ("STOPPING", "STOPPED", true, TaskStatus::Stopping),
            ("DEPROVISIONING", "STOPPED", true, TaskStatus::Stopping),
            ("STOPPED", "STOPPED", true, TaskStatus::Stopped),
            ("HIBERNATING", "RUNNING", true, TaskStatus::Stopping),
        ];
        for (last, desired, placed, status) in cases {
            assert_eq!(task_status(Some(last), Some(desired), placed), status, "{last} {desired}");
        }
    }
}

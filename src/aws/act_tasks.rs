//! New revisions of task definitions, and the re-reads before them.
//!
//! Rule: a family whose newest revision is already what is wanted gets no other.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ecs::types::{
    Compatibility, ContainerDefinition, KeyValuePair, NetworkMode, PortMapping, Tag,
    TaskDefinition, TaskDefinitionField, TransportProtocol,
};

use super::Aws;
use super::act::{Ready, moved, senseless, unknown};
use super::act_pools::sent;
use super::clients::{Reads, Writes, write_limits};
use super::failure;
use crate::control::Clock;
use crate::model::*;

/// A revision with the tags that AWS keeps beside it.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    definition: TaskDefinition,
    tags: Vec<Tag>,
}

impl Reads {
    /// `DescribeTaskDefinition` of an ARN, or of a family's newest; `None` if there is none.
    pub(super) async fn revision(&self, name: &str) -> Result<Option<Revision>, Gap> {
        let call = self.ecs.describe_task_definition().task_definition(name);
        let call = call.include(TaskDefinitionField::Tags);
        match self.one("ecs:DescribeTaskDefinition", call.send()).await {
            Ok(answer) => Ok(answer
                .task_definition
                .map(|definition| Revision { definition, tags: answer.tags.unwrap_or_default() })),
            Err(Gap { failure: Failure::NotFound { .. }, .. }) => Ok(None),
            Err(gap) => Err(gap),
        }
    }
}

impl Revision {
    /// The image of each container.
    pub(super) fn images(&self) -> BTreeMap<String, ImageName> {
        let containers = self.definition.container_definitions().iter();
        let pairs = containers.filter_map(|c| Some((c.name()?.to_owned(), c.image()?.into())));
        pairs.collect()
    }
}

impl<K: Clock> Aws<K> {
    /// What is to be registered, unless the newest revision is that already.
    pub(super) async fn check_task(
        &self,
        service: &ServiceName,
        task: &TaskSpec,
    ) -> Result<Ready, Outcome> {
        let wanted = match task {
            TaskSpec::Described(description) => described(service, description)?,
            TaskSpec::Revised { of, container, image } => {
                let found = self.reads.revision(of.as_str()).await.map_err(unknown)?;
                let found = found.ok_or_else(|| moved(of.short(), "none"))?;
                with_image(found, container, image)?
            }
        };
        let family = wanted.definition.family().unwrap_or_default();
        let newest = self.reads.revision(family).await.map_err(unknown)?;
        let alike = newest.filter(|newest| match task {
            TaskSpec::Described(task) => is_like(&newest.definition, service, task),
            TaskSpec::Revised { .. } => plain(&newest.definition) == plain(&wanted.definition),
        });
        if let Some(arn) = alike.and_then(|newest| newest.definition.task_definition_arn) {
            return Err(Outcome::Done { failed: Vec::new(), made: Some(arn.into()) });
        }
        Ok(Ready { revision: Some(wanted), ..Ready::default() })
    }

    /// Whether AWS tells of the revision by now.
    pub(super) async fn is_registered(
        &self,
        made: Option<&TaskDefinitionArn>,
    ) -> Result<bool, Outcome> {
        let Some(made) = made else {
            return Ok(false);
        };
        Ok(self.reads.revision(made.as_str()).await.map_err(unknown)?.is_some())
    }
}

/// Whether a revision is what the operator describes.
fn is_like(found: &TaskDefinition, service: &ServiceName, wanted: &TaskDescription) -> bool {
    let [only] = found.container_definitions() else {
        return false;
    };
    // AWS gives environment variables in an order of its own.
    let environment = only.environment().iter();
    let environment = environment.map(|pair| (pair.name(), pair.value())).collect();
    let asked = wanted.environment.iter();
    let asked: BTreeMap<_, _> = asked.map(|(k, v)| (Some(k.as_str()), Some(v.as_str()))).collect();
    let ports: Vec<_> =
        only.port_mappings().iter().filter_map(|port| port.container_port()).collect();
    only.name() == Some(service.as_str())
        && only.image() == Some(wanted.image.as_str())
        && super::rows::count(only.cpu()) == wanted.cpu_units
        && only.memory().map(super::rows::count) == Some(wanted.memory_mib)
        && ports == [i32::from(wanted.port)]
        && found.network_mode() == Some(&NetworkMode::Bridge)
        && asked == environment
}

/// A definition without what AWS adds to each revision, its environments in one order.
fn plain(of: &TaskDefinition) -> TaskDefinition {
    let mut plain = of.clone();
    (plain.task_definition_arn, plain.registered_by) = (None, None);
    (plain.registered_at, plain.deregistered_at) = (None, None);
    (plain.requires_attributes, plain.compatibilities, plain.status) = (None, None, None);
    plain.revision = 0;
    for container in plain.container_definitions.iter_mut().flatten() {
        if let Some(environment) = &mut container.environment {
            environment.sort_by(|a, b| a.name().cmp(&b.name()));
        }
    }
    plain
}

/// One container named like the service, on the bridge network with a port of the host's choice.
fn described(service: &ServiceName, task: &TaskDescription) -> Result<Revision, Outcome> {
    let number = |n: u64| i32::try_from(n).map_err(|_| senseless("too large a task"));
    let port = PortMapping::builder().container_port(task.port.into()).host_port(0);
    let port = port.protocol(TransportProtocol::Tcp).build();
    let environment = task.environment.iter();
    let environment =
        environment.map(|(name, value)| KeyValuePair::builder().name(name).value(value).build());
    let container = ContainerDefinition::builder()
        .name(service.as_str())
        .image(&task.image)
        .cpu(number(task.cpu_units)?)
        .memory(number(task.memory_mib)?)
        .essential(true)
        .port_mappings(port)
        .set_environment(Some(environment.collect()))
        .build();
    let definition = TaskDefinition::builder()
        .family(service.as_str())
        .network_mode(NetworkMode::Bridge)
        .requires_compatibilities(Compatibility::Ec2)
        .container_definitions(container)
        .build();
    Ok(Revision { definition, tags: Vec::new() })
}

fn with_image(mut found: Revision, container: &str, image: &str) -> Result<Revision, Outcome> {
    let containers = found.definition.container_definitions.iter_mut().flatten();
    let mut named = containers.filter(|found| found.name() == Some(container));
    match named.next() {
        Some(found) => found.image = Some(image.to_owned()),
        None => return Err(moved(format!("a container {container}"), "none")),
    }
    // AWS keeps tags with this prefix for itself and refuses them.
    found.tags.retain(|tag| !tag.key().unwrap_or_default().starts_with("aws:"));
    Ok(found)
}

impl Writes {
    /// `RegisterTaskDefinition` with everything a revision is registered by; says its ARN.
    pub(super) async fn register_task(
        &self,
        revision: &Revision,
        limit: Duration,
    ) -> Result<TaskDefinitionArn, Outcome> {
        let Revision { definition, tags } = revision.clone();
        let call = self
            .ecs
            .register_task_definition()
            .set_family(definition.family)
            .set_task_role_arn(definition.task_role_arn)
            .set_execution_role_arn(definition.execution_role_arn)
            .set_network_mode(definition.network_mode)
            .set_container_definitions(definition.container_definitions)
            .set_volumes(definition.volumes)
            .set_placement_constraints(definition.placement_constraints)
            .set_requires_compatibilities(definition.requires_compatibilities)
            .set_cpu(definition.cpu)
            .set_memory(definition.memory)
            .set_pid_mode(definition.pid_mode)
            .set_ipc_mode(definition.ipc_mode)
            .set_proxy_configuration(definition.proxy_configuration)
            .set_ephemeral_storage(definition.ephemeral_storage)
            .set_runtime_platform(definition.runtime_platform)
            .set_enable_fault_injection(definition.enable_fault_injection)
            .set_tags((!tags.is_empty()).then_some(tags));
        let answer = sent!(aws_sdk_ecs, "ecs:RegisterTaskDefinition", limit, call)?;
        let made = answer.task_definition.and_then(|made| made.task_definition_arn);
        made.map(TaskDefinitionArn::from).ok_or_else(|| Outcome::InDoubt {
            message: "ecs:RegisterTaskDefinition: accepted, but the answer has no ARN".to_owned(),
        })
    }
}

//! Reads of EC2: instances, instance types and launch templates.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    Filter, Instance, InstanceLifecycleType, InstanceStateName, InstanceTypeInfo,
};
use futures::future::try_join_all;

use super::clients::Reads;
use super::rows::{MachineRow, TemplateRef, TemplateRow, count, time};
use crate::model::catalog::TypeInfo;
use crate::model::*;

/// Most values a filter of `DescribeInstances` takes (API reference, DescribeInstances).
const FILTER_MAX: usize = 200;

/// An EC2 instance: what never changes about it, and what does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) facts: MachineRow,
    /// Shutting down or terminated.
    pub(super) ending: bool,
    pub(super) tags: BTreeMap<String, String>,
}

impl Reads {
    /// `DescribeInstances` by filter, so that one unknown id does not fail them all. An instance
    /// EC2 does not know yet is absent.
    pub(super) async fn machines(
        &self,
        instances: &[String],
    ) -> Result<BTreeMap<InstanceId, Machine>, Gap> {
        let calls = instances.chunks(FILTER_MAX).map(|chunk| {
            let filter = Filter::builder().name("instance-id").set_values(Some(chunk.to_vec()));
            let listing = self
                .ec2
                .describe_instances()
                .filters(filter.build())
                .max_results(1000)
                .into_paginator()
                .send();
            self.pages("ec2:DescribeInstances", listing)
        });
        let pages = try_join_all(calls).await?;
        let reservations = pages.iter().flatten().flat_map(|page| page.reservations());
        let found = reservations.flat_map(|reservation| reservation.instances());
        Ok(found.filter_map(machine).collect())
    }

    /// `DescribeInstanceTypes`: nominal sizes, without a price.
    pub(super) async fn types(
        &self,
        types: &BTreeSet<InstanceType>,
    ) -> Result<BTreeMap<InstanceType, TypeInfo>, Gap> {
        let names: Vec<_> = types.iter().map(|name| name.as_str().into()).collect();
        let calls = names.chunks(100).map(|chunk| {
            let call = self.ec2.describe_instance_types().set_instance_types(Some(chunk.to_vec()));
            self.one("ec2:DescribeInstanceTypes", call.send())
        });
        let answers = try_join_all(calls).await?;
        let found = answers.iter().flat_map(|answer| answer.instance_types());
        Ok(found.filter_map(type_info).collect())
    }

    /// What a launch template (`DescribeLaunchTemplateVersions`) or configuration says of hosts.
    pub(super) async fn template(&self, template: &TemplateRef) -> Result<TemplateRow, Gap> {
        const SOURCE: &str = "ec2:DescribeLaunchTemplateVersions";
        let call = self.ec2.describe_launch_template_versions();
        let call = match template {
            TemplateRef::ById(id, version) => call.launch_template_id(id).versions(version),
            TemplateRef::ByName(name, version) => call.launch_template_name(name).versions(version),
            TemplateRef::Configuration(name) => return self.launch_configuration(name).await,
        };
        let answer = self.one(SOURCE, call.send()).await?;
        let version = answer.launch_template_versions().first();
        let data = version.and_then(|version| version.launch_template_data());
        let data = data.ok_or_else(|| Gap {
            source: SOURCE.to_owned(),
            failure: Failure::NotFound { what: format!("launch template {template:?}") },
        })?;
        Ok(TemplateRow {
            instance_type: data.instance_type().map(|name| name.as_str().into()),
            attributes: data.user_data().map(user_attributes).unwrap_or_default(),
        })
    }
}

fn machine(found: &Instance) -> Option<(InstanceId, Machine)> {
    let state = found.state().and_then(|state| state.name());
    let tags = found.tags().iter().filter_map(|tag| {
        let value = tag.value().unwrap_or_default();
        Some((tag.key()?.to_owned(), value.to_owned()))
    });
    let machine = Machine {
        facts: MachineRow {
            instance_type: found.instance_type()?.as_str().into(),
            zone: found.placement()?.availability_zone()?.into(),
            market: match found.instance_lifecycle() {
                Some(InstanceLifecycleType::Spot) => Market::Spot,
                _ => Market::OnDemand,
            },
            launched_at: time(found.launch_time())?,
        },
        ending: matches!(
            state,
            Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
        ),
        tags: tags.collect(),
    };
    Some((found.instance_id()?.into(), machine))
}

fn type_info(found: &InstanceTypeInfo) -> Option<(InstanceType, TypeInfo)> {
    let vcpus = found.v_cpu_info()?.default_v_cpus()?;
    let memory = u64::try_from(found.memory_info()?.size_in_mib()?).ok()?;
    let gpus = found
        .gpu_info()
        .map_or(0, |info| info.gpus().iter().filter_map(|gpu| gpu.count()).map(count).sum());
    let interfaces = found.network_info().and_then(|n| n.maximum_network_interfaces());
    let info = TypeInfo::of_size(count(vcpus), memory, gpus, interfaces.map_or(1, count));
    Some((found.instance_type()?.as_str().into(), info))
}

/// The attributes the agent will give its container instance, from `ECS_INSTANCE_ATTRIBUTES` in
/// base64 user data. Only a literal value can be known; anything else gives none.
pub(super) fn user_attributes(user_data: &str) -> Attributes {
    let Ok(bytes) = aws_smithy_types::base64::decode(user_data.trim()) else {
        return Attributes::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    // The last line wins, as it does for the agent.
    let mut written = text.lines().rev().filter_map(|line| {
        let (_, value) = line.split_once("ECS_INSTANCE_ATTRIBUTES=")?;
        let (open, close) = (value.find('{')?, value.find('}')?);
        let json = value.get(open..=close)?.replace("\\\"", "\"");
        serde_json::from_str::<Attributes>(&json).ok()
    });
    written.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_tells_the_attributes_of_a_fresh_host() {
        let blue = Attributes::from([("stack".to_owned(), "blue".to_owned())]);
        let cases = [
            ("#!/bin/bash\necho ECS_CLUSTER=web >> /etc/ecs/ecs.config\n", Attributes::new()),
            ("ECS_INSTANCE_ATTRIBUTES={\"stack\": \"blue\"}\n", blue.clone()),
            (
                "echo 'ECS_INSTANCE_ATTRIBUTES={\"stack\":\"blue\"}' >> /etc/ecs/ecs.config",
                blue.clone(),
            ),
            ("echo \"ECS_INSTANCE_ATTRIBUTES={\\\"stack\\\":\\\"blue\\\"}\" >> f", blue),
            ("ECS_INSTANCE_ATTRIBUTES={\"stack\": $STACK}\n", Attributes::new()),
        ];
        for (text, attributes) in cases {
            let encoded = aws_smithy_types::base64::encode(text);
            assert_eq!(user_attributes(&encoded), attributes, "{text}");
        }
        assert_eq!(user_attributes("%%%"), Attributes::new());
    }
}

//! Reads of ECS: services, and deployments by whomever they were started.

use aws_sdk_ecs::types::{
    AvailabilityZoneRebalancing, Deployment as SdkDeployment, DeploymentRolloutState, LaunchType,
    LoadBalancer, PlacementConstraint, PlacementConstraintType, SchedulingStrategy,
    Service as SdkService, StabilityStatus, TaskSet,
};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;

use super::clients::Reads;
use super::ecs::lacking;
use super::failure::implausible;
use super::rows::{Answer, ServiceRow, count, time};
use crate::model::*;

/// Most services `DescribeServices` takes (API reference).
const DESCRIBE_MAX: usize = 10;

impl Reads {
    /// `ListServices` and `DescribeServices` of the whole cluster.
    pub(super) async fn services(
        &self,
        cluster: &ClusterName,
    ) -> Result<Answer<ServiceName, ServiceRow>, Gap> {
        let listing = self
            .ecs
            .list_services()
            .cluster(cluster.as_str())
            .max_results(100)
            .into_paginator()
            .send();
        let pages = self.pages("ecs:ListServices", listing).await?;
        let arns: Vec<String> =
            pages.into_iter().flat_map(|page| page.service_arns.unwrap_or_default()).collect();
        self.describe_services(cluster, &arns).await
    }

    /// `DescribeServices` of these, by ARN or name; what is gone is left out.
    pub(super) async fn describe_services(
        &self,
        cluster: &ClusterName,
        services: &[String],
    ) -> Result<Answer<ServiceName, ServiceRow>, Gap> {
        let calls =
            services.chunks(DESCRIBE_MAX).map(|chunk| self.describe_service_page(cluster, chunk));
        let mut all = Answer::default();
        for answer in try_join_all(calls).await? {
            all.absorb(answer);
        }
        Ok(all)
    }

    /// One service as the SDK gives it, for what is written back whole; `None` if there is none.
    pub(super) async fn service(
        &self,
        cluster: &ClusterName,
        name: &ServiceName,
    ) -> Result<Option<SdkService>, Gap> {
        const SOURCE: &str = "ecs:DescribeServices";
        let call = self.ecs.describe_services().cluster(cluster.as_str()).services(name.as_str());
        let answer = self.one(SOURCE, call.send()).await?;
        let why = lacking(SOURCE, answer.failures(), |arn| name_of(&arn)).into_values().next();
        let mut found = answer.services.unwrap_or_default().into_iter();
        match (found.find(|service| service.status() != Some("INACTIVE")), why) {
            (None, Some(gap)) => Err(gap),
            (found, _) => Ok(found),
        }
    }

    async fn describe_service_page(
        &self,
        cluster: &ClusterName,
        arns: &[String],
    ) -> Result<Answer<ServiceName, ServiceRow>, Gap> {
        const SOURCE: &str = "ecs:DescribeServices";
        let call = self
            .ecs
            .describe_services()
            .cluster(cluster.as_str())
            .set_services(Some(arns.to_vec()));
        let answer = self.one(SOURCE, call.send()).await?;
        let (found, failed) = (answer.services(), answer.failures());
        if found.len() + failed.len() < arns.len() {
            let (listed, described) = (arns.len(), found.len());
            let message = format!("{listed} services listed, {described} described");
            return Err(implausible(SOURCE, message));
        }
        let mut rows =
            Answer { lacking: lacking(SOURCE, failed, |arn| name_of(&arn)), ..Answer::default() };
        for service in found.iter().filter(|s| s.status() != Some("INACTIVE")) {
            let name = name_of(service.service_arn().unwrap_or_default());
            match row(&name, service) {
                Ok(row) => rows.found.insert(name, row).map(drop),
                Err(message) => {
                    let gap = implausible(SOURCE, format!("{name}: {message}"));
                    rows.lacking.insert(name, gap).map(drop)
                }
            };
        }
        Ok(rows)
    }
}

/// The last part of an ARN, old format (`service/NAME`) or new (`service/CLUSTER/NAME`).
fn name_of(arn: &str) -> ServiceName {
    arn.rsplit('/').next().unwrap_or(arn).into()
}

fn row(name: &ServiceName, found: &SdkService) -> Result<ServiceRow, &'static str> {
    let deployments = deployments(found);
    let definition = found
        .task_definition()
        .map(TaskDefinitionArn::from)
        .or_else(|| deployments.first().map(|d| d.definition.clone()))
        .ok_or("no task definition")?;
    let daemon = found.scheduling_strategy() == Some(&SchedulingStrategy::Daemon);
    let limits = found.deployment_configuration();
    let percent = |n: Option<i32>, default: u64| n.map_or(default, count);
    let providers = found.capacity_provider_strategy().iter();
    let service = Service {
        name: name.clone(),
        desired_count: count(found.desired_count()),
        running_count: count(found.running_count()),
        pending_count: count(found.pending_count()),
        definition,
        scheduling: if daemon { Scheduling::Daemon } else { Scheduling::Replica },
        launch: match found.launch_type() {
            Some(LaunchType::Ec2) => Launch::Ec2,
            _ => Launch::Elsewhere,
        },
        // The defaults of the API reference, DeploymentConfiguration.
        minimum_healthy_percent: percent(
            limits.and_then(|l| l.minimum_healthy_percent()),
            if daemon { 0 } else { 100 },
        ),
        maximum_percent: percent(
            limits.and_then(|l| l.maximum_percent()),
            if daemon { 100 } else { 200 },
        ),
        constraints: found.placement_constraints().iter().flat_map(constraint).collect(),
        deployments,
        rebalances_zones: found.availability_zone_rebalancing()
            == Some(&AvailabilityZoneRebalancing::Enabled),
        targets: found.load_balancers().iter().filter_map(targets).collect(),
        native_rules: found.load_balancers().iter().flat_map(native_rules).collect(),
    };
    Ok(ServiceRow {
        service,
        providers: providers.map(|item| item.capacity_provider().to_owned()).collect(),
    })
}

/// One entry of `loadBalancers`; `None` for a Classic Load Balancer, which has no target group.
fn targets(found: &LoadBalancer) -> Option<ServiceTargets> {
    Some(ServiceTargets {
        group: found.target_group_arn()?.into(),
        container: found.container_name()?.to_owned(),
        port: found.container_port().and_then(|port| u16::try_from(port).ok())?,
    })
}

/// The rules that ECS itself rewrites when it deploys.
fn native_rules(found: &LoadBalancer) -> impl Iterator<Item = RuleArn> {
    let advanced = found.advanced_configuration();
    let rules = advanced.map(|a| [a.production_listener_rule(), a.test_listener_rule()]);
    rules.into_iter().flatten().flatten().map(RuleArn::from)
}

/// Primary first. CodeDeploy and external controllers deploy by task sets instead.
fn deployments(found: &SdkService) -> Vec<Deployment> {
    let single = found.deployments().len() + found.task_sets().len() == 1;
    let own = found.deployments().iter().filter_map(|d| deployment(d, single));
    let sets = found.task_sets().iter().filter_map(task_set);
    let mut all: Vec<Deployment> = own.chain(sets).collect();
    all.sort_by_key(|deployment| !deployment.primary);
    all
}

fn deployment(found: &SdkDeployment, single: bool) -> Option<Deployment> {
    let primary = found.status() == Some("PRIMARY");
    let settled = primary && single && found.running_count() >= found.desired_count();
    Some(Deployment {
        id: found.id()?.into(),
        primary,
        definition: found.task_definition()?.into(),
        desired_count: count(found.desired_count()),
        running_count: count(found.running_count()),
        pending_count: count(found.pending_count()),
        failed_tasks: count(found.failed_tasks()),
        rollout: match found.rollout_state() {
            Some(DeploymentRolloutState::Completed) => Rollout::Completed,
            Some(DeploymentRolloutState::Failed) => Rollout::Failed,
            // Old services have no rollout state.
            None if settled => Rollout::Completed,
            _ => Rollout::InProgress,
        },
        rollout_reason: found.rollout_state_reason().map(str::to_owned),
        created_at: created(found.created_at()),
    })
}

fn task_set(found: &TaskSet) -> Option<Deployment> {
    Some(Deployment {
        id: found.id()?.into(),
        primary: found.status() == Some("PRIMARY"),
        definition: found.task_definition()?.into(),
        desired_count: count(found.computed_desired_count()),
        running_count: count(found.running_count()),
        pending_count: count(found.pending_count()),
        failed_tasks: 0,
        rollout: match found.stability_status() {
            Some(StabilityStatus::SteadyState) => Rollout::Completed,
            _ => Rollout::InProgress,
        },
        rollout_reason: None,
        created_at: created(found.created_at()),
    })
}

fn created(at: Option<&aws_smithy_types::DateTime>) -> DateTime<Utc> {
    time(at).unwrap_or(DateTime::UNIX_EPOCH)
}

/// One of a service's placement constraints; kinds this program does not know stay unknown.
fn constraint(found: &PlacementConstraint) -> Vec<Constraint> {
    match (found.r#type(), found.expression()) {
        (Some(PlacementConstraintType::DistinctInstance), _) => vec![Constraint::DistinctInstance],
        (Some(PlacementConstraintType::MemberOf), Some(text)) => Constraint::member_of(text),
        (kind, text) => {
            let kind = kind.map_or("none", |kind| kind.as_str());
            vec![Constraint::Unknown(format!("{kind} {}", text.unwrap_or_default()))]
        }
    }
}

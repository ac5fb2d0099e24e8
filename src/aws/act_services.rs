//! Writes to ECS services and to what Application Auto Scaling may do to them, and the re-reads
//! before them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace, SuspendedState};
use aws_sdk_ecs::types::{
    AvailabilityZoneRebalancing, DeploymentAlarms, DeploymentCircuitBreaker,
    DeploymentConfiguration, DeploymentControllerType, LaunchType, LoadBalancer,
    SchedulingStrategy, Service as SdkService,
};

use super::Aws;
use super::act::{Ready, done, moved, senseless, unknown};
use super::act_pools::sent;
use super::clients::{Writes, write_limits};
use super::failure;
use super::rows::ScalableTarget;
use crate::control::Clock;
use crate::model::*;

/// Time a new task of a service made here has before a failed health check counts.
const GRACE_SECONDS: i32 = 60;

impl<K: Clock> Aws<K> {
    /// The service as it is now.
    pub(super) async fn service(&self, name: &ServiceName) -> Result<SdkService, Outcome> {
        let found = self.reads.service(&self.cluster, name).await.map_err(unknown)?;
        found.ok_or_else(|| moved(format!("service {name}"), "none"))
    }

    pub(super) async fn desired_count(&self, name: &ServiceName) -> Result<u64, Outcome> {
        Ok(super::rows::count(self.service(name).await?.desired_count()))
    }

    pub(super) async fn check_count(&self, name: &ServiceName, was: u64) -> Result<Ready, Outcome> {
        let found = self.service(name).await?;
        if found.scheduling_strategy() == Some(&SchedulingStrategy::Daemon) {
            return Err(senseless("a daemon service has no count of its own"));
        }
        let found = super::rows::count(found.desired_count());
        if found == was {
            return Ok(Ready::default());
        }
        Err(moved(format!("desired count {was}"), format!("desired count {found}")))
    }

    /// What Application Auto Scaling may do to the service now.
    pub(super) async fn scaling(&self, name: &ServiceName) -> Result<ScalableTarget, Outcome> {
        let found = self.reads.scalable_target(&self.cluster, name).await.map_err(unknown)?;
        found.ok_or_else(|| moved(format!("a scalable target of {name}"), "none"))
    }

    pub(super) async fn check_scaling(
        &self,
        name: &ServiceName,
        was: Suspension,
        now: Suspension,
    ) -> Result<Ready, Outcome> {
        match self.scaling(name).await?.suspended {
            found if found == now => Err(done()),
            found if found == was => Ok(Ready::default()),
            found => Err(moved(was.to_string(), found.to_string())),
        }
    }

    /// There is no such service, its family has a revision, and how the cluster launches is known.
    pub(super) async fn check_new_service(&self, spec: &NewService) -> Result<Ready, Outcome> {
        let found = self.reads.service(&self.cluster, &spec.service).await.map_err(unknown)?;
        if found.is_some() {
            return Err(moved(format!("no service {}", spec.service), "there is one"));
        }
        if self.reads.revision(&spec.family).await.map_err(unknown)?.is_none() {
            return Err(moved(format!("a revision of {}", spec.family), "none"));
        }
        let cluster = self.reads.cluster(&self.cluster).await.map_err(unknown)?;
        Ok(Ready { own_strategy: cluster.has_strategy, ..Ready::default() })
    }

    pub(super) async fn has_service(&self, spec: &NewService) -> Result<bool, Outcome> {
        let found = self.reads.service(&self.cluster, &spec.service).await.map_err(unknown)?;
        Ok(found.is_some())
    }

    /// The service is there; all it registers with already is sent along.
    pub(super) async fn check_attach(
        &self,
        name: &ServiceName,
        group: &TargetGroupArn,
    ) -> Result<Ready, Outcome> {
        let found = self.service(name).await?;
        if registers(&found, group) {
            return Err(done());
        }
        let load_balancers = found.load_balancers.unwrap_or_default();
        Ok(Ready { load_balancers, ..Ready::default() })
    }

    pub(super) async fn is_attached(
        &self,
        name: &ServiceName,
        group: &TargetGroupArn,
    ) -> Result<bool, Outcome> {
        Ok(registers(&self.service(name).await?, group))
    }

    /// The service is to run what the plan saw, deploying it or done with it.
    pub(super) async fn check_definition(
        &self,
        name: &ServiceName,
        was: &TaskDefinitionArn,
    ) -> Result<Ready, Outcome> {
        let found = self.service(name).await?;
        let controller = found.deployment_controller().map(|controller| controller.r#type());
        if controller.is_some_and(|kind| *kind != DeploymentControllerType::Ecs) {
            return Err(senseless("its deployments are not those of ECS"));
        }
        let definition = found.task_definition().unwrap_or("none");
        if definition != was.as_str() {
            let found = TaskDefinitionArn::from(definition);
            return Err(moved(was.short(), found.short()));
        }
        let deployment = found.deployment_configuration;
        Ok(Ready { deployment, ..Ready::default() })
    }

    pub(super) async fn runs(
        &self,
        name: &ServiceName,
        definition: &TaskDefinitionArn,
    ) -> Result<bool, Outcome> {
        Ok(self.service(name).await?.task_definition() == Some(definition.as_str()))
    }
}

fn registers(service: &SdkService, group: &TargetGroupArn) -> bool {
    let mut all = service.load_balancers().iter();
    all.any(|entry| entry.target_group_arn() == Some(group.as_str()))
}

fn entry(group: &TargetGroupArn, container: &str, port: u16) -> LoadBalancer {
    LoadBalancer::builder()
        .target_group_arn(group.as_str())
        .container_name(container)
        .container_port(port.into())
        .build()
}

/// The same deployment as before, with a circuit breaker that rolls back; and with these alarms,
/// where any are named.
pub(super) fn with_breaker(
    deployment: Option<DeploymentConfiguration>,
    alarms: &BTreeSet<String>,
) -> DeploymentConfiguration {
    let breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(true).build();
    let mut deployment = deployment.unwrap_or_else(|| DeploymentConfiguration::builder().build());
    deployment.deployment_circuit_breaker = Some(breaker);
    if !alarms.is_empty() {
        let names = Some(alarms.iter().cloned().collect());
        let watched = DeploymentAlarms::builder().set_alarm_names(names);
        deployment.alarms = watched.enable(true).rollback(true).build().ok();
    }
    deployment
}

fn small(count: u64) -> Result<i32, Outcome> {
    i32::try_from(count).map_err(|_| senseless("too large a count"))
}

impl Writes {
    /// `UpdateService` with a count and nothing else, which starts no deployment.
    pub(super) async fn set_count(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        now: u64,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let call = self.ecs.update_service().cluster(cluster.as_str()).service(service.as_str());
        let call = call.desired_count(small(now)?);
        sent!(aws_sdk_ecs, "ecs:UpdateService", limit, call).map(drop)
    }

    /// `RegisterScalableTarget`; bounds that are left out stay.
    pub(super) async fn suspend_scaling(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        now: Suspension,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let state = SuspendedState::builder()
            .dynamic_scaling_in_suspended(now.scale_in)
            .dynamic_scaling_out_suspended(now.scale_out)
            .scheduled_scaling_suspended(now.scheduled)
            .build();
        let call = self.targets.register_scalable_target();
        let call = call.service_namespace(ServiceNamespace::Ecs);
        let call = call.scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
        let call = call.resource_id(super::scaling_targets::resource(cluster, service));
        let call = call.suspended_state(state);
        let source = "application-autoscaling:RegisterScalableTarget";
        sent!(aws_sdk_applicationautoscaling, source, limit, call).map(drop)
    }

    /// `CreateService` on the hosts of the cluster, by its default strategy if it has one. Zones
    /// are not rebalanced: that would start and stop tasks by itself.
    pub(super) async fn create_service(
        &self,
        cluster: &ClusterName,
        spec: &NewService,
        own_strategy: bool,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let rolling = DeploymentConfiguration::builder();
        let rolling = rolling.minimum_healthy_percent(100).maximum_percent(200).build();
        let call = self.ecs.create_service().cluster(cluster.as_str());
        let call = call.service_name(spec.service.as_str()).task_definition(&spec.family);
        let call = call.desired_count(small(spec.count)?);
        let call = call.load_balancers(entry(&spec.group, &spec.container, spec.port));
        let call = call.deployment_configuration(with_breaker(Some(rolling), &BTreeSet::new()));
        let call = call.health_check_grace_period_seconds(GRACE_SECONDS);
        let call = call.availability_zone_rebalancing(AvailabilityZoneRebalancing::Disabled);
        let launch = (!own_strategy).then_some(LaunchType::Ec2);
        let call = call.set_launch_type(launch);
        sent!(aws_sdk_ecs, "ecs:CreateService", limit, call).map(drop)
    }

    /// `UpdateService` with one more load balancer beside those it has.
    pub(super) async fn attach_group(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        has: &[LoadBalancer],
        (group, container, port): (&TargetGroupArn, &str, u16),
        limit: Duration,
    ) -> Result<(), Outcome> {
        let mut all = has.to_vec();
        all.push(entry(group, container, port));
        let call = self.ecs.update_service().cluster(cluster.as_str()).service(service.as_str());
        let call = call.set_load_balancers(Some(all));
        sent!(aws_sdk_ecs, "ecs:UpdateService", limit, call).map(drop)
    }

    /// `UpdateService` with a task definition; the rest of its deployment stays as it is.
    pub(super) async fn deploy(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
        now: &TaskDefinitionArn,
        deployment: DeploymentConfiguration,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let call = self.ecs.update_service().cluster(cluster.as_str()).service(service.as_str());
        let call = call.task_definition(now.as_str());
        let call = call.deployment_configuration(deployment);
        sent!(aws_sdk_ecs, "ecs:UpdateService", limit, call).map(drop)
    }
}

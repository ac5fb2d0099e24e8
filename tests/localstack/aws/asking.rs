//! What a story is judged by: groups, hosts, tasks and metrics as AWS tells them.

use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_ecs::types::{ContainerInstance, Resource, Service, Task};

use super::World;
use crate::dataplane::wall_clock;
use crate::harness::eventually;

impl World {
    pub async fn describe_group(&self, name: &str) -> AutoScalingGroup {
        let found = self.autoscaling.describe_auto_scaling_groups();
        let found = found.auto_scaling_group_names(name).send().await;
        let found = found.expect("DescribeAutoScalingGroups").auto_scaling_groups;
        found.unwrap_or_default().pop().expect("the group")
    }

    pub async fn desired(&self, group: &str) -> i32 {
        self.describe_group(group).await.desired_capacity.expect("its desired capacity")
    }

    pub async fn members(&self, group: &str) -> Vec<Instance> {
        self.describe_group(group).await.instances.unwrap_or_default()
    }

    /// The container instances of cluster `c`.
    pub async fn hosts(&self) -> Vec<ContainerInstance> {
        self.hosts_of("c").await
    }

    pub async fn hosts_of(&self, cluster: &str) -> Vec<ContainerInstance> {
        let arns = self.ecs.list_container_instances().cluster(cluster).send().await;
        let arns = arns.expect("ListContainerInstances").container_instance_arns;
        let Some(arns) = arns.filter(|arns| !arns.is_empty()) else { return Vec::new() };
        let found = self.ecs.describe_container_instances().cluster(cluster);
        let found = found.set_container_instances(Some(arns)).send().await;
        found.expect("DescribeContainerInstances").container_instances.unwrap_or_default()
    }

    /// The hosts once there are this many, all registered.
    pub async fn hosts_when(&self, count: usize) -> Vec<ContainerInstance> {
        eventually(&format!("{count} hosts"), async || {
            Some(self.hosts().await).filter(|hosts| hosts.len() == count)
        })
        .await
    }

    pub async fn describe_service(&self, cluster: &str, name: &str) -> Service {
        let found = self.ecs.describe_services().cluster(cluster).services(name).send().await;
        let found = found.expect("DescribeServices").services;
        found.unwrap_or_default().pop().expect("the service")
    }

    /// Waits until all tasks that a service of cluster `c` wants run, and no others.
    pub async fn steady(&self, name: &str) -> Service {
        self.steady_in("c", name).await
    }

    pub async fn steady_in(&self, cluster: &str, name: &str) -> Service {
        eventually(&format!("{name} to be steady"), async || {
            let service = self.describe_service(cluster, name).await;
            let all = service.running_count == service.desired_count && service.pending_count == 0;
            (all && service.deployments().len() == 1).then_some(service)
        })
        .await
    }

    /// The tasks of cluster `c` that should run (or, with `stopped`, those that have stopped).
    pub async fn tasks(&self, stopped: bool) -> Vec<Task> {
        use aws_sdk_ecs::types::DesiredStatus;
        let status = if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
        let arns = self.ecs.list_tasks().cluster("c").desired_status(status).send().await;
        let arns = arns.expect("ListTasks").task_arns.unwrap_or_default();
        let mut tasks = Vec::new();
        for arns in arns.chunks(100) {
            let found = self.ecs.describe_tasks().cluster("c").set_tasks(Some(arns.to_vec()));
            let found = found.send().await.expect("DescribeTasks").tasks;
            tasks.extend(found.unwrap_or_default());
        }
        tasks
    }

    /// Ids of the EC2 instances that live, of whatever pool.
    pub async fn instances(&self) -> Vec<String> {
        let found = self.ec2.describe_instances().send().await.expect("DescribeInstances");
        let all = found.reservations().iter().flat_map(|reservation| reservation.instances());
        let alive = all.filter(|instance| {
            let state = instance.state().and_then(|state| state.name());
            state.is_some_and(|state| matches!(state.as_str(), "pending" | "running"))
        });
        alive.filter_map(|instance| instance.instance_id.clone()).collect()
    }

    /// What CloudWatch shows of the last ten minutes of a load balancer, or of one group of it:
    /// start of the period in seconds since 1970, and value.
    pub async fn datapoints(
        &self,
        balancer: &str,
        group: Option<&str>,
        (name, stat): (&str, &str),
        period_seconds: i32,
    ) -> Vec<(i64, f64)> {
        let dimension =
            |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let balancer = balancer.split(":loadbalancer/").last().expect("its name");
        let mut metric = Metric::builder().namespace("AWS/ApplicationELB").metric_name(name);
        metric = metric.dimensions(dimension("LoadBalancer", balancer));
        if let Some(group) = group {
            let group = group.split(':').next_back().expect("its name");
            metric = metric.dimensions(dimension("TargetGroup", group));
        }
        let stat = MetricStat::builder().metric(metric.build()).period(period_seconds).stat(stat);
        let query = MetricDataQuery::builder().id("q").metric_stat(stat.build()).build();
        let end = wall_clock() + Duration::from_secs(60);
        let told = self.cloudwatch.get_metric_data().metric_data_queries(query);
        let told = told.start_time(DateTime::from(end - Duration::from_secs(600)));
        let told = told.end_time(DateTime::from(end)).send().await.expect("GetMetricData");
        let told = &told.metric_data_results()[0];
        let starts = told.timestamps().iter().map(DateTime::secs);
        starts.zip(told.values().iter().copied()).collect()
    }
}

/// A resource of a container instance, such as `CPU`, in its own unit.
pub fn amount(resources: &[Resource], name: &str) -> i64 {
    let found = resources.iter().find(|resource| resource.name() == Some(name));
    i64::from(found.expect("every host has it").integer_value())
}

//! The demo's monolith and services behind a load balancer of an account, with a data plane: what
//! stories about real traffic are built of.
//!
//! Rule: nothing here knows Tidegate. The programs are processes of this same test binary.

use std::net::SocketAddr;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ScalableTarget, ServiceNamespace};
use aws_sdk_ecs::types::{ContainerDefinition, KeyValuePair, LoadBalancer, PortMapping};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, PathPatternConditionConfig, ProtocolEnum, Rule,
    RuleCondition, TargetGroupAttribute, TargetGroupTuple,
};

use crate::aws::{REGION, World};
use crate::dataplane::processes::{Launch, end_with_parent};
use crate::dataplane::programs::{self, Faults};
use crate::dataplane::{DataPlane, Settings};
use crate::harness::eventually;

/// The process of a task, when a data plane starts it; nothing otherwise.
#[test]
fn program() {
    let Ok(name) = std::env::var("PROGRAM") else { return };
    end_with_parent();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let faults = Faults::of(|name| std::env::var(name).ok());
    runtime.block_on(programs::serve(&name, 0, faults)).expect("it serves");
}

/// How a data plane starts the programs in this test binary.
pub fn launch() -> Launch {
    let command = std::env::current_exe().expect("this program");
    let arguments = ["demo::program", "--exact", "--nocapture"].map(str::to_owned).to_vec();
    Launch { command, arguments }
}

/// Cluster `c` with hosts, a load balancer with one listener, and a data plane.
pub struct Demo {
    pub world: World,
    pub balancer: String,
    pub listener: String,
    pub plane: DataPlane,
    /// Where the listener listens.
    pub address: SocketAddr,
    vpc: String,
}

impl Demo {
    /// The listener's default action forwards to a new group of the name `default`.
    pub async fn new(hosts: i32, default: &str, settings: Settings) -> Self {
        let world = World::new().await;
        world.cluster().await;
        world.group("g", "m5.large", hosts, 10).await;
        let subnets = world.subnets().await;
        let found = world.ec2.describe_subnets().subnet_ids(&subnets[0]).send().await;
        let found = found.expect("DescribeSubnets").subnets.unwrap_or_default();
        let vpc = found[0].vpc_id.clone().expect("its VPC");
        let made = world.elbv2.create_load_balancer().name("demo");
        let made = made.set_subnets(Some(subnets)).send().await.expect("CreateLoadBalancer");
        let balancer = made.load_balancers()[0].load_balancer_arn().expect("its ARN").to_owned();
        let group = target_group(&world, &vpc, default).await;
        let made = world.elbv2.create_listener().load_balancer_arn(&balancer);
        let made = made.protocol(ProtocolEnum::Http).port(80);
        let made = made.default_actions(forward(&[(&group, 1)])).send().await;
        let listener = made.expect("CreateListener").listeners()[0].clone();
        let listener = listener.listener_arn.expect("its ARN");
        let plane = DataPlane::start(&world.endpoint, &world.account, REGION, launch(), settings);
        let plane = plane.expect("a data plane");
        let address = eventually("the listener", async || plane.address(&listener)).await;
        let hosts = usize::try_from(hosts).expect("a count");
        world.hosts_when(hosts).await;
        Self { world, balancer, listener, plane, address, vpc }
    }

    /// A target group with the tutorial's health check, but patient, and a deregistration delay of 5 s.
    pub async fn group(&self, name: &str) -> String {
        target_group(&self.world, &self.vpc, name).await
    }

    pub async fn group_named(&self, name: &str) -> String {
        let found = self.world.elbv2.describe_target_groups().names(name).send().await;
        let found = found.expect("DescribeTargetGroups").target_groups.unwrap_or_default();
        found[0].target_group_arn.clone().expect("its ARN")
    }

    /// A rule for one path pattern; returns its ARN.
    pub async fn rule(&self, priority: i32, path: &str, groups: &[(&str, i32)]) -> String {
        let paths = PathPatternConditionConfig::builder().values(path).build();
        let condition = RuleCondition::builder().field("path-pattern").path_pattern_config(paths);
        let made = self.world.elbv2.create_rule().listener_arn(&self.listener).priority(priority);
        let made = made.conditions(condition.build()).actions(forward(groups)).send().await;
        made.expect("CreateRule").rules()[0].rule_arn().expect("its ARN").to_owned()
    }

    pub async fn set_weights(&self, rule: &str, groups: &[(&str, i32)]) {
        let changed = self.world.elbv2.modify_rule().rule_arn(rule).actions(forward(groups));
        changed.send().await.expect("ModifyRule");
    }

    /// Every rule of the listener, the default too.
    pub async fn rules(&self) -> Vec<Rule> {
        let told = self.world.elbv2.describe_rules().listener_arn(&self.listener).send().await;
        told.expect("DescribeRules").rules.unwrap_or_default()
    }

    /// A service that runs behind a group of its own, to which no user comes yet.
    pub async fn parked(&self, program: &str) {
        let group = self.group(program).await;
        self.rule(
            900 + i32::try_from(program.len()).expect("short"),
            &format!("/parked/{program}"),
            &[(&group, 1)],
        )
        .await;
        self.service(program, &group, 1, &[]).await;
    }

    /// A service at zero, without a load balancer.
    pub async fn unborn(&self, program: &str) {
        let definition = self.definition(program, &[]).await;
        let made = self.world.ecs.create_service().cluster("c").service_name(program);
        let made = made.task_definition(definition).desired_count(0).send().await;
        made.expect("CreateService");
    }

    /// A revision with these variables, rolled out.
    pub async fn redeploy(&self, program: &str, variables: &[(&str, &str)]) {
        let definition = self.definition(program, variables).await;
        let update = self.world.ecs.update_service().cluster("c").service(program);
        update.task_definition(definition).send().await.expect("UpdateService");
        self.world.steady(program).await;
        self.healthy(&self.group_named(program).await, 1).await;
    }

    /// Lets Application Auto Scaling own the desired count of a service.
    pub async fn scalable(&self, service: &str, min: i32, max: i32) {
        let made = self.world.targets.register_scalable_target();
        let made = made.service_namespace(ServiceNamespace::Ecs);
        let made = made.scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
        let made = made.resource_id(format!("service/c/{service}"));
        let made = made.min_capacity(min).max_capacity(max).send().await;
        made.expect("RegisterScalableTarget");
    }

    pub async fn scale_in_suspended(&self, service: &str) -> bool {
        let target = scalable_target(&self.world, service).await;
        let state = target.suspended_state.and_then(|state| state.dynamic_scaling_in_suspended);
        state == Some(true)
    }

    pub async fn set_delay(&self, group: &str, seconds: u32) {
        set_delay(&self.world, group, seconds).await;
    }

    /// A revision of a program's task definition, with these variables (such as its faults).
    pub async fn definition(&self, program: &str, variables: &[(&str, &str)]) -> String {
        let port = PortMapping::builder().container_port(3000).host_port(0).build();
        let container = ContainerDefinition::builder().name(program).essential(true);
        let mut container = container.image(format!("demo/{program}:1")).cpu(64).memory(64);
        container = container.port_mappings(port);
        for (name, value) in variables {
            container =
                container.environment(KeyValuePair::builder().name(*name).value(*value).build());
        }
        let made = self.world.ecs.register_task_definition().family(program);
        let made = made.container_definitions(container.build()).send().await;
        let made = made.expect("RegisterTaskDefinition").task_definition.expect("it");
        made.task_definition_arn.expect("its ARN")
    }

    /// A service of this program behind a group; returns when all its targets are healthy.
    pub async fn service(
        &self,
        program: &str,
        group: &str,
        count: i32,
        variables: &[(&str, &str)],
    ) {
        let definition = self.definition(program, variables).await;
        let behind = LoadBalancer::builder().target_group_arn(group);
        let behind = behind.container_name(program).container_port(3000).build();
        let made = self.world.ecs.create_service().cluster("c").service_name(program);
        let made = made.task_definition(definition).desired_count(count).load_balancers(behind);
        made.health_check_grace_period_seconds(10).send().await.expect("CreateService");
        self.healthy(group, usize::try_from(count).expect("a count")).await;
    }

    /// Waits until DescribeTargetHealth says that a group has so many healthy targets and no other.
    pub async fn healthy(&self, group: &str, count: usize) {
        eventually("healthy targets", async || {
            let states = self.states(group).await;
            let all = states.iter().all(|state| state == "healthy");
            (all && states.len() == count).then_some(())
        })
        .await;
    }

    /// The states of a group's targets as AWS tells them.
    pub async fn states(&self, group: &str) -> Vec<String> {
        let told = self.world.elbv2.describe_target_health().target_group_arn(group).send().await;
        let told = told.expect("DescribeTargetHealth").target_health_descriptions;
        let states =
            told.unwrap_or_default().into_iter().filter_map(|each| each.target_health?.state);
        states.map(|state| state.as_str().to_owned()).collect()
    }

    /// The running tasks of a service.
    pub async fn tasks_of(&self, service: &str) -> Vec<String> {
        let group = format!("service:{service}");
        let tasks = self.world.tasks(false).await.into_iter();
        let mine = tasks.filter(|task| task.group() == Some(&group));
        mine.filter_map(|task| task.task_arn).collect()
    }
}

/// What Application Auto Scaling knows of a service.
pub async fn scalable_target(world: &World, service: &str) -> ScalableTarget {
    let told = world.targets.describe_scalable_targets().service_namespace(ServiceNamespace::Ecs);
    let told = told.resource_ids(format!("service/c/{service}")).send().await;
    told.expect("DescribeScalableTargets").scalable_targets.unwrap_or_default().remove(0)
}

async fn target_group(world: &World, vpc: &str, name: &str) -> String {
    let made = world.elbv2.create_target_group().name(name).protocol(ProtocolEnum::Http).port(80);
    let made = made.vpc_id(vpc).health_check_path("/").health_check_interval_seconds(6);
    let made = made.health_check_timeout_seconds(5).healthy_threshold_count(2);
    let made = made.unhealthy_threshold_count(5).send().await.expect("CreateTargetGroup");
    let arn = made.target_groups()[0].target_group_arn().expect("its ARN").to_owned();
    set_delay(world, &arn, 5).await;
    arn
}

async fn set_delay(world: &World, group: &str, seconds: u32) {
    let delay = TargetGroupAttribute::builder().key("deregistration_delay.timeout_seconds");
    let delay = delay.value(seconds.to_string()).build();
    let changed = world.elbv2.modify_target_group_attributes().target_group_arn(group);
    changed.attributes(delay).send().await.expect("ModifyTargetGroupAttributes");
}

/// A forward action with weights.
pub fn forward(groups: &[(&str, i32)]) -> Action {
    let weighted = |(arn, weight): &(&str, i32)| {
        TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build()
    };
    let groups = groups.iter().map(weighted).collect();
    let config = ForwardActionConfig::builder().set_target_groups(Some(groups)).build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

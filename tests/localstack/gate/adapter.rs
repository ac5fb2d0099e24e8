//! The adapter behind guard and journal, on an account with a monolith behind a listener.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_ecs::types::{ContainerDefinition, LaunchType, LoadBalancer, PortMapping};
use aws_sdk_elasticloadbalancingv2::types::{
    Action as SdkAction, ActionTypeEnum, ProtocolEnum, RuleCondition,
};
use chrono::TimeDelta;
use strum::IntoEnumIterator;
use tidegate::aws::Aws;
use tidegate::cloud::Cloud;
use tidegate::config::{ClusterConfig, PoolConfig};
use tidegate::control::{Clock, SystemClock};
use tidegate::guard::{self, Case, Lease};
use tidegate::journal::{Journal, Sqlite};
use tidegate::model::*;

use crate::aws::World;
use crate::footing::config;
use crate::permitted::Permitted;

const LIMIT: Duration = Duration::from_secs(30);

/// A monolith behind a listener, and the adapter that is to move traffic away from it.
pub(super) struct Gate {
    pub(super) world: World,
    pub(super) elbv2: aws_sdk_elasticloadbalancingv2::Client,
    /// Everything that is asked goes through the policy for what it is about.
    pub(super) permitted: Permitted,
    pub(super) aws: Aws<SystemClock>,
    pub(super) journal: Sqlite,
    pub(super) memory: Memory,
    pub(super) config: ClusterConfig,
    pub(super) listener: ListenerArn,
    pub(super) blue: TargetGroupArn,
    /// A rule of somebody else that leads to blue.
    pub(super) old: RuleArn,
}

impl Gate {
    pub(super) async fn new() -> Self {
        let world = World::new().await;
        world.cluster_with_group().await;
        world.set_desired("g", 2).await;
        let elbv2 = aws_sdk_elasticloadbalancingv2::Client::new(&world.sdk);
        let (listener, blue) = balance(&world, &elbv2).await;
        let old = old_rule(&elbv2, &listener, &blue).await;
        monolith(&world, &blue).await;
        let permitted = Permitted::start(&world.endpoint, &world.account, "c");
        permitted.permit(&declared(&world, &listener, &old));
        let mut config = ClusterConfig::new("c", vec![PoolConfig::new(PoolId::group("g"))]);
        config.mode = Mode::Act;
        config.allow = ActionKind::iter().filter(|kind| !kind.is_ordered()).collect();
        let mut journal = Sqlite::in_memory(&config.name).expect("a journal");
        let (memory, _) = journal.recover().await.expect("a memory");
        Self {
            aws: adapter(&world, &permitted),
            permitted,
            memory: Memory { mode: Mode::Act, ..memory },
            world,
            elbv2,
            journal,
            config,
            listener,
            blue,
            old,
        }
    }

    /// What is seen, all of it.
    pub(super) async fn see(&self) -> Snapshot {
        let traffic = TrafficNeed {
            listeners: BTreeSet::from([self.listener.clone()]),
            left: BTreeSet::new(),
            groups: BTreeSet::from(["c-users".to_owned(), "blue".to_owned()]),
            load_since: Some(SystemClock.now() - TimeDelta::minutes(10)),
            load_period_seconds: 60,
            asks: vec![Ask {
                name: "bell".to_owned(),
                of: Asked::Alarm { alarm: "bell".to_owned() },
            }],
        };
        let need = Need {
            cluster: "c".into(),
            pools: BTreeSet::from([PoolId::group("g")]),
            tasks_of: BTreeSet::new(),
            traffic: Some(traffic),
            releases: self.images(),
            only_traffic: false,
        };
        let seen = self.aws.observe(&need).await;
        assert_eq!(seen.gaps().next(), None);
        seen
    }

    /// The images of releases under way; none of them is in a registry that is asked.
    pub(super) fn images(&self) -> Option<ReleaseNeed> {
        let paths = self.memory.releases.values().filter_map(|release| release.path.as_ref());
        let images = paths.flat_map(|path| [path.image.clone(), path.previous.clone()]);
        Some(ReleaseNeed { services: BTreeSet::new(), images: images.collect() })
    }

    /// A release that has come as far as its deployment.
    pub(super) fn releases(
        &mut self,
        service: &ServiceName,
        path: ReleasePath,
        made: TaskDefinitionArn,
    ) {
        let steer = ReleaseOrder::Start { image: path.image.clone(), container: None };
        let order = Order::Release { service: service.clone(), steer };
        let (actor, reason) = ("test".to_owned(), "test".to_owned());
        let record = Record::Command { command: Command { actor, reason, order } };
        let (seq, epoch, at) = (self.memory.seq, self.memory.epoch, SystemClock.now());
        let memory = std::mem::take(&mut self.memory);
        self.memory = memory.fold(&Entry { seq, epoch, at, record });
        let release = self.memory.releases.get_mut(service).expect("it was ordered");
        (release.stage, release.path, release.now) = (ReleaseStage::Booked, Some(path), Some(made));
    }

    pub(super) async fn act(&mut self, action: Action) -> Outcome {
        let snapshot = self.see().await;
        let lease = Lease::exclusive(self.journal.lease().epoch);
        let now = SystemClock.now();
        let case = Case {
            config: &self.config,
            snapshot: &snapshot,
            memory: &self.memory,
            lease: &lease,
            switch: &Switch::default(),
            now,
        };
        let (kind, by) = (ActionKind::Cutover, Origin::Capacity);
        let planned = Planned { action, kind, why: Why::Unprotected, by };
        let admitted = guard::admit(case, planned).expect("it is admitted");
        let recorded = self.journal.intend(vec![admitted], now).await.expect("it is recorded");
        self.aws.act(&recorded[0].0, LIMIT).await
    }

    pub(super) async fn done(&mut self, action: Action) {
        let told = action.to_string();
        let outcome = self.act(action).await;
        let done = matches!(&outcome, Outcome::Done { failed, .. } if failed.is_empty());
        assert!(done, "{told}: {outcome:?}");
    }

    pub(super) async fn green(&self) -> TargetGroup {
        self.see().await.traffic.value.group_named("c-users").expect("the group").clone()
    }

    pub(super) async fn rule(&self, purpose: &Purpose) -> Rule {
        let seen = self.see().await.traffic.value;
        seen.rule_for(&self.listener, purpose).expect("the rule").clone()
    }

    pub(super) fn weights(&self, blue: u32, green: (&TargetGroupArn, u32)) -> RuleImage {
        RuleImage::split([(self.blue.clone(), blue), (green.0.clone(), green.1)])
    }
}

pub(super) fn adapter(world: &World, permitted: &Permitted) -> Aws<SystemClock> {
    let sdk = world.sdk.clone().into_builder().endpoint_url(permitted.url()).build();
    Aws::with_config(&sdk, "c".into(), SystemClock)
}

/// A configuration under which all of it is done.
fn declared(world: &World, listener: &ListenerArn, old: &RuleArn) -> String {
    let more = format!(
        "allow: [scale_out, services, cutover]\nservices:\n  users:\n    load_balancing: {{ \
         listener: {listener}, port: 80 }}\n  monolith:\n    load_balancing: {{ listener: \
         {listener}, target_group: blue, container: main, port: 80, health_check: {{ path: / }} }}\n\
         cutovers:\n  - name: break\n    listener: {listener}\n    from: monolith\n    rules: {{ \
         adopt: {old} }}\n    routes: [{{ to: users, paths: [/old] }}]\n    gates: {{ others: [{{ \
         name: bell, cloudwatch_alarm: bell }}] }}"
    );
    config(world, "c", &["auto_scaling_group: g"], &more)
}

/// A rule as a team would have it, not made by Tidegate.
async fn old_rule(
    elbv2: &aws_sdk_elasticloadbalancingv2::Client,
    listener: &ListenerArn,
    blue: &TargetGroupArn,
) -> RuleArn {
    let forward = SdkAction::builder().r#type(ActionTypeEnum::Forward);
    let forward = forward.target_group_arn(blue.as_str()).build();
    let paths = RuleCondition::builder().field("path-pattern").values("/old").build();
    let made = elbv2.create_rule().listener_arn(listener.as_str()).priority(500);
    let made = made.conditions(paths).actions(forward).send().await.expect("CreateRule");
    let rule = made.rules.expect("it is told").remove(0);
    rule.rule_arn.expect("it is told").into()
}

/// A load balancer whose listener sends everything to group `blue`.
async fn balance(
    world: &World,
    elbv2: &aws_sdk_elasticloadbalancingv2::Client,
) -> (ListenerArn, TargetGroupArn) {
    let made = elbv2.create_load_balancer().name("shop");
    let made = made.set_subnets(Some(world.subnets().await)).send().await;
    let balancer = made.expect("CreateLoadBalancer").load_balancers.expect("it is told").remove(0);
    let group = elbv2.create_target_group().name("blue").protocol(ProtocolEnum::Http).port(80);
    let group = group.vpc_id(balancer.vpc_id().expect("it is told")).send().await;
    let group = group.expect("CreateTargetGroup").target_groups.expect("it is told").remove(0);
    let group = group.target_group_arn.expect("it is told");
    let forward = SdkAction::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&group);
    let listener =
        elbv2.create_listener().load_balancer_arn(balancer.load_balancer_arn.expect("it is told"));
    let listener = listener.protocol(ProtocolEnum::Http).port(80);
    let listener = listener.default_actions(forward.build()).send().await;
    let listener = listener.expect("CreateListener").listeners.expect("it is told").remove(0);
    (listener.listener_arn.expect("it is told").into(), group.into())
}

/// Service `monolith` behind the group, with a scalable target.
async fn monolith(world: &World, group: &TargetGroupArn) {
    let port = PortMapping::builder().container_port(80).host_port(0).build();
    let container = ContainerDefinition::builder().name("main").image("busybox").cpu(64);
    let container = container.memory(64).essential(true).port_mappings(port).build();
    let made = world.ecs.register_task_definition().family("monolith");
    made.container_definitions(container).send().await.expect("RegisterTaskDefinition");
    let entry = LoadBalancer::builder().target_group_arn(group.as_str());
    let entry = entry.container_name("main").container_port(80).build();
    let made = world.ecs.create_service().cluster("c").service_name("monolith");
    let made = made.task_definition("monolith").desired_count(1).launch_type(LaunchType::Ec2);
    made.load_balancers(entry).send().await.expect("CreateService");
    let targets = aws_sdk_applicationautoscaling::Client::new(&world.sdk);
    let target = targets.register_scalable_target().service_namespace(ServiceNamespace::Ecs);
    let target = target.scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
    let target = target.resource_id("service/c/monolith").min_capacity(1).max_capacity(9);
    target.send().await.expect("RegisterScalableTarget");
}

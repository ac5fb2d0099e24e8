//! Others who write: managed scaling before and after a handover, hands on the desired capacity,
//! and deployments.

use aws_sdk_ecs::types::{
    AutoScalingGroupProvider, CapacityProviderStrategyItem, ManagedScaling, ManagedScalingStatus,
    ManagedTerminationProtection,
};

use crate::aws::World;
use crate::footing::config;
use crate::harness::{acting, eventually};

const GROUP: &str = "auto_scaling_group: g";

async fn desired_is(world: &World, desired: i32) {
    let what = format!("desired capacity {desired}");
    eventually(&what, async || (world.desired("g").await == desired).then_some(())).await;
}

/// Makes group `g` the cluster's capacity provider `rival`, under managed scaling.
pub(crate) async fn managed_scaling(world: &World) {
    let group = world.describe_group("g").await;
    let scaling = ManagedScaling::builder().status(ManagedScalingStatus::Enabled);
    let provider = AutoScalingGroupProvider::builder()
        .auto_scaling_group_arn(group.auto_scaling_group_arn().expect("its ARN"))
        .managed_scaling(scaling.target_capacity(100).build())
        .managed_termination_protection(ManagedTerminationProtection::Disabled)
        .build()
        .expect("a provider");
    let made = world.ecs.create_capacity_provider().name("rival");
    made.auto_scaling_group_provider(provider).send().await.expect("CreateCapacityProvider");
    let put = world.ecs.put_cluster_capacity_providers().cluster("c").capacity_providers("rival");
    let put = put.default_capacity_provider_strategy(strategy());
    put.send().await.expect("PutClusterCapacityProviders");
}

fn strategy() -> CapacityProviderStrategyItem {
    let item = CapacityProviderStrategyItem::builder().capacity_provider("rival").weight(1);
    item.build().expect("a strategy")
}

/// One standalone task waits in PROVISIONING on an empty group under managed scaling. Tidegate
/// first leaves the group to its owner; handed over, it orders the one host, and the owner's
/// policy has no effect any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_under_managed_scaling_is_left_alone_until_it_is_handed_over() {
    let world = World::new().await;
    world.cluster_with_group().await;
    let flag = world.autoscaling.update_auto_scaling_group().auto_scaling_group_name("g");
    let flag = flag.new_instances_protected_from_scale_in(false).send().await;
    flag.expect("UpdateAutoScalingGroup");
    managed_scaling(&world).await;
    world.definition("job", 256, 256).await;
    let run = world.ecs.run_task().cluster("c").task_definition("job");
    let run = run.capacity_provider_strategy(strategy()).send().await;
    assert_eq!(run.expect("RunTask").tasks().len(), 1);

    let before = world.mark().await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    let held = tidegate.held("managed_scaling").await;
    assert_eq!(held["hold"]["reason"]["provider"], "rival");
    assert!(held["why"].to_string().contains("tidegate handover"), "{held}");
    let shown = tidegate.tell(&["handover", "--cluster", "c"]).await;
    assert!(shown.contains("AlarmNotification"), "{shown}");
    tidegate.ticks(2).await;
    let writes = world.writes(before).await;
    assert!(writes.is_empty(), "{writes:?}");

    tidegate.tell(&["handover", "--cluster", "c", "--apply", "--reason", "acceptance"]).await;
    desired_is(&world, 1).await;
    eventually("the task runs", async || {
        let tasks = world.tasks(false).await;
        (tasks.len() == 1 && tasks[0].last_status() == Some("RUNNING")).then_some(())
    })
    .await;
    let group = world.describe_group("g").await;
    let suspended = group.suspended_processes().iter().filter_map(|p| p.process_name());
    let mut suspended: Vec<_> = suspended.collect();
    suspended.sort_unstable();
    assert_eq!(suspended, ["AZRebalance", "AlarmNotification"]);
    assert_eq!(group.new_instances_protected_from_scale_in(), Some(true));

    let fired = [("group", "g"), ("desired", "5")];
    let fired = world.control("managed-scaling-alarm", &fired).await;
    assert_eq!(fired["result"], "ignored");
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 1);
    assert_eq!(world.sent("SetDesiredCapacity", before).await.len(), 1);
    assert_eq!(world.hosts().await.len(), 1);
}

/// Tasks of 1280 CPU units, one on an m5.large. Tidegate has ordered 2 for two tasks; somebody
/// makes it 3 and then 6.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_capacity_is_adopted_once_and_the_second_lowers_the_pool_to_recommend() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1280, 256, 2).await;
    let times = "scale_in: { stabilization: 20s, drain_deadline: 1m, host_age_min: 0s }";
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], times)).await;
    desired_is(&world, 2).await;
    world.steady("web").await;

    // Adopted: what is there counts, and it stands for one stabilization window.
    world.set_desired("g", 3).await;
    tidegate
        .status_when("3 is seen, and that somebody else did it", |status| {
            let pool = &status["pools"][0];
            pool["desired"] == 3 && pool["others_writing"].to_string().contains("which was 2")
        })
        .await;
    world.set_count("web", 4).await;
    let held = tidegate.held("foreign_write").await;
    assert_eq!(held["hold"]["reason"]["found"], 3);
    assert_eq!(held["hold"]["reason"]["expected"], 2, "{held}");
    let status = tidegate.status().await.expect("a status");
    assert!(status["pools"][0]["demoted"].is_null(), "{}", status["pools"]);
    // Then Tidegate sizes it again: 4 tasks need 4 hosts.
    desired_is(&world, 4).await;
    world.steady("web").await;

    world.set_desired("g", 6).await;
    tidegate.status_when("it is lowered", |status| !status["pools"][0]["demoted"].is_null()).await;
    let before = world.mark().await;
    world.set_count("web", 8).await;
    let held = tidegate.held("demoted").await;
    assert_eq!((&held["wants"], &held["subject"]), (&"scale_out".into(), &"g".into()), "{held}");
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 6);
    assert!(world.sent("SetDesiredCapacity", before).await.is_empty());

    // A person lifts it: 8 tasks get their 8 hosts.
    let resume = ["resume", "--cluster", "c", "--reason", "the other hand is off"];
    tidegate.tell(&resume).await;
    desired_is(&world, 8).await;
    world.steady("web").await;
}

/// Two tasks of 1280 CPU units on two m5.large. A deployment from 100 to 200 % starts two new ones
/// before it stops the old: 4 hosts for its time, 2 after it.
#[tokio::test(flavor = "multi_thread")]
async fn the_surge_of_a_deployment_by_somebody_else_is_booked_and_given_back() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1280, 256, 2).await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    desired_is(&world, 2).await;
    world.steady("web").await;
    world.set_healthy("web", 100, 200).await;
    world.steady("web").await;

    let definition = world.definition("web", 1280, 512).await;
    let update = world.ecs.update_service().cluster("c").service("web");
    update.task_definition(&definition).send().await.expect("UpdateService");
    desired_is(&world, 4).await;
    let service = world.steady("web").await;
    assert_eq!(service.task_definition(), Some(definition.as_str()));
    desired_is(&world, 2).await;
    world.hosts_when(2).await;
    world.steady("web").await;
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 2);
}

/// Two hosts, each full with one task of 1280 and one of 768 CPU units. Somebody deploys the small
/// service with tasks of 3000 units, which fit no m5.large (2048), so the deployment stands. When
/// the large tasks are gone one host would do, but nobody is moved during a deployment.
#[tokio::test(flavor = "multi_thread")]
async fn voluntary_drains_wait_for_a_deployment_by_somebody_else() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("filler", 1280, 256, 2).await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    desired_is(&world, 2).await;
    world.steady("filler").await;
    world.service("web", 768, 256, 2).await;
    world.steady("web").await;
    world.set_healthy("web", 100, 200).await;
    world.steady("web").await;

    let definition = world.definition("web", 3000, 256).await;
    let update = world.ecs.update_service().cluster("c").service("web");
    update.task_definition(definition).send().await.expect("UpdateService");
    let before = world.mark().await;
    world.set_count("filler", 0).await;
    let held = tidegate.held("deploying").await;
    assert_eq!(held["hold"]["reason"]["service"], "web");
    assert!(tidegate.held("fits_no_pool").await["why"].to_string().contains("larger type"));
    tidegate.ticks(3).await;
    let mut writes = world.writes(before).await;
    writes.retain(|request| request.operation != "UpdateService");
    assert!(writes.is_empty(), "{writes:?}");
}

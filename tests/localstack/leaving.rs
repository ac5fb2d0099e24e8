//! Hosts that leave: because their tasks fit elsewhere, or because they are no capacity any more.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ContainerInstanceStatus, TaskStopCode};

use crate::aws::{Request, World};
use crate::footing::config;
use crate::harness::{acting, eventually};

const GROUP: &str = "auto_scaling_group: g";

async fn desired_is(world: &World, desired: i32) {
    let what = format!("desired capacity {desired}");
    eventually(&what, async || (world.desired("g").await == desired).then_some(())).await;
}

/// Instances asked to end by id, in order.
fn terminated(requests: &[Request]) -> Vec<String> {
    let ends = requests.iter().filter(|r| r.operation == "TerminateInstanceInAutoScalingGroup");
    let ids = ends.map(|r| r.parameters["InstanceId"].as_str().expect("an id").to_owned());
    ids.collect()
}

/// Container instances told to drain, in order.
fn drained(requests: &[Request]) -> Vec<String> {
    let states = requests.iter().filter(|r| r.operation == "UpdateContainerInstancesState");
    let drains = states.filter(|r| r.parameters["status"] == "DRAINING");
    let hosts = drains.filter_map(|r| r.parameters["containerInstances"].as_array());
    let arns = hosts.flatten().filter_map(|arn| arn.as_str());
    arns.map(str::to_owned).collect()
}

/// No task was on a host when it was ended: each had been stopped by its service before.
async fn assert_no_task_died_with_its_host(world: &World) {
    for task in world.tasks(true).await {
        let code = task.stop_code();
        assert_ne!(code, Some(&TaskStopCode::TerminationNotice), "{:?}", task.task_arn());
    }
}

/// 1024 CPU units each, two on an m5.large (2048): 8 tasks fill 4 hosts, 3 tasks need 2. At most
/// one host drains at a time, so the other two leave one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_leave_one_batch_at_a_time_until_the_group_is_what_is_needed() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1024, 256, 8).await;
    let config = config(&world, "c", &[GROUP], "budgets: { draining_hosts: 1 }");
    let tidegate = acting(&world, "c", &config).await;
    desired_is(&world, 4).await;
    world.steady("web").await;
    let hosts = world.hosts_when(4).await;
    let instance_of: BTreeMap<_, _> = hosts
        .iter()
        .map(|host| (host.container_instance_arn().expect("arn"), host.ec2_instance_id()))
        .collect();

    let before = world.mark().await;
    world.set_count("web", 3).await;
    eventually("2 hosts are left", async || {
        let hosts = world.hosts().await;
        let drains = |host: &&_| status(host) == ContainerInstanceStatus::Draining.as_str();
        assert!(hosts.iter().filter(drains).count() <= 1, "more than one host drains");
        (hosts.len() == 2).then_some(())
    })
    .await;
    assert_eq!(world.desired("g").await, 2);
    world.steady("web").await;
    assert_no_task_died_with_its_host(&world).await;

    // Each host was drained, then ended by its id, before the next was begun.
    let requests = world.requests(before).await;
    let (drained, ended) = (drained(&requests), terminated(&requests));
    let drained: Vec<_> = drained.iter().map(|arn| instance_of[arn.as_str()]).collect();
    assert_eq!(drained, ended.iter().map(|id| Some(id.as_str())).collect::<Vec<_>>());
    assert_eq!(ended.len(), 2);

    // 3 tasks on 2 hosts: nothing more is to gain.
    tidegate.ticks(3).await;
    assert_eq!((world.desired("g").await, world.hosts().await.len()), (2, 2));
    assert_eq!(terminated(&world.requests(before).await).len(), 2);
}

fn status(host: &aws_sdk_ecs::types::ContainerInstance) -> &str {
    host.status().unwrap_or_default()
}

/// Two hosts, each full with one task of 1280 and one of 768 CPU units. Without the large ones
/// both small ones would fit on one host, but theirs is a service of exactly 100 %: it may start
/// no third task and stop none of its two.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_between_100_and_100_percent_holds_its_host_before_the_drain_and_is_named() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1280, 256, 2).await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    desired_is(&world, 2).await;
    world.steady("web").await;
    world.service("pinned", 768, 256, 2).await;
    world.set_healthy("pinned", 100, 100).await;
    world.steady("pinned").await;

    let before = world.mark().await;
    world.set_count("web", 0).await;
    let held = tidegate.held("drain_impossible").await;
    assert_eq!(held["hold"]["reason"]["service"], "pinned");
    assert!(held["why"].as_str().unwrap_or_default().starts_with("pinned "), "{held}");
    tidegate.ticks(3).await;
    let mut writes = world.writes(before).await;
    writes.retain(|request| request.operation != "UpdateService");
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(world.hosts().await.len(), 2);
}

/// The group never has less than 2 hosts; one would do for the only task.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_minimum_of_the_group_a_host_is_held_before_the_drain() {
    let world = World::new().await;
    world.cluster().await;
    world.group("g", "m5.large", 2, 10).await;
    world.service("web", 256, 256, 1).await;
    world.hosts_when(2).await;
    world.steady("web").await;
    let before = world.mark().await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    let held = tidegate.held("at_minimum").await;
    assert_eq!(held["hold"]["reason"]["min"], 2);
    tidegate.ticks(3).await;
    let writes = world.writes(before).await;
    assert!(writes.is_empty(), "{writes:?}");
}

/// Two hosts with one task of 1280 CPU units each (one m5.large takes one). The agent of one is
/// lost for the configured minute: its task needs another host, and it ends by force a minute
/// later, since an agent that is not there stops no task.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_agent_is_lost_is_no_capacity_and_is_replaced() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1280, 256, 2).await;
    let config = config(&world, "c", &[GROUP], "repair: { agent_lost: 1m }");
    let tidegate = acting(&world, "c", &config).await;
    desired_is(&world, 2).await;
    world.steady("web").await;
    let hosts = world.hosts_when(2).await;
    let lost = hosts[0].ec2_instance_id().expect("its id").to_owned();
    let before = world.mark().await;
    world.control("agent", &[("instance", &lost), ("connected", "false")]).await;

    tidegate
        .status_when("one host is lost and one usable", |status| {
            let counts = &status["host_counts"];
            counts["agent_lost"] == 1 && counts["usable"] == 1
        })
        .await;
    desired_is(&world, 3).await;
    eventually("the lost host is gone", async || {
        let hosts = world.hosts().await;
        let gone = hosts.iter().all(|host| host.ec2_instance_id() != Some(&lost));
        (gone && hosts.len() == 2).then_some(())
    })
    .await;
    world.steady("web").await;
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 2);
    let requests = world.requests(before).await;
    assert_eq!(terminated(&requests), [lost]);
    assert_eq!(drained(&requests), [hosts[0].container_instance_arn().expect("its ARN")]);
}

/// Instances launch and never register. Each is given up after ten minutes and replaced because
/// its task still waits; after the third in a row the pool gets no more.
///
/// Tidegate reads when an instance was launched only once, so each is made older while it does not
/// run; what it knows of failures outlives that.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_never_register_are_replaced_and_three_in_a_row_open_the_breaker() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.control("registration", &[("group", "g"), ("works", "false")]).await;
    world.service("web", 256, 256, 1).await;
    let mut tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    let mut given_up = Vec::new();
    for nth in 1..=3 {
        let what = format!("launch {nth}");
        let host = eventually(&what, async || {
            world.instances().await.into_iter().find(|id| !given_up.contains(id))
        })
        .await;
        tidegate.kill();
        world.control("age", &[("instance", &host), ("seconds", "660")]).await;
        tidegate.start().await;
        let what = format!("end of launch {nth}");
        eventually(&what, async || (!world.instances().await.contains(&host)).then_some(())).await;
        given_up.push(host);
    }
    let held = tidegate.held("breaker_open").await;
    assert_eq!(held["hold"]["reason"]["failures"], 3);
    tidegate.ticks(3).await;
    assert_eq!(terminated(&world.requests(0).await), given_up);
    assert_eq!(world.sent("SetDesiredCapacity", 0).await.len(), 3);
    assert!(world.instances().await.is_empty());
}

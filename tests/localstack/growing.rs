//! Tasks that fit nowhere: the group grows by exactly what they need, and only where that helps.

use crate::aws::{World, amount};
use crate::footing::config;
use crate::harness::{acting, eventually};

const GROUP: &str = "auto_scaling_group: g";

async fn desired_is(world: &World, group: &str, desired: i32) {
    let what = format!("desired capacity {desired} of {group}");
    eventually(&what, async || (world.desired(group).await == desired).then_some(())).await;
}

/// Looks taken by Tidegate from the creation of `service` to the raise of its group, that look
/// included: each lists the services once, which nothing else here does.
async fn looks_until_raise(world: &World, service: &str, desired: i32) -> usize {
    let all = world.requests(0).await;
    let created = all
        .iter()
        .position(|r| r.operation == "CreateService" && r.parameters["serviceName"] == service);
    let raised = all.iter().position(|r| {
        r.operation == "SetDesiredCapacity" && r.parameters["DesiredCapacity"] == desired
    });
    let between = &all[created.expect("created")..raised.expect("raised")];
    between.iter().filter(|r| r.operation == "ListServices").count()
}

/// Registered and remaining of all hosts that can take tasks, as the AWS API says.
async fn reservation(world: &World, cluster: &str, name: &str) -> f64 {
    let hosts = world.hosts_of(cluster).await;
    let (mut registered, mut remaining) = (0, 0);
    for host in hosts.iter().filter(|h| h.agent_connected && h.status() == Some("ACTIVE")) {
        registered += amount(host.registered_resources(), name);
        remaining += amount(host.remaining_resources(), name);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand units")]
    let percent = (registered - remaining) as f64 * 100.0 / registered as f64;
    percent
}

/// The stack's hosts are t3.small: 2048 CPU units and 1945 MiB. Three shapes, one after the other:
///
/// | service | tasks | needs | one fresh host takes | already fit | hosts |
/// |---|---|---|---|---|---|
/// | wide | 3 | 1280 CPU | 1 | 0 | 0 + 3 = 3 |
/// | half | 4 | 768 CPU | 2 | 3, in the 768 units left on each | 3 + 1 = 4 |
/// | deep | 5 | 900 MiB | 2 | 2, in the 1817 MiB left on the fourth | 4 + 2 = 6 |
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_stack_grows_within_two_ticks_by_exactly_what_three_shapes_need() {
    let world = World::new().await;
    world
        .stack(
            include_str!("../../cloudformation/demo-cluster.yaml"),
            &[("ClusterName", "tide"), ("MaxSize", "10")],
        )
        .await;
    let group = "tide-hosts";
    let config = config(&world, "tide", &["auto_scaling_group: tide-hosts"], "allow: [scale_out]");
    let tidegate = acting(&world, "tide", &config).await;
    tidegate.ticks(1).await;
    let steps = [("wide", 1280, 128, 3, 3), ("half", 768, 128, 4, 4), ("deep", 128, 900, 5, 6)];
    for (service, cpu, memory, tasks, hosts) in steps {
        world.service_in("tide", service, cpu, memory, tasks).await;
        desired_is(&world, group, hosts).await;
        let looks = looks_until_raise(&world, service, hosts).await;
        assert!((1..=2).contains(&looks), "{service} was raised for at look {looks}");
        world.steady_in("tide", service).await;
    }
    for (service, ..) in steps {
        world.steady_in("tide", service).await;
    }
    // Three raises and no other write to the group, however often it was looked at meanwhile.
    tidegate.ticks(2).await;
    let raises: Vec<_> = world.sent("SetDesiredCapacity", 0).await;
    let raises: Vec<_> = raises.iter().map(|r| r.parameters["DesiredCapacity"].clone()).collect();
    assert_eq!(raises, [3, 4, 6]);
    assert_eq!(world.hosts_of("tide").await.len(), 6);

    let status = tidegate.status().await.expect("a status");
    for (shown, name) in [("cpu_percent", "CPU"), ("memory_percent", "MEMORY")] {
        let shown = status["reservation"][shown].as_f64().expect("a number");
        let told = reservation(&world, "tide", name).await;
        assert!((shown - told).abs() <= 0.05, "{name}: shown {shown}, AWS says {told}");
    }
}

/// Three m5.large (2048 CPU units) with 1228 units taken on each are 60 % reserved. A task of 1024
/// fits in none of the three holes of 820, so a fourth host is needed although 2460 are free.
#[tokio::test(flavor = "multi_thread")]
async fn fragmentation_scales_where_a_reservation_alarm_would_not() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("base", 1228, 256, 3).await;
    let _tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "allow: [scale_out]")).await;
    desired_is(&world, "g", 3).await;
    world.steady("base").await;
    let reserved = reservation(&world, "c", "CPU").await;
    assert!((59.9..60.1).contains(&reserved), "{reserved}");

    world.service("next", 1024, 256, 1).await;
    desired_is(&world, "g", 4).await;
    world.steady("next").await;
    assert_eq!(world.sent("SetDesiredCapacity", 0).await.len(), 2);
}

/// An empty group of m5.large (2048 CPU units, 7782 MiB), and one task of 256 units waiting.
#[tokio::test(flavor = "multi_thread")]
async fn one_small_task_on_an_empty_group_gets_one_host_not_two() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 256, 256, 1).await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    desired_is(&world, "g", 1).await;
    world.steady("web").await;
    // While the host boots and when it serves, nothing more is ordered.
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 1);
    assert_eq!(world.sent("SetDesiredCapacity", 0).await.len(), 1);
    assert_eq!(world.hosts().await.len(), 1);
}

/// 3000 CPU units fit on no m5.large (2048), and on an m5.xlarge (4096).
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fits_only_the_second_pool_gets_one_host_there() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.group("big", "m5.xlarge", 0, 10).await;
    world.service("web", 3000, 256, 1).await;
    let pools = [GROUP, "auto_scaling_group: big"];
    let tidegate = acting(&world, "c", &config(&world, "c", &pools, "")).await;
    desired_is(&world, "big", 1).await;
    world.steady("web").await;
    tidegate.ticks(2).await;
    assert_eq!((world.desired("g").await, world.desired("big").await), (0, 1));
    assert_eq!(world.sent("SetDesiredCapacity", 0).await.len(), 1);
}

/// A group of m5.large and m5.xlarge launches what it likes: 3000 CPU units are guaranteed by
/// neither, so it is left alone and the way out is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_pool_whose_smaller_type_is_too_small_is_held_with_advice() {
    let world = World::new().await;
    world.cluster().await;
    world.mixed_group("g", &["m5.large", "m5.xlarge"], 10).await;
    world.service("web", 3000, 256, 1).await;
    let before = world.mark().await;
    let tidegate = acting(&world, "c", &config(&world, "c", &[GROUP], "")).await;
    let held = tidegate.held("larger_type_only").await;
    let why = held["why"].as_str().unwrap_or_default();
    assert!(why.contains("add a pool of the larger one"), "{why}");
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 0);
    let writes = world.writes(before).await;
    assert!(writes.is_empty(), "{writes:?}");
}

//! What EventBridge puts into a queue wakes Tidegate at once, and spares it looks.
//!
//! Rule: where the interval is five minutes, what happens sooner was heard of.

use std::collections::BTreeSet;

use serde_json::json;

use crate::aws::{Request, World};
use crate::fleets::{request_fleet, target_of};
use crate::footing::{config, queue_url};
use crate::harness::{acting, eventually};

/// Seconds from one request of this operation to another.
#[expect(clippy::print_stderr, reason = "a figure for whoever reads the run")]
fn report(what: &str, from: f64, to: &Request) {
    eprintln!("{what}: {:.2} s", to.time - from);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placement_that_fails_orders_a_host_long_before_the_next_look() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1024, 512, 0).await;
    let more = "interval: 5m\nscale_in: { stabilization: 5m }";
    let tidegate =
        acting(&world, "c", &config(&world, "c", &["auto_scaling_group: g"], more)).await;
    tidegate.status_when("a first look", |_| true).await;

    let before = world.mark().await;
    world.set_count("web", 3).await;
    eventually("two hosts are ordered", async || (world.desired("g").await == 2).then_some(()))
        .await;
    let asked = world.sent("UpdateService", before).await.remove(0);
    let raised = world.sent("SetDesiredCapacity", before).await.remove(0);
    report("count raised, failed placement, capacity ordered", asked.time, &raised);
    world.steady("web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spot_notice_drains_the_host_and_orders_another_in_one_tick() {
    let world = World::new().await;
    world.cluster().await;
    let fleet = request_fleet(&world, 2).await;
    world.hosts_when(2).await;
    world.service("web", 1280, 256, 2).await;
    world.steady("web").await;
    let more = "interval: 5m\nscale_in: { stabilization: 5m }";
    let pool = format!("spot_fleet: {fleet}, max: 10");
    let tidegate = acting(&world, "c", &config(&world, "c", &[&pool], more)).await;
    tidegate.status_when("a first look", |_| true).await;

    let (before, host) = (world.mark().await, world.instances().await.remove(0));
    let at = crate::dataplane::wall_clock();
    let at = at.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    world.control("spot", &[("instance", &host), ("notice", "interruption")]).await;
    let drained = async || world.sent("UpdateContainerInstancesState", before).await.pop();
    let drained = eventually("it drains", drained).await;
    report("notice given, drain requested", at, &drained);
    eventually("target 3", async || (target_of(&world, &fleet).await == 3).then_some(())).await;
    world.steady("web").await;
    let of_it = |hosts: Vec<String>| hosts.contains(&host);
    eventually("it is gone", async || (!of_it(world.instances().await)).then_some(())).await;
    world.steady("web").await;
}

/// Thirty seconds of a quiet cluster: six intervals, and nothing is asked but the queue and for
/// the lease.
#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_is_told_nothing_is_looked_at() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.set_desired("g", 1).await;
    world.hosts_when(1).await;
    world.service("web", 1024, 512, 1).await;
    world.steady("web").await;
    let tidegate = acting(&world, "c", &config(&world, "c", &["auto_scaling_group: g"], "")).await;
    tidegate.ticks(1).await;
    let quiet = async || {
        let before = world.mark().await;
        tidegate.ticks(6).await;
        let asked = world.requests(before).await.into_iter().map(|request| request.operation);
        let asked: BTreeSet<String> = asked.collect();
        let mut all = asked.iter().map(String::as_str);
        all.all(|one| ["ReceiveMessage", "TransactWriteItems"].contains(&one)).then_some(())
    };
    eventually("a quiet time", quiet).await;
    let before = world.mark().await;
    world.set_count("web", 2).await;
    eventually("a look", async || {
        let looks = world.sent("DescribeServices", before).await;
        (!looks.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_queue_is_gone_it_looks_at_every_interval() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 1024, 512, 0).await;
    let queue = json!({ "QueueUrl": queue_url(&world) });
    world.json("sqs", "AmazonSQS.DeleteQueue", &queue).await;
    let _tidegate = acting(&world, "c", &config(&world, "c", &["auto_scaling_group: g"], "")).await;
    world.set_count("web", 3).await;
    eventually("two hosts are ordered", async || (world.desired("g").await == 2).then_some(()))
        .await;
    world.steady("web").await;
}

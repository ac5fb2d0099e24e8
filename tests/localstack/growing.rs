//! Tasks that fit nowhere: the group grows by exactly what they need.

use crate::aws::World;
use crate::harness::{Tidegate, config, eventually};

/// An empty group of m5.large (2048 CPU units, 7782 MiB), and one task of 256 units waiting.
#[tokio::test(flavor = "multi_thread")]
async fn one_small_task_on_an_empty_group_gets_one_host_not_two() {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.service("web", 256, 256, 1).await;
    let config = config("c", &["auto_scaling_group: g"], "");
    let mut tidegate = Tidegate::new(&world.endpoint, &world.account, "c", &config);
    tidegate.set_mode("act").await;
    tidegate.start().await;
    eventually("one host is ordered", async || (world.desired("g").await == 1).then_some(())).await;
    world.steady("web").await;
    // While the host boots and when it serves, nothing more is ordered.
    tidegate.ticks(2).await;
    assert_eq!(world.desired("g").await, 1);
    assert_eq!(world.sent("SetDesiredCapacity", 0).await.len(), 1);
    assert_eq!(world.hosts().await.len(), 1);
}

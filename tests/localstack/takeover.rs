//! The previous build takes over from this one in the midst of a drain, and this one from it.
//!
//! Rule: two processes on one journal, one ended as a deployment ends it and one as a crash does;
//! the end is that of one build alone. `tests/previous/run` builds the other and runs this.

use std::path::PathBuf;

use aws_sdk_ecs::types::ContainerInstanceStatus;

use crate::aws::{Request, World};
use crate::footing::{SQLITE, config};
use crate::harness::{Tidegate, eventually};

/// The program of the previous build.
pub(crate) fn previous() -> PathBuf {
    let path = std::env::var_os("TIDEGATE_TEST_PREVIOUS");
    path.expect("TIDEGATE_TEST_PREVIOUS names a program; tests/previous/run does").into()
}

#[derive(Clone, Copy)]
enum Journal {
    File,
    Table,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the previous build: make previous"]
async fn in_a_drain_with_a_file() {
    compare(Journal::File).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the previous build: make previous"]
async fn in_a_drain_with_a_table() {
    compare(Journal::Table).await;
}

async fn compare(journal: Journal) {
    let (undisturbed, swapped) = tokio::join!(walk(journal, false), walk(journal, true));
    assert_eq!(swapped, undisturbed);
}

#[derive(Debug, PartialEq, Eq)]
struct End {
    desired: i32,
    hosts: usize,
    running: i32,
    /// What changed something, in order.
    writes: Vec<String>,
}

/// Four hosts with tasks for one: three leave, one after the other.
async fn walk(journal: Journal, swaps: bool) -> End {
    let world = World::new().await;
    world.cluster_with_group().await;
    world.set_desired("g", 4).await;
    world.hosts_when(4).await;
    world.service("web", 256, 256, 4).await;
    world.steady("web").await;
    let mut more = "budgets: { draining_hosts: 1 }".to_owned();
    if let Journal::File = journal {
        more += &format!("\n{SQLITE}");
    }
    let text = config(&world, "c", &["auto_scaling_group: g"], &more);
    let before = world.mark().await;
    let mut tidegate = Tidegate::new(&world.endpoint, &world, "c", &text).await;
    tidegate.call_it("first");
    tidegate.start().await;
    tidegate.status_when("a first look", |_| true).await;
    tidegate.set_mode("act").await;
    if swaps {
        drains(&world, 4).await;
        tidegate.end().await;
        tidegate.become_build(Some(previous()));
        tidegate.call_it("previous");
        tidegate.start().await;
        drains(&world, 3).await;
        tidegate.kill();
        tidegate.become_build(None);
        tidegate.call_it("last");
        tidegate.start().await;
    }
    world.hosts_when(1).await;
    let service = world.steady("web").await;
    tidegate.ticks(2).await;
    let writes = world.writes(before).await;
    let writes: Vec<_> = writes.into_iter().filter(is_of_tidegate).collect();
    if swaps {
        for writer in ["first", "previous", "last"] {
            let name = format!("exec-env/{writer}");
            assert!(
                writes.iter().any(|request| request.agent.contains(&name)),
                "{writer}: {writes:?}"
            );
        }
    }
    End {
        desired: world.desired("g").await,
        hosts: world.hosts().await.len(),
        running: service.running_count,
        writes: writes.into_iter().map(|request| request.operation).collect(),
    }
}

/// By a program, not by the story itself.
fn is_of_tidegate(request: &Request) -> bool {
    request.agent.contains("app/tidegate")
}

/// One of so many hosts drains, and has not been ended.
async fn drains(world: &World, hosts: usize) {
    let draining = Some(ContainerInstanceStatus::Draining.as_str());
    eventually(&format!("one of {hosts} hosts drains"), async || {
        let all = world.hosts().await;
        (all.len() == hosts && all.iter().any(|host| host.status() == draining)).then_some(())
    })
    .await;
}

//! Stories of deciding: a cluster in a few words, and the plan as an operator would read it.

mod booked;
mod drains;
mod growing;
mod shrinking;
mod trouble;

use chrono::TimeDelta;
use expect_test::Expect;

use super::capacity;
use crate::config::{ClusterConfig, PoolConfig};
use crate::model::build::*;
use crate::model::*;

fn config() -> ClusterConfig {
    let mut config = ClusterConfig::new("web", vec![PoolConfig::new(workers())]);
    config.headroom.clear();
    config
}

#[track_caller]
fn check(config: &ClusterConfig, snapshot: &Snapshot, memory: &Memory, want: Expect) {
    let plan = capacity(config, snapshot, memory, &[], now());
    let dos = plan.actions.iter().map(|p| format!("do {}\n   {}\n", p.action, p.why));
    let holds =
        plan.holds.iter().map(|h| format!("hold {} {}\n   {}\n", h.wants, h.subject, h.reason));
    want.assert_eq(&dos.chain(holds).collect::<String>());
}

fn unneeded(hosts: &[&str], minutes: i64) -> Memory {
    let mut memory = Memory::default();
    for host in hosts {
        let subject = Subject::Host((*host).into());
        memory.since.insert((subject, Fact::Unneeded), now() - TimeDelta::minutes(minutes));
    }
    memory
}

/// Two hosts of 2,048 CPU units, each two thirds booked by `web`.
fn two_thirds() -> Snapshot {
    snapshot()
        .with_pool(pool(2))
        .with_service(service("web", 4, 4), TaskShape::plain(640, 1024))
        .with_host(host("i-1"))
        .with_host(host("i-2"))
        .with_tasks("i-1", "web", 2)
        .with_tasks("i-2", "web", 2)
}

/// Three hosts, the third with one small task that fits elsewhere.
fn one_to_spare() -> Snapshot {
    two_thirds()
        .with_pool(pool(3))
        .with_service(service("small", 1, 1), TaskShape::plain(256, 256))
        .with_host(host("i-3"))
        .with_tasks("i-3", "small", 1)
}

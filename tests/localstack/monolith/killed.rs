//! The process killed at every write and after every record, while a route moves.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Greens, SECOND, Story, unhurt};
use crate::footing::SQLITE;
use crate::proxy::Cut;

/// What changes something in a walk from start to the first full shift and back.
const WRITES: [&str; 4] = [
    "elasticloadbalancing:CreateRule",
    "elasticloadbalancing:ModifyRule",
    "elasticloadbalancing:DeleteRule",
    "application-autoscaling:RegisterScalableTarget",
];

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_every_write_nobody_is_hurt_and_the_end_is_the_same() {
    killed_at_every_write(Cut::Request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_write_nobody_is_hurt_and_the_end_is_the_same() {
    killed_at_every_write(Cut::Reply).await;
}

async fn killed_at_every_write(cut: Cut) {
    let mut story = begun("").await;
    let load = story.load();
    let mut met = BTreeSet::new();
    let mut kills = 0;
    let mut pass = String::new();
    while story.percent("users").await < 100 {
        for write in WRITES.into_iter().filter(|write| *write != pass) {
            story.proxy.hold(write, cut);
        }
        let held = story.proxy.held(Duration::from_secs(15)).await;
        pass.clear();
        if let Some(call) = held {
            story.tidegate.kill();
            // What AWS has not seen must get through once, or the story never ends.
            pass = if cut == Cut::Request { call.to_string() } else { String::new() };
            met.insert(call.operation);
            kills += 1;
            assert!(kills < 40, "it gets nowhere: {met:?}");
        }
        story.proxy.heal();
        if story.tidegate.is_dead() {
            // What AWS answered to nobody must be found by looking.
            story.tidegate.start().await;
        }
    }
    story.proxy.heal();
    unhurt(&load.stop().await);
    let met: Vec<_> = met.iter().map(String::as_str).collect();
    assert_eq!(met, ["CreateRule", "DeleteRule", "ModifyRule", "RegisterScalableTarget"]);
    as_if_undisturbed(&story).await;
}

/// A process dies behind each record that is unlike all that one has died behind before. Its
/// journal is a file, since only that can be read beside it as fast as it writes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_record_nobody_is_hurt_and_the_end_is_the_same() {
    let mut story = begun(SQLITE).await;
    let load = story.load();
    let mut behind = BTreeSet::from_iter(story.tidegate.records());
    let known = behind.len();
    while story.percent("users").await < 100 {
        let fresh = async {
            while story.tidegate.records().last().is_none_or(|record| behind.contains(record)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(SECOND, fresh).await.is_ok() {
            story.tidegate.kill();
            behind.extend(story.tidegate.records().pop());
            assert!(behind.len() < 200, "it gets nowhere: {behind:?}");
            story.tidegate.start().await;
        }
    }
    unhurt(&load.stop().await);
    let kinds: BTreeSet<_> = behind.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["command", "intent", "noted", "outcome"]));
    assert!(behind.len() > known + 20, "few boundaries for a whole walk: {behind:?}");
    as_if_undisturbed(&story).await;
}

/// Under way to its first step, with everything a walk has to change.
async fn begun(own: &str) -> Story {
    let mut story = Story::with(Greens::Running(&["users"]), "", own).await;
    story.demo.scalable("api", 1, 4).await;
    story.tidegate.act().await;
    story.order("start").await;
    story
}

async fn as_if_undisturbed(story: &Story) {
    let users = story.route("users").await.expect("its rule");
    assert_eq!(users.conditions().len(), 1);
    let own = story.demo.rules().await.len();
    assert_eq!(own, 4, "default, /api*, the parked one and one of ours, none twice");
}

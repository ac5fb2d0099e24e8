//! A green that answers badly: led back by itself, within the exposure Tidegate had stated.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Greens, SECOND, Story};
use crate::aws::World;
use crate::dataplane::wall_clock;
use crate::demo::Demo;

#[tokio::test(flavor = "multi_thread")]
async fn a_green_that_fails_two_of_a_hundred_is_rolled_back_within_its_exposure() {
    rolled_back_by_itself(&[("FAULT_5XX_SHARE", "0.02")], "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_green_that_is_300_ms_slower_is_rolled_back_within_its_exposure() {
    let gates = "gates: { requests_min: 20, metric_period: 1s, metric_lag: 2s, \
                 errors_max_percent: 50, latency_p95_max: 250ms }";
    rolled_back_by_itself(&[("FAULT_LATENCY_MS", "300")], gates).await;
}

async fn rolled_back_by_itself(faults: &[(&str, &str)], gates: &str) {
    let more = format!("steps_percent: [50, 100]\nbake: 60s\n{gates}");
    let mut story = Story::new(Greens::Running(&["users"]), more.trim_end()).await;
    story.demo.redeploy("users", faults).await;
    story.tidegate.act().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 50).await;
    let shifted = wall_clock();
    let (before, mark) = (load.so_far(), story.demo.world.mark().await);
    let metric = Watched::new(&story.demo, "users", faults).await;
    story.reaches("users", 0).await;
    tokio::time::sleep(SECOND * 2).await;
    let tally = load.stop().await.since(&before);
    let written = story.demo.world.sent("ModifyRule", mark).await.remove(0).time;
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(written);
    report(shifted, tally.first_bad(), metric.last_before(written), written);
    let order = ["cutover", "history", "break", "--cluster", "c", "--output", "json"];
    let history = story.tidegate.tell(&order).await;
    assert!(history.contains("against a limit of"), "{history}");
    // A slow green fails no request, and hurts each one it answers.
    let slow = tally.served.iter().filter(|((_, by), _)| by == "users").map(|(_, n)| n).sum();
    let is_slow = faults.iter().any(|(name, _)| *name == "FAULT_LATENCY_MS");
    let hurt = tally.failures.len() as u64 + if is_slow { slow } else { 0 };
    let stated = stated(&story, 50).await;
    assert!(hurt > 0 && hurt <= stated, "{hurt} hurt, {stated} stated");
}

/// Requests that Tidegate said might be hurt, when it decided on a step.
async fn stated(story: &Story, percent: u64) -> u64 {
    let order = ["decisions", "--cluster", "c", "--output", "json"];
    let told = story.tidegate.tell(&order).await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    exposed(&told, percent).unwrap_or_else(|| panic!("no exposure at {percent} %: {told}"))
}

/// Of the reason of a shift to this share, wherever it stands in what was decided.
fn exposed(told: &Value, percent: u64) -> Option<u64> {
    match told {
        Value::Object(fields) if fields.get("percent") == Some(&percent.into()) => {
            fields.get("exposed")?.as_u64()
        }
        Value::Object(fields) => fields.values().find_map(|value| exposed(value, percent)),
        Value::Array(values) => values.iter().find_map(|value| exposed(value, percent)),
        _ => None,
    }
}

/// A metric of a service's target group as CloudWatch shows it, asked ten times a second.
struct Watched {
    /// When each new value was first seen.
    seen: Arc<std::sync::Mutex<Vec<SystemTime>>>,
    _ends: DropGuard,
}

impl Watched {
    async fn new(demo: &Demo, service: &str, faults: &[(&str, &str)]) -> Self {
        let is_slow = faults.iter().any(|(name, _)| *name == "FAULT_LATENCY_MS");
        let metric = match is_slow {
            true => ("TargetResponseTime", "p95"),
            false => ("HTTPCode_Target_5XX_Count", "Sum"),
        };
        let group = demo.group_named(service).await;
        let (end, seen) = (CancellationToken::new(), Arc::default());
        let (world, balancer) = (World::of(&demo.world.account).await, demo.balancer.clone());
        let watch = watch(world, balancer, group, metric, Arc::clone(&seen));
        tokio::spawn(end.clone().run_until_cancelled_owned(watch));
        Self { seen, _ends: end.drop_guard() }
    }

    /// When the newest datapoint that could lead to what was done at this time became visible.
    fn last_before(&self, at: SystemTime) -> Option<SystemTime> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().copied().filter(|seen| *seen <= at).max()
    }
}

async fn watch(
    world: World,
    balancer: String,
    group: String,
    metric: (&str, &str),
    seen: Arc<std::sync::Mutex<Vec<SystemTime>>>,
) {
    let mut known = BTreeSet::new();
    loop {
        let told = world.datapoints(&balancer, Some(&group), metric, 1).await;
        let now = wall_clock();
        let news = told.into_iter().filter(|(at, _)| known.insert(*at)).count();
        seen.lock().expect("no panic").extend(std::iter::repeat_n(now, news));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a person would want to know of a rollback: how long each part of it took.
#[expect(clippy::print_stderr, reason = "a figure for whoever reads the run")]
fn report(
    shifted: SystemTime,
    bad: Option<SystemTime>,
    visible: Option<SystemTime>,
    written: SystemTime,
) {
    let between = |from: SystemTime, to: SystemTime| {
        to.duration_since(from).unwrap_or_default().as_secs_f64()
    };
    let told = |at: Option<SystemTime>| {
        at.map_or_else(|| "none".to_owned(), |at| format!("{:.1} s", between(shifted, at)))
    };
    eprintln!(
        "rollback, from the step on: first bad reply {}, deciding datapoint visible {}, rule \
         written {:.1} s; {:.1} s from datapoint to rule",
        told(bad),
        told(visible),
        between(shifted, written),
        between(visible.unwrap_or(written), written),
    );
}

//! A monolith taken apart under real traffic, by the real program, on a load balancer that is no
//! kinder than ALB.
//!
//! Rule: what counts is what the clients got, and what the AWS API says of rules, counts and
//! scaling. Tidegate's own word is asked only to show why a story failed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_elasticloadbalancingv2::types::Rule;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::aws::World;
use crate::dataplane::load::{Load, Plan, Tally};
use crate::dataplane::{Settings, wall_clock};
use crate::demo::{Demo, scalable_target};
use crate::harness::{Tidegate, config, eventually, within};
use crate::proxy::{Cut, Fault, Proxy};

/// Requests a second, on all routes together.
const RATE: u32 = 200;
/// Longest wait for one stage of a route on a busy machine.
const STAGE: Duration = Duration::from_secs(180);

/// One story at a time: two of them are more requests than two cores answer in time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Everything a story needs.
struct Story {
    _turn: MutexGuard<'static, ()>,
    demo: Demo,
    proxy: Proxy,
    tidegate: Tidegate,
    api: String,
}

/// How the receiving services come to be.
enum Greens {
    /// Each runs behind a group of its own, by somebody's template.
    Running(&'static [&'static str]),
    /// `users` runs, `threads` stands at zero without a group, `posts` is only described.
    AsTheyCome,
}

impl Story {
    async fn new(greens: Greens, more: &str) -> Self {
        let turn = TURN.lock().await;
        let demo =
            Demo::new(3, "api", Settings { metric_period: SECOND, ..Settings::compressed() });
        let demo = demo.await;
        let api = demo.group_named("api").await;
        demo.rule(99, "/api*", &[(&api, 1)]).await;
        demo.service("api", &api, 2, &[]).await;
        let (running, services) = match greens {
            Greens::Running(names) => (names, names.to_vec()),
            Greens::AsTheyCome => (&["users"][..], vec!["users", "threads", "posts"]),
        };
        for name in running {
            demo.parked(name).await;
        }
        let mut text = cutover(&demo, &services, more);
        if let Greens::AsTheyCome = greens {
            demo.unborn("threads").await;
            text = described(&demo) + &text;
        }
        let proxy = Proxy::start(&demo.world.endpoint).await;
        let text = config("c", &["auto_scaling_group: g"], &text);
        let tidegate = Tidegate::new(&proxy.url(), &demo.world.account, "c", &text);
        tidegate.set_mode("act").await;
        Self { _turn: turn, demo, proxy, tidegate, api }
    }

    fn load(&self) -> Load {
        Load::start(Plan::tutorial(self.demo.address, RATE)).expect("a load")
    }

    async fn order(&self, verb: &str) {
        self.ordered(&[verb]).await;
    }

    async fn ordered(&self, words: &[&str]) {
        let mut line = vec!["cutover"];
        line.extend(words);
        line.extend(["break", "--cluster", "c", "--reason", "a test"]);
        eventually("the order is taken", async || {
            let output = self.tidegate.run(&line).await;
            output.status.success().then_some(())
        })
        .await;
    }

    /// Green's share of a route by the rule as AWS tells it, 0 without a rule.
    async fn percent(&self, to: &str) -> i32 {
        let rule = self.route(to).await;
        rule.map_or(0, |rule| {
            weights(&rule).iter().filter(|(g, _)| *g != self.api).map(|w| w.1).sum()
        })
    }

    /// The route's own rule: the one that names its path besides the monolith's.
    async fn route(&self, to: &str) -> Option<Rule> {
        let path = format!("/api/{to}");
        self.demo.rules().await.into_iter().find(|rule| {
            let values = rule.conditions().iter().filter_map(|c| c.path_pattern_config());
            values.flat_map(|paths| paths.values()).any(|value| *value == path)
        })
    }

    /// Requests that Tidegate said might be hurt, when it decided on a step.
    async fn stated(&self, percent: u64) -> u64 {
        let order = ["decisions", "--cluster", "c", "--output", "json"];
        let told = self.tidegate.tell(&order).await;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        exposed(&told, percent).unwrap_or_else(|| panic!("no exposure at {percent} %: {told}"))
    }

    async fn reaches(&self, to: &str, percent: i32) {
        let what = format!("{to} at {percent} %");
        within(STAGE, &what, async || (self.percent(to).await == percent).then_some(())).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);

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

fn weights(rule: &Rule) -> Vec<(String, i32)> {
    let forward = rule.actions().iter().find_map(|action| action.forward_config());
    let tuples = forward.map(|config| config.target_groups()).unwrap_or_default();
    tuples
        .iter()
        .map(|tuple| {
            let group = tuple.target_group_arn().unwrap_or_default().to_owned();
            (group, tuple.weight().unwrap_or_default())
        })
        .collect()
}

/// Two steps, watched for six seconds each, as quick as the compressed load balancer allows.
fn cutover(demo: &Demo, services: &[&str], more: &str) -> String {
    let mut text = format!(
        "allow: [scale_out, cutover]\ncutovers:\n  - name: break\n    listener: {}\n    from: api\n    \
         routes:\n",
        demo.listener
    );
    for name in services {
        text += &format!("      - {{ to: {name}, paths: [/api/{name}, \"/api/{name}/*\"] }}\n");
    }
    let defaults = [
        ("steps_percent", "[20, 100]".to_owned()),
        ("bake", "6s".to_owned()),
        ("settle", "2s".to_owned()),
        ("keep_warm", "0s".to_owned()),
        ("probe", format!("{{ base_url: \"http://{}\", times: 2 }}", demo.address)),
        (
            "gates",
            "{ requests_min: 20, metric_period: 1s, metric_lag: 2s, errors_max_percent: 1, \
             latency_p95_max: 2s, latency_p99_max: 5s }"
                .to_owned(),
        ),
    ];
    for (key, value) in defaults {
        if !more.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            text += &format!("    {key}: {value}\n");
        }
    }
    for line in more.lines() {
        text += &format!("    {line}\n");
    }
    text
}

/// Load balancing of a service that has none, and the description of one that does not exist.
fn described(demo: &Demo) -> String {
    let check = "{ path: /, interval: 6s, timeout: 5s, healthy_after: 2, unhealthy_after: 2 }";
    let reached = format!(
        "    load_balancing:\n      listener: {}\n      port: 3000\n      health_check: {check}\n      \
         deregistration_delay: 5s\n",
        demo.listener
    );
    let create =
        "    create: { image: \"demo/posts:1\", cpu_units: 64, memory_mib: 64, port: 3000 }\n";
    format!("services:\n  threads:\n{reached}  posts:\n{reached}{create}")
}

fn unhurt(tally: &Tally) {
    let some: Vec<_> = tally.failures.iter().take(5).collect();
    assert!(tally.failures.is_empty(), "{} of {}: {some:?}", tally.failures.len(), tally.sent);
    assert!(tally.right > 0);
}

/// Route by route to services that run, stand at zero or are only described; then what still
/// reaches the monolith is answered by the tombstone, and the monolith goes.
#[tokio::test(flavor = "multi_thread")]
async fn the_monolith_is_taken_apart_without_a_failed_request() {
    let mut story = Story::new(Greens::AsTheyCome, "tombstone: { status: 410, body: gone }").await;
    story.tidegate.start().await;
    let load = story.load();
    story.order("start").await;
    for to in ["users", "threads", "posts"] {
        story.reaches(to, 20).await;
        story.reaches(to, 100).await;
    }
    let count = async || story.demo.world.describe_service("c", "api").await.desired_count;
    within(STAGE * 2, "the monolith at zero", async || (count().await == 0).then_some(())).await;
    tokio::time::sleep(SECOND * 5).await;
    let before = load.so_far();
    tokio::time::sleep(SECOND * 3).await;
    let after = load.stop().await;
    unhurt(&after);
    assert!(after.since(&before).share_of("api") < f64::EPSILON, "no request reaches the monolith");
    let url = format!("http://{}/api/", story.demo.address);
    let answer = reqwest::get(url).await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.expect("a body").as_str()),
        (410, "gone")
    );
}

/// With a policy that would take the monolith's tasks away as soon as its requests fall.
#[tokio::test(flavor = "multi_thread")]
async fn every_step_can_be_taken_back_and_all_at_once_too_under_a_scaling_policy() {
    let mut story = Story::new(Greens::Running(&["users"]), "").await;
    story.demo.scalable("api", 1, 4).await;
    let policy = tokio::spawn(shrink_when_idle(
        story.demo.world.account.clone(),
        story.demo.listener.clone(),
    ));
    story.tidegate.start().await;
    let load = story.load();
    for percent in [20, 100] {
        story.order("start").await;
        story.reaches("users", percent).await;
        if percent == 100 {
            tokio::time::sleep(SECOND * 12).await;
        }
        story.order("rollback").await;
        story.reaches("users", 0).await;
        let (order, open) =
            (["cutover", "list", "--cluster", "c", "--output", "json"], "\"open\":true");
        within(STAGE, "it is over", async || {
            let told = story.tidegate.tell(&order).await.replace(' ', "");
            (!told.contains(open)).then_some(())
        })
        .await;
    }
    policy.abort();
    unhurt(&load.stop().await);
    let api = story.demo.world.describe_service("c", "api").await;
    assert_eq!(api.desired_count, 2, "kept for all of its former traffic");
    assert!(!story.demo.scale_in_suspended("api").await, "handed back at the end");
}

/// Application Auto Scaling as ECS users have it: as soon as some requests go elsewhere, tasks go,
/// unless that is suspended.
async fn shrink_when_idle(account: String, listener: String) {
    let world = World::of(&account).await;
    loop {
        tokio::time::sleep(SECOND).await;
        let target = scalable_target(&world, "api").await;
        let suspended = target.suspended_state.and_then(|state| state.dynamic_scaling_in_suspended);
        let told = world.elbv2.describe_rules().listener_arn(&listener).send().await;
        let rules = told.expect("DescribeRules").rules.unwrap_or_default();
        let shares = rules.iter().map(|rule| weights(rule).iter().filter(|w| w.1 > 0).count());
        if shares.max() > Some(1) && suspended != Some(true) {
            world.set_count("api", target.min_capacity).await;
        }
    }
}

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
    let mut story = Story::new(Greens::Running(&["users"]), "").await;
    story.demo.scalable("api", 1, 4).await;
    story.tidegate.start().await;
    let load = story.load();
    story.order("start").await;
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
    let users = story.route("users").await.expect("its rule");
    assert_eq!(users.conditions().len(), 1);
    let own = story.demo.rules().await.len();
    assert_eq!(own, 4, "default, /api*, the parked one and one of ours, none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_load_balancer_delays_and_hurts_nobody() {
    let mut story = Story::new(Greens::Running(&["users"]), "").await;
    story.tidegate.start().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    story.proxy.fail("elasticloadbalancing:*", Fault::Throttled);
    tokio::time::sleep(SECOND * 20).await;
    assert!(story.proxy.struck() > 0);
    assert_eq!(story.percent("users").await, 20, "nothing moves on blind eyes");
    story.proxy.heal();
    story.reaches("users", 100).await;
    unhurt(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_edited_by_hand_stops_it_and_shows_the_difference() {
    let mut story = Story::new(Greens::Running(&["users"]), "bake: 30s").await;
    story.tidegate.start().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    let rule = story.route("users").await.expect("its rule").rule_arn.expect("its ARN");
    let users = story.demo.group_named("users").await;
    story.demo.set_weights(&rule, &[(&story.api, 60), (&users, 40)]).await;
    let order = ["cutover", "status", "break", "--cluster", "c", "--output", "json"];
    within(STAGE, "it stops and says why", async || {
        let told = story.tidegate.run(&order).await;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        (told.contains("somebody changed the rule") && told.contains("users 40")).then_some(())
    })
    .await;
    assert_eq!(story.percent("users").await, 40, "the person's weights stand");
    story.order("rollback").await;
    story.reaches("users", 0).await;
    unhurt(&load.stop().await);
}

/// Only those in flight, and those sent to it until the load balancer has found out.
#[tokio::test(flavor = "multi_thread")]
async fn a_green_target_that_dies_mid_step_hurts_no_more_than_its_share_until_it_is_found() {
    let mut story = Story::new(Greens::Running(&["users"]), "bake: 20s").await;
    story.demo.world.set_count("users", 2).await;
    story.demo.healthy(&story.demo.group_named("users").await, 2).await;
    story.tidegate.start().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    tokio::time::sleep(SECOND * 3).await;
    let victim = story.demo.tasks_of("users").await.swap_remove(0);
    assert!(story.demo.plane.kill(&victim));
    tokio::time::sleep(SECOND * 10).await;
    let tally = load.stop().await;
    // Two of seven routes, a fifth of them, on one of two targets; five checks of 0.6 s, the notice
    // that the process is gone, and what a busy machine adds.
    let seconds = 5.0 * 0.6 + 0.5 + 2.0;
    let most = f64::from(RATE) * 2.0 / 7.0 * 0.2 * seconds + 5.0;
    let failed = u32::try_from(tally.failures.len()).expect("a count");
    assert!(f64::from(failed) <= most, "{failed} failed, at most {most:.0} may");
}

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
    story.tidegate.start().await;
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
    let stated = story.stated(50).await;
    assert!(hurt > 0 && hurt <= stated, "{hurt} hurt, {stated} stated");
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

#[tokio::test(flavor = "multi_thread")]
async fn without_traffic_it_waits_and_asks_a_person() {
    let mut story = Story::new(Greens::Running(&["users"]), "").await;
    story.tidegate.start().await;
    story.order("start").await;
    story.reaches("users", 20).await;
    tokio::time::sleep(SECOND * 25).await;
    assert_eq!(story.percent("users").await, 20);
    story.order("promote").await;
    story.reaches("users", 100).await;
}

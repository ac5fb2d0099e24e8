//! A monolith taken apart under real traffic, by the real program, on a load balancer that is no
//! kinder than ALB.
//!
//! Rule: what counts is what the clients got, and what the AWS API says of rules, counts and
//! scaling. Tidegate's own word is asked only to show why a story failed.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::Rule;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::aws::World;
use crate::dataplane::Settings;
use crate::dataplane::load::{Load, Plan, Tally};
use crate::demo::{Demo, scalable_target};
use crate::footing::config;
use crate::harness::{Tidegate, eventually, within};
use crate::proxy::Proxy;

mod killed;
mod rolled_back;
mod taken_over;
mod trouble;

/// Requests a second, on all routes together.
const RATE: u32 = 200;
/// Longest wait for one stage of a route on a busy machine.
const STAGE: Duration = Duration::from_secs(180);

/// As many stories at a time as two cores answer all requests of, with more than half of their
/// time to spare: a story alone takes a quarter of one.
static TURNS: Semaphore = Semaphore::const_new(3);

/// Everything a story needs.
struct Story {
    _turn: SemaphorePermit<'static>,
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
        Self::with(greens, more, "").await
    }

    /// `own` are further lines of the cluster.
    async fn with(greens: Greens, more: &str, own: &str) -> Self {
        let turn = TURNS.acquire().await.expect("never closed");
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
        let text = config(&demo.world, "c", &["auto_scaling_group: g"], &format!("{text}{own}"));
        let tidegate = Tidegate::new(&proxy.url(), &demo.world, "c", &text).await;
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

    async fn reaches(&self, to: &str, percent: i32) {
        let what = format!("{to} at {percent} %");
        within(STAGE, &what, async || (self.percent(to).await == percent).then_some(())).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);

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
    story.tidegate.act().await;
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
    story.tidegate.act().await;
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

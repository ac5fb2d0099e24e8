//! The way back: an account before Tidegate and after it, by its own handback and by the lines that
//! it prints for people.
//!
//! Rule: a client that knows nothing of Tidegate describes the account (`handback/describe.py`), and
//! the lines are given to the real AWS CLI by a real shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_sdk_ecs::types::ContainerInstanceStatus;
use serde_json::Value;

use crate::aws::{REGION, World};
use crate::dataplane::Settings;
use crate::demo::Demo;
use crate::fleets::request_fleet;
use crate::footing::config;
use crate::harness::{Tidegate, eventually};
use crate::sharing::managed_scaling;

/// Where the virtual environment of the local AWS has Python and the AWS CLI.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("localstack/.run/venv/bin")
}

/// Runs a program as a person with rights on the whole account would; what it printed.
async fn as_a_person(world: &World, program: &str, arguments: &[&str]) -> String {
    let path = format!("{}:{}", tools().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", path).env("HOME", "/nonexistent");
    command.env("AWS_ENDPOINT_URL", &world.endpoint).env("AWS_DEFAULT_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", &world.account).env("AWS_SECRET_ACCESS_KEY", "test");
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let Output { status, stdout, stderr } = ran.expect("the waiting thread").expect("it runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program}: {status}\n{stderr}\n{stdout}");
    stdout.into_owned()
}

/// The whole account; see the script for what is left out.
async fn described(world: &World) -> Value {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/localstack/handback/describe.py");
    let python = tools().join("python");
    let python = python.to_str().expect("a path");
    let text = as_a_person(world, python, &[script.to_str().expect("a path")]).await;
    serde_json::from_str(&text).expect("JSON")
}

/// What is not the same, one line for each.
fn differences(at: &str, before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let names = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
            let each = |name: &String| {
                let of = |all: &serde_json::Map<String, Value>| all.get(name).cloned();
                let [before, after] = [before, after].map(|all| of(all).unwrap_or_default());
                differences(&format!("{at}.{name}"), &before, &after)
            };
            names.flat_map(each).collect()
        }
        (Value::Array(all), Value::Array(now)) if all.len() == now.len() => {
            let pairs = all.iter().zip(now).enumerate();
            pairs
                .flat_map(|(n, (one, other))| differences(&format!("{at}[{n}]"), one, other))
                .collect()
        }
        (Value::Array(all), Value::Array(now)) => {
            let gone = all.iter().filter(|one| !now.contains(one));
            let new = now.iter().filter(|one| !all.contains(one));
            let gone = gone.map(|one| format!("- {at}: {one}"));
            gone.chain(new.map(|one| format!("+ {at}: {one}"))).collect()
        }
        _ if before == after => Vec::new(),
        _ => vec![format!("{at}: {before} became {after}")],
    }
}

/// An account in which much has its own setting: a group under managed scaling whose hosts are not
/// protected, a fleet, a monolith that Application Auto Scaling owns, somebody's target groups.
struct Account {
    demo: Demo,
    fleet: String,
    before: Value,
}

impl Account {
    async fn new() -> Self {
        let demo = Demo::new(3, "api", Settings::compressed()).await;
        let world = &demo.world;
        let fleet = request_fleet(world, 1).await;
        world.hosts_when(4).await;
        let api = demo.group_named("api").await;
        demo.rule(99, "/api*", &[(&api, 1)]).await;
        demo.service("api", &api, 2, &[]).await;
        demo.parked("users").await;
        demo.scalable("api", 1, 4).await;
        world.service("web", 256, 256, 3).await;
        world.steady("web").await;
        let members = world.members("g").await.into_iter().filter_map(|member| member.instance_id);
        let protection = world.autoscaling.set_instance_protection().auto_scaling_group_name("g");
        let protection = protection.set_instance_ids(Some(members.collect()));
        let protection = protection.protected_from_scale_in(false).send().await;
        protection.expect("SetInstanceProtection");
        let group = world.autoscaling.update_auto_scaling_group().auto_scaling_group_name("g");
        let group = group.new_instances_protected_from_scale_in(false).min_size(1).send().await;
        group.expect("UpdateAutoScalingGroup");
        let suspended = world.autoscaling.suspend_processes().auto_scaling_group_name("g");
        let suspended = suspended.scaling_processes("ReplaceUnhealthy").send().await;
        suspended.expect("SuspendProcesses");
        managed_scaling(world).await;
        let before = described(world).await;
        Self { demo, fleet, before }
    }

    /// Both pools, and a cutover of `users` with another health check and delay for its group.
    fn config(&self, more: &str, services: &str) -> String {
        let listener = &self.demo.listener;
        let text = format!(
            "{more}\nbudgets: {{ draining_hosts: 1 }}\nservices:\n  users:\n    load_balancing:\n      \
             listener: {listener}\n      target_group: users\n      port: 3000\n      \
             health_check: {{ path: /, interval: 7s, timeout: 5s, healthy_after: 2, unhealthy_after: 2 }}\n      \
             deregistration_delay: 7s\n{services}cutovers:\n  - name: break\n    listener: {listener}\n    \
             from: api\n    routes:\n      - {{ to: users, paths: [/api/users] }}\n    \
             steps_percent: [20, 100]\n    settle: 2s\n    keep_warm: 0s\n    \
             probe: {{ base_url: \"http://{}\", times: 1 }}\n",
            self.demo.address
        );
        let fleet = format!("spot_fleet: {}, max: 10", self.fleet);
        config(&self.demo.world, "c", &["auto_scaling_group: g", &fleet], text.trim_end())
    }

    /// For the start: nothing is taken away yet.
    fn first(&self) -> String {
        self.config("allow: [scale_out, cutover]", "")
    }

    /// Hosts may leave, and `posts`, of which there is no service yet, has a group and a rule.
    fn second(&self) -> String {
        let check = "{ path: /, interval: 6s, timeout: 5s, healthy_after: 2, unhealthy_after: 2 }";
        let posts = format!(
            "  posts:\n    load_balancing:\n      listener: {}\n      port: 3000\n      \
             health_check: {check}\n",
            self.demo.listener
        );
        self.config("allow: [scale_out, scale_in, cutover]", &posts)
    }

    /// Handed over, a route at its first step, a host gone, and the next one draining: the clock
    /// stands, so that it goes on draining.
    async fn lived_in(&self, rolled_back: bool) -> Tidegate {
        let world = &self.demo.world;
        let text = self.first();
        let mut tidegate = Tidegate::new(&world.endpoint, world, "c", &text).await;
        tidegate.act().await;
        tidegate.status_when("a first look", |_| true).await;
        tidegate.tell(&["handover", "--cluster", "c", "--apply"]).await;
        eventually("the group is handed over", async || {
            let group = world.describe_group("g").await;
            (group.suspended_processes().len() == 3).then_some(())
        })
        .await;
        let order = async |verb: &str| {
            tidegate.tell(&["cutover", verb, "break", "--cluster", "c", "--reason", "a test"]).await
        };
        order("start").await;
        eventually("users at 20 %", async || {
            let rules = self.demo.rules().await;
            let weights =
                rules.iter().flat_map(|rule| rule.actions()).filter_map(|a| a.forward_config());
            let mut weights = weights.flat_map(|forward| forward.target_groups());
            weights.any(|tuple| tuple.weight() == Some(20)).then_some(())
        })
        .await;
        if rolled_back {
            order("rollback").await;
            eventually("it is over", async || {
                let list = ["cutover", "list", "--cluster", "c", "--output", "json"];
                let told = tidegate.tell(&list).await.replace(' ', "");
                (!told.contains("\"open\":true")).then_some(())
            })
            .await;
        }
        tidegate.kill();
        tidegate.configure(&self.second());
        tidegate.start().await;
        eventually("a host has left", async || (world.hosts().await.len() <= 3).then_some(()))
            .await;
        self.demo.group_named("c-posts").await;
        world.control("clock", &[("running", "false")]).await;
        eventually("a host drains", async || {
            let drains = ContainerInstanceStatus::Draining.as_str();
            world.hosts().await.iter().any(|host| host.status() == Some(drains)).then_some(())
        })
        .await;
        tidegate
    }

    async fn is_as_before(&self) {
        let world = &self.demo.world;
        world.control("clock", &[("running", "true")]).await;
        for service in ["api", "users", "web"] {
            world.steady(service).await;
        }
        let after = described(world).await;
        let different = differences("account", &self.before, &after);
        assert!(different.is_empty(), "{}", different.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cutover_that_was_rolled_back_and_in_a_drain_the_account_is_as_before() {
    let account = Account::new().await;
    let mut tidegate = account.lived_in(true).await;
    tidegate.tell(&["handback", "--cluster", "c", "--apply", "--reason", "we leave"]).await;
    eventually("all is handed back", async || {
        let left = tidegate.tell(&["handback", "--cluster", "c"]).await;
        left.contains("nothing to hand back").then_some(())
    })
    .await;
    tidegate.kill();
    account.is_as_before().await;
}

/// Killed with a route between the sides and a host that drains.
#[tokio::test(flavor = "multi_thread")]
async fn once_it_is_dead_the_lines_it_prints_make_the_account_as_before() {
    let account = Account::new().await;
    let mut tidegate = account.lived_in(false).await;
    tidegate.kill();
    let config = tidegate.config_path();
    let config = config.to_str().expect("a path");
    let print = ["handback", "--cluster", "c", "--print", "--config", config];
    let lines = tidegate.tell(&print).await;
    let script = format!("set -euo pipefail\n{lines}");
    as_a_person(&account.demo.world, "bash", &["-c", &script]).await;
    account.is_as_before().await;
}

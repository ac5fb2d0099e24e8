//! The check of a listener as a command: its text, its JSON and its exit codes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use expect_test::expect;
use serde_json::Value;
use tidegate::model::{Condition, Listener, Owner, Rule, RuleImage, TargetGroupArn, Traffic};

fn check(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let command = command.args(["listener", "check"]).args(arguments);
    command.current_dir(dir).env_clear().output().unwrap()
}

fn group(name: &str) -> TargetGroupArn {
    format!("targetgroup/{name}/1").into()
}

fn rule(priority: u16, pattern: &str, to: &str) -> Rule {
    Rule {
        arn: format!("rule/{priority}").into(),
        priority,
        conditions: [Condition::Path { values: [pattern.to_owned()].into() }].into(),
        image: RuleImage::forward_to(&group(to)),
        owner: Owner::Other,
    }
}

fn listener(arn: &str, rules: Vec<Rule>) -> Listener {
    Listener {
        arn: arn.into(),
        load_balancer: "loadbalancer/demo".into(),
        protocol: "HTTP".to_owned(),
        port: 80,
        default: RuleImage::forward_to(&group("api")),
        rules,
    }
}

fn folder(listeners: Vec<Listener>) -> tempfile::TempDir {
    let listeners: BTreeMap<_, _> = listeners.into_iter().map(|l| (l.arn.clone(), l)).collect();
    let traffic = Traffic { listeners, ..Traffic::default() };
    let dir = tempfile::tempdir().unwrap();
    let json = serde_json::to_string(&traffic).unwrap();
    std::fs::write(dir.path().join("traffic.json"), json).unwrap();
    dir
}

fn shadowing() -> Listener {
    listener("listener/80", vec![rule(1, "/api/*", "api"), rule(2, "/api/users", "users")])
}

#[test]
fn a_rule_that_gets_no_request_is_told_and_exits_with_3() {
    let dir = folder(vec![shadowing()]);
    let output = check(dir.path(), &["--file", "traffic.json"]);
    assert_eq!(output.status.code(), Some(3));
    expect![[r#"
        listener/80
        HTTP:80, 2 rules and the default action

        Misroutes: requests go wrong, or nobody answers them (1)
         ! rule 2  /api/users  shadowed
              rule 2 gets no request: rule 1 takes all of them, `/api/users` too
              remedy: move the rules above down (SetRulePriorities) and rule 2 above them, or delete it

        1 to put right, 0 in the way of a cutover, 0 to consider.
    "#]].assert_eq(&String::from_utf8(output.stdout).unwrap());

    let output = check(dir.path(), &["--file", "traffic.json", "--output", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &json["findings"][0];
    assert_eq!(finding["kind"], "shadowed");
    assert_eq!(finding["rule"], "rule/2");
    assert_eq!(finding["pattern"], "/api/users");
    assert!(finding["explanation"].is_string() && finding["remedy"].is_string());
}

#[test]
fn advice_alone_is_no_reason_to_stop_until_a_known_path_is_hit() {
    let dir = folder(vec![listener("listener/80", vec![rule(1, "/posts*", "posts")])]);
    assert_eq!(check(dir.path(), &["--file", "traffic.json"]).status.code(), Some(0));
    let with_path = ["--file", "traffic.json", "--path", "/postscript"];
    assert_eq!(check(dir.path(), &with_path).status.code(), Some(3));
}

#[test]
fn one_of_several_listeners_must_be_named() {
    let dir = folder(vec![shadowing(), listener("listener/443", Vec::new())]);
    let output = check(dir.path(), &["--file", "traffic.json"]);
    assert_eq!(output.status.code(), Some(64));
    expect![[r#"
        tidegate: name one listener with --listener
          there are listener/443, listener/80
    "#]]
    .assert_eq(&String::from_utf8(output.stderr).unwrap());
    let named = ["--file", "traffic.json", "--listener", "listener/443"];
    assert_eq!(check(dir.path(), &named).status.code(), Some(0));
    let unknown = ["--file", "traffic.json", "--listener", "listener/8080"];
    assert_eq!(check(dir.path(), &unknown).status.code(), Some(1));
    assert_eq!(check(dir.path(), &["--file", "none.json"]).status.code(), Some(1));
    assert_eq!(check(dir.path(), &[]).status.code(), Some(64));
}

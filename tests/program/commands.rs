//! Commands, their text, their JSON and their exit codes.

use std::path::Path;
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use serde_json::Value;
use tidegate::model::{Snapshot, TaskShape, build};

use super::cutover::{cutting, serve};

pub(super) fn tidegate(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let command = command.args(arguments).current_dir(dir).env_clear().env("USER", "ann");
    command.output().unwrap()
}

/// The exit code, standard output and standard error.
#[track_caller]
pub(super) fn check(dir: &Path, arguments: &[&str], want: Expect) {
    let output = tidegate(dir, arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().unwrap();
    want.assert_eq(&format!("exit {code}\n{out}{err}"));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A cluster in which a task fits nowhere, one host could go, and one is held.
fn snapshot() -> Snapshot {
    build::snapshot()
        .with_pool(build::pool(2))
        .with_service(build::service("web", 4, 4), TaskShape::plain(640, 1024))
        .with_service(build::service("big", 1, 0), TaskShape::plain(1024, 2048))
        .with_host(build::host("i-1"))
        .with_host(build::host("i-2"))
        .with_tasks("i-1", "web", 2)
        .with_tasks("i-2", "web", 2)
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let json = serde_json::to_string(&snapshot()).unwrap();
    std::fs::write(dir.path().join("seen.json"), json).unwrap();
    let yaml = "version: 1\nclusters:\n  - name: web\n    mode: act\n    headroom: []\n    pools:\n      - auto_scaling_group: workers\n";
    std::fs::write(dir.path().join("tidegate.yaml"), yaml).unwrap();
    dir
}

#[test]
fn a_plan_says_what_would_be_done_and_why() {
    let dir = folder();
    let plan = ["plan", "--snapshot", "seen.json", "--config", "tidegate.yaml"];
    check(
        dir.path(),
        &plan,
        expect![[r#"
        exit 0
        web    observed 0 s ago, complete   mode observe, allowed: scale_out
        hosts        2 now (2 usable)
        tasks        4 running of 5, 0 starting, 1 without a host
        reservation  cpu 62.5 % of 100   memory 26.3 % of 100   largest hole 768 cpu 5734 MiB
        cost         $0.1920/h -> $0.1920/h   if everything were allowed $0.2880/h   list prices

        Would do, not allowed yet (1)
         + scale_out: workers desired capacity 2 -> 3
              big: 1 task fits on no host, each needs 1024 cpu 2048 MiB; best free is 768 cpu 5734 MiB: 1 host   needs: mode act
        0 to do, 1 not allowed, 0 held.
    "#]],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_0_or_1_for_what_runs_containers() {
    let dir = folder();
    let url = serve(cutting()).await;
    check(
        dir.path(),
        &["health", "--server", &url],
        expect![[r#"
        exit 0
        ok
    "#]],
    );
    check(
        dir.path(),
        &["health"],
        expect![[r#"
        exit 1
        tidegate: no server runs on the state directory .tidegate
          start one with `tidegate run --config FILE`, or name one with --server URL
    "#]],
    );
}

#[test]
fn a_pending_change_is_an_exit_code_where_it_is_asked_for() {
    let dir = folder();
    let plan = ["plan", "--snapshot", "seen.json", "--detailed-exitcode", "--output", "json"];
    let output = tidegate(dir.path(), &plan);
    assert_eq!(output.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let barred = &json["plan"]["not_allowed"][0];
    assert_eq!(barred["planned"]["action"], "set_pool_capacity");
    assert_eq!((&barred["planned"]["was"], &barred["planned"]["now"]), (&2.into(), &3.into()));
}

#[test]
fn what_cannot_be_done_says_so_with_the_code_for_it() {
    let dir = folder();
    check(
        dir.path(),
        &["status"],
        expect![[r#"
        exit 69
        tidegate: no server runs on the state directory .tidegate
          start one with `tidegate run --config FILE`, or name one with --server URL
    "#]],
    );
    check(
        dir.path(),
        &["plan", "--snapshot", "none.json"],
        expect![[r#"
        exit 1
        tidegate: none.json: No such file or directory (os error 2)
          `tidegate plan --cluster NAME --save-snapshot FILE` writes one
    "#]],
    );
    check(
        dir.path(),
        &["config", "check", "--config", "none.yaml"],
        expect![[r#"
        exit 78
        tidegate: none.yaml: No such file or directory (os error 2)
    "#]],
    );
    std::fs::write(
        dir.path().join("bad.yaml"),
        "version: 1\nclusters:\n  - name: web\n    pols: []\n",
    )
    .unwrap();
    check(
        dir.path(),
        &["config", "check", "--config", "bad.yaml"],
        expect![[r#"
            exit 78
            error: clusters[0]: `pools` is missing
             --> bad.yaml:3:5
              |
            3 |   - name: web
              |     ^
              = add `pools:` with at least one `- auto_scaling_group: NAME` or `- spot_fleet: ID`

            error: clusters[0]: unknown key `pols`
             --> bad.yaml:4:5
              |
            4 |     pols: []
              |     ^^^^
              = did you mean `pools`? known keys: name, region, role_arn, external_id, mode, allow, pools, reservation_ceiling, headroom, services, cutovers, windows, scale_in, repair, releases, budgets, retention, i…
        "#]],
    );
    check(
        dir.path(),
        &["config", "check"],
        expect![[r#"
        exit 0
        tidegate.yaml: valid, web
    "#]],
    );
    assert_eq!(tidegate(dir.path(), &["plann"]).status.code(), Some(64));
    assert_eq!(tidegate(dir.path(), &["--help"]).status.code(), Some(0));
    let run = ["run", "--config", "tidegate.yaml", "--listen", "0.0.0.0:0"];
    assert_ne!(tidegate(dir.path(), &run).status.code(), Some(0));
}

#[test]
fn without_a_server_orders_go_into_the_journal() {
    let dir = folder();
    check(
        dir.path(),
        &["mode", "show", "--cluster", "web"],
        expect![[r#"
        exit 0
        web: stored mode observe; no server runs
    "#]],
    );
    let set = ["mode", "set", "act", "--cluster", "web", "--reason", "week one"];
    check(
        dir.path(),
        &set,
        expect![[r#"
        exit 0
        web: mode act
    "#]],
    );
    check(
        dir.path(),
        &["mode", "show", "--cluster", "web"],
        expect![[r#"
        exit 0
        web: stored mode act; no server runs
    "#]],
    );
    let pause = ["pause", "--cluster", "web", "--reason", "audit"];
    check(
        dir.path(),
        &pause,
        expect![[r#"
        exit 0
        web: paused; `tidegate resume --cluster web` ends it
    "#]],
    );
    check(
        dir.path(),
        &["resume", "--cluster", "web"],
        expect![[r#"
        exit 0
        web: resumed
    "#]],
    );
    check(
        dir.path(),
        &["handover", "--cluster", "web"],
        expect![[r#"
        exit 69
        tidegate: no server runs on the state directory .tidegate
          start one with `tidegate run --config FILE`, or name one with --server URL
    "#]],
    );
}

#[test]
fn every_shell_gets_its_completions() {
    let dir = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = tidegate(dir.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("tidegate"), "{shell}");
    }
}

#[test]
fn the_demo_follows_its_tasks_and_breaks_no_law() {
    let dir = folder();
    let demo = ["demo", "--headless", "--assert", "--output", "json"];
    let output = tidegate(dir.path(), &demo);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{json}");
    assert_eq!(output.stdout, tidegate(dir.path(), &demo).stdout, "one seed, one story");
}

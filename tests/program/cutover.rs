//! Cutovers as scripts meet them: through a running server, and on the journal without one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use expect_test::expect;
use tidegate::access::{Ledger, Token};
use tidegate::api::{self, Access, ApiState};
use tidegate::control::status::{ClusterStatus, Publisher};
use tidegate::control::{Clock, SystemClock, inbox};
use tidegate::journal::Journal;
use tidegate::journal::sqlite::Sqlite;
use tidegate::model::{self, CutoverOrder, Mode, Order, Record, Seq, Stage};
use tokio_util::sync::CancellationToken;

use super::commands::{check, tidegate};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A server that shows `status` and takes every order; gives its address.
pub(super) async fn serve(status: ClusterStatus) -> String {
    serve_news(status).await.0
}

/// The same, with the end that publishes what comes next.
async fn serve_news(status: ClusterStatus) -> (String, Publisher) {
    let (publisher, shown) = Publisher::new([status.name.clone()], SystemClock.now());
    let (orders, mut inbox) = inbox();
    let orders = BTreeMap::from([(status.name.clone(), orders)]);
    publisher.publish(status, SystemClock.now());
    let access = Access {
        token: Token::new(TOKEN).unwrap(),
        hosts: BTreeSet::new(),
        ledger: Arc::new(tokio::sync::Mutex::new(Ledger::in_memory().unwrap())),
        alb: None,
        open_to_readers: true,
    };
    let state = ApiState::new(shown, orders, access, CancellationToken::new());
    let router = api::router(state, axum::Router::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::spawn(async move {
        loop {
            let _gone = inbox.next().await.done.send(Ok(Seq(42)));
        }
    });
    (url, publisher)
}

/// Half of users moved and watched; posts waits for it.
pub(super) fn cutting() -> ClusterStatus {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/cutting.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of commands")]
async fn a_running_server_is_asked_and_steered() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(cutting()).await;
    let all = ["--cluster", "web", "--server", &url, "--token", TOKEN];
    let said = |arguments: &[&str], want| {
        let arguments: Vec<_> = ["cutover"].iter().chain(arguments).chain(&all).copied().collect();
        check(dir.path(), &arguments, want);
    };
    said(
        &["list"],
        expect![[r#"
        exit 0
        break                under way          users 50 % shifting, posts 0 % probed
    "#]],
    );
    said(
        &["history", "break"],
        expect![[r#"
        exit 0
        2026-11-21 09:13:30Z  users  shifting step 2: every gate has passed
        2026-11-21 09:03:00Z  users  shifting step 1: everything is ready
        2026-11-21 09:02:45Z  users  probed: 3 good answers in a row
        2026-11-21 09:02:30Z  posts  probed: 3 good answers in a row
        2026-11-21 09:01:15Z  users  healthy: 2 healthy targets
        2026-11-21 09:01:00Z  users  provisioned: 2 tasks of users ordered
        2026-11-21 09:01:00Z  posts  healthy: 2 healthy targets
        2026-11-21 09:00:45Z  posts  provisioned: 2 tasks of posts ordered
        2026-11-21 09:00:30Z  users  attached: the route has a rule with green at 0
        2026-11-21 09:00:15Z  posts  attached: the route has a rule with green at 0
    "#]],
    );
    said(
        &["promote", "break", "--reason", "looks well"],
        expect![[r#"
        exit 3
        web: promote of cutover break is ordered, but `cutover` is not in `allow` of this cluster
    "#]],
    );
    said(
        &["rollback", "break", "--route", "users"],
        expect![[r#"
        exit 0
        web: rollback of cutover break is ordered
    "#]],
    );
    said(
        &["rollback", "break", "--route", "threads"],
        expect![[r#"
        exit 1
        tidegate: cutover `break` has no route to `threads`
          its routes: users, posts
    "#]],
    );
    said(
        &["start", "break", "--reason", "again"],
        expect![[r#"
        exit 1
        tidegate: cutover `break` is under way
          `tidegate cutover status` shows where it stands
    "#]],
    );
    said(
        &["finalize", "break", "--reason", "done"],
        expect![[r#"
        exit 1
        tidegate: cutover `break` is not baked: users is shifting, posts is probed
          finalize gives the old service up, so every route has to be baked first
    "#]],
    );
    said(
        &["status", "brake"],
        expect![[r#"
        exit 1
        tidegate: cluster `web` has no cutover `brake`
          known cutovers: break
    "#]],
    );
    said(
        &["promote", "break"],
        expect![[r#"
        exit 64
        error: the following required arguments were not provided:
          --reason <TEXT>

        Usage: tidegate cutover promote --cluster <NAME> --reason <TEXT> --server <URL> --token <TOKEN> <CUTOVER>

        For more information, try '--help'.
    "#]],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_a_cutover_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let code = |url: &str, arguments: &[&str]| {
        let at = ["--cluster", "web", "--server", url, "--token", TOKEN, "--output", "json"];
        let arguments: Vec<_> = ["cutover"].iter().chain(arguments).chain(&at).copied().collect();
        tidegate(dir.path(), &arguments).status.code().unwrap()
    };
    let mut status = cutting();
    let url = serve(status.clone()).await;
    assert_eq!(code(&url, &["status", "break"]), 0, "time alone moves it on");
    assert_eq!(code(&url, &["status", "break", "--route", "threads"]), 1, "there is no such route");

    status.cutovers[0].asks = true;
    status.mode.effective = Mode::Observe;
    let url = serve(status.clone()).await;
    assert_eq!(code(&url, &["status", "break"]), 3, "a person has to act");
    assert_eq!(code(&url, &["promote", "break", "--reason", "x"]), 3, "the mode keeps it back");
    assert_eq!(code(&url, &["pause", "break", "--reason", "x"]), 0, "a pause needs no mode");

    status.cutovers[0].asks = false;
    status.cutovers[0].open = false;
    let url = serve(status.clone()).await;
    assert_eq!(code(&url, &["status", "break", "--watch"]), 0);
    status.cutovers[0].routes[0].stage = Stage::RolledBack;
    let url = serve(status).await;
    assert_eq!(code(&url, &["status", "break", "--watch"]), 1, "it ended where it began");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_each_change_and_ends_with_the_cutover() {
    let mut status = cutting();
    let (url, publisher) = serve_news(status.clone()).await;
    let mut watching = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["cutover", "status", "break", "--watch", "--cluster", "web", "--server", &url])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(watching.stderr.take().unwrap()).lines();
    let mut next = || told.next().unwrap().unwrap() + "\n";
    let mut said = next() + &next();
    let cutover = &mut status.cutovers[0];
    cutover.open = false;
    for route in &mut cutover.routes {
        route.stage = Stage::Finalized;
        route.percent = Some(100);
        route.held.clear();
    }
    publisher.publish(status, SystemClock.now());
    said += &(next() + &next());
    expect![[r#"
        users             50 %  shifting, step 2 of 3; watched until 2026-11-21 09:24:00Z
        posts              0 %  probed; break/users comes first
        users            100 %  finalized; nothing more happens
        posts            100 %  finalized; nothing more happens
    "#]]
    .assert_eq(&said);
    let ended = watching.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8(ended.stdout).unwrap().contains("100 %   finalized"));
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of commands")]
async fn without_a_server_orders_go_into_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let said = |arguments: &[&str], want| {
        let all = [&["cutover"], arguments, &["--cluster", "web"]].concat();
        check(dir.path(), &all, want);
    };
    said(
        &["rollback", "break"],
        expect![[r#"
        exit 1
        tidegate: cutover `break` was not started
          `tidegate cutover start` begins it
    "#]],
    );
    said(
        &["start", "break", "--reason", "today"],
        expect![[r#"
        exit 64
        tidegate: no server runs, and no configuration names the routes
          give it with --config FILE
    "#]],
    );
    {
        let mut journal = Sqlite::open(&dir.path().join(".tidegate"), &"web".into()).unwrap();
        journal.recover().await.unwrap();
        let steer = CutoverOrder::Start { token: "t0ken".to_owned(), routes: vec!["users".into()] };
        let order = Order::Cutover { cutover: "break".into(), steer };
        let (actor, reason) = ("ann".to_owned(), "today".to_owned());
        let command = model::Command { actor, reason, order };
        journal.append(vec![Record::Command { command }], SystemClock.now()).await.unwrap();
    }
    said(
        &["pause", "break", "--reason", "lunch"],
        expect![[r#"
        exit 0
        web: pause of cutover break is ordered
    "#]],
    );
    said(
        &["resume", "break", "--reason", "back"],
        expect![[r#"
        exit 0
        web: resume of cutover break is ordered
    "#]],
    );
    said(
        &["resume", "break", "--reason", "back"],
        expect![[r#"
        exit 1
        tidegate: cutover `break` is not paused
          nothing has to be done
    "#]],
    );
    said(
        &["promote", "break", "--reason", "now"],
        expect![[r#"
        exit 0
        web: promote of cutover break is ordered
    "#]],
    );
    said(
        &["history", "break"],
        expect![[r#"
        exit 0
        break: no move yet
    "#]],
    );
    said(
        &["rollback", "break"],
        expect![[r#"
        exit 0
        web: rollback of cutover break is ordered
    "#]],
    );
    said(
        &["status", "break"],
        expect![[r#"
        exit 69
        tidegate: no server runs on the state directory .tidegate
          start one with `tidegate run --config FILE`, or name one with --server URL
    "#]],
    );
    said(
        &["plan", "break"],
        expect![[r#"
        exit 69
        tidegate: no server runs on the state directory .tidegate
          start one with `tidegate run --config FILE`, or name one with --server URL
    "#]],
    );
}

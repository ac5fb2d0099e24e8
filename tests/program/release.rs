//! Releases as scripts meet them: through a running server, and on the journal without one.

use std::path::Path;

use expect_test::expect;
use tidegate::control::status::ClusterStatus;

use super::commands::check;
use super::cutover::{TOKEN, serve};

/// A release of mail, half brought out.
fn releasing() -> ClusterStatus {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/releasing.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, mostly golden text")]
async fn a_running_server_is_asked_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let url = serve(releasing()).await;
    let all = ["--cluster", "web", "--server", &url, "--token", TOKEN];
    let said = |arguments: &[&str], want| {
        let arguments: Vec<_> = arguments.iter().chain(&all).copied().collect();
        check(dir.path(), &arguments, want);
    };
    said(
        &["releases"],
        expect![[r#"
        exit 0
        mail             deploying: 1 of 2 tasks run the new revision; given up at 2026-11-21 09:27:32Z
    "#]],
    );
    said(
        &["release", "mail"],
        expect![[r#"
        exit 0
        mail             deploying: 1 of 2 tasks run the new revision; given up at 2026-11-21 09:27:32Z
        ordered    2026-11-21 08:56:00Z by ann: faster sending
        image      123456789012.dkr.ecr.eu-west-1.amazonaws.com/mail:v2
        from       mail:1  123456789012.dkr.ecr.eu-west-1.amazonaws.com/mail  sha256:111111111111
        to         mail:2  123456789012.dkr.ecr.eu-west-1.amazonaws.com/mail  sha256:222222222222
        tasks      1 of 2 run the new revision, 0 start, 0 failed; 2 run the old one
        held       1 of 2 tasks run the new revision; given up at 2026-11-21 09:27:32Z
        2026-11-21 08:57:32Z   deploying: ECS brings mail:2 out
        2026-11-21 08:57:30Z   booked: room for 2 more tasks is there
        2026-11-21 08:56:16Z   registered: mail:2 has the new image
        2026-11-21 08:56:15Z   resolved: mail:1 goes to its new image
    "#]],
    );
    said(
        &["release", "shop"],
        expect![[r#"
            exit 1
            tidegate: cluster `web` has had no release of `shop`
              `tidegate release SERVICE IMAGE` begins one
        "#]],
    );
    said(
        &["release", "shop", "shop:v2", "--reason", "faster"],
        expect![[r#"
        exit 0
        web: release of shop:v2 of shop is ordered; `tidegate release shop --cluster web` shows it
    "#]],
    );
    said(
        &["release", "mail", "mail:v3", "--reason", "faster"],
        expect![[r#"
        exit 1
        tidegate: service `mail` has a release under way, which is deploying
          wait for its end, or `tidegate release SERVICE --abort` leads it back
    "#]],
    );
    said(
        &["release", "none", "none:v2", "--reason", "faster"],
        expect![[r#"
        exit 1
        tidegate: service `none` does not exist in this cluster
          services seen: mail, shop
    "#]],
    );
    said(
        &["release", "shop", "shop v2", "--reason", "faster"],
        expect![[r#"
        exit 1
        tidegate: `shop v2` is no image: an image's name has no blanks
          write it as Docker pulls it: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`
    "#]],
    );
    said(
        &["release", "shop", "shop:v2"],
        expect![[r#"
        exit 64
        tidegate: a reason is needed
          give it with --reason TEXT, in a few words
    "#]],
    );
    said(
        &["release", "mail", "--abort"],
        expect![[r#"
        exit 0
        web: abort of mail is ordered; `tidegate release mail --cluster web` shows it
    "#]],
    );
    said(
        &["release", "shop", "--abort"],
        expect![[r#"
        exit 1
        tidegate: service `shop` has no release under way
          `tidegate releases` lists them; to go back from one that is over, release the image from before
    "#]],
    );
    said(
        &["release", "shop", "shop:v2", "--reason", "x", "--output", "json"],
        expect![[r#"
        exit 0
        {
          "blocked": null,
          "cluster": "web",
          "ordered": "release of shop:v2",
          "service": "shop"
        }
    "#]],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_ordered_and_blocked() {
    let dir = tempfile::tempdir().unwrap();
    let mut status = releasing();
    status.allow.clear();
    let url = serve(status).await;
    let order = ["release", "shop", "shop:v2", "--reason", "faster", "--watch"];
    let all = ["--cluster", "web", "--server", &url, "--token", TOKEN];
    check(
        dir.path(),
        &[&order[..], &all].concat(),
        expect![[r#"
        exit 3
        web: release of shop:v2 of shop is ordered, but `services` is not in `allow` of this cluster
    "#]],
    );
}

#[test]
fn without_a_server_the_order_waits_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let order = ["release", "web", "web:v2", "--cluster", "web", "--reason", "faster"];
    check(
        dir.path(),
        &order,
        expect![[r#"
        exit 3
        web: release of web:v2 of web is ordered, but no server runs; the order waits in the journal
    "#]],
    );
    check(
        dir.path(),
        &order,
        expect![[r#"
        exit 1
        tidegate: service `web` has a release under way, which is ordered
          wait for its end, or `tidegate release SERVICE --abort` leads it back
    "#]],
    );
    check(
        dir.path(),
        &["release", "web", "--cluster", "web", "--abort"],
        expect![[r#"
        exit 3
        web: abort of web is ordered, but no server runs; the order waits in the journal
    "#]],
    );
    check(
        dir.path(),
        &["release", "web", "--cluster", "web", "--abort"],
        expect![[r#"
        exit 1
        tidegate: service `web` has no release under way
          `tidegate releases` lists them; to go back from one that is over, release the image from before
    "#]],
    );
    check(
        dir.path(),
        &["release", "web", "--cluster", "web"],
        expect![[r#"
        exit 69
        tidegate: no server runs on the state directory .tidegate
          start one with `tidegate run --config FILE`, or name one with --server URL
    "#]],
    );
}

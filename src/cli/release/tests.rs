//! What a release says at a terminal, and how its command ends.

use chrono::TimeDelta;
use expect_test::expect;

use super::*;
use crate::control::status::story;

#[test]
fn a_release_under_way_is_a_page() {
    let told = story::releasing().releases.remove(0);
    expect![[r#"
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
    "#]].assert_eq(&text::status(&told));
    assert_eq!(exit(&told), Exit::Ok);
}

#[test]
fn a_release_that_went_back_ends_with_failed_and_its_verdict() {
    let told = story::gone_back().releases.remove(0);
    expect!["mail             rolled back: crash loop: mail exited with code 1 (3 failed tasks)"]
        .assert_eq(&text::standing(&told));
    assert_eq!(exit(&told), Exit::Failed);
    assert_eq!(told.since - told.ordered_at, TimeDelta::seconds(180));
}

#[test]
fn an_order_says_what_holds_it() {
    let mut cluster = story::releasing();
    let start = ReleaseOrder::Start { image: "web:v2".into(), container: None };
    cluster.allow.remove(&ActionKind::Services);
    let not_allowed = "`services` is not in `allow` of this cluster";
    assert_eq!(waits(&cluster, &start).as_deref(), Some(not_allowed));
    assert_eq!(waits(&cluster, &ReleaseOrder::Abort), None);
    cluster.allow.insert(ActionKind::Services);
    assert_eq!(waits(&cluster, &start), None);
}

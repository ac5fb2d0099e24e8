//! What a release says at a terminal, and how its command ends.

use chrono::TimeDelta;
use expect_test::expect;

use super::*;
use crate::control::status::story;

#[test]
fn a_release_under_way_is_a_page() {
    let told = story::releasing().releases.remove(0);
    expect![""].assert_eq(&text::status(&told));
    assert_eq!(exit(&told), Exit::Ok);
}

#[test]
fn a_release_that_went_back_ends_with_failed_and_its_verdict() {
    let told = story::gone_back().releases.remove(0);
    expect![""].assert_eq(&text::standing(&told));
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

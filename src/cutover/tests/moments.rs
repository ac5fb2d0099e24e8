//! Orders and foreign hands at the wrong moment.

use expect_test::expect;

use super::little::{Little, group_arn};
use super::ways::{finalized, play, stage};
use crate::model::*;

fn at(from: Stage, services: &[&str]) -> Little {
    let mut little = Little::tutorial(services);
    little.start();
    let last = services[services.len() - 1];
    play(&mut little, 60 * 30, |little| stage(little, last) == from);
    assert_eq!(stage(&little, last), from);
    little
}

fn planned(little: &mut Little) -> Planned {
    little.look();
    let plan = little.plan();
    let forward = |planned: &&Planned| planned.action.steers();
    plan.actions.iter().find(forward).cloned().expect("a write forward")
}

fn foreign(little: &mut Little, green: u32) {
    let image = RuleImage::split([(group_arn("api"), 100 - green), (group_arn("users"), green)]);
    little.rule("users").image = image;
}

fn reasons(plan: &Plan) -> Vec<String> {
    plan.holds.iter().map(|hold| hold.reason.code().to_owned()).collect()
}

#[test]
fn an_order_between_look_and_write_holds_the_write() {
    for order in [CutoverOrder::Pause, CutoverOrder::Rollback { route: None }] {
        let mut little = at(Stage::Shifting, &["users"]);
        let step = planned(&mut little);
        assert!(little.admit(&step).is_ok());
        little.order(order.clone());
        assert!(little.admit(&step).is_err(), "{order}");
    }
}

#[test]
fn a_rule_changed_by_somebody_stops_once_and_goes_on_after_a_resume() {
    let mut little = at(Stage::Shifting, &["users"]);
    little.tick(15);
    foreign(&mut little, 70);
    let stops = |plan: Plan| {
        plan.notes.iter().filter(|note| format!("{note:?}").contains("Stopped")).count()
    };
    assert_eq!(stops(little.tick(15)), 1);
    let plan = little.tick(15);
    assert_eq!(reasons(&plan), ["cutover_paused"]);
    assert_eq!(stops(plan), 0);
    little.order(CutoverOrder::Resume);
    little.tick(15);
    assert_eq!(little.rule("users").image.percent_of(&group_arn("users")), 5);
}

#[test]
fn a_rule_that_is_gone_stops_once() {
    let mut little = at(Stage::Shifting, &["users"]);
    little.tick(15);
    let arn = little.rule("users").arn.clone();
    let listener = little.traffic().listeners.values_mut().next().unwrap();
    listener.rules.retain(|rule| rule.arn != arn);
    assert_eq!(little.tick(15).notes.len(), 1);
    let plan = little.tick(15);
    assert!(plan.notes.is_empty(), "{plan:?}");
    assert_eq!(reasons(&plan), ["cutover_paused"]);
}

#[test]
fn no_step_gives_weight_to_a_blue_that_is_down() {
    let mut little = at(Stage::Shifting, &["users"]);
    little.tick(15);
    foreign(&mut little, 70);
    little.tick(15);
    little.order(CutoverOrder::Resume);
    little.group("api").health = Some(Health::default());
    let step = planned(&mut little);
    assert!(little.admit(&step).is_err());
}

#[test]
fn nothing_is_retired_while_a_route_leads_to_blue() {
    let mut little = at(Stage::Baked, &["users"]);
    foreign(&mut little, 30);
    assert_eq!(reasons(&little.tick(15)), ["still_serves"]);

    let mut little = at(Stage::Tombstoned, &["users"]);
    foreign(&mut little, 30);
    little.order(CutoverOrder::Finalize);
    play(&mut little, 30, finalized);
    assert_eq!(little.service("api").desired_count, 3);
    assert_eq!(reasons(&little.tick(15)), ["still_serves"]);
}

#[test]
fn one_route_back_keeps_blue_and_waits_for_its_tombstones() {
    let mut little = at(Stage::Tombstoned, &["users", "posts"]);
    little.order(CutoverOrder::Rollback { route: Some("users".into()) });
    little.refuses = Some("delete_rule");
    for _ in 0..2 {
        little.tick(15);
    }
    assert_eq!(stage(&little, "users"), Stage::RollingBack);
    little.refuses = None;
    play(&mut little, 5, |little| stage(little, "users") == Stage::RolledBack);
    assert_eq!(stage(&little, "users"), Stage::RolledBack);
    little.order(CutoverOrder::Finalize);
    play(&mut little, 15, finalized);
    assert_eq!(stage(&little, "posts"), Stage::Finalized);
    assert_eq!(little.service("api").desired_count, 3);
}

/// `users` has moved, `posts` went back from its first step.
fn one_route_back() -> Little {
    let mut little = at(Stage::Shifting, &["users", "posts"]);
    little.order(CutoverOrder::Rollback { route: Some("posts".into()) });
    play(&mut little, 5, |little| stage(little, "posts") == Stage::RolledBack);
    assert_eq!(stage(&little, "users"), Stage::Baked);
    little
}

#[test]
fn the_rest_ends_without_a_route_that_went_back_and_blue_stays_for_it() {
    let mut little = one_route_back();
    assert_eq!(reasons(&little.tick(15)), ["route_rolled_back"]);
    let before = little.log.len();
    little.order(CutoverOrder::Finalize);
    play(&mut little, 5, finalized);
    let said: Vec<_> = little.log[before..].iter().map(|line| line.trim_start()).collect();
    expect![[r#"
         35:45 users tombstoned 2: api goes on serving what is left
         36:00 users finalized 2: api goes on serving what is left"#]]
    .assert_eq(&said.join("\n"));
    assert_eq!(little.service("api").desired_count, 3);
    assert_eq!(little.rule("posts").image.percent_of(&group_arn("api")), 100);
    // Later it is moved after all.
    little.start();
    assert_eq!(stage(&little, "users"), Stage::Finalized);
    play(&mut little, 60 * 30, finalized);
    assert_eq!(stage(&little, "posts"), Stage::Finalized);
    assert_eq!(little.service("api").desired_count, 0);
}

#[test]
fn a_route_that_went_back_begins_anew_beside_those_that_have_moved() {
    let mut little = one_route_back();
    little.start();
    assert_eq!((stage(&little, "users"), stage(&little, "posts")), (Stage::Baked, Stage::Planned));
    assert_eq!(reasons(&little.tick(15)), ["after_route"]);
    play(&mut little, 60 * 30, finalized);
    assert_eq!(stage(&little, "posts"), Stage::Finalized);
    assert_eq!(little.service("api").desired_count, 0);
}

#[test]
fn a_route_waits_for_one_before_it_that_went_back_and_says_what_to_order() {
    let mut little = Little::tutorial(&["users", "posts"]);
    little.start();
    play(&mut little, 60, |little| stage(little, "users") == Stage::Shifting);
    little.order(CutoverOrder::Rollback { route: Some("users".into()) });
    play(&mut little, 10, |little| stage(little, "users") == Stage::RolledBack);
    assert_eq!(reasons(&little.tick(15)), ["route_rolled_back"]);
    little.order(CutoverOrder::Finalize);
    assert!(!little.memory.cutovers[&"break".into()].finalize_ordered, "posts has not moved");
}

#[test]
fn undo_before_the_end_leaves_the_time_to_keep_warm() {
    let mut little = at(Stage::Tombstoned, &["users"]);
    little.order(CutoverOrder::Undo);
    play(&mut little, 60 * 25, finalized);
    assert_eq!(stage(&little, "users"), Stage::Finalized);
}

#[test]
fn an_early_finalize_takes_no_floor_from_the_way_back() {
    let mut little = at(Stage::Shifting, &["users"]);
    little.order(CutoverOrder::Finalize);
    little.tick(15);
    little.group("users").health = Some(Health::default());
    little.tick(15);
    assert_eq!(stage(&little, "users"), Stage::RollingBack);
    little.service("api").desired_count = 1;
    little.tick(15);
    assert_eq!(little.service("api").desired_count, 3);
}

#[test]
fn what_is_finalized_starts_again_only_after_an_undo() {
    let mut little = at(Stage::Finalized, &["users"]);
    little.start();
    assert_eq!(stage(&little, "users"), Stage::Finalized);
    little.order(CutoverOrder::Undo);
    play(&mut little, 10, finalized);
    assert_eq!(stage(&little, "users"), Stage::RolledBack);
    assert_eq!(little.service("api").desired_count, 3);
    little.start();
    assert_eq!(stage(&little, "users"), Stage::Planned);
    foreign(&mut little, 70);
    assert_eq!(reasons(&little.tick(15)), ["already_sends"]);
}

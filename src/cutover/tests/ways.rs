//! The ways a route can go: to the end, and back from every stage.

use expect_test::expect;

use super::little::{LISTENER, Little, group_arn, route};
use crate::model::*;

pub(super) fn play(little: &mut Little, minutes: i64, until: impl Fn(&Little) -> bool) {
    for _ in 0..minutes * 4 {
        if until(little) {
            return;
        }
        little.tick(15);
    }
}

pub(super) fn stage(little: &Little, to: &str) -> Stage {
    little.memory.cutovers[&"break".into()].routes[&to.into()].stage
}

pub(super) fn finalized(little: &Little) -> bool {
    !little.memory.cutovers[&"break".into()].is_open()
}

#[test]
fn a_monolith_is_taken_apart_route_by_route() {
    let mut little = Little::tutorial(&["users", "posts"]);
    little.start();
    play(&mut little, 60 * 40, finalized);
    expect![[r#"
          0:00 create rule route/break/posts at priority 97: api 100, posts 0 (break/posts: a rule of its own, blue 100 and green 0)
          0:15 posts attached 0: the route has a rule with green at 0
          0:15 create rule route/break/users at priority 96: api 100, users 0 (break/users: a rule of its own, blue 100 and green 0)
          0:30 users attached 0: the route has a rule with green at 0
          0:45 posts provisioned 0: 2 tasks of posts ordered
          1:00 users provisioned 0: 2 tasks of users ordered
          1:00 posts healthy 0: 2 healthy targets
          1:15 users healthy 0: 2 healthy targets
          1:15 create rule probe/break/posts at priority 1: posts 100 (break/posts: a rule for the probe, before any user is sent)
          1:30 create rule probe/break/users at priority 2: users 100 (break/users: a rule for the probe, before any user is sent)
          2:15 delete rule probe/break/posts (break/posts: the probe has been answered)
          2:30 posts probed 0: 3 good answers in a row
          2:30 delete rule probe/break/users (break/users: the probe has been answered)
          2:45 users probed 0: 3 good answers in a row
          3:00 users shifting 0: everything is ready
          3:15 route/break/users: api 100, users 0 -> api 95, users 5 (break/users step 1 of 3: 5 %, at most 975 requests hurt if green is wholly broken)
         13:30 users shifting 1: every gate has passed
         13:45 route/break/users: api 95, users 5 -> api 50, users 50 (break/users step 2 of 3: 50 %, at most 10238 requests hurt if green is wholly broken)
         24:00 users shifting 2: every gate has passed
         24:15 route/break/users: api 50, users 50 -> api 0, users 100 (break/users step 3 of 3: 100 %, at most 29250 requests hurt if green is wholly broken)
         24:30 users shifted 2: green has all of the weight
         34:45 users baked 2: every gate has passed
         35:00 posts shifting 0: everything is ready
         35:15 route/break/posts: api 100, posts 0 -> api 95, posts 5 (break/posts step 1 of 3: 5 %, at most 975 requests hurt if green is wholly broken)
         45:30 posts shifting 1: every gate has passed
         45:45 route/break/posts: api 95, posts 5 -> api 50, posts 50 (break/posts step 2 of 3: 50 %, at most 10238 requests hurt if green is wholly broken)
         56:00 posts shifting 2: every gate has passed
         56:15 route/break/posts: api 50, posts 50 -> api 0, posts 100 (break/posts step 3 of 3: 100 %, at most 29250 requests hurt if green is wholly broken)
         56:30 posts shifted 2: green has all of the weight
         66:45 posts baked 2: every gate has passed
         67:00 create rule tombstone/break/1 at priority 98: answer 410 (the tombstone in front of api, as configured)
         67:15 create rule tombstone/break/2 at priority 50000: answer 410 (the tombstone in front of api, as configured)
         67:30 users tombstoned 2: the tombstone answers what still reached blue
         67:30 posts tombstoned 2: the tombstone answers what still reached blue
        1507:30 api desired count 3 -> 0 (nothing reaches api any more)
        1507:45 users finalized 2: blue is no longer needed
        1507:45 posts finalized 2: blue is no longer needed
    "#]].assert_eq(&(little.log.join("\n") + "\n"));
    assert_eq!(little.service("api").desired_count, 0);
}

#[test]
fn a_rollback_leads_back_from_every_stage() {
    let stages = [
        Stage::Attached,
        Stage::Provisioned,
        Stage::Healthy,
        Stage::Probed,
        Stage::Shifting,
        Stage::Shifted,
        Stage::Baked,
        Stage::Tombstoned,
    ];
    for from in stages {
        let mut little = Little::tutorial(&["users"]);
        little.start();
        play(&mut little, 60 * 20, |little| stage(little, "users") == from);
        assert_eq!(stage(&little, "users"), from);
        little.order(CutoverOrder::Rollback { route: None });
        play(&mut little, 5, finalized);
        assert_eq!(stage(&little, "users"), Stage::RolledBack, "from {from}");
        assert_eq!(little.rule("users").image.percent_of(&group_arn("api")), 100);
        let listener = &little.snapshot.traffic.value.listeners[&ListenerArn::from(LISTENER)];
        let left: Vec<_> = listener.rules.iter().map(|rule| rule.owner.clone()).collect();
        assert_eq!(left, [Owner::Tidegate(Purpose::Route(route("users"))), Owner::Other]);
        assert_eq!(little.service("api").desired_count, 3);
    }
}

/// Plays until the first step has been written and taken up.
fn first_step(little: &mut Little) {
    little.start();
    play(little, 30, |little| stage(little, "users") == Stage::Shifting);
    play(little, 3, |little| {
        little.memory.cutovers[&"break".into()].routes[&"users".into()].baking_since.is_some()
    });
}

fn why_back(little: &Little) -> String {
    little.memory.cutovers[&"break".into()].routes[&"users".into()].because.clone().unwrap()
}

fn holds(little: &mut Little) -> Vec<String> {
    little.tick(15).holds.iter().map(|hold| hold.reason.to_string()).collect()
}

#[test]
fn a_green_that_fails_two_requests_of_a_hundred_is_rolled_back() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    little.load.insert("users".to_owned(), (6000, 2, 20));
    play(&mut little, 12, |little| stage(little, "users") == Stage::RollingBack);
    expect!["5xx share: 2.00 % of 300 against a limit of 1.00 %"].assert_eq(&why_back(&little));
}

#[test]
fn a_green_that_is_300_ms_slower_is_rolled_back() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    little.load.insert("users".to_owned(), (6000, 0, 320));
    play(&mut little, 12, |little| stage(little, "users") == Stage::RollingBack);
    expect!["latency p95: 320 ms against a limit of 80 ms"].assert_eq(&why_back(&little));
}

#[test]
fn without_traffic_the_step_waits_and_asks() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    little.load.insert("users".to_owned(), (0, 0, 20));
    play(&mut little, 60, |_| false);
    assert_eq!(stage(&little, "users"), Stage::Shifting);
    expect![
        "0 requests say too little, 100 are needed; `tidegate cutover promote` goes on without"
    ]
    .assert_eq(&holds(&mut little).join("\n"));
    little.order(CutoverOrder::Promote { route: None, full: false });
    play(&mut little, 2, |little| {
        little.memory.cutovers[&"break".into()].routes[&"users".into()].step == 1
    });
    assert_eq!(little.memory.cutovers[&"break".into()].routes[&"users".into()].step, 1);
}

#[test]
fn a_rule_edited_by_hand_stops_the_route_and_shows_the_difference() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    let image = little
        .rule("users")
        .image
        .with_weights(&[(group_arn("api"), 20), (group_arn("users"), 80)].into());
    little.rule("users").image = image.unwrap();
    play(&mut little, 2, |_| false);
    expect!["stopped: somebody changed the rule: it said api 95, users 5, now api 20, users 80; `tidegate cutover resume` goes on"].assert_eq(&holds(&mut little).join("\n"));
    assert_eq!(little.rule("users").image.percent_of(&group_arn("users")), 80);
    little.order(CutoverOrder::Rollback { route: None });
    play(&mut little, 2, finalized);
    assert_eq!(little.rule("users").image.percent_of(&group_arn("api")), 100);
}

#[test]
fn a_rule_read_before_our_own_write_says_nothing_of_who_changed_it() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    let stale = little.snapshot.clone();
    let gap = Gap {
        source: "elasticloadbalancing:DescribeRules".to_owned(),
        failure: Failure::Throttled,
    };
    for seconds in [0, 30] {
        let mut snapshot = stale.clone();
        snapshot.traffic.as_of = build::now();
        snapshot.traffic.gaps = if seconds == 0 { vec![] } else { vec![gap.clone()] };
        let listener =
            snapshot.traffic.value.listeners.get_mut(&ListenerArn::from(LISTENER)).unwrap();
        listener.rules[1].image = RuleImage::forward_to(&group_arn("api"));
        let plan = crate::cutover::step(&little.config, &snapshot, &little.memory, little.now).plan;
        assert!(plan.notes.is_empty() && plan.actions.is_empty(), "{plan:?}");
        assert_eq!(plan.holds[0].reason.code(), "blind");
    }
}

#[test]
fn the_way_back_is_taken_unseen_and_called_done_when_seen() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    little.order(CutoverOrder::Rollback { route: None });
    let mut blind = little.snapshot.clone();
    let source = "elasticloadbalancing:DescribeRules".to_owned();
    blind.traffic.gaps.push(Gap { source, failure: Failure::Throttled });
    let plan = crate::cutover::step(&little.config, &blind, &little.memory, little.now).plan;
    let [planned] = &plan.actions[..] else { panic!("{plan:?}") };
    assert_eq!(planned.rank(), Rank::Rollback);
    assert!(little.admit(planned).is_ok());
    assert!(plan.notes.is_empty());
    play(&mut little, 3, finalized);
    assert_eq!(stage(&little, "users"), Stage::RolledBack);
}

#[test]
fn after_a_resume_a_rule_edited_by_hand_is_set_to_its_step_again() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    let image = little
        .rule("users")
        .image
        .with_weights(&[(group_arn("api"), 20), (group_arn("users"), 80)].into());
    little.rule("users").image = image.unwrap();
    play(&mut little, 2, |_| false);
    little.order(CutoverOrder::Resume);
    play(&mut little, 2, |_| false);
    assert_eq!(little.rule("users").image.percent_of(&group_arn("users")), 5);
    assert_eq!(stage(&little, "users"), Stage::Shifting);
}

#[test]
fn a_deployment_on_either_side_pauses_the_route_which_then_bakes_anew() {
    for side in ["api", "users"] {
        let mut little = Little::tutorial(&["users"]);
        first_step(&mut little);
        play(&mut little, 8, |_| false);
        little.service(side).deployments[0].rollout = Rollout::InProgress;
        play(&mut little, 10, |_| false);
        assert_eq!(holds(&mut little), [format!("{side} is deploying")]);
        little.service(side).deployments[0].rollout = Rollout::Completed;
        play(&mut little, 9, |_| false);
        assert_eq!(little.memory.cutovers[&"break".into()].routes[&"users".into()].step, 0);
        play(&mut little, 2, |_| false);
        assert_eq!(little.memory.cutovers[&"break".into()].routes[&"users".into()].step, 1);
    }
}

#[test]
fn a_failed_deployment_of_green_leads_back() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    little.service("users").deployments[0].rollout = Rollout::Failed;
    play(&mut little, 2, |little| stage(little, "users") == Stage::RolledBack);
    expect!["deployment ecs-svc/users of users failed"].assert_eq(&why_back(&little));
    assert_eq!(stage(&little, "users"), Stage::RolledBack);
}

#[test]
fn a_green_without_a_healthy_target_leads_back_at_once() {
    let mut little = Little::tutorial(&["users"]);
    first_step(&mut little);
    little.group("users").health = Some(Health { unhealthy: 2, ..Health::default() });
    little.tick(1);
    assert_eq!(stage(&little, "users"), Stage::RollingBack);
}

#[test]
fn scaling_of_both_sides_may_not_take_tasks_away_while_it_lasts() {
    let mut little = Little::tutorial(&["users"]);
    for name in ["api", "users"] {
        let (service, suspended) = (name.into(), Suspension::default());
        let target = Rival::ScalableTarget { service, min: 1, max: 9, suspended };
        little.snapshot.rivals.value.insert(target);
    }
    little.start();
    play(&mut little, 30, |little| stage(little, "users") == Stage::Shifting);
    let scale_in = |little: &Little| -> Vec<_> {
        let rivals = little.snapshot.rivals.value.iter();
        rivals.map(|rival| matches!(rival, Rival::ScalableTarget { suspended, .. } if suspended.scale_in)).collect()
    };
    assert_eq!(scale_in(&little), [true, true]);
    little.order(CutoverOrder::Abort);
    play(&mut little, 5, finalized);
    assert_eq!(scale_in(&little), [false, false]);
    let listener = &little.snapshot.traffic.value.listeners[&ListenerArn::from(LISTENER)];
    assert_eq!(listener.rules.len(), 1, "an abort leaves nothing of ours");
}

#[test]
fn routes_that_go_back_together_give_scaling_back() {
    let mut little = Little::tutorial(&["users", "posts"]);
    let (service, suspended) = ("api".into(), Suspension::default());
    let target = Rival::ScalableTarget { service, min: 1, max: 9, suspended };
    little.snapshot.rivals.value.insert(target.clone());
    little.start();
    play(&mut little, 30, |little| stage(little, "users") == Stage::Shifting);
    assert!(!little.snapshot.rivals.value.contains(&target), "its scale-in is suspended");
    little.order(CutoverOrder::Rollback { route: None });
    play(&mut little, 5, finalized);
    assert_eq!(little.snapshot.rivals.value, [target].into());
}

#[test]
fn a_step_that_needs_a_person_waits_for_the_promote() {
    let mut little = Little::tutorial(&["users"]);
    little.config.cutovers[0].approve_before_percent = Some(50);
    first_step(&mut little);
    play(&mut little, 30, |_| false);
    expect!["50 % wait for a person: `tidegate cutover promote`"]
        .assert_eq(&holds(&mut little).join("\n"));
    little.order(CutoverOrder::Promote { route: Some("users".into()), full: false });
    play(&mut little, 30, |little| stage(little, "users") == Stage::Baked);
    assert_eq!(stage(&little, "users"), Stage::Baked, "one promote lasts for what follows");
}

#[test]
fn after_the_end_undo_provides_blue_again_before_it_sends_anything_back() {
    let mut little = Little::tutorial(&["users"]);
    little.start();
    play(&mut little, 60 * 30, finalized);
    assert_eq!(little.service("api").desired_count, 0);
    let before = little.log.len();
    little.order(CutoverOrder::Undo);
    play(&mut little, 10, finalized);
    expect![[r#"
        1475:45 api desired count 0 -> 3 (api is kept at 3 tasks for the way back)
        1476:00 users rolling_back 0: undone by ana: the plan of today
        1476:15 route/break/users: back to api 100, users 0 (break/users rolls back: undone by ana: the plan of today)
        1476:15 delete rule tombstone/break/1 (break/users rolls back: blue answers again)
        1476:30 delete rule tombstone/break/2 (break/users rolls back: blue answers again)
        1476:45 users rolled_back 0: undone by ana: the plan of today"#]].assert_eq(&little.log[before..].join("\n"));
    assert_eq!(little.rule("users").image.percent_of(&group_arn("api")), 100);
}

#[test]
fn a_lost_answer_is_settled_by_what_stands() {
    for took_effect in [true, false] {
        let mut little = Little::tutorial(&["users"]);
        little.start();
        play(&mut little, 30, |little| stage(little, "users") == Stage::Shifting);
        little.look();
        let plan =
            crate::cutover::step(&little.config, &little.snapshot, &little.memory, little.now).plan;
        let planned = plan.actions[0].clone();
        little.record(Record::Intent { planned: planned.clone() });
        if took_effect {
            little.apply(&planned.action);
        }
        let of = little.memory.seq;
        let message = "no answer".to_owned();
        little.record(Record::Outcome { of, outcome: Outcome::InDoubt { message } });
        play(&mut little, 3, |_| false);
        assert_eq!(little.rule("users").image.percent_of(&group_arn("users")), 5);
        play(&mut little, 15, |_| false);
        assert_eq!(stage(&little, "users"), Stage::Shifting);
        assert_eq!(little.memory.cutovers[&"break".into()].routes[&"users".into()].step, 1);
    }
}

#[test]
fn as_many_tasks_are_ordered_as_the_next_step_needs_and_none_for_a_handful_of_requests() {
    for (requests, tasks) in [(10, 1), (6000, 3)] {
        let mut little = Little::tutorial(&["users"]);
        little.config.cutovers[0].routes[0].healthy_targets = None;
        little.config.cutovers[0].gates.requests_min = 100;
        little.service("users").desired_count = 1;
        little.group("users").health = Some(Health { healthy: 1, ..Health::default() });
        little.load.insert("users".to_owned(), (requests, 0, 20));
        little.load.insert("api".to_owned(), (requests, 0, 20));
        first_step(&mut little);
        little.order(CutoverOrder::Promote { route: None, full: true });
        play(&mut little, 90, |little| stage(little, "users") == Stage::Baked);
        assert_eq!(stage(&little, "users"), Stage::Baked, "{requests} a minute");
        assert_eq!(little.service("users").desired_count, tasks, "{requests} a minute");
    }
}

#[test]
fn a_load_balancer_added_to_a_running_service_waits_for_the_room_of_its_surge() {
    let mut little = Little::tutorial(&["users"]);
    let exposure = crate::config::Exposure {
        listener: LISTENER.into(),
        target_group: Some("users".to_owned()),
        container: "users".to_owned(),
        port: 80,
        settings: None,
        paths: Vec::new(),
        hosts: Vec::new(),
        priority: None,
    };
    little.config.services.get_mut(&"users".into()).unwrap().exposure = Some(exposure);
    let users = ServiceName::from("users");
    little.service("users").targets.clear();
    let balancer = little.traffic().listeners[&LISTENER.into()].load_balancer.clone();
    little.group("users").load_balancer = Some(balancer);
    let step = |little: &Little| {
        crate::cutover::step(&little.config, &little.snapshot, &little.memory, little.now)
    };
    let attaches = |steps: &Steps| {
        let actions = steps.plan.actions.iter().map(|planned| &planned.action);
        actions.filter(|action| matches!(action, Action::AttachGroup { .. })).count()
    };
    let held = |steps: &Steps| steps.plan.holds.iter().any(|h| h.reason.code() == "room_missing");
    let booking = Booking { service: users.clone(), count: 2 };

    let steps = step(&little);
    assert_eq!(
        (attaches(&steps), held(&steps), &steps.bookings),
        (0, true, &vec![booking.clone()])
    );
    // ECS may stop a task first: it need not wait, but the room is asked for.
    let mut halves = little.clone();
    halves.service("users").minimum_healthy_percent = 50;
    let steps = step(&halves);
    assert_eq!((attaches(&steps), held(&steps), &steps.bookings), (1, false, &vec![booking]));
    little.memory.since.insert((Subject::Service(users), Fact::RoomThere), little.now);
    let steps = step(&little);
    assert_eq!((attaches(&steps), held(&steps)), (1, false));
}

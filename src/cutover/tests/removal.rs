//! What left the configuration: when its mark begins, goes on, starts anew and ends.

use chrono::TimeDelta;

use super::little::{LISTENER, Little};
use crate::config::Exposure;
use crate::model::*;

/// `orders` stands with a park rule and a group of its own, and is declared.
fn declared() -> Little {
    let mut little = Little::tutorial(&[]);
    little.config.cutovers.clear();
    little.add_service("orders", 0);
    little.snapshot.services.value.remove(&ServiceName::from("orders"));
    let group = little.group("orders");
    group.owner = Owner::Tidegate(Purpose::Group("orders".into()));
    let arn = group.arn.clone();
    let exposure = Exposure {
        listener: LISTENER.into(),
        target_group: Some("orders".to_owned()),
        container: "orders".to_owned(),
        port: 3000,
        settings: None,
        paths: Vec::new(),
        hosts: Vec::new(),
        priority: None,
    };
    let service = little.config.services.entry("orders".into()).or_default();
    service.exposure = Some(exposure);
    for _ in 0..2 {
        little.tick(15);
    }
    let rules = &little.traffic().listeners[&ListenerArn::from(LISTENER)].rules;
    assert!(rules.iter().any(|rule| rule.image.names(&arn)), "{rules:?}");
    little
}

fn undeclared() -> Little {
    let mut little = declared();
    little.config.services.clear();
    little
}

fn mark(little: &Little) -> Option<chrono::DateTime<chrono::Utc>> {
    *little.memory.kept.values().next().expect("it is remembered")
}

fn gap(little: &mut Little) {
    let source = "elasticloadbalancing:DescribeRules".to_owned();
    little.snapshot.traffic.gaps = vec![Gap { source, failure: Failure::Throttled }];
}

fn reasons(plan: &Plan) -> Vec<&str> {
    plan.holds.iter().map(|hold| hold.reason.code()).collect()
}

#[test]
fn what_is_not_seen_begins_no_mark_and_deletes_nothing() {
    let mut little = undeclared();
    gap(&mut little);
    assert!(little.tick(15).holds.is_empty());
    assert_eq!(mark(&little), None);
    little.snapshot.traffic.gaps.clear();
    assert_eq!(reasons(&little.tick(15)), ["retained"]);
    little.now += TimeDelta::hours(25);
    gap(&mut little);
    let plan = little.tick(15);
    assert_eq!((reasons(&plan), plan.actions.len()), (vec!["blind"], 0));
    little.snapshot.traffic.gaps.clear();
    assert_eq!(little.tick(15).actions.len(), 1);
}

#[test]
fn a_clock_that_jumped_starts_the_time_anew() {
    let mut little = undeclared();
    little.tick(15);
    little.now += TimeDelta::hours(25);
    little.record(Record::Noted { note: Note::ClockJumped { by_seconds: 90_000 } });
    assert_eq!(mark(&little), Some(little.now));
    assert_eq!(reasons(&little.tick(15)), ["retained"]);
}

#[test]
fn a_listener_that_is_gone_with_its_rules_leaves_the_group_to_be_deleted() {
    let mut little = undeclared();
    little.tick(15);
    let need = crate::cutover::need(&little.config, &little.memory, None, little.now);
    let need = need.expect("it is looked for");
    assert!(need.listeners.is_empty() && need.left.contains(&LISTENER.into()));
    assert!(need.groups.contains("orders"));
    little.traffic().listeners.clear();
    let steps = crate::cutover::step(
        &little.config,
        &little.snapshot,
        &little.memory,
        little.now + TimeDelta::hours(25),
    );
    let [planned] = &steps.plan.actions[..] else { panic!("{steps:?}") };
    assert!(matches!(planned.action, Action::DeleteTargetGroup { .. }), "{}", planned.action);
}

#[test]
fn a_group_that_is_not_ours_stays_when_its_park_rule_goes() {
    let mut little = undeclared();
    little.group("orders").owner = Owner::Other;
    little.tick(15);
    little.now += TimeDelta::hours(25);
    for _ in 0..3 {
        little.tick(15);
    }
    assert!(little.memory.kept.is_empty());
    assert!(little.traffic().group_named("orders").is_some());
    let rules = &little.traffic().listeners[&ListenerArn::from(LISTENER)].rules;
    assert!(rules.iter().all(|rule| rule.owner == Owner::Other), "{rules:?}");
}

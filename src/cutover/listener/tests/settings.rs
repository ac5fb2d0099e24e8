//! Quotas, settings of groups, and a listener as it should be.

use std::collections::BTreeMap;

use expect_test::expect;
use strum::IntoEnumIterator;

use super::*;
use crate::model::RuleAction;

#[test]
fn quotas_are_counted_before_they_are_met() {
    let long = format!("/{}", "a".repeat(128));
    let full = BTreeMap::from(["a", "b", "c", "d", "blue"].map(|name| (arn(name), 1)));
    let mut stage =
        stage("web", &[]).with_rule(1, [path(&["/b"])], RuleImage::forward_to(&arn("b")));
    for priority in 3..101 {
        stage = stage.rule(priority, &format!("/{priority}"), "web");
    }
    let image = RuleImage {
        actions: vec![RuleAction::Forward { weights: full, stickiness_seconds: Some(60) }],
    };
    stage
        .with_rule(200, [path(&["/a*"]), host("*.example.com")], image)
        .moves("blue", &[("green", &[&long, "/a/?/?", "/a/1", "/a/2/*", "/a/3/*"])])
        .finds_beside(
            &[FindingKind::NoSuccessor, FindingKind::TooWide, FindingKind::MissesBarePath],
            expect![[r#"
                blocks quota 200 /a*
                  rule 200 forwards to 5 groups, and one more is one too many
                  -> take groups without weight out of the rule first
                blocks quota
                  the load balancer has 100 rules of 100, and 3 more may be needed
                  -> have the quota of rules raised, or delete rules that get no request
                blocks quota /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
                  a pattern of `green` is longer than 128 characters
                  -> shorten it with a wildcard
                blocks quota
                  the rule of `green` would have 6 condition values of 5
                  -> split it into two routes; values of the rule that serves today count too
                advice sticky 200 /a*
                  rule 200 keeps a client with the group it met for 60 s, whatever the weights
                  -> turn stickiness off while weights move, or expect clients to follow late
                advice narrowed 200 /a*
                  rule 200 has conditions beside the path; `green` gets only requests that meet them
                  -> nothing to do if that is meant, else move the other requests by a route of their own
            "#]],
        );
}

#[test]
fn settings_of_groups_that_bend_weights_or_cut_requests_are_named() {
    let unhealthy = Health { unhealthy: 2, ..Health::default() };
    stage("web", &["web", "slow", "gone"])
        .with_rule(1, [path(&["/zero"])], RuleImage::split([(arn("slow"), 0)]))
        .rule(2, "/slow", "slow")
        .rule(3, "/API/Gone", "gone")
        .rule(4, "gone", "gone")
        .set("slow", |group| {
            group.settings.slow_start_seconds = 60;
            group.settings.stickiness_seconds = Some(3600);
            group.settings.deregistration_delay_seconds = 3600;
            group.settings.health_check.path = "/slow/health".to_owned();
        })
        .set("gone", |group| {
            group.health = Some(unhealthy);
            group.settings.deregistration_delay_seconds = 0;
        })
        .finds(expect![[r#"
            misroutes all_weights_zero 1 /zero
              rule 1 gives no group any weight: 503 for `/zero`
              -> give the group that serves it weight, or delete the rule
            misroutes no_healthy_target 3 /API/Gone
              rule 3 sends to `gone`, where none of 2 targets is healthy: the load balancer then sends `/API/Gone` to all of them
              -> wait until targets of `gone` are healthy, or give it weight 0
            misroutes never_matches 4 gone
              no request matches `gone`: a path begins with `/`
              -> write `/gone`
            advice sticky 2 /slow
              `slow` keeps a client with its target for 3600 s
              -> turn stickiness off while weights move, or expect clients to follow late
            advice slow_start 2 /slow
              `slow` warms new targets for 60 s: each gets less than its share until then
              -> bake each step for longer than that, or turn slow start off
            advice deregistration_delay 2 /slow
              a target that leaves `slow` drains for 3600 s, and so holds its host
              -> set a deregistration delay a little longer than the longest request
            advice upper_case 3 /API/Gone
              case matters in paths: `/API/Gone` does not match `/api/gone`
              -> make sure that nobody asks for `/api/gone`, or add it beside
            advice health_on_root 3 /API/Gone
              the health check of `gone` asks for `/` and passes while `/API/Gone` is broken
              -> check a path of the route, or let a probe ask for one before each shift
            advice deregistration_delay 3 /API/Gone
              a target that leaves `gone` is cut off in the middle of its requests
              -> set a deregistration delay longer than the longest request, such as 30 s
        "#]]);
}

#[test]
fn a_listener_as_it_should_be_gives_no_finding() {
    stage("web", &["web", "users"])
        .with_rule(10, [path(&["/users", "/users/*"])], RuleImage::forward_to(&arn("users")))
        .set("users", |group| group.settings.health_check.path = "/users/health".to_owned())
        .finds(expect![""]);
}

#[test]
fn every_kind_is_explained_to_operators() {
    let page = include_str!("../../../../docs/cutover.md");
    let missing: Vec<_> =
        FindingKind::iter().filter(|kind| !page.contains(&format!("| `{kind}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_park_rule_of_a_group_without_targets_answers_nobody() {
    let mut stage = stage("web", &["web", "new"]).rule(9, "/new", "new").empty("new");
    let empty = |stage: &Stage| {
        stage.findings().iter().any(|finding| finding.kind == FindingKind::EmptyGroup)
    };
    assert!(empty(&stage));
    stage.listener.rules[0].owner = Owner::Tidegate(Purpose::Park("new".into()));
    assert!(!empty(&stage));
}

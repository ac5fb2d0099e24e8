//! What a move would take, leave or not be able to do.

use expect_test::expect;

use super::*;
use crate::model::RuleAction;

#[test]
fn moves_that_overlap_take_others_or_go_in_part_are_named() {
    let to = |group| RuleImage::forward_to(&arn(group));
    let mut stage = stage("web", &[])
        .with_rule(2, [path(&["/orders/admin"])], to("admin"))
        .with_rule(20, [host("shop.example.com"), path(&["/orders*"])], to("blue"))
        .with_rule(25, [path(&["/orders/*"])], to("blue"))
        .with_rule(30, [host("shop.example.com"), path(&["/lists*"])], to("blue"))
        .moves(
            "blue",
            &[
                ("orders", &["/orders", "/orders/*"]),
                ("lists", &["/lists", "/lists/*"]),
                ("carts", &["/orders/carts"]),
                ("none", &["/none"]),
            ],
        );
    stage.moves[1].hosts = vec!["*.example.com".to_owned()];
    stage.finds_beside(&[FindingKind::NoSuccessor, FindingKind::TooWide], expect![[r#"
        misroutes moved_in_part 25 /orders/*
          `other.example/orders/` shall move to `orders` and would still reach `blue` by rule 25
          -> give the hosts of the move, and a route of its own for each rule that serves
        misroutes moved_in_part 25 /orders/*
          `other.example/orders/carts` shall move to `carts` and would still reach `blue` by rule 25
          -> give the hosts of the move, and a route of its own for each rule that serves
        misroutes overlapping_moves /orders/carts
          both `orders` and `carts` would take `shop.example.com/orders/carts`
          -> narrow the paths of `orders` or of `carts`
        misroutes takes_others
          `lists` would take `other.example.com/lists`, which the default action answers today, not `blue`
          -> narrow the paths of `lists`
        blocks not_served /none
          no one rule sends all that `none` shall take to `blue`: the default action takes it, or some of it
          -> check the paths and that `blue` serves them; give each rule a route of its own
        advice moved_in_part 2 /orders/admin
          rule 2 stands above and goes on taking `/orders/admin`, which `orders` asks for
          -> delete rule 2 if `orders` shall have that, else leave it
        advice narrowed 20 /orders*
          rule 20 has conditions beside the path; `orders` gets only requests that meet them
          -> nothing to do if that is meant, else move the other requests by a route of their own
        advice narrowed 20 /orders*
          rule 20 has conditions beside the path; `carts` gets only requests that meet them
          -> nothing to do if that is meant, else move the other requests by a route of their own
        advice misses_bare_path 25 /orders/*
          `/orders/*` does not match `/orders` itself
          -> add `/orders` beside it, if it is asked for
    "#]]);
}

#[test]
fn a_narrower_rule_of_the_monolith_above_the_one_that_serves_a_route_keeps_its_requests() {
    let silent = [FindingKind::TooWide, FindingKind::HealthOnRoot, FindingKind::NoSuccessor];
    stage("api", &SERVICES)
        .rule(50, "/api/users/v1/*", "api")
        .rule(99, "/api*", "api")
        .moves("api", &ROUTES)
        .finds_beside(
            &silent,
            expect![[r#"
            misroutes moved_in_part 50 /api/users/v1/*
              `/api/users/v1/` shall move to `users` and would still reach `api` by rule 50
              -> give the hosts of the move, and a route of its own for each rule that serves
        "#]],
        );
}

#[test]
fn the_rules_of_all_routes_and_a_tombstone_need_a_place_below_what_takes_the_same_first() {
    let crowded = |priority| {
        let stage = stage("api", &SERVICES).rule(priority, "/api/threads/1", "threads");
        stage.rule(99, "/api*", "api").moves("api", &ROUTES)
    };
    let without_place = |stage: Stage| {
        let findings = stage.findings().into_iter();
        findings.filter(|finding| finding.kind == FindingKind::NoPriority).count()
    };
    assert_eq!(without_place(crowded(94)), 0);
    assert_eq!(without_place(crowded(97)), 1);
}

#[test]
fn a_rule_with_more_than_a_forward_or_of_another_owner_blocks_a_move() {
    let mut image = RuleImage::forward_to(&arn("blue"));
    image.actions.insert(
        0,
        RuleAction::Other { kind: "authenticate-oidc".to_owned(), json: "{}".to_owned() },
    );
    let mut stage = stage("web", &["blue", "green"])
        .with_rule(10, [path(&["/in/*"]), host("in.example.com")], image)
        .moves("blue", &[("green", &["/in/*"])]);
    stage.native.insert("rule/10".into());
    let silent = [FindingKind::HealthOnRoot, FindingKind::MissesBarePath, FindingKind::NoSuccessor];
    stage.finds_beside(&silent, expect![[r#"
        blocks native_rule 10 /in/*
          ECS native deployments own rule 10 and set its weights anew with each deployment
          -> set the service's deployment strategy to ROLLING before its routes move, or leave its traffic to ECS
        blocks cannot_copy 10 /in/*
          rule 10 has the action `authenticate-oidc`, which a rule of Tidegate's own cannot have
          -> use `rules: adopt` for this cutover, so that the action stays where it is
        advice narrowed 10 /in/*
          rule 10 has conditions beside the path; `green` gets only requests that meet them
          -> nothing to do if that is meant, else move the other requests by a route of their own
    "#]]);
}

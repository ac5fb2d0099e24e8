//! The tutorial's listeners, with the mistakes it makes.

use expect_test::expect;

use super::*;

#[test]
fn of_the_scripts_rules_the_wide_patterns_of_point_4_and_the_health_path_of_point_6_are_named() {
    script().finds(expect![[r#"
        advice too_wide 1 /api/users*
          `/api/users*` also matches `/api/users-old`
          -> use `/api/users` and `/api/users/*`
        advice health_on_root 1 /api/users*
          the health check of `users` asks for `/` and passes while `/api/users*` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice too_wide 2 /api/threads*
          `/api/threads*` also matches `/api/threads-old`
          -> use `/api/threads` and `/api/threads/*`
        advice health_on_root 2 /api/threads*
          the health check of `threads` asks for `/` and passes while `/api/threads*` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice too_wide 3 /api/posts*
          `/api/posts*` also matches `/api/posts-old`
          -> use `/api/posts` and `/api/posts/*`
        advice health_on_root 3 /api/posts*
          the health check of `posts` asks for `/` and passes while `/api/posts*` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice too_wide 99 /api*
          `/api*` also matches `/api-old`
          -> use `/api` and `/api/*`
    "#]]);
}

#[test]
fn of_the_consoles_rules_those_that_the_first_one_shadows_are_named_with_points_4_and_6() {
    console().finds(expect![[r#"
        misroutes shadowed 2 /api/users*
          rule 2 gets no request: rule 1 takes all of them, `/api/users` too
          -> move the rules above down (SetRulePriorities) and rule 2 above them, or delete it
        misroutes shadowed 3 /api/threads*
          rule 3 gets no request: rule 1 takes all of them, `/api/threads` too
          -> move the rules above down (SetRulePriorities) and rule 3 above them, or delete it
        misroutes shadowed 4 /api/posts*
          rule 4 gets no request: rule 1 takes all of them, `/api/posts` too
          -> move the rules above down (SetRulePriorities) and rule 4 above them, or delete it
        advice too_wide 1 /api*
          `/api*` also matches `/api-old`
          -> use `/api` and `/api/*`
        advice too_wide 2 /api/users*
          `/api/users*` also matches `/api/users-old`
          -> use `/api/users` and `/api/users/*`
        advice health_on_root 2 /api/users*
          the health check of `users` asks for `/` and passes while `/api/users*` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice too_wide 3 /api/threads*
          `/api/threads*` also matches `/api/threads-old`
          -> use `/api/threads` and `/api/threads/*`
        advice health_on_root 3 /api/threads*
          the health check of `threads` asks for `/` and passes while `/api/threads*` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice too_wide 4 /api/posts*
          `/api/posts*` also matches `/api/posts-old`
          -> use `/api/posts` and `/api/posts/*`
        advice health_on_root 4 /api/posts*
          the health check of `posts` asks for `/` and passes while `/api/posts*` is broken
          -> check a path of the route, or let a probe ask for one before each shift
    "#]]);
}

#[test]
fn point_1_a_rule_made_before_its_service_exists_answers_503() {
    let during = stage("api", &SERVICES).rule(1, "/api/users*", "users").empty("users");
    let during = during.known(&["/", "/api/users", "/api/users/1"]);
    during.finds_beside(&[FindingKind::TooWide, FindingKind::HealthOnRoot], expect![[r#"
        misroutes empty_group 1 /api/users*
          rule 1 sends to `users`, which has no target: 503 for `/api/users` and `/api/users/1`
          -> give `users` weight 0 beside a group that serves, until its service has healthy targets; or answer with a fixed response
    "#]]);
}

#[test]
fn point_3_after_the_consoles_cutover_nobody_answers_the_root_and_the_bare_api() {
    let mut after = console().empty("drop-traffic").known(&["/", "/api/", "/api/users/1"]);
    after.listener.rules.remove(0);
    after.listener.default = RuleImage::forward_to(&arn("drop-traffic"));
    after.finds_beside(&[FindingKind::TooWide, FindingKind::HealthOnRoot], expect![[r#"
        misroutes empty_group
          the default action sends to `drop-traffic`, which has no target: 503 for `/` and `/api/`
          -> give `drop-traffic` weight 0 beside a group that serves, until its service has healthy targets; or answer with a fixed response
    "#]]);
}

#[test]
fn point_3_is_told_before_the_cutover_too() {
    let before = stage("api", &SERVICES).rule(99, "/api*", "api").moves("api", &ROUTES);
    let before = before.known(&["/", "/api/", "/api/users/1", "/api/posts/in-thread/1"]);
    before.finds(expect![[r#"
        misroutes no_successor 99 /api/
          `/api/` still reaches `api` by rule 99 after all moves
          -> move it too, keep `api` for it, or choose what answers when `api` is gone
        misroutes no_successor /
          `/` still reaches `api` by the default action after all moves
          -> move it too, keep `api` for it, or choose what answers when `api` is gone
        advice too_wide 99 /api*
          `/api*` also matches `/api-old`
          -> use `/api` and `/api/*`
        advice health_on_root
          the health check of `posts` asks for `/` and passes while `/api/posts` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice health_on_root
          the health check of `threads` asks for `/` and passes while `/api/threads` is broken
          -> check a path of the route, or let a probe ask for one before each shift
        advice health_on_root
          the health check of `users` asks for `/` and passes while `/api/users` is broken
          -> check a path of the route, or let a probe ask for one before each shift
    "#]]);
}

#[test]
fn point_4_a_known_path_that_a_wide_pattern_catches_is_misrouted() {
    let stage = stage("api", &SERVICES).rule(99, "/api*", "api").known(&["/api/postscript"]);
    let wide = [("posts", ["/api/posts*"].as_slice())];
    let silent = [FindingKind::HealthOnRoot, FindingKind::NoSuccessor];
    stage.moves("api", &wide).finds_beside(
        &silent,
        expect![[r#"
        misroutes too_wide /api/posts*
          `/api/posts*` also matches `/api/postscript`
          -> use `/api/posts` and `/api/posts/*`
        advice too_wide 99 /api*
          `/api*` also matches `/api-old`
          -> use `/api` and `/api/*`
    "#]],
    );
}

#[test]
fn a_cutover_of_the_consoles_rules_has_no_priority_to_stand_on() {
    let silent = [FindingKind::TooWide, FindingKind::HealthOnRoot, FindingKind::Shadowed];
    console().moves("api", &ROUTES[..1]).finds_beside(
        &silent,
        expect![[r#"
            blocks no_priority 1 /api*
              too few priorities are free right above rule 1 for the rule of `users`
              -> move the listener's rules apart (SetRulePriorities), or use `rules: adopt`
            advice no_successor 1 /api*
              rule 1 still sends to `api` after all moves, `/api` for one
              -> move it too, keep `api` for it, or choose what answers when `api` is gone
            advice no_successor
              the default action still sends to `api` after all moves, `/` for one
              -> move it too, keep `api` for it, or choose what answers when `api` is gone
        "#]],
    );
}

#[test]
fn a_cutover_of_what_the_scripts_rules_have_moved_already_has_little_to_do() {
    let silent = [FindingKind::TooWide, FindingKind::HealthOnRoot, FindingKind::NoSuccessor];
    script().moves("api", &ROUTES[..1]).finds_beside(
        &silent,
        expect![[r#"
        advice not_served 1 /api/users /api/users/*
          rule 1 sends what `users` shall take there already
          -> nothing to do, or leave the route out
    "#]],
    );
}

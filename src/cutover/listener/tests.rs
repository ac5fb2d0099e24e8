//! The analysis of whole listeners, the tutorial's first, told as what an operator would read.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use strum::IntoEnumIterator;

use super::scope::{Request, example};
use super::*;
use crate::model::{
    Condition, GroupSettings, Health, HealthCheck, ListenerArn, RuleAction, TargetGroup,
};

fn arn(group: &str) -> TargetGroupArn {
    format!("arn:aws:elasticloadbalancing:r:1:targetgroup/{group}/1").into()
}

/// As the tutorial sets it up.
fn group(name: &str, healthy: u64) -> TargetGroup {
    let health_check = HealthCheck {
        interval_seconds: 6,
        healthy_after: 2,
        ..GroupSettings::default().health_check
    };
    TargetGroup {
        arn: arn(name),
        name: name.to_owned(),
        owner: Owner::Other,
        settings: GroupSettings { health_check, ..GroupSettings::default() },
        load_balancer: None,
        health: Some(Health { healthy, ..Health::default() }),
        load: Vec::new(),
    }
}

fn path(values: &[&str]) -> Condition {
    Condition::Path { values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn host(value: &str) -> Condition {
    Condition::Host { values: BTreeSet::from([value.to_owned()]) }
}

/// A listener whose default action is a group, and groups with a healthy target each.
struct Stage {
    traffic: Traffic,
    listener: Listener,
    native: BTreeSet<RuleArn>,
    known: Vec<String>,
    moves: Vec<Move>,
    from: Option<TargetGroupArn>,
}

fn stage(default: &str, groups: &[&str]) -> Stage {
    let groups = groups.iter().map(|name| (arn(name), group(name, 1)));
    Stage {
        traffic: Traffic { groups: groups.collect(), ..Traffic::default() },
        listener: Listener {
            arn: ListenerArn::from("listener/80"),
            load_balancer: "loadbalancer/demo".into(),
            protocol: "HTTP".to_owned(),
            port: 80,
            default: RuleImage::forward_to(&arn(default)),
            rules: Vec::new(),
        },
        native: BTreeSet::new(),
        known: Vec::new(),
        moves: Vec::new(),
        from: None,
    }
}

impl Stage {
    fn rule(self, priority: u16, pattern: &str, to: &str) -> Self {
        self.with_rule(priority, [path(&[pattern])], RuleImage::forward_to(&arn(to)))
    }

    fn with_rule<const N: usize>(
        mut self,
        priority: u16,
        conditions: [Condition; N],
        image: RuleImage,
    ) -> Self {
        self.listener.rules.push(Rule {
            arn: format!("rule/{priority}").into(),
            priority,
            conditions: conditions.into(),
            image,
            owner: Owner::Other,
        });
        self
    }

    fn known(mut self, paths: &[&str]) -> Self {
        self.known = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    fn set(mut self, name: &str, change: impl FnOnce(&mut TargetGroup)) -> Self {
        change(self.traffic.groups.get_mut(&arn(name)).unwrap());
        self
    }

    fn empty(self, name: &str) -> Self {
        self.set(name, |group| group.health = Some(Health::default()))
    }

    fn moves(mut self, from: &str, moves: &[(&str, &[&str])]) -> Self {
        self.from = Some(arn(from));
        self.moves = moves
            .iter()
            .map(|(to, paths)| Move {
                to: (*to).into(),
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
                hosts: Vec::new(),
                group: Some(arn(to)),
            })
            .collect();
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let mut traffic = self.traffic.clone();
        traffic.listeners.insert(self.listener.arn.clone(), self.listener.clone());
        analyse(&Question {
            listener: &self.listener,
            traffic: &traffic,
            native_rules: &self.native,
            moves: &self.moves,
            from: self.from.as_ref(),
            known_paths: &self.known,
        })
    }

    /// All findings but the kinds of which a story does not speak.
    #[track_caller]
    fn finds_beside(&self, silent: &[FindingKind], want: Expect) {
        let told = self.findings().into_iter().filter(|f| !silent.contains(&f.kind));
        let lines = told.map(|f| {
            let priority = f.priority.map(|p| format!(" {p}")).unwrap_or_default();
            let pattern = f.pattern.map(|p| format!(" {p}")).unwrap_or_default();
            let Finding { kind, severity, explanation, remedy, .. } = f;
            format!("{severity} {kind}{priority}{pattern}\n  {explanation}\n  -> {remedy}\n")
        });
        want.assert_eq(&lines.collect::<String>());
    }

    #[track_caller]
    fn finds(&self, want: Expect) {
        self.finds_beside(&[], want);
    }
}

const SERVICES: [&str; 5] = ["api", "users", "threads", "posts", "drop-traffic"];
const ROUTES: [(&str, &[&str]); 3] = [
    ("users", &["/api/users", "/api/users/*"]),
    ("threads", &["/api/threads", "/api/threads/*"]),
    ("posts", &["/api/posts", "/api/posts/*"]),
];

/// The order in which the tutorial's script makes its rules.
fn script() -> Stage {
    stage("api", &SERVICES)
        .rule(1, "/api/users*", "users")
        .rule(2, "/api/threads*", "threads")
        .rule(3, "/api/posts*", "posts")
        .rule(99, "/api*", "api")
}

/// The order in which its pages tell a person to make them.
fn console() -> Stage {
    stage("api", &SERVICES)
        .rule(1, "/api*", "api")
        .rule(2, "/api/users*", "users")
        .rule(3, "/api/threads*", "threads")
        .rule(4, "/api/posts*", "posts")
}

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

#[test]
fn rules_that_cross_or_lose_one_pattern_are_named_and_narrow_above_wide_is_not() {
    let to = |group| RuleImage::forward_to(&arn(group));
    stage("web", &[])
        .rule(1, "/shop/cart", "cart")
        .rule(2, "/shop/*", "shop")
        .rule(3, "/*/cart/items", "cart")
        .with_rule(4, [path(&["/shop/sale", "/sale"])], to("sale"))
        .with_rule(5, [path(&["/shop/help"])], to("shop"))
        .with_rule(6, [host("a.example.com"), path(&["/x"])], to("a"))
        .with_rule(7, [path(&["/x"])], to("x"))
        .with_rule(8, [host("A.Example.com"), path(&["/x"])], to("b"))
        .finds(expect![[r#"
            misroutes partly_shadowed 4 /shop/sale
              no request for `/shop/sale` reaches rule 4: rule 2 takes it
              -> give rule 4 a priority below 2, or delete it
            misroutes shadowed 8 /x
              rule 8 gets no request: rule 6 takes all of them, `a.example.com/x` too
              -> give rule 8 a priority below 6, or delete it
            advice misses_bare_path 2 /shop/*
              `/shop/*` does not match `/shop` itself
              -> add `/shop` beside it, if it is asked for
            advice partly_shadowed 3 /*/cart/items
              both rule 2 and rule 3 match `/shop/cart/items`; rule 2 takes it
              -> if rule 3 shall have it, give a narrower rule for it a priority below 2
            advice shadowed 5 /shop/help
              rule 5 gets no request: rule 2 takes all of them, `/shop/help` too
              -> give rule 5 a priority below 2, or delete it
        "#]]);
}

#[test]
fn a_rule_is_lost_under_several_that_share_its_requests() {
    let to = |group| RuleImage::forward_to(&arn(group));
    stage("web", &[])
        .with_rule(1, [path(&["/a/*"]), host("*.com")], to("one"))
        .with_rule(2, [path(&["/a/*"]), host("*.org")], to("two"))
        .with_rule(
            3,
            [
                path(&["/a/b"]),
                Condition::Host { values: ["x.com", "x.org"].map(str::to_owned).into() },
            ],
            to("lost"),
        )
        .finds_beside(
            &[FindingKind::MissesBarePath],
            expect![[r#"
            misroutes shadowed 3 /a/b
              rule 3 gets no request: rule 1 and rule 2 together take all of them, `x.com/a/b` too
              -> move the rules above down (SetRulePriorities) and rule 3 above them, or delete it
        "#]],
        );
}

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
    let page = include_str!("../../../docs/cutover.md");
    let missing: Vec<_> =
        FindingKind::iter().filter(|kind| !page.contains(&format!("| `{kind}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_full_listener_is_analysed_while_one_waits() {
    let groups = ["a", "b", "c"].map(|name| RuleImage::forward_to(&arn(name)));
    let mut stage = stage("web", &["web"]);
    for n in 0..100_u16 {
        let paths = [0, 1, 2].map(|k| format!("/{}/*/{k}*", n % 17));
        let hosts = Condition::Host {
            values: [format!("{}.example.com", n % 5), format!("*.{}.com", n % 7)].into(),
        };
        let image = groups[usize::from(n) % 3].clone();
        let paths = path(&paths.each_ref().map(String::as_str));
        stage = match n % 4 {
            0 => stage.with_rule(n + 1, [paths], image),
            _ => stage.with_rule(n + 1, [paths, hosts], image),
        };
    }
    assert!(
        stage.moves("a", &[("b", &["/1/*", "/2/?/*"]), ("c", &["/3/*"])]).findings().len() > 10
    );
}

fn scope_strategy() -> impl Strategy<Value = Scope> {
    let paths = prop::collection::vec("/[ab*?]{0,3}", 1..3);
    let hosts = prop::collection::vec("[ab*?]{1,2}", 0..3);
    (paths, hosts).prop_map(|(paths, hosts)| {
        let path = Condition::Path { values: paths.into_iter().collect() };
        let host = Condition::Host { values: hosts.into_iter().collect() };
        Scope::of(&BTreeSet::from([path, host]))
    })
}

fn takes(scope: &Scope, path: &str, host: &str) -> bool {
    let any =
        |patterns: &[Pattern], word| patterns.iter().any(|p| p.covers(&Pattern::literal(word)));
    any(&scope.paths, path) && any(&scope.hosts, host)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn an_example_is_taken_by_those_within_and_missed_by_those_outside(
        within in prop::collection::vec(scope_strategy(), 1..3),
        outside in prop::collection::vec(scope_strategy(), 0..4),
    ) {
        let found =
            example(&within.iter().collect::<Vec<_>>(), &outside.iter().collect::<Vec<_>>());
        let proves = |path: &str, host: &str| {
            within.iter().all(|scope| takes(scope, path, host))
                && !outside.iter().any(|scope| takes(scope, path, host))
        };
        match found {
            Some(Request { path, host }) => {
                let host = host.unwrap_or_else(|| "any".to_owned());
                prop_assert!(proves(&path, &host), "{path} {host}");
            }
            None => {
                let words = ["", "a", "b", "x", "aa", "ab", "ba", "ax", "xb", "aba", "xxx"];
                for (path, host) in words.iter().flat_map(|p| words[1..].iter().map(move |h| (p, h))) {
                    prop_assert!(!proves(&format!("/{path}"), host), "/{path} {host}");
                }
            }
        }
    }
}

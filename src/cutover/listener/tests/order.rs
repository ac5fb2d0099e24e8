//! Rules that others above keep requests from.

use expect_test::expect;

use super::*;

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

//! What goes wrong in AWS, by somebody's hand or in a task, while a route moves.

use super::{Greens, RATE, SECOND, STAGE, Story, unhurt};
use crate::harness::within;
use crate::proxy::Fault;

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_load_balancer_delays_and_hurts_nobody() {
    let mut story = Story::new(Greens::Running(&["users"]), "").await;
    story.tidegate.act().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    story.proxy.fail("elasticloadbalancing:*", Fault::Throttled);
    tokio::time::sleep(SECOND * 20).await;
    assert!(story.proxy.struck() > 0);
    assert_eq!(story.percent("users").await, 20, "nothing moves on blind eyes");
    story.proxy.heal();
    story.reaches("users", 100).await;
    unhurt(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_edited_by_hand_stops_it_and_shows_the_difference() {
    let mut story = Story::new(Greens::Running(&["users"]), "bake: 30s").await;
    story.tidegate.act().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    let rule = story.route("users").await.expect("its rule").rule_arn.expect("its ARN");
    let users = story.demo.group_named("users").await;
    story.demo.set_weights(&rule, &[(&story.api, 60), (&users, 40)]).await;
    let order = ["cutover", "status", "break", "--cluster", "c", "--output", "json"];
    within(STAGE, "it stops and says why", async || {
        let told = story.tidegate.run(&order).await;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        (told.contains("somebody changed the rule") && told.contains("users 40")).then_some(())
    })
    .await;
    assert_eq!(story.percent("users").await, 40, "the person's weights stand");
    story.order("rollback").await;
    story.reaches("users", 0).await;
    unhurt(&load.stop().await);
}

/// Only those in flight, and those sent to it until the load balancer has found out.
#[tokio::test(flavor = "multi_thread")]
async fn a_green_target_that_dies_mid_step_hurts_no_more_than_its_share_until_it_is_found() {
    let mut story = Story::new(Greens::Running(&["users"]), "bake: 20s").await;
    story.demo.world.set_count("users", 2).await;
    story.demo.healthy(&story.demo.group_named("users").await, 2).await;
    story.tidegate.act().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    tokio::time::sleep(SECOND * 3).await;
    let victim = story.demo.tasks_of("users").await.swap_remove(0);
    assert!(story.demo.plane.kill(&victim));
    tokio::time::sleep(SECOND * 10).await;
    let tally = load.stop().await;
    // Two of seven routes, a fifth of them, on one of two targets; five checks of 0.6 s, the notice
    // that the process is gone, and what a busy machine adds.
    let seconds = 5.0 * 0.6 + 0.5 + 2.0;
    let most = f64::from(RATE) * 2.0 / 7.0 * 0.2 * seconds + 5.0;
    let failed = u32::try_from(tally.failures.len()).expect("a count");
    assert!(f64::from(failed) <= most, "{failed} failed, at most {most:.0} may");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traffic_it_waits_and_asks_a_person() {
    let mut story = Story::new(Greens::Running(&["users"]), "").await;
    story.tidegate.act().await;
    story.order("start").await;
    story.reaches("users", 20).await;
    tokio::time::sleep(SECOND * 25).await;
    assert_eq!(story.percent("users").await, 20);
    story.order("promote").await;
    story.reaches("users", 100).await;
}

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

use expect_test::expect;

use super::*;
use crate::control::status::story;

#[test]
fn a_plan_states_steps_gates_and_the_worst_of_each() {
    let told = story::before_cutting().cutovers.remove(0);
    expect![[r#"
        break   api -> users, posts   not started
        listener   arn:aws:elasticloadbalancing:r:1:listener/app/web/1/2
        duration   at least 1 h 1 min 30 s of steps and bakes, then 24 h kept warm
        gates      lag up to 2 min, so a bake is never shorter than 5 min
         ! advice too_wide /api*
              `/api*` also matches `/api-old`
              remedy: use `/api` and `/api/*`
         ! advice no_successor /api*
              rule 99 still sends to `api` after all moves, `/api` for one
              remedy: move it too, keep `api` for it, or choose what answers when `api` is gone
         ! advice no_successor 
              the default action still sends to `api` after all moves, `/` for one
              remedy: move it too, keep `api` for it, or choose what answers when `api` is gone
         ! advice health_on_root 
              the health check of `posts` asks for `/` and passes while `/api/posts` is broken
              remedy: check a path of the route, or let a probe ask for one before each shift
         ! advice health_on_root 
              the health check of `users` asks for `/` and passes while `/api/users` is broken
              remedy: check a path of the route, or let a probe ask for one before each shift

        users   /api/users /api/users/*
          today    rule 99: api 100
          steps      5 %   bake 10 min   if green is wholly broken at 5 %, about 975 requests fail before rollback (lag 195 s)
                    50 %   bake 10 min   if green is wholly broken at 50 %, about 9,750 requests fail before rollback (lag 195 s)
                   100 %   bake 10 min   if green is wholly broken at 100 %, about 19,500 requests fail before rollback (lag 195 s)
          gates    healthy targets: at least 1   lag 0 s
                   requests: at least 100   lag 2 min
                   5xx share: 1.00 %   lag 2 min
                   latency p95: 80 ms   lag 2 min
                   latency p99: 110 ms   lag 2 min

        posts   /api/posts /api/posts/*
          today    rule 99: api 100
          steps      5 %   bake 10 min   if green is wholly broken at 5 %, about 975 requests fail before rollback (lag 195 s)
                    50 %   bake 10 min   if green is wholly broken at 50 %, about 9,750 requests fail before rollback (lag 195 s)
                   100 %   bake 10 min   if green is wholly broken at 100 %, about 19,500 requests fail before rollback (lag 195 s)
          gates    healthy targets: at least 1   lag 0 s
                   requests: at least 100   lag 2 min
                   5xx share: 1.00 %   lag 2 min
                   latency p95: 80 ms   lag 2 min
                   latency p99: 110 ms   lag 2 min

        Next (2)
         + create rule route/break/users at priority 96: api 100, users 0
              break/users: a rule of its own, blue 100 and green 0
         + create rule route/break/posts at priority 97: api 100, posts 0
              break/posts: a rule of its own, blue 100 and green 0

        Nothing was changed. `tidegate cutover start break` begins it.
    "#]].assert_eq(&text::plan(&told));
    assert!(!text::asks(&told));
}

#[test]
fn a_status_says_where_each_route_stands_and_what_it_waits_for() {
    let status = story::cutting();
    let told = &status.cutovers[0];
    expect![[r#"
        break   api -> users, posts   under way, started 2026-11-21 09:00:00Z by ana
        listener   arn:aws:elasticloadbalancing:r:1:listener/app/web/1/2

        users            ##########..........  50 %   shifting, step 2 of 3
          bakes    until 2026-11-21 09:24:00Z, 5 min 15 s left
          worst    if green is wholly broken at 50 %, about 14,625 requests fail before rollback (lag 195 s)
          ok       healthy targets: 2, limit at least 1
          ok       requests: 15000, limit at least 100
          ok       5xx share: 0.00 % of 15000, limit 1.00 %
          ok       latency p95: 20 ms, limit 80 ms
          ok       latency p99: 40 ms, limit 110 ms
          held     watched until 2026-11-21 09:24:00Z

        posts            ....................   0 %   probed
          held     break/users comes first
    "#]].assert_eq(&text::status(told, status.at));
    expect![[r#"
        break                under way          users 50 % shifting, posts 0 % probed
    "#]]
    .assert_eq(&text::line(told));
    let moves: String = told.history.iter().take(4).map(text::moved).collect();
    expect![[r#"
        2026-11-21 09:13:30Z  users  shifting step 2: every gate has passed
        2026-11-21 09:03:00Z  users  shifting step 1: everything is ready
        2026-11-21 09:02:45Z  users  probed: 3 good answers in a row
        2026-11-21 09:02:30Z  posts  probed: 3 good answers in a row
    "#]]
    .assert_eq(&moves);
}

#[test]
fn an_order_that_waits_for_permission_says_so() {
    let mut cluster = story::status();
    let start = CutoverOrder::Start { token: String::new(), routes: vec![] };
    let back = CutoverOrder::Rollback { route: None };
    cluster.allow.remove(&ActionKind::Cutover);
    assert_eq!(
        waits(&cluster, &start).as_deref(),
        Some("`cutover` is not in `allow` of this cluster")
    );
    assert_eq!(waits(&cluster, &back), None, "the way back is always permitted");
    cluster.mode.effective = Mode::Observe;
    assert!(waits(&cluster, &back).is_some());
    assert_eq!(waits(&cluster, &CutoverOrder::Pause), None);
}

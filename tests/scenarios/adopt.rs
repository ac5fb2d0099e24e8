//! A rule of somebody else, adopted by name: edited in place, and given back as it was.

use chrono::TimeDelta;
use expect_test::expect;
use tidegate::config::{ClusterConfig, RuleMode};
use tidegate::model::{CutoverOrder, RuleArn, RuleImage, Stage as At, TaskShape};
use tidegate::sim::{Event, Faults, ServiceSpec, World, tutorial};

use crate::cutover::{
    at, begin, harmed_nobody, is_closed, is_watched, rules, settle, short, world,
};
use crate::stage::Stage;

/// The monolith's own rule for `/api*`.
fn adopted(world: &World) -> (RuleArn, RuleImage) {
    let listener = world.listener(&tutorial::listener()).expect("it is there");
    let mut rules = listener.rules.iter();
    let rule = rules.find(|rule| rule.priority == tutorial::MONOLITH_PRIORITY).expect("its rule");
    (rule.arn.clone(), rule.image.clone())
}

/// All of `/api*` to `users`, by the rule that leads it to the monolith.
fn adopting(world: &World) -> ClusterConfig {
    let mut config = short();
    let cutover = &mut config.cutovers[0];
    cutover.rules = RuleMode::Adopt(adopted(world).0);
    cutover.routes[0].paths = vec!["/api*".to_owned()];
    cutover.routes[0].healthy_targets = Some(2);
    config
}

async fn first_step() -> Stage {
    let world = world(1);
    let config = adopting(&world);
    let mut stage = begin(world, config, Faults::default()).await;
    assert!(stage.run_until(TimeDelta::minutes(5), is_watched).await, "{}", stage.script.text());
    stage
}

async fn ended(stage: &mut Stage) {
    let closed = stage.run_until(TimeDelta::minutes(30), is_closed).await;
    assert!(closed, "{}\n{}", stage.script.tail(40), stage.script.holds());
    settle(stage).await;
    harmed_nobody(stage, "adopted");
}

fn now_says(stage: &Stage) -> RuleImage {
    stage.cloud.with_world(|world| adopted(world).1)
}

#[tokio::test]
async fn an_adopted_rule_is_edited_in_place_and_no_other_is_made_for_the_route() {
    let world = world(1);
    let config = adopting(&world);
    let mut stage = begin(world, config, Faults::default()).await;
    ended(&mut stage).await;
    assert_eq!(at(&stage, "users"), At::Finalized);
    expect![[r#"
        min:sec
          0:00   route/break/users: api 100 -> api 100, users 0
          0:01   users is attached: the route has a rule with green at 0
          0:03   users is provisioned: 2 tasks of users ordered
          0:19   users is healthy: 2 healthy targets
          0:20   create rule probe/break/users at priority 1: users 100
          0:25   delete rule probe/break/users
          0:26   users is probed: 3 good answers in a row
          0:27   users is shifting: everything is ready
          0:28   route/break/users: api 100, users 0 -> api 50, users 50
          1:23   users is shifting: every gate has passed
          1:24   route/break/users: api 50, users 50 -> api 0, users 100
          1:39   users is shifted: green has all of the weight
          2:20   users is baked: every gate has passed
          2:21   create rule tombstone/break/1 at priority 50000: answer 410
          2:22   users is tombstoned: the tombstone answers what still reached blue
          5:08   mark h1, h2 for drain (scale_in)
          5:09   drain h1, h2
          7:40   api desired count 4 -> 0
          7:41   users is finalized: blue is no longer needed
    "#]]
    .assert_eq(&format!("min:sec\n{}", stage.script.text()));
}

#[tokio::test]
async fn on_the_way_back_it_says_again_what_it_said_before() {
    let mut told = String::new();
    for order in [CutoverOrder::Rollback { route: None }, CutoverOrder::Abort] {
        let before = adopted(&world(1)).1;
        let mut stage = first_step().await;
        assert_ne!(now_says(&stage), before);
        stage.steer(tutorial::CUTOVER, order.clone()).await;
        ended(&mut stage).await;
        assert_eq!(at(&stage, "users"), At::RolledBack);
        assert_eq!(now_says(&stage), before, "{order}");
        assert_eq!(rules(&stage), [""; 0], "{order}");
        let order = order.to_string();
        told += &format!("{order}:\n{}\n", stage.script.tail(2));
    }
    expect![[r#"
        rollback:
          0:58   route/break/users: api 100, users 0 -> api 100
          1:13   users is rolled_back: ordered by operator: the scenario wants it
        abort:
          0:58   route/break/users: api 100, users 0 -> api 100
          1:13   users is rolled_back: ordered by operator: the scenario wants it
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn whoever_edits_it_meanwhile_stops_the_cutover_and_the_way_back_overwrites_that() {
    let before = adopted(&world(1)).1;
    let mut stage = first_step().await;
    stage.cloud.with_world(|world| {
        let group = |name| world.target_group(name).expect("its group").arn;
        let image = RuleImage::split([(group("api"), 80), (group("users"), 20)]);
        let priority = Some(tutorial::MONOLITH_PRIORITY);
        let listener = tutorial::listener();
        world.happen(Event::EditsRule { listener, priority, image: Some(image) });
    });
    stage.run(TimeDelta::minutes(2)).await;
    expect!["  0:43   stopped: somebody changed the rule: it said api 50, users 50, now api 80, users 20"].assert_eq(&stage.script.tail(1));
    let held = stage.script.holds();
    assert!(held.contains("somebody changed the rule"), "{held}");
    stage.steer(tutorial::CUTOVER, CutoverOrder::Rollback { route: None }).await;
    ended(&mut stage).await;
    assert_eq!(now_says(&stage), before);
}

#[tokio::test]
async fn a_rule_that_ecs_rewrites_or_that_leads_elsewhere_too_is_refused() {
    let native = |world: &mut World| {
        let mut shop = ServiceSpec::new("shop", 0, TaskShape::plain(256, 256));
        shop.native_rules.insert(adopted(world).0);
        world.add_service(shop);
    };
    let shared = |world: &mut World| {
        let group = |name| world.target_group(name).expect("its group").arn;
        let image = RuleImage::split([(group("api"), 80), (group("posts"), 20)]);
        let priority = Some(tutorial::MONOLITH_PRIORITY);
        let listener = tutorial::listener();
        world.happen(Event::EditsRule { listener, priority, image: Some(image) });
    };
    let mut told = String::new();
    for change in [&native as &dyn Fn(&mut World), &shared] {
        let mut world = world(1);
        let config = adopting(&world);
        change(&mut world);
        let (before, acts) = (adopted(&world).1, 0);
        let mut stage = begin(world, config, Faults::default()).await;
        stage.run(TimeDelta::minutes(3)).await;
        assert_eq!((now_says(&stage), stage.script.acts), (before, acts));
        let held = stage.script.holds();
        told.extend(
            held.lines().filter(|hold| hold.starts_with("break/")).map(|hold| format!("{hold}\n")),
        );
    }
    expect![[r#"
        break/users cutover: ECS's own deployments of shop rewrite its rules; set its strategy to ROLLING or leave its traffic to ECS
        break/users cutover: the rule of today does not send everything to api: it says api 80, posts 20
    "#]].assert_eq(&told);
}

#[tokio::test]
async fn a_death_after_any_record_gives_the_rule_back_all_the_same() {
    let before = adopted(&world(1)).1;
    let live = async |records: usize| {
        let mut stage = first_step().await;
        let known = stage.records();
        stage.dies_after(records);
        stage.steer(tutorial::CUTOVER, CutoverOrder::Rollback { route: None }).await;
        ended(&mut stage).await;
        assert_eq!(now_says(&stage), before, "died after {records}");
        stage.records() - known
    };
    let records = live(usize::MAX).await;
    for cut in 0..records {
        live(cut).await;
    }
}

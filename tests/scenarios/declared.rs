//! A target group and rules as declared: made, kept, and taken away in two steps once nobody asks
//! for them.

use chrono::TimeDelta;
use expect_test::expect;
use tidegate::config::{ClusterConfig, Exposure, ServiceConfig};
use tidegate::model::{Action, CutoverOrder, GroupSettings, Outcome, RuleImage, TaskShape};
use tidegate::sim::{Event, Faults, ServiceSpec, World, tutorial};

use crate::cutover::{rules, short, world};
use crate::stage::Stage;

const GROUP: &str = "demo-orders";

/// `orders` with two tasks behind no load balancer yet.
fn with_orders() -> World {
    let mut world = world(1);
    world.add_service(ServiceSpec::new("orders", 2, TaskShape::plain(256, 256)));
    world.advance(world.now() + TimeDelta::minutes(2));
    world
}

/// `/orders*` to `orders`; what is no longer asked for goes after ten minutes.
fn declaring(paths: &[&str]) -> ClusterConfig {
    let mut config = tutorial::config();
    config.cutovers.clear();
    config.retention = TimeDelta::minutes(10);
    let exposure = Exposure {
        listener: tutorial::listener(),
        target_group: None,
        container: "orders".to_owned(),
        port: 3000,
        settings: Some(GroupSettings { deregistration_delay_seconds: 30, ..tutorial::settings() }),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        hosts: Vec::new(),
        priority: None,
    };
    let orders = ServiceConfig { exposure: Some(exposure), ..ServiceConfig::default() };
    config.services.insert("orders".into(), orders);
    config
}

fn without() -> ClusterConfig {
    let mut config = declaring(&[]);
    config.services.clear();
    config
}

fn happen(stage: &Stage, event: Event) {
    stage.cloud.with_world(|world| world.happen(event));
}

fn group_stands(stage: &Stage) -> bool {
    stage.cloud.with_world(|world| world.target_group(GROUP).is_some())
}

fn is_forgotten(stage: &Stage) -> bool {
    stage.cx.memory.kept.is_empty()
}

/// Everything stands, and tasks answer.
async fn made(paths: &[&str]) -> Stage {
    let mut stage = Stage::open(with_orders(), declaring(paths), Faults::default()).await;
    stage.run(TimeDelta::minutes(4)).await;
    let healthy = stage.cloud.with_world(|world| world.target_group(GROUP).and_then(|g| g.health));
    assert_eq!(healthy.expect("seen").healthy, 2, "{}", stage.script.text());
    stage
}

#[tokio::test]
async fn what_leaves_the_configuration_is_marked_and_deleted_once_nobody_uses_it() {
    let mut stage = made(&["/orders*"]).await;
    let mut told = String::new();
    let mut tell = |stage: &mut Stage, what: &str| {
        let holds = stage.script.holds();
        let ours = holds.lines().filter(|hold| hold.starts_with("orders "));
        told += &format!("{what}\n{}\n", ours.collect::<Vec<_>>().join("\n"));
    };
    stage.configure(without()).await;
    stage.run(TimeDelta::minutes(5)).await;
    tell(&mut stage, "left the configuration:");
    stage.configure(declaring(&["/orders*"])).await;
    stage.run(TimeDelta::minutes(1)).await;
    tell(&mut stage, "came back:");
    stage.configure(without()).await;
    stage.run(TimeDelta::minutes(12)).await;
    tell(&mut stage, "left again, and goes on running:");
    assert!(group_stands(&stage));
    happen(&stage, Event::DeleteService { service: "orders".into() });
    stage.run(TimeDelta::seconds(10)).await;
    tell(&mut stage, "the service was deleted:");
    let gone = stage.run_until(TimeDelta::minutes(5), is_forgotten).await;
    assert!(gone, "{}", stage.script.text());
    tell(&mut stage, "in the end:");
    assert!(!group_stands(&stage));
    assert_eq!(rules(&stage), [""; 0]);
    assert_eq!(stage.violations(), []);
    expect![[r#"
        left the configuration:
        orders cutover: no longer in the configuration: what Tidegate made for it is deleted at 2026-11-21 09:18:04Z; put it back into the configuration to keep it
        came back:

        left again, and goes on running:
        orders cutover: no longer in the configuration, but demo-orders is still used by service orders, whose tasks register with it
        the service was deleted:
        orders cutover: no longer in the configuration, but demo-orders is still used by 2 targets
        in the end:

    "#]].assert_eq(&told);
    expect![[r#"
        min:sec
          0:00   create target group demo-orders
          0:01   create rule service/orders at priority 49000: demo-orders 100
          0:03   orders registers with target group demo-orders
          5:34   mark h1, h2 for drain (scale_in)
          5:35   drain h1, h2
         11:21   terminate h1, general desired capacity 4 -> 3
         11:22   terminate h2, general desired capacity 3 -> 2
         23:08   delete rule service/orders
         23:09   delete target group demo-orders
    "#]]
    .assert_eq(&format!("min:sec\n{}", stage.script.text()));
}

#[tokio::test]
async fn a_service_without_paths_is_parked_and_its_rule_goes_with_it() {
    let mut stage = made(&[]).await;
    assert_eq!(rules(&stage), ["park/orders: demo-orders 100"]);
    // From a park rule to one of its own, and back.
    stage.configure(declaring(&["/orders*"])).await;
    stage.run(TimeDelta::minutes(12)).await;
    assert_eq!(rules(&stage), ["service/orders: demo-orders 100"]);
    stage.configure(declaring(&[])).await;
    stage.run(TimeDelta::minutes(5)).await;
    assert_eq!(
        rules(&stage),
        ["service/orders: demo-orders 100", "park/orders: demo-orders 100"],
        "both, until the time has passed"
    );
    stage.run(TimeDelta::minutes(7)).await;
    assert_eq!(rules(&stage), ["park/orders: demo-orders 100"]);
    stage.configure(without()).await;
    happen(&stage, Event::DeleteService { service: "orders".into() });
    stage.run(TimeDelta::minutes(12)).await;
    assert!(is_forgotten(&stage) && !group_stands(&stage), "{}", stage.script.text());
    assert_eq!(rules(&stage), [""; 0]);
}

fn at_priority(config: &mut ClusterConfig, priority: u16) {
    let orders = config.services.get_mut(&"orders".into()).expect("it is declared");
    orders.exposure.as_mut().expect("with load balancing").priority = Some(priority);
}

#[tokio::test]
async fn a_rule_that_stands_follows_the_configuration() {
    let mut stage = made(&["/orders*"]).await;
    let after = stage.script.text().len();
    let mut config = declaring(&["/orders", "/orders/*"]);
    at_priority(&mut config, 40);
    stage.configure(config).await;
    stage.run(TimeDelta::minutes(1)).await;
    expect![[r#"
        min:sec
          4:04   rule service/orders takes path /orders, /orders/*
          4:05   rule service/orders moves from priority 49000 to 40
    "#]]
    .assert_eq(&format!("min:sec\n{}", &stage.script.text()[after..]));
    assert_eq!(rules(&stage), ["service/orders: demo-orders 100"]);
    assert_eq!(stage.violations(), []);
}

#[tokio::test]
async fn a_priority_that_somebody_has_is_left_to_them() {
    let mut stage = made(&["/orders*"]).await;
    let mut config = declaring(&["/orders*"]);
    at_priority(&mut config, tutorial::MONOLITH_PRIORITY);
    stage.configure(config).await;
    stage.run(TimeDelta::minutes(1)).await;
    let held = stage.script.holds();
    assert!(held.contains(&format!("priority {} is taken", tutorial::MONOLITH_PRIORITY)), "{held}");
}

#[tokio::test]
async fn where_somebody_sends_its_requests_stands_and_is_shown() {
    let mut stage = made(&["/orders*"]).await;
    let elsewhere = stage
        .cloud
        .with_world(|world| world.target_group("api").expect("the monolith's group").arn);
    happen(
        &stage,
        Event::EditsRule {
            listener: tutorial::listener(),
            priority: Some(49_000),
            image: Some(RuleImage::forward_to(&elsewhere)),
        },
    );
    stage.run(TimeDelta::minutes(1)).await;
    let held = stage.script.holds();
    assert!(held.contains("orders cutover: somebody changed the rule"), "{held}");
    assert!(rules(&stage)[0].ends_with("api 100"), "{:?}", rules(&stage));
}

#[tokio::test]
async fn a_rule_waits_while_a_cutover_of_its_listener_is_open() {
    let mut config = short();
    config.services = declaring(&["/orders*"]).services;
    config.cutovers[0].approve_before_percent = Some(1);
    let mut stage = crate::cutover::begin(with_orders(), config.clone(), Faults::default()).await;
    stage.run(TimeDelta::minutes(5)).await;
    config.services = declaring(&["/orders", "/orders/*"]).services;
    stage.configure(config).await;
    stage.run(TimeDelta::minutes(1)).await;
    let held = stage.script.holds();
    assert!(held.contains("orders cutover: cutover break is moving its requests"), "{held}");
    stage.steer(tutorial::CUTOVER, CutoverOrder::Abort).await;
    let takes = "rule service/orders takes path /orders, /orders/*";
    let moved = |stage: &Stage| stage.script.text().contains(takes);
    let moved = stage.run_until(TimeDelta::minutes(10), moved).await;
    assert!(moved, "{}", stage.script.text());
}

#[tokio::test]
async fn an_open_cutover_keeps_what_its_services_need() {
    let mut config = short();
    config.cutovers[0].routes[0].to = "orders".into();
    config.cutovers[0].approve_before_percent = Some(1);
    config.services = declaring(&[]).services;
    config.retention = TimeDelta::minutes(10);
    let mut stage = crate::cutover::begin(with_orders(), config.clone(), Faults::default()).await;
    stage.run(TimeDelta::minutes(5)).await;
    config.services.clear();
    stage.configure(config).await;
    happen(&stage, Event::SetCount { service: "orders".into(), count: 0 });
    stage.run(TimeDelta::minutes(12)).await;
    let held = stage.script.holds();
    assert!(held.contains("demo-orders is still used by cutover `break`"), "{held}");
    assert!(group_stands(&stage));
    stage.steer(tutorial::CUTOVER, CutoverOrder::Abort).await;
    happen(&stage, Event::DeleteService { service: "orders".into() });
    let gone = stage.run_until(TimeDelta::minutes(12), is_forgotten).await;
    assert!(gone && !group_stands(&stage), "{}", stage.script.text());
}

#[tokio::test]
async fn nobody_deletes_a_group_that_tasks_still_register_with() {
    let stage = made(&["/orders*"]).await;
    let outcome = stage.cloud.with_world(|world| {
        let group = world.target_group(GROUP).expect("it stands").arn;
        world.happen(Event::EditsRule {
            listener: tutorial::listener(),
            priority: Some(49_000),
            image: None,
        });
        world.apply(&Action::DeleteTargetGroup { group, service: "orders".into() })
    });
    assert!(matches!(outcome, Outcome::Moved { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_death_after_any_record_of_a_removal_changes_nothing_in_the_end() {
    let live = async |records: usize| {
        let mut stage = made(&["/orders*"]).await;
        let before = stage.records();
        stage.dies_after(records);
        stage.configure(without()).await;
        happen(&stage, Event::DeleteService { service: "orders".into() });
        let gone = stage.run_until(TimeDelta::minutes(30), is_forgotten).await;
        assert!(gone, "died after {records}\n{}", stage.script.tail(40));
        assert!(!group_stands(&stage) && rules(&stage).is_empty(), "died after {records}");
        assert_eq!(stage.violations(), []);
        stage.records() - before
    };
    let records = live(usize::MAX).await;
    assert!(records > 8, "only {records} records");
    for cut in 0..records {
        live(cut).await;
    }
}

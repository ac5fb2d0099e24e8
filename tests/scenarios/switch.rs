//! The stop switch in AWS: whoever sets it stops the loop, whatever its mode.

use chrono::TimeDelta;
use tidegate::model::{Failure, Stop, StopMode};
use tidegate::sim::{Event, Faults, World};

use crate::capacity::{config, general, id, service, world};
use crate::stage::Stage;

/// A host too many from the beginning, and load that needs more hosts after ten minutes.
fn busy() -> World {
    let mut world = world(vec![general(3)], vec![service("api", 2, 900, 512)]);
    let at = world.now() + TimeDelta::minutes(10);
    world.schedule(at, Event::SetCount { service: "api".into(), count: 12 }, None);
    world
}

async fn live(says: Result<Option<Stop>, Failure>) -> Stage {
    let mut config = config(&[id("general")]);
    config.stop_parameter = Some("/tidegate/shop/stop".to_owned());
    let mut stage = Stage::open(busy(), config, Faults::default()).await;
    stage.cloud.with_world(|world| world.set_stop_switch(says));
    stage.run(TimeDelta::minutes(20)).await;
    assert_eq!(stage.violations(), []);
    stage
}

fn said(stage: &Stage, what: &str) -> bool {
    stage.script.text().contains(what)
}

fn stop(mode: StopMode) -> Result<Option<Stop>, Failure> {
    Ok(Some(Stop { mode, because: "incident 7".to_owned() }))
}

#[tokio::test]
async fn a_switch_that_is_not_there_stops_nothing() {
    let stage = live(Ok(None)).await;
    assert!(said(&stage, "drain") && said(&stage, "desired capacity"), "{}", stage.script.text());
}

#[tokio::test]
async fn pinned_it_orders_what_is_missing_and_removes_nothing() {
    let mut stage = live(stop(StopMode::Pin)).await;
    assert!(!said(&stage, "drain") && said(&stage, "desired capacity"), "{}", stage.script.text());
    stage.cloud.with_world(|world| world.set_stop_switch(Ok(None)));
    stage.run(TimeDelta::minutes(1)).await;
    assert!(!stage.script.holds().contains("stop switch"));
}

#[tokio::test]
async fn told_to_observe_it_writes_nothing_and_says_why() {
    let mut stage = live(stop(StopMode::Observe)).await;
    assert_eq!(stage.script.acts, 0, "{}", stage.script.text());
    let held = stage.script.holds();
    assert!(held.contains("the stop switch in AWS says observe: incident 7"), "{held}");
}

#[tokio::test]
async fn one_that_does_not_answer_is_no_permission_to_remove() {
    let stage = live(Err(Failure::Throttled)).await;
    assert!(!said(&stage, "drain") && said(&stage, "desired capacity"), "{}", stage.script.text());
}

//! The demo's story, as the loop lives through it.

use chrono::{DateTime, TimeDelta, Utc};
use tidegate::model::{CutoverOrder, Order};
use tidegate::sim::{Faults, story, tutorial};

use crate::stage::Stage;

/// A Saturday in November, nine in the morning.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_251_600, 0).expect("a moment chrono knows")
}

/// What a person orders now: what the story says, and what is asked of them.
fn next(stage: &Stage) -> Option<Order> {
    let cutovers = &stage.cx.memory.cutovers;
    let is_open = |name: &str| Some(cutovers.get(&name.into())?.is_open());
    let released = !stage.cx.memory.releases.is_empty();
    if let Some((order, _)) = story::order(stage.now() - start(), is_open, released) {
        return Some(order);
    }
    let steer = CutoverOrder::Promote { route: None, full: false };
    let promote = Order::Cutover { cutover: tutorial::CUTOVER.into(), steer };
    stage.script.awaits_promotion().then_some(promote)
}

#[tokio::test]
async fn the_demo_tells_its_story() {
    let world = story::world(1, start());
    let mut stage = Stage::open(world, story::shop(), Faults::default()).await;
    let left = |stage: &Stage| start() + story::LENGTH - stage.now();
    while left(&stage) > TimeDelta::zero() {
        let due = |stage: &Stage| next(stage).is_some();
        stage.run_until(left(&stage), due).await;
        if let Some(order) = next(&stage) {
            stage.order(order).await;
        }
    }
    assert_eq!(stage.violations(), []);
    assert_eq!(stage.cloud.with_world(|world| world.answers().lost_by_steering()), 0);
    let holds = stage.script.holds();
    let told = format!("{}\nstill held:\n{holds}", stage.script.text());
    expect_test::expect_file!["story.txt"].assert_eq(&told);
}

//! The demo's story, as the loop lives through it.

use chrono::{DateTime, Utc};
use tidegate::sim::{Faults, story};

use crate::stage::Stage;

/// A Saturday in November, nine in the morning.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_251_600, 0).expect("a moment chrono knows")
}

#[tokio::test]
async fn the_demo_tells_its_story() {
    let world = story::world(1, start());
    let mut stage = Stage::open(world, story::config(), Faults::default()).await;
    stage.run(story::LENGTH).await;
    assert_eq!(stage.violations(), []);
    let holds = stage.script.holds();
    let told = format!("{}\nstill held:\n{holds}", stage.script.text());
    expect_test::expect_file!["story.txt"].assert_eq(&told);
}

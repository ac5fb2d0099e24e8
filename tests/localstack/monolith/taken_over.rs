//! The previous build takes over from this one while a route moves, and this one from it.

use super::{Greens, Story, unhurt};
use crate::takeover::previous;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the previous build: make previous"]
async fn in_a_shift_nobody_is_hurt_and_each_step_is_taken_once() {
    let steps = "steps_percent: [20, 60, 100]";
    let mut story = Story::new(Greens::Running(&["users"]), steps).await;
    story.tidegate.act().await;
    let load = story.load();
    story.order("start").await;
    story.reaches("users", 20).await;
    story.tidegate.end().await;
    story.tidegate.become_build(Some(previous()));
    story.tidegate.start().await;
    story.reaches("users", 60).await;
    story.tidegate.kill();
    story.tidegate.become_build(None);
    story.tidegate.start().await;
    story.reaches("users", 100).await;
    unhurt(&load.stop().await);
    let written = story.demo.world.sent("ModifyRule", 0).await;
    assert_eq!(written.len(), 3, "{written:?}");
}

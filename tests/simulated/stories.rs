//! What happens to a cluster, as an operator would tell it.

use chrono::TimeDelta;
use expect_test::expect;
use tidegate::model::build;
use tidegate::sim::{Event, Faults};

use crate::world::{Run, config, world};

#[tokio::test]
async fn the_fleet_follows_its_tasks_up_and_down() {
    let mut run = Run::start(config(), world(1, 2, 6), Faults::default()).await;
    run.run(TimeDelta::minutes(5)).await;
    run.happen(Event::SetCount {
        service: "shop".into(),
        count: 14,
    });
    run.run(TimeDelta::minutes(15)).await;
    run.happen(Event::SetCount {
        service: "shop".into(),
        count: 3,
    });
    run.run(TimeDelta::minutes(40)).await;
    expect![[""]].assert_eq(&run.transcript);
    assert_eq!(run.desired(&build::workers()), 1);
    assert_eq!(run.cloud.with_world(|world| world.check()), []);
}

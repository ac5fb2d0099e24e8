//! Spot interruptions: EC2 says that it takes a host, or that it might.

use chrono::TimeDelta;
use expect_test::expect;
use tidegate::config::ClusterConfig;
use tidegate::model::{HostStatus, InstanceId, Warning};
use tidegate::sim::{Event, Faults};

use crate::capacity::{config, general, id, service, world};
use crate::stage::Stage;

/// Three hosts, each with two tasks of a half.
async fn full(config: ClusterConfig) -> (Stage, InstanceId) {
    let world = world(vec![general(3)], vec![service("web", 6, 1000, 3000)]);
    let mut stage = Stage::open(world, config, Faults::default()).await;
    stage.run(TimeDelta::minutes(1)).await;
    let host = stage.see().hosts.value.keys().next().expect("a host").clone();
    (stage, host)
}

/// The event, heard as the queue tells it.
fn warns(stage: &mut Stage, host: &InstanceId, warning: Warning) -> bool {
    let event = Event::Warn { host: Some(host.clone()), warning };
    stage.cloud.with_world(|world| world.happen(event));
    stage.hear()
}

fn serving(stage: &Stage) -> u64 {
    stage.see().services.value[&"web".into()].running_count
}

#[tokio::test]
async fn a_host_that_ends_in_two_minutes_drains_and_is_replaced_in_the_same_tick() {
    let (mut stage, host) = full(config(&[id("general")])).await;
    assert!(warns(&mut stage, &host, Warning::Ends), "worth a look at once");
    stage.run(TimeDelta::minutes(15)).await;
    assert_eq!(serving(&stage), 6);
    assert!(!stage.see().hosts.value.contains_key(&host));
    assert_eq!(stage.violations(), []);
    expect![[r#"
        min:sec
          1:00   drain h1
          1:00   general desired capacity 3 -> 4
          1:01   mark h1 for drain (spot)
         11:17   mark h2 for drain (scale_in)
         11:18   drain h2
         11:19   terminate h2, general desired capacity 4 -> 3
    "#]]
    .assert_eq(&format!("min:sec\n{}", stage.script.text()));
}

#[tokio::test]
async fn a_host_at_risk_is_replaced_without_hurry_and_waited_for() {
    let (mut stage, host) = full(config(&[id("general")])).await;
    assert!(warns(&mut stage, &host, Warning::AtRisk));
    stage.run(TimeDelta::minutes(15)).await;
    assert_eq!(serving(&stage), 6);
    assert_eq!(stage.violations(), []);
    expect![[r#"
        min:sec
          1:00   drain h1
          1:00   general desired capacity 3 -> 4
          1:01   mark h1 for drain (spot)
          3:32   terminate h1, general desired capacity 4 -> 3
    "#]]
    .assert_eq(&format!("min:sec\n{}", stage.script.text()));
}

#[tokio::test]
async fn told_twice_or_of_a_host_of_others_nothing_more_happens() {
    let (mut stage, host) = full(config(&[id("general")])).await;
    assert!(!warns(&mut stage, &"i-0elsewhere".into(), Warning::Ends));
    assert!(warns(&mut stage, &host, Warning::Ends));
    stage.run(TimeDelta::seconds(30)).await;
    let acts = stage.script.acts;
    warns(&mut stage, &host, Warning::Ends);
    stage.run(TimeDelta::seconds(5)).await;
    assert_eq!(stage.script.acts, acts, "{}", stage.script.text());
}

#[tokio::test]
async fn what_is_not_allowed_is_only_shown() {
    let mut config = config(&[id("general")]);
    config.allow.remove(&tidegate::model::ActionKind::Spot);
    let (mut stage, host) = full(config).await;
    warns(&mut stage, &host, Warning::AtRisk);
    stage.run(TimeDelta::minutes(2)).await;
    assert_eq!(stage.see().hosts.value[&host].status, HostStatus::Active);
    assert!(stage.script.holds().contains("spot"), "{}", stage.script.holds());
    let text = stage.script.text();
    assert!(!text.contains("desired capacity"), "nothing leaves, so nothing is replaced: {text}");
}

/// The warning is told once; whoever comes after a crash knows it from the journal.
#[tokio::test]
async fn a_death_after_any_record_forgets_no_warning() {
    let live = async |records: usize| {
        let (mut stage, host) = full(config(&[id("general")])).await;
        let before = stage.records();
        stage.dies_after(records);
        warns(&mut stage, &host, Warning::Ends);
        stage.run(TimeDelta::minutes(15)).await;
        assert_eq!(serving(&stage), 6, "died after {records}");
        assert_eq!(stage.violations(), [], "died after {records}");
        stage.records() - before
    };
    let records = live(usize::MAX).await;
    assert!(records > 8, "only {records} records");
    // Before the first record nobody but the dead process knew of it.
    for cut in 1..records {
        live(cut).await;
    }
}

//! A monolith taken apart on the simulated AWS: no request is lost by steering, whatever happens.

use chrono::TimeDelta;
use tidegate::config::ClusterConfig;
use tidegate::model::{CutoverMemory, CutoverOrder, Owner, Purpose, Stage as At};
use tidegate::sim::rng::Rng;
use tidegate::sim::{Cause, Faults, World, tutorial};

use crate::stage::Stage;
use crate::story::start;

/// The monolith with four tasks, its three services with two each, a hundred requests a second.
pub(crate) fn world(seed: u64) -> World {
    let mut world = tutorial::world(seed, start(), 4);
    tutorial::quicken(&mut world);
    tutorial::add_services(&mut world, 2);
    tutorial::add_requests(&mut world, 25);
    world.advance(start() + TimeDelta::minutes(2));
    world
}

/// One route in two steps to the end: every stage, in a few minutes.
pub(crate) fn short() -> ClusterConfig {
    let mut config = tutorial::config();
    let cutover = &mut config.cutovers[0];
    cutover.routes.truncate(1);
    cutover.routes[0].steps_percent = vec![50, 100];
    cutover.routes[0].bake = cutover.bake_min();
    cutover.keep_warm = TimeDelta::zero();
    config
}

/// Orders the start, as a person would.
pub(crate) async fn begin(world: World, config: ClusterConfig, faults: Faults) -> Stage {
    let routes = config.cutovers[0].routes.iter().map(|route| route.to.clone()).collect();
    let mut stage = Stage::open(world, config, faults).await;
    let token = "token".to_owned();
    stage.steer(tutorial::CUTOVER, CutoverOrder::Start { token, routes }).await;
    stage
}

pub(crate) fn memory(stage: &Stage) -> &CutoverMemory {
    &stage.cx.memory.cutovers[&tutorial::CUTOVER.into()]
}

pub(crate) fn is_closed(stage: &Stage) -> bool {
    !memory(stage).is_open()
}

pub(crate) fn at(stage: &Stage, to: &str) -> At {
    memory(stage).routes[&to.into()].stage
}

/// The first step has been written, taken up and is watched.
pub(crate) fn is_watched(stage: &Stage) -> bool {
    memory(stage).routes[&"users".into()].baking_since.is_some()
}

/// Why a route went back.
pub(crate) fn because(stage: &Stage, to: &str) -> String {
    memory(stage).routes[&to.into()].because.clone().unwrap_or_default()
}

pub(crate) fn lost(stage: &Stage, cause: Cause) -> u64 {
    stage.cloud.with_world(|world| world.answers().lost.get(&cause).copied().unwrap_or_default())
}

pub(crate) fn answered(stage: &Stage, name: &str) -> u64 {
    stage.cloud.with_world(|world| {
        let group = world.target_group(name).expect("its group").arn;
        world.answers().good.get(&group).copied().unwrap_or_default()
    })
}

/// No law broken, no limit passed, nobody sent to nobody.
pub(crate) fn harmed_nobody(stage: &Stage, what: &str) {
    harmed_at_most(stage, 0, what);
}

pub(crate) fn harmed_at_most(stage: &Stage, requests: u64, what: &str) {
    let told = || format!("{what}\n{}", stage.script.tail(40));
    assert_eq!(stage.violations(), [], "{}", told());
    assert_eq!(stage.script.broken, [""; 0], "{}", told());
    let lost = stage.cloud.with_world(|world| world.answers().lost_by_steering());
    assert!(lost <= requests, "{lost} requests lost: {}", told());
}

/// The rules of the routes as `users: api 100, users 0`.
pub(crate) fn rules(stage: &Stage) -> Vec<String> {
    stage.cloud.with_world(|world| {
        let listener = world.listener(&tutorial::listener()).expect("it is there");
        let own = listener.rules.iter().filter_map(|rule| match &rule.owner {
            Owner::Tidegate(Purpose::Route(id)) => Some(format!("{}: {}", id.to, rule.image)),
            Owner::Tidegate(other) => Some(format!("{other}: {}", rule.image)),
            _ => None,
        });
        own.collect()
    })
}

pub(crate) fn desired(stage: &Stage, name: &str) -> u64 {
    stage.see().services.value[&name.into()].desired_count
}

/// Lets it settle after the end, so that what was written last has taken effect.
pub(crate) async fn settle(stage: &mut Stage) {
    stage.run(TimeDelta::minutes(1)).await;
}

#[tokio::test]
async fn a_monolith_is_taken_apart_and_nobody_notices() {
    let mut stage = begin(world(1), tutorial::config(), Faults::default()).await;
    let closed = stage.run_until(TimeDelta::hours(1), is_closed).await;
    assert!(closed, "{}", stage.script.tail(40));
    settle(&mut stage).await;
    harmed_nobody(&stage, "orderly");
    assert_eq!(desired(&stage, "api"), 0);
    expect_test::expect_file!["cutover.txt"].assert_eq(stage.script.text());
}

#[tokio::test]
async fn a_host_that_leaves_while_a_route_shifts_is_ended_once() {
    let mut config = short();
    config.cutovers[0].routes[0].bake = TimeDelta::minutes(15);
    let mut stage = begin(world(1), config, Faults::default()).await;
    stage.run(TimeDelta::minutes(15)).await;
    assert!(stage.script.text().contains("terminate h1"), "{}", stage.script.text());
    assert_eq!(stage.violations(), []);
}

#[tokio::test]
async fn a_death_after_any_record_of_a_cutover_changes_nothing_in_the_end() {
    let live = async |records: usize| {
        let mut stage = begin(world(1), short(), Faults::default()).await;
        let before = stage.records();
        stage.dies_after(records);
        let closed = stage.run_until(TimeDelta::minutes(30), is_closed).await;
        assert!(closed, "died after {records}\n{}", stage.script.tail(40));
        settle(&mut stage).await;
        harmed_nobody(&stage, &format!("died after record {records}"));
        let end = (at(&stage, "users"), rules(&stage), desired(&stage, "api"));
        (end, stage.records() - before)
    };
    let (undisturbed, records) = live(usize::MAX).await;
    assert_eq!(undisturbed.0, At::Finalized);
    assert!(records > 40, "only {records} records");
    for cut in 0..records {
        assert_eq!(live(cut).await.0, undisturbed, "died after record {cut}");
    }
}

#[tokio::test]
async fn with_a_bad_line_it_ends_or_waits_for_a_reason_and_nobody_is_harmed() {
    let mut ended = 0;
    for seed in 0..200 {
        let bad = if seed % 2 == 0 { 50 } else { 200 };
        let faults = Faults {
            seed,
            throttled_per_mille: bad,
            no_metrics_per_mille: 2 * bad,
            refused_per_mille: bad,
            lost_per_mille: bad,
            ..Faults::default()
        };
        let mut stage = begin(world(seed), short(), faults).await;
        let closed = stage.run_until(TimeDelta::minutes(12), is_closed).await;
        ended += u64::from(closed);
        let mut held = String::new();
        // A request that was refused just now is no hold yet.
        while !is_closed(&stage) && !held.contains(" cutover: ") {
            stage.run(TimeDelta::seconds(15)).await;
            held = stage.script.holds();
            let waited = stage.now() - start();
            assert!(waited < TimeDelta::minutes(20), "seed {seed}\n{}", stage.script.tail(40));
        }
        harmed_nobody(&stage, &format!("seed {seed}"));
        assert!(!held.contains("somebody changed"), "seed {seed}: {held}");
    }
    assert!(ended > 100, "{ended} of 200 ended");
}

#[tokio::test]
async fn a_rollback_at_any_moment_leads_back() {
    for seed in 0..200 {
        let mut stage = begin(world(seed), short(), Faults::default()).await;
        let after = Rng::new(seed).time_between(TimeDelta::zero(), TimeDelta::minutes(4));
        stage.run(after).await;
        let from = at(&stage, "users");
        stage.steer(tutorial::CUTOVER, CutoverOrder::Rollback { route: None }).await;
        let closed = stage.run_until(TimeDelta::minutes(2), is_closed).await;
        let what = format!("seed {seed}, from {from} after {} s", after.num_seconds());
        assert!(closed, "{what}\n{}", stage.script.tail(40));
        settle(&mut stage).await;
        harmed_nobody(&stage, &what);
        assert_eq!(at(&stage, "users"), At::RolledBack, "{what}");
        let left = rules(&stage);
        assert!(left.is_empty() || left == ["users: api 100, users 0"], "{what}: {left:?}");
        assert_eq!(desired(&stage, "api"), 4, "{what}");
    }
}

//! What happens to services and hosts while traffic moves to them.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use tidegate::model::{
    Action, CutoverOrder, HostStatus, InstanceId, Need, Stage as At, Suspension, TaskOwner,
};
use tidegate::sim::{Cause, Event, Faults, ScalingPolicy, World, tutorial};

use crate::cutover::{
    answered, at, because, begin, desired, harmed_at_most, harmed_nobody, is_closed, is_watched,
    lost, memory, rules, settle, short, world,
};
use crate::stage::Stage;

/// Runs until the first step is watched.
async fn first_step(world: World) -> Stage {
    let mut stage = begin(world, short(), Faults::default()).await;
    assert!(stage.run_until(TimeDelta::minutes(5), is_watched).await, "{}", stage.script.text());
    stage
}

fn happen(stage: &Stage, event: Event) {
    stage.cloud.with_world(|world| world.happen(event));
}

/// The hosts that run tasks of a service.
fn hosts_of(world: &World, name: &str) -> BTreeSet<InstanceId> {
    let need = |tasks_of| Need {
        cluster: world.cluster().clone(),
        pools: BTreeSet::new(),
        tasks_of,
        traffic: None,
        releases: None,
        only_traffic: false,
    };
    let all = world.snapshot(&need(BTreeSet::new())).hosts.value.into_keys().collect();
    let tasks = world.snapshot(&need(all)).tasks.value.into_iter();
    let owner = TaskOwner::Service(name.into());
    let runs = tasks.filter(|(_, tasks)| tasks.iter().any(|task| task.owner == owner));
    runs.map(|(host, _)| host).collect()
}

#[tokio::test]
async fn hosts_that_are_interrupted_under_green_cost_no_request() {
    let mut stage = first_step(world(3)).await;
    let hosts = stage.cloud.with_world(|world| {
        let hosts = hosts_of(world, "users");
        let (was, now) = (HostStatus::Active, HostStatus::Draining);
        world.apply(&Action::SetHostStatus { hosts: hosts.clone(), was, now });
        for host in &hosts {
            let at = world.now() + TimeDelta::minutes(2);
            world.schedule(at, Event::HostDies { host: Some(host.clone()) }, None);
        }
        hosts.len()
    });
    assert!(hosts > 0);
    let closed = stage.run_until(TimeDelta::minutes(30), is_closed).await;
    assert!(closed, "{}", stage.script.tail(40));
    settle(&mut stage).await;
    harmed_nobody(&stage, "interrupted");
    assert_eq!(at(&stage, "users"), At::Finalized);
}

#[tokio::test]
async fn a_host_that_dies_under_green_costs_its_share_until_two_checks_have_failed() {
    let mut stage = first_step(world(3)).await;
    let host = stage.cloud.with_world(|world| hosts_of(world, "users").pop_first());
    happen(&stage, Event::HostDies { host });
    let closed = stage.run_until(TimeDelta::minutes(30), is_closed).await;
    assert!(closed, "{}", stage.script.tail(40));
    settle(&mut stage).await;
    // All of a second's requests, at worst, on two checks of six seconds each and one beat.
    harmed_at_most(&stage, 100 * (2 * 6 + 1), "died");
}

#[tokio::test]
async fn scaling_of_the_monolith_takes_no_task_away_while_its_traffic_leaves() {
    for goes_back in [false, true] {
        let mut world = world(4);
        let policy = ScalingPolicy::new("api", 1, 6, 25 * 60);
        world.add_scaling_policy(ScalingPolicy { low_minutes: 2, ..policy });
        let mut stage = begin(world, tutorial::config(), Faults::default()).await;
        let baked = |stage: &Stage| at(stage, "posts") == At::Baked;
        assert!(stage.run_until(TimeDelta::hours(1), baked).await, "{}", stage.script.tail(40));
        assert_eq!(desired(&stage, "api"), 4);
        let suspended = |stage: &Stage| {
            stage.cloud.with_world(|world| world.suspended(&"api".into())).expect("it is scaled")
        };
        assert!(suspended(&stage).scale_in);
        if goes_back {
            let order = CutoverOrder::Rollback { route: None };
            stage.steer(tutorial::CUTOVER, order).await;
        }
        let closed = stage.run_until(TimeDelta::hours(1), is_closed).await;
        assert!(closed, "{}", stage.script.tail(40));
        settle(&mut stage).await;
        harmed_nobody(&stage, "scaled");
        assert_eq!(desired(&stage, "api"), if goes_back { 4 } else { 0 });
        let all = Suspension { scale_in: true, scale_out: true, scheduled: true };
        let left = if goes_back { Suspension::default() } else { all };
        assert_eq!(suspended(&stage), left);
    }
}

#[tokio::test]
async fn a_deployment_of_green_by_others_that_fails_leads_back() {
    let mut stage = first_step(world(5)).await;
    happen(&stage, Event::DeployBroken { service: "users".into() });
    let closed = stage.run_until(TimeDelta::minutes(30), is_closed).await;
    assert!(closed, "{}", stage.script.tail(40));
    settle(&mut stage).await;
    harmed_nobody(&stage, "deployed");
    assert_eq!(because(&stage, "users"), "deployment ecs-svc/users-2 of users failed");
    assert_eq!(rules(&stage), ["users: api 100, users 0"]);
}

#[tokio::test]
async fn a_green_that_fails_or_lags_is_led_back_for_less_than_the_step_said() {
    for (errors_bp, extra_latency_ms) in [(200, 300), (200, 0), (0, 300), (10_000, 0)] {
        let mut stage = begin(world(6), short(), Faults::default()).await;
        let service = "users".into();
        happen(&stage, Event::Misbehaves { service, errors_bp, extra_latency_ms });
        // The probe would find what fails always.
        stage.cx.config.cutovers[0].probe = None;
        let closed = stage.run_until(TimeDelta::minutes(10), is_closed).await;
        assert!(closed, "{}", stage.script.tail(40));
        settle(&mut stage).await;
        let what = format!("{errors_bp} bp, {extra_latency_ms} ms");
        harmed_nobody(&stage, &what);
        assert_eq!(at(&stage, "users"), At::RolledBack, "{what}");
        let slow = if extra_latency_ms > 0 { answered(&stage, "users") } else { 0 };
        let hurt = lost(&stage, Cause::Service) + slow;
        let exposed = stage.script.exposed;
        assert!(hurt > 0 && hurt <= exposed, "{what}: {hurt} hurt, {exposed} exposed");
        assert_eq!(memory(&stage).routes[&"users".into()].step, 0);
    }
}

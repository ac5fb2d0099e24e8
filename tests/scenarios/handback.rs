//! What was taken over is handed back: in the end the account is as it was before Tidegate.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use expect_test::expect;
use serde_json::{Value, json};
use tidegate::config::ClusterConfig;
use tidegate::model::{
    Action, CapacityProvider, CutoverOrder, Lifecycle, Market, Mode, Order, PoolId, Scope, Side,
    Stage as At, Suspension, Units,
};
use tidegate::sim::{Event, Faults, ScalingPolicy, World, story, tutorial};

use crate::capacity;
use crate::cutover::{at, begin, is_closed, is_watched, memory, short};
use crate::stage::Stage;
use crate::story::start;

fn pool() -> PoolId {
    PoolId::group("general")
}

/// The monolith on a group under managed scaling, its count in the hands of Application Auto
/// Scaling; a third host that nobody needs.
fn world() -> World {
    let mut world = World::new("demo", start() - TimeDelta::minutes(30), 1);
    let mut general = story::group("general", "m6i.large", 3, 1, 12);
    general.protects_new_hosts = false;
    general.suspended.clear();
    general.provider = Some(CapacityProvider {
        name: "general-provider".to_owned(),
        managed_scaling: true,
        managed_termination_protection: false,
        managed_draining: false,
    });
    world.add_pool(general, Market::OnDemand);
    world.advance(start() - TimeDelta::minutes(15));
    tutorial::add_monolith(&mut world, 4);
    tutorial::quicken(&mut world);
    tutorial::add_services(&mut world, 2);
    tutorial::add_requests(&mut world, 25);
    world.add_scaling_policy(ScalingPolicy::new("api", 4, 8, 100_000));
    world.advance(start() + TimeDelta::minutes(2));
    world
}

/// Everything that Tidegate may write to, capacities, counts and times excepted.
fn described(world: &World, config: &ClusterConfig) -> Value {
    let need = tidegate::model::Need {
        cluster: config.name.clone(),
        pools: [pool()].into(),
        tasks_of: Default::default(),
        traffic: None,
        releases: None,
        only_traffic: false,
    };
    let seen = world.snapshot(&need);
    let group = &seen.pools.value[&pool()];
    let hosts = seen.hosts.value.values();
    let hosts = hosts.filter(|host| host.lifecycle == Lifecycle::InService);
    let hosts: Vec<_> = hosts.map(|host| (host.status, host.protected, host.mark)).collect();
    let odd: Vec<_> = hosts.iter().filter(|host| **host != hosts[0]).collect();
    let services = seen.services.value.values();
    let services: BTreeMap<_, _> =
        services.map(|service| (&service.name, (&service.definition, &service.targets))).collect();
    let groups = ["api", "users", "threads", "posts"].map(|name| world.target_group(name));
    let groups = groups.map(|group| group.map(|group| (group.arn, group.settings)));
    json!({
        "suspended": group.suspended,
        "protects_new_hosts": group.protects_new_hosts,
        "each_host": hosts[0],
        "other_hosts": odd,
        "scaling": world.suspended(&"api".into()),
        "listener": world.listener(&tutorial::listener()),
        "groups": groups,
        "services": services,
    })
}

fn now(stage: &Stage) -> Value {
    stage.cloud.with_world(|world| described(world, &stage.cx.config))
}

/// Taken over, in the midst of a cutover's first step.
async fn shifting() -> Stage {
    let mut stage = begin(world(), short(), Faults::default()).await;
    stage.order(Order::Handover { pools: vec![pool()] }).await;
    let watched = stage.run_until(TimeDelta::minutes(5), is_watched).await;
    assert!(watched, "{}\n{}", stage.script.tail(40), stage.script.holds());
    stage
}

async fn hand_back(stage: &mut Stage, scope: Scope, side: Option<Side>) {
    stage.order(Order::Handback { scope, side }).await;
    let ended = |stage: &Stage| {
        let handback = stage.cx.memory.handback.as_ref();
        handback.is_some_and(|handback| handback.ended.is_some())
    };
    let ended = stage.run_until(TimeDelta::minutes(10), ended).await;
    assert!(ended, "{}\n{}", stage.script.tail(40), stage.script.holds());
    let (acts, rests) = (stage.script.acts, stage.cx.memory.mode == Mode::Observe);
    stage.run(TimeDelta::minutes(10)).await;
    assert!(!rests || stage.script.acts == acts, "{}", stage.script.tail(10));
    assert_eq!(stage.violations(), [], "{}", stage.script.tail(40));
}

#[tokio::test]
async fn in_the_midst_of_a_cutover_all_is_handed_back_as_it_was() {
    let before = described(&world(), &short());
    let mut stage = shifting().await;
    assert_ne!(now(&stage), before);
    hand_back(&mut stage, Scope::Cluster, Some(Side::Blue)).await;
    assert_eq!(now(&stage), before, "{}", stage.script.text());
    assert_eq!(stage.cx.memory.mode, Mode::Observe);
    assert_eq!(at(&stage, "users"), At::RolledBack);
    expect![[r#"
        told:
          0:00   general scale-in protection of new instances on
          0:00   general protect h1, h2, h3 from scale-in
          0:00   create rule route/break/users at priority 97: api 100, users 0
          0:01   general suspend AZRebalance, AlarmNotification
          0:01   users is attached: the route has a rule with green at 0
          0:02   api Application Auto Scaling: scale in suspended
          0:03   users is provisioned: 2 tasks of users ordered
          0:19   users is healthy: 2 healthy targets
          0:20   create rule probe/break/users at priority 1: users 100
          0:25   delete rule probe/break/users
          0:26   users is probed: 3 good answers in a row
          0:27   users is shifting: everything is ready
          0:28   route/break/users: api 100, users 0 -> api 50, users 50
          0:43   route/break/users: back to api 100, users 0
          0:43   general unprotect h1, h2, h3 from scale-in
          0:43   general scale-in protection of new instances off
          0:44   general resume AZRebalance, AlarmNotification
          0:58   api Application Auto Scaling: nothing suspended
          0:58   delete rule route/break/users
          0:59   users is rolled_back: handed back by operator: the scenario wants it
    "#]]
    .assert_eq(&format!("told:\n{}", stage.script.text()));
}

#[tokio::test]
async fn after_a_rollback_and_a_drain_all_is_handed_back_as_it_was() {
    let before = described(&world(), &short());
    let mut stage = shifting().await;
    stage.steer(tutorial::CUTOVER, CutoverOrder::Rollback { route: None }).await;
    assert!(stage.run_until(TimeDelta::minutes(5), is_closed).await);
    let draining = |stage: &Stage| !stage.cx.memory.drains.is_empty();
    assert!(stage.run_until(TimeDelta::minutes(30), draining).await, "{}", stage.script.tail(9));
    hand_back(&mut stage, Scope::Cluster, None).await;
    assert_eq!(now(&stage), before, "{}", stage.script.text());
}

#[tokio::test]
async fn in_observe_and_under_a_ceiling_of_observe_the_order_is_permission_enough() {
    let before = described(&world(), &short());
    let mut stage = shifting().await;
    stage.order(Order::SetMode { mode: Mode::Observe }).await;
    let mut config = short();
    config.mode = Mode::Observe;
    config.allow.clear();
    stage.configure(config).await;
    hand_back(&mut stage, Scope::Cluster, Some(Side::Blue)).await;
    assert_eq!(now(&stage), before, "{}", stage.script.text());
}

#[tokio::test]
async fn what_somebody_changed_since_is_shown_and_left() {
    let mut stage = shifting().await;
    let foreign = Suspension { scale_in: true, scale_out: true, scheduled: true };
    let process = "Launch".to_owned();
    stage.cloud.with_world(|world| {
        let was = world.suspended(&"api".into()).expect("it has a target");
        let service = "api".into();
        world.apply(&Action::SuspendScaling { service, was, now: foreign });
        let (pool, processes) = (pool(), [process.clone()].into());
        world.apply(&Action::SetProcesses { pool, processes, suspended: true });
    });
    hand_back(&mut stage, Scope::Cluster, Some(Side::Blue)).await;
    let seen = now(&stage);
    assert_eq!(seen["suspended"], json!(["Launch"]));
    assert_eq!(seen["scaling"], json!(foreign));
    expect![[r#"
        general scale_in: the mode is observe; raise it with `tidegate mode set act --cluster NAME --reason TEXT`
        general handback: left as it is: somebody changed the suspended processes of general since; before Tidegate it was none, now Launch
        h2 scale_in: AZRebalance may end hosts with tasks on this unprotected group
        h3 scale_in: the mode is observe; raise it with `tidegate mode set act --cluster NAME --reason TEXT`
        scaling of api handback: left as it is: somebody changed the suspension of scaling of api since; before Tidegate it was nothing suspended, now scale in, scale out, scheduled suspended
    "#]].assert_eq(&stage.script.holds());
}

#[tokio::test]
async fn a_pool_is_handed_back_alone_and_begins_nothing_until_it_is_resumed() {
    let before = described(&world(), &short());
    let mut stage = shifting().await;
    hand_back(&mut stage, Scope::Pool(pool()), None).await;
    let seen = now(&stage);
    assert_eq!(seen["suspended"], before["suspended"]);
    assert_eq!(seen["each_host"], before["each_host"]);
    assert_eq!(seen["protects_new_hosts"], before["protects_new_hosts"]);
    assert_eq!(stage.cx.memory.mode, Mode::Act);
    assert!(memory(&stage).routes.values().all(|route| route.because.is_none()));
    let demoted = stage.cx.memory.pool(&pool()).demoted;
    assert_eq!(demoted.as_deref(), Some("handed back by operator: the scenario wants it"));
}

#[tokio::test]
async fn on_green_the_routes_stay_where_they_are() {
    let mut stage = shifting().await;
    let shifted = |stage: &Stage| at(stage, "users") >= At::Shifted;
    assert!(stage.run_until(TimeDelta::minutes(10), shifted).await, "{}", stage.script.tail(9));
    let scope = Scope::Cutover(tutorial::CUTOVER.into());
    hand_back(&mut stage, scope, Some(Side::Green)).await;
    assert_eq!(crate::cutover::rules(&stage), ["users: api 0, users 100"]);
    assert_eq!(at(&stage, "users"), At::Finalized);
    assert_eq!(now(&stage)["scaling"], json!(Suspension::default()));
}

#[tokio::test]
async fn a_fleet_that_was_sized_may_end_hosts_of_its_own_choice_again() {
    let fleet = PoolId::SpotFleet("sfr-1".to_owned());
    let mut pool = capacity::general(1);
    (pool.id, pool.max, pool.protects_new_hosts) = (fleet.clone(), Units(u32::MAX), false);
    pool.suspended.clear();
    let mut world = capacity::world(vec![pool], vec![capacity::service("api", 2, 900, 512)]);
    let more = Event::SetCount { service: "api".into(), count: 6 };
    world.schedule(start() + TimeDelta::minutes(1), more, None);
    let config = capacity::config(std::slice::from_ref(&fleet));
    let mut stage = Stage::open(world, config, Faults::default()).await;
    let keeps = |stage: &Stage| stage.see().pools.value[&fleet].protects_new_hosts;
    assert!(stage.run_until(TimeDelta::minutes(10), keeps).await, "{}", stage.script.text());
    hand_back(&mut stage, Scope::Cluster, None).await;
    assert!(!keeps(&stage), "{}", stage.script.text());
}

#[tokio::test]
async fn a_death_after_any_record_hands_all_back_all_the_same() {
    let before = described(&world(), &short());
    let live = async |records: usize| {
        let mut stage = shifting().await;
        let known = stage.records();
        stage.dies_after(records);
        hand_back(&mut stage, Scope::Cluster, Some(Side::Blue)).await;
        assert_eq!(now(&stage), before, "died after {records}");
        stage.records() - known
    };
    let records = live(usize::MAX).await;
    for cut in 0..records {
        live(cut).await;
    }
}

//! One service released on the simulated AWS: what is booked, brought out, and led back by itself.

use chrono::TimeDelta;
use expect_test::{Expect, expect};
use tidegate::config::ClusterConfig;
use tidegate::model::{
    ActionKind, Market, Order, ReleaseMemory, ReleaseOrder, ReleaseStage, Service, TaskShape,
};
use tidegate::sim::{Event, Faults, ImageFault, ServiceSpec, World, digest_of, story, tutorial};

use crate::stage::Stage;
use crate::story::start;

/// Two hosts with room for two more of six tasks.
fn world() -> World {
    let mut world = World::new("shop", start() - TimeDelta::minutes(30), 7);
    world.add_pool(story::group("general", "m6i.large", 2, 0, 9), Market::OnDemand);
    world.advance(start() - TimeDelta::minutes(15));
    world.add_service(ServiceSpec::new("web", 6, TaskShape::plain(512, 1024)));
    world.advance(start());
    world
}

fn config() -> ClusterConfig {
    let mut config = story::config();
    config.pools.retain(|pool| pool.id.name() == "general");
    config.headroom.clear();
    config.allow.insert(ActionKind::Services);
    config
}

fn image_is(image: &str, how: ImageFault) -> Event {
    Event::BadImage { image: image.into(), how }
}

async fn begin(world: World, config: ClusterConfig, service: &str, image: &str) -> Stage {
    let mut stage = Stage::open(world, config, Faults::default()).await;
    start_of(&mut stage, service, image).await;
    stage
}

async fn start_of(stage: &mut Stage, service: &str, image: &str) {
    let steer = ReleaseOrder::Start { image: image.into(), container: None };
    stage.order(Order::Release { service: service.into(), steer }).await;
}

fn memory<'a>(stage: &'a Stage, service: &str) -> &'a ReleaseMemory {
    &stage.cx.memory.releases[&service.into()]
}

fn is_over(service: &str) -> impl Fn(&Stage) -> bool {
    move |stage| !memory(stage, service).is_open()
}

fn service(stage: &Stage, name: &str) -> Service {
    stage.see().services.value[&name.into()].clone()
}

/// Runs until it is over; no law of the world may be broken on the way.
async fn tells(mut stage: Stage, name: &str, want: Expect) -> Stage {
    assert!(
        stage.run_until(TimeDelta::minutes(60), is_over(name)).await,
        "{}",
        stage.script.tail(9)
    );
    assert_eq!(stage.violations(), []);
    want.assert_eq(&format!("min:sec\n{}", stage.script.text()));
    stage
}

#[tokio::test]
async fn room_comes_first_and_then_the_new_revision() {
    let stage = begin(world(), config(), "web", "web:v2").await;
    let stage = tells(stage, "web", expect![[r#"
        min:sec
          0:15   release of web is resolved: web:1 goes to web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:16   register a task definition of web: web:1 with image web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:17   release of web is registered: web:2 has the new image
          0:18   general desired capacity 2 -> 3
          1:35   release of web is booked: room for 6 more tasks is there
          1:36   web deploys web:1 -> web:2
          1:37   release of web is deploying: ECS brings web:2 out
          1:53   release of web is released: 6 tasks run web:2
    "#]]).await;
    let web = service(&stage, "web");
    assert_eq!((web.definition.short(), web.running_count), ("web:2", 6));
}

#[tokio::test]
async fn a_crash_loop_is_led_back() {
    let mut world = world();
    world.happen(image_is("web:bad", ImageFault::Exits));
    let stage = begin(world, config(), "web", "web:bad").await;
    let stage = tells(stage, "web", expect![[r#"
        min:sec
          0:15   release of web is resolved: web:1 goes to web@sha256:901720595cbd20c7d23227241e9827ba145d2ea3d8f72e3d567829de9ad22940
          0:16   register a task definition of web: web:1 with image web@sha256:901720595cbd20c7d23227241e9827ba145d2ea3d8f72e3d567829de9ad22940
          0:17   release of web is registered: web:2 has the new image
          0:18   general desired capacity 2 -> 3
          1:35   release of web is booked: room for 6 more tasks is there
          1:36   web deploys web:1 -> web:2
          1:37   release of web is deploying: ECS brings web:2 out
          1:53   release of web is rolling_back: crash loop: web exited with code 1 (6 failed tasks)
          2:09   release of web is rolled_back: 6 tasks run web:1
    "#]]).await;
    let web = service(&stage, "web");
    assert_eq!((web.definition.short(), web.running_count), ("web:1", 6));
}

#[tokio::test]
async fn a_pull_failure_is_told_apart() {
    let mut world = world();
    world.happen(image_is("web:bad", ImageFault::CannotPull));
    let stage = begin(world, config(), "web", "web:bad").await;
    tells(stage, "web", expect![[r#"
        min:sec
          0:15   release of web is resolved: web:1 goes to web@sha256:901720595cbd20c7d23227241e9827ba145d2ea3d8f72e3d567829de9ad22940
          0:16   register a task definition of web: web:1 with image web@sha256:901720595cbd20c7d23227241e9827ba145d2ea3d8f72e3d567829de9ad22940
          0:17   release of web is registered: web:2 has the new image
          0:18   general desired capacity 2 -> 3
          1:35   release of web is booked: room for 6 more tasks is there
          1:36   web deploys web:1 -> web:2
          1:37   release of web is deploying: ECS brings web:2 out
          1:53   release of web is rolling_back: pull failure: CannotPullContainerError: pull image manifest: web@sha256:901720595cbd20c7d23227241e9827ba145d2ea3d8f72e3d567829de9ad22940: not found (6 failed tasks)
          2:09   release of web is rolled_back: 6 tasks run web:1
    "#]]).await;
}

/// The monolith behind its load balancer.
async fn of_api(image: &str, event: Event, done_within: TimeDelta) -> Stage {
    let mut world = tutorial::world(7, start(), 4);
    world.happen(event);
    let mut config = tutorial::config();
    config.releases.done_within = done_within;
    config.cutovers.clear();
    config.headroom.clear();
    config.allow.remove(&ActionKind::ScaleIn);
    config.allow.insert(ActionKind::Services);
    begin(world, config, "api", image).await
}

#[tokio::test]
async fn a_failed_health_check_is_told_apart() {
    let bad = image_is("api:bad", ImageFault::FailsChecks);
    let stage = of_api("api:bad", bad, TimeDelta::minutes(30)).await;
    tells(stage, "api", expect![[r#"
        min:sec
          0:15   release of api is resolved: api:1 goes to api@sha256:b0d22b947c782b0af2f72ce93e5d2c773498256ef83225f076bd2213ba17228d
          0:16   register a task definition of api: api:1 with image api@sha256:b0d22b947c782b0af2f72ce93e5d2c773498256ef83225f076bd2213ba17228d
          0:17   release of api is registered: api:2 has the new image
          0:19   release of api is booked: room for 4 more tasks is there
          0:20   api deploys api:1 -> api:2
          0:21   release of api is deploying: ECS brings api:2 out
          1:22   release of api is rolling_back: failed health check: Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/api/0000000000000001) (4 failed tasks)
          1:23   release of api is rolled_back: 4 tasks run api:1
    "#]]).await;
}

#[tokio::test]
async fn without_room_nothing_is_changed() {
    let mut world = World::new("shop", start() - TimeDelta::minutes(30), 7);
    world.add_pool(story::group("general", "m6i.large", 2, 0, 2), Market::OnDemand);
    world.advance(start() - TimeDelta::minutes(15));
    world.add_service(ServiceSpec::new("web", 6, TaskShape::plain(512, 1024)));
    world.advance(start());
    let stage = begin(world, config(), "web", "web:v2").await;
    let stage = tells(stage, "web", expect![[r#"
        min:sec
          0:15   release of web is resolved: web:1 goes to web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:16   register a task definition of web: web:1 with image web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:17   release of web is registered: web:2 has the new image
         15:18   release of web is refused: no capacity: no room for 6 more tasks within 900 s
    "#]]).await;
    assert_eq!(service(&stage, "web").deployments.len(), 1);
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_refused_at_once() {
    let mut world = world();
    world.happen(Event::DeleteImage { image: "web:v2".into() });
    let stage = begin(world, config(), "web", "web:v2").await;
    tells(
        stage,
        "web",
        expect![[r#"
            min:sec
              0:00   release of web is refused: image web:v2 does not exist
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_tag_that_has_moved_is_no_way_back_until_it_is_pinned() {
    let mut world = world();
    let digest = digest_of("somebody pushed the tag again");
    let runs = digest_of("web:1");
    world.happen(Event::PushImage { image: "web:1".into(), digest });
    let mut stage = begin(world, config(), "web", "web:v2").await;
    assert!(stage.run_until(TimeDelta::minutes(5), is_over("web")).await);
    assert_eq!(memory(&stage, "web").verdict.as_ref().map(|v| v.code()), Some("previous_moved"));
    start_of(&mut stage, "web", &format!("web@{runs}")).await;
    assert!(stage.run_until(TimeDelta::minutes(20), is_over("web")).await);
    assert_eq!(memory(&stage, "web").stage, ReleaseStage::Released);
    start_of(&mut stage, "web", "web:v2").await;
    assert!(stage.run_until(TimeDelta::minutes(20), is_over("web")).await);
    assert_eq!(memory(&stage, "web").stage, ReleaseStage::Released);
}

#[tokio::test]
async fn somebody_elses_deployment_is_left_alone() {
    let mut stage = begin(world(), config(), "web", "web:v2").await;
    let deploys = |stage: &Stage| memory(stage, "web").stage == ReleaseStage::Deploying;
    assert!(stage.run_until(TimeDelta::minutes(20), deploys).await);
    let event = Event::Deploy { service: "web".into(), shape: None };
    stage.cloud.with_world(|world| world.happen(event));
    let mut stage = tells(stage, "web", expect![[r#"
        min:sec
          0:15   release of web is resolved: web:1 goes to web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:16   register a task definition of web: web:1 with image web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:17   release of web is registered: web:2 has the new image
          0:18   general desired capacity 2 -> 3
          1:35   release of web is booked: room for 6 more tasks is there
          1:36   web deploys web:1 -> web:2
          1:37   release of web is deploying: ECS brings web:2 out
          1:37   release of web is superseded: somebody else deployed web:3, expected was web:2
    "#]]).await;
    stage.run(TimeDelta::minutes(10)).await;
    assert_eq!(service(&stage, "web").definition.short(), "web:3");
}

#[tokio::test]
async fn an_abort_brings_the_old_revision_back_by_one_write() {
    let mut stage = begin(world(), config(), "web", "web:v2").await;
    let deploys = |stage: &Stage| memory(stage, "web").stage == ReleaseStage::Deploying;
    assert!(stage.run_until(TimeDelta::minutes(20), deploys).await);
    stage.order(Order::Release { service: "web".into(), steer: ReleaseOrder::Abort }).await;
    tells(stage, "web", expect![[r#"
        min:sec
          0:15   release of web is resolved: web:1 goes to web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:16   register a task definition of web: web:1 with image web@sha256:7b9b6f56ddec64e2ec047e7f4a7375cb8fd44b4529a340f1184b5a6cbe3c51d8
          0:17   release of web is registered: web:2 has the new image
          0:18   general desired capacity 2 -> 3
          1:35   release of web is booked: room for 6 more tasks is there
          1:36   web deploys web:1 -> web:2
          1:37   release of web is deploying: ECS brings web:2 out
          1:37   web goes back web:2 -> web:1
          1:53   release of web is rolled_back: 6 tasks run web:1
    "#]]).await;
}

#[tokio::test]
async fn a_deployment_that_hangs_is_led_back_in_time() {
    // Before ECS's circuit breaker has seen enough of it.
    let bad = image_is("api:bad", ImageFault::FailsChecks);
    let stage = of_api("api:bad", bad, TimeDelta::seconds(30)).await;
    let stage = tells(stage, "api", expect![[r#"
        min:sec
          0:15   release of api is resolved: api:1 goes to api@sha256:b0d22b947c782b0af2f72ce93e5d2c773498256ef83225f076bd2213ba17228d
          0:16   register a task definition of api: api:1 with image api@sha256:b0d22b947c782b0af2f72ce93e5d2c773498256ef83225f076bd2213ba17228d
          0:17   release of api is registered: api:2 has the new image
          0:19   release of api is booked: room for 4 more tasks is there
          0:20   api deploys api:1 -> api:2
          0:21   release of api is deploying: ECS brings api:2 out
          0:52   release of api is rolling_back: not done within 30 s
          0:53   api goes back api:2 -> api:1
          1:24   release of api is rolled_back: 4 tasks run api:1
    "#]]).await;
    assert_eq!(service(&stage, "api").definition.short(), "api:1");
}

#[tokio::test]
async fn what_is_not_allowed_is_planned_and_held() {
    let mut config = config();
    config.allow.remove(&ActionKind::Services);
    let mut stage = begin(world(), config, "web", "web:v2").await;
    stage.run(TimeDelta::minutes(5)).await;
    assert_eq!(memory(&stage, "web").stage, ReleaseStage::Resolved);
    expect![[r#"
        web services: not in `allow` of this cluster
    "#]]
    .assert_eq(&stage.script.holds());
}

/// Lives until it is over, dying once after `records`.
async fn lives(image: &str, records: usize) -> (Stage, usize) {
    let mut world = world();
    world.happen(image_is("web:bad", ImageFault::Exits));
    let mut stage = Stage::open(world, config(), Faults::default()).await;
    stage.dies_after(records);
    start_of(&mut stage, "web", image).await;
    assert!(stage.run_until(TimeDelta::minutes(60), is_over("web")).await);
    let records = stage.records();
    stage.run(TimeDelta::minutes(2)).await;
    assert_eq!(stage.violations(), []);
    (stage, records)
}

async fn dies_everywhere(image: &str) {
    let end = |stage: &Stage| {
        let web = service(stage, "web");
        let deployed = web.deployments.len();
        let release = memory(stage, "web");
        let verdict = release.verdict.as_ref().map(|verdict| verdict.code());
        (release.stage, verdict, web.definition, web.running_count, deployed)
    };
    let (undisturbed, records) = lives(image, usize::MAX).await;
    assert!(records > 10, "it writes only {records} records");
    for cut in 0..records {
        let (stage, _) = lives(image, cut).await;
        assert_eq!(end(&stage), end(&undisturbed), "died after record {cut}");
    }
}

#[tokio::test]
async fn a_death_after_any_record_of_a_good_release_changes_nothing() {
    dies_everywhere("web:v2").await;
}

#[tokio::test]
async fn a_death_after_any_record_of_a_bad_release_changes_nothing() {
    dies_everywhere("web:bad").await;
}

#[tokio::test]
async fn on_a_bad_line_it_ends_all_the_same() {
    for seed in 1..=5 {
        let faults = Faults {
            seed,
            throttled_per_mille: 100,
            refused_per_mille: 50,
            lost_per_mille: 150,
            ..Faults::default()
        };
        for (image, after) in
            [("web:v2", ReleaseStage::Released), ("web:bad", ReleaseStage::RolledBack)]
        {
            let mut world = world();
            world.happen(image_is("web:bad", ImageFault::Exits));
            let mut stage = Stage::open(world, config(), faults).await;
            start_of(&mut stage, "web", image).await;
            let over = stage.run_until(TimeDelta::minutes(90), is_over("web")).await;
            assert!(over, "seed {seed}, {image}: {}", stage.script.tail(20));
            assert_eq!(memory(&stage, "web").stage, after, "seed {seed}, {image}");
            assert_eq!(stage.violations(), [], "seed {seed}, {image}");
        }
    }
}

//! The monolith of the containers tutorial behind its load balancer, and the three services that
//! shall take its place.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::{
    ClusterConfig, CutoverConfig, Gates, PoolConfig, ProbeConfig, RouteConfig, Tombstone,
};
use crate::model::{
    ActionKind, Condition, GroupSettings, HealthCheck, Listener, ListenerArn, Market, Mode, Owner,
    PoolId, Rule, RuleImage, ServiceName, TargetGroupArn, TaskShape,
};

use super::event::ServiceSpec;
use super::metrics::Metrics;
use super::requests::Flow;
use super::story::group;
use super::world::World;

/// The services that come out of the monolith, each with the path pattern it takes over.
pub const SERVICES: [(&str, &str); 3] =
    [("users", "/api/users*"), ("threads", "/api/threads*"), ("posts", "/api/posts*")];

/// What users ask for: one path of each route, and one that stays with the monolith.
pub const PATHS: [&str; 4] = ["/api/users", "/api/threads/1", "/api/posts/in-thread/1", "/api/"];

/// Priority of the rule that leads to the monolith.
pub const MONOLITH_PRIORITY: u16 = 99;

/// The host part of what users ask for.
pub const HOST: &str = "demo.example.com";

/// What the cutover is called that takes the monolith apart.
pub const CUTOVER: &str = "break";

/// Length of a datapoint where nobody wants to wait for whole minutes.
const PERIOD: TimeDelta = TimeDelta::seconds(10);

/// How long the cluster lives before `start`, so that it begins settled.
const BEFORE: TimeDelta = TimeDelta::minutes(30);

/// The listener all requests come in by.
pub fn listener() -> ListenerArn {
    let prefix = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";
    format!("{prefix}:listener/app/demo/50dc6c495c0c9188/f2f7dc8efc522ab2").into()
}

/// Requests for one path of the demo.
pub fn flow(path: &str) -> Flow {
    Flow { listener: listener(), host: HOST.to_owned(), path: path.to_owned() }
}

/// Health checks as the tutorial sets them; the deregistration delay is AWS's default.
pub fn settings() -> GroupSettings {
    GroupSettings {
        health_check: HealthCheck {
            path: "/".to_owned(),
            expect: "200".to_owned(),
            interval_seconds: 6,
            timeout_seconds: 5,
            healthy_after: 2,
            unhealthy_after: 2,
        },
        ..GroupSettings::default()
    }
}

/// So many tasks of the monolith at `start`, running and settled: `/api*` and the default lead to
/// it. Nobody asks for anything yet.
pub fn world(seed: u64, start: DateTime<Utc>, tasks: u64) -> World {
    let mut world = World::new("demo", start - BEFORE, seed);
    world.add_pool(group("general", "m6i.large", 4, 1, 12), Market::OnDemand);
    world.advance(start - BEFORE / 2);
    add_monolith(&mut world, tasks);
    world.advance(start);
    world
}

/// Adds the monolith with so many tasks, and the load balancer that leads all to it.
pub fn add_monolith(world: &mut World, tasks: u64) {
    let monolith = world.add_target_group("api", settings());
    world.add_load_balancer(entrance(&monolith));
    world.add_service(service("api", tasks, &monolith));
}

/// Adds the three services with groups that no rule names yet, so many tasks each.
pub fn add_services(world: &mut World, tasks: u64) {
    for (name, _) in SERVICES {
        let group = world.add_target_group(name, settings());
        world.add_service(service(name, tasks, &group));
    }
}

/// Lets users ask for all routes, so many requests a second each.
pub fn add_requests(world: &mut World, per_second: u64) {
    for path in PATHS {
        world.set_requests(flow(path), per_second * 60);
    }
}

/// Lets metrics come at the pace that [`cutover`] counts on.
pub fn quicken(world: &mut World) {
    let (period_seconds, visible_after) = (10, (PERIOD / 2, PERIOD));
    world.set_metrics(Metrics { period_seconds, visible_after });
}

/// The monolith's three routes, one after the other, at a pace that a person can watch.
pub fn cutover() -> CutoverConfig {
    let gates = Gates { metric_period: PERIOD, metric_lag: PERIOD, ..Gates::default() };
    let route = |(name, path): (&str, &str)| RouteConfig {
        steps_percent: vec![10, 50, 100],
        bake: TimeDelta::seconds(60),
        probe_path: Some(path.trim_end_matches('*').to_owned()),
        ..RouteConfig::new(name, [path])
    };
    let routes = SERVICES.map(route).into();
    CutoverConfig {
        probe: Some(ProbeConfig::default()),
        gates,
        keep_warm: TimeDelta::minutes(5),
        tombstone: Some(Tombstone::FixedResponse { status: 410, body: "moved".to_owned() }),
        ..CutoverConfig::new(CUTOVER, listener(), "api", routes)
    }
}

/// The tutorial's cluster with its cutover, everything that this needs allowed.
pub fn config() -> ClusterConfig {
    let mut config = ClusterConfig::new("demo", vec![PoolConfig::new(PoolId::group("general"))]);
    config.mode = Mode::Act;
    config.allow = BTreeSet::from([
        ActionKind::ScaleOut,
        ActionKind::Repair,
        ActionKind::ScaleIn,
        ActionKind::Cutover,
    ]);
    config.cutovers = vec![cutover()];
    config
}

/// The services that shall take over, in the order of their routes.
pub fn routes() -> Vec<ServiceName> {
    SERVICES.map(|(name, _)| name.into()).into()
}

fn service(name: &str, tasks: u64, group: &TargetGroupArn) -> ServiceSpec {
    ServiceSpec::new(name, tasks, TaskShape::plain(256, 256)).behind(group, 3000)
}

fn entrance(monolith: &TargetGroupArn) -> Listener {
    let image = RuleImage::forward_to(monolith);
    let arn = listener();
    let rule = arn.as_str().replacen(":listener/", ":listener-rule/", 1);
    Listener {
        load_balancer: "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/demo/50dc6c495c0c9188".into(),
        protocol: "HTTP".to_owned(),
        port: 80,
        default: image.clone(),
        rules: vec![Rule {
            arn: format!("{rule}/9683b2d02a6cabee").into(),
            priority: MONOLITH_PRIORITY,
            conditions: [Condition::Path { values: ["/api*".to_owned()].into() }].into(),
            image,
            owner: Owner::Other,
        }],
        arn,
    }
}

//! Any services behind a load balancer and any cutovers that are right.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::name;
use crate::config::cutover::{
    CutoverConfig, Described, Exposure, GateSource, Gates, OtherGate, ProbeConfig, RouteConfig,
    RuleMode, Tombstone,
};
use crate::config::{ClusterConfig, ServiceConfig};
use crate::model::{
    GroupSettings, HealthCheck, ListenerArn, RuleArn, ServiceName, TaskDescription,
};

pub(super) const REGION: &str = "eu-west-1";

fn arn(kind: &str, ids: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{REGION}:222222222222:{kind}/app/prod/50dc/{ids}")
}

fn listener() -> impl Strategy<Value = ListenerArn> {
    select(vec!["80a", "443b"]).prop_map(|id| ListenerArn::new(arn("listener", id)))
}

fn seconds(range: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = TimeDelta> {
    range.prop_map(TimeDelta::seconds)
}

/// At most five values and five wildcards, none twice.
fn patterns() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let path = "/[A-Za-z0-9_.$/~\"'@:+&-]{0,9}[*?]?";
    let host = "[*]?[a-z0-9_-]{1,5}[.](com|example|on|no)";
    let paths = prop::collection::btree_set(path, 0..4);
    let hosts = prop::collection::btree_set(host, 0..2);
    (paths, hosts).prop_map(|(paths, hosts)| (Vec::from_iter(paths), Vec::from_iter(hosts)))
}

fn settings() -> impl Strategy<Value = GroupSettings> {
    let expect = select(vec!["200", "200,302", "200-299", "200-202,404"]);
    let check = ("/[ -)+-~]{0,9}[a-z]", expect, 5_u32..=300, 2_u32..=120, 2_u32..=10, 2_u32..=10);
    let check = check.prop_filter("a timeout is below the interval", |check| check.3 < check.2);
    let slow = prop_oneof![Just(0_u32), 30_u32..=900];
    (check, 0_u32..=3600, slow, prop::option::of(1_u32..=604_800)).prop_map(
        |(check, deregistration_delay_seconds, slow_start_seconds, stickiness_seconds)| {
            let (path, expect, interval_seconds, timeout_seconds, healthy_after, unhealthy_after) =
                check;
            let health_check = HealthCheck {
                path: path.replace(' ', "+"),
                expect: expect.to_owned(),
                interval_seconds,
                timeout_seconds,
                healthy_after,
                unhealthy_after,
            };
            GroupSettings {
                health_check,
                deregistration_delay_seconds,
                slow_start_seconds,
                stickiness_seconds,
            }
        },
    )
}

pub(super) fn exposure() -> impl Strategy<Value = Exposure> {
    let group = prop::option::of("[A-Za-hj-z0-9]{1,31}");
    let settings = prop::option::of(settings());
    let priority = prop::option::of(1_u16..=50_000);
    (listener(), group, name(), 1_u16.., settings, patterns(), priority).prop_map(
        |(listener, target_group, container, port, settings, (paths, hosts), priority)| Exposure {
            listener,
            target_group,
            container,
            port,
            settings,
            priority: priority.filter(|_| !paths.is_empty() || !hosts.is_empty()),
            paths,
            hosts,
        },
    )
}

pub(super) fn described() -> impl Strategy<Value = Described> {
    let environment = prop::collection::btree_map("[A-Za-z0-9_.-]{1,6}", "[ -~é]{0,8}", 0..3);
    ("[a-z0-9./:@-]{1,20}", 1_u32..=1_048_576, 6_u32..=33_554_432, 1_u16.., 0_u32.., environment)
        .prop_map(|(image, cpu_units, memory_mib, port, count, environment)| Described {
            task: TaskDescription {
                image,
                cpu_units: cpu_units.into(),
                memory_mib: memory_mib.into(),
                port,
                environment,
            },
            count: count.into(),
        })
}

/// No target group and no priority twice.
pub(super) fn without_shared(
    mut services: BTreeMap<ServiceName, ServiceConfig>,
) -> BTreeMap<ServiceName, ServiceConfig> {
    let (mut groups, mut priorities) = (BTreeSet::new(), BTreeSet::new());
    for exposure in services.values_mut().filter_map(|service| service.exposure.as_mut()) {
        exposure.target_group =
            exposure.target_group.take().filter(|group| groups.insert(group.clone()));
        exposure.priority = exposure.priority.filter(|priority| priorities.insert(*priority));
    }
    services
}

fn gates() -> impl Strategy<Value = Gates> {
    let url = "https?://[a-z.]{1,9}(:[0-9]{1,4})?(/[a-z?=&#]{0,5})?";
    let decimal = select(vec!["0", "2", "-1.25", "0.5", "1000"]);
    let prometheus = (url, "[a-z]([ -~]{0,9}[)}a-z])?", decimal, any::<bool>()).prop_map(
        |(url, query, bound, is_below)| {
            let bound = |wanted: bool| Some(bound.to_owned()).filter(|_| wanted);
            GateSource::Prometheus { url, query, below: bound(is_below), above: bound(!is_below) }
        },
    );
    let source = prop_oneof![
        "[a-z0-9 #:'\"-]{0,9}[a-z]"
            .prop_map(|name| GateSource::CloudwatchAlarm(name.trim().into())),
        url.prop_map(GateSource::Http),
        prometheus,
    ];
    let others = prop::collection::vec((source, seconds(0..=3600)), 0..3);
    let limits = (
        prop::option::of(0_u32..=10_000),
        prop::option::of(1_u32..=1000),
        prop::option::of(1000_u32..=600_000),
    );
    let period = prop_oneof![select(vec![1_i64, 5, 10, 20, 30]), (1_i64..=60).prop_map(|m| m * 60)];
    let metrics = (1_u32.., period, seconds(0..=3600), prop::option::of(0_i64..100));
    let some = (limits, metrics, any::<bool>(), others).prop_map(
        |((errors, p95, p99), (requests, period, metric_lag, silence), compare, others)| {
            let named =
                |(index, (source, lag))| OtherGate { name: format!("gate-{index}"), source, lag };
            let metric_period = TimeDelta::seconds(period);
            let others: Vec<OtherGate> = others.into_iter().enumerate().map(named).collect();
            let lag = others.iter().map(|gate| gate.lag).fold(metric_lag, TimeDelta::max);
            Gates {
                errors_max_bp: errors,
                latency_p95_max_ms: p95,
                latency_p99_max_ms: p99,
                requests_min: requests.into(),
                metric_period,
                metric_lag,
                no_data: silence.map(|more| lag + metric_period + TimeDelta::seconds(more)),
                compare_with_blue: compare,
                others,
            }
        },
    );
    prop_oneof![Just(Gates::default()).boxed(), some.boxed()]
}

fn steps() -> impl Strategy<Value = Vec<u32>> {
    let all: Vec<u32> = (1..100).collect();
    let own = subsequence(all, 0..6).prop_map(|mut steps| {
        steps.push(100);
        steps
    });
    prop_oneof![Just(CutoverConfig::STEPS_PERCENT.to_vec()).boxed(), own.boxed()]
}

/// Paths and hosts, steps, seconds of bake above the least, targets, what to probe.
type Moved = ((Vec<String>, Vec<String>), Vec<u32>, i64, Option<u64>, String);

fn routes() -> impl Strategy<Value = Vec<RouteConfig>> {
    let targets = prop::option::of(1_u64..=9999);
    let route = (patterns(), steps(), 0_i64..9999, targets, "/[a-z]{0,5}([?][a-z=]{1,4})?");
    prop::collection::vec(route, 1..4).prop_map(|routes| {
        let route = |(index, route): (usize, Moved)| {
            let ((paths, hosts), steps_percent, over, targets, probe_path) = route;
            RouteConfig {
                to: ServiceName::new(format!("green-{index}")),
                // No path in two routes, and something in each.
                paths: std::iter::once(format!("/{index}"))
                    .chain(paths.into_iter().map(|path| format!("/{index}{path}")))
                    .collect(),
                hosts,
                steps_percent,
                bake: TimeDelta::seconds(over),
                healthy_targets: targets,
                probe_path: Some(probe_path).filter(|path| path.len() > 2),
            }
        };
        routes.into_iter().enumerate().map(route).collect()
    })
}

fn tombstone() -> impl Strategy<Value = Option<Tombstone>> {
    let status = prop_oneof![200_u16..=299, 400_u16..=599];
    let fixed = (status, "([!-~é]([ -~]{0,9}[!-~])?)?");
    prop_oneof![
        Just(None),
        Just(Some(Tombstone::EmptyGroup)),
        fixed.prop_map(|(status, body)| Some(Tombstone::FixedResponse { status, body })),
        (301_u16..=302, "(https|#[{]protocol[}])://(#[{]host[}]|[a-z]{1,4})/(#[{]path[}])?")
            .prop_map(|(status, location)| Some(Tombstone::Redirect { status, location })),
    ]
}

fn cutover() -> impl Strategy<Value = CutoverConfig> {
    let rules = prop::option::of("[a-z0-9]{1,6}");
    let url = prop::option::of("https?://[a-z.]{1,9}(:[0-9]{1,4})?/?");
    let probe = (url, 200_u16..=499, 1_u32..=20).prop_map(|(base_url, expect_status, times)| {
        ProbeConfig { base_url, expect_status, times }
    });
    let pace = (any::<bool>(), prop::option::of(1_u32..=100), seconds(0..=300), seconds(0..=720));
    let known = prop::collection::vec("/[a-z/]{0,5}", 0..3);
    let end = (tombstone(), known);
    (listener(), rules, routes(), pace, prop::option::of(probe), gates(), end).prop_map(
        |(listener, adopted, mut routes, pace, probe, gates, (tombstone, known_paths))| {
            let (in_order, approve_before_percent, settle, keep_warm) = pace;
            if adopted.is_some() {
                routes.truncate(1);
            }
            let rule = |id: String| {
                let arn = listener.as_str().replace(":listener/", ":listener-rule/");
                RuleMode::Adopt(RuleArn::new(format!("{arn}/{id}")))
            };
            let rules = adopted.map(rule).unwrap_or_default();
            let mut cutover = CutoverConfig {
                rules,
                in_order,
                approve_before_percent,
                probe,
                gates,
                settle,
                keep_warm: keep_warm * 3600,
                tombstone,
                known_paths,
                ..CutoverConfig::new("", listener.clone(), "blue", routes)
            };
            let least = cutover.bake_min();
            for route in &mut cutover.routes {
                route.bake += least;
            }
            cutover
        },
    )
}

pub(super) fn cutovers() -> impl Strategy<Value = Vec<CutoverConfig>> {
    prop::collection::vec(cutover(), 0..3).prop_map(|mut cutovers| {
        for (index, cutover) in cutovers.iter_mut().enumerate() {
            cutover.name = format!("{index}").into();
            for gate in &mut cutover.gates.others {
                gate.name = format!("{index}-{}", gate.name);
            }
        }
        cutovers
    })
}

/// A listener belongs to one cluster, so each cluster gets a load balancer of its own.
pub(super) fn on_own_listeners(mut clusters: Vec<ClusterConfig>) -> Vec<ClusterConfig> {
    for (index, cluster) in clusters.iter_mut().enumerate() {
        let own = |arn: &str| arn.replace("/50dc/", &format!("/50dc{index}/"));
        for exposure in cluster.services.values_mut().filter_map(|s| s.exposure.as_mut()) {
            exposure.listener = ListenerArn::new(own(exposure.listener.as_str()));
        }
        for cutover in &mut cluster.cutovers {
            cutover.listener = ListenerArn::new(own(cutover.listener.as_str()));
            if let RuleMode::Adopt(rule) = &mut cutover.rules {
                *rule = RuleArn::new(own(rule.as_str()));
            }
        }
    }
    clusters
}

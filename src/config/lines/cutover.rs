//! A cutover as lines.

use super::{Block, Value, list, number, optional, text, time};
use crate::config::cutover::{
    CutoverConfig, GateSource, Gates, OtherGate, ProbeConfig, RouteConfig, RuleMode, Tombstone,
};
use crate::config::measure::{BasisPoints, Millis};

pub(super) fn cutover(cutover: &CutoverConfig, block: &mut Block) {
    let default = CutoverConfig::new("", "", "", Vec::new());
    block.set("name", text(&cutover.name), false);
    block.set("listener", text(&cutover.listener), false);
    block.set("from", text(&cutover.from), false);
    match &cutover.rules {
        RuleMode::Own => _ = block.set("rules", text("own"), true),
        RuleMode::Adopt(rule) => _ = block.table("rules", false).set("adopt", text(rule), false),
    }
    // Steps and bake are those of the routes; they may be written here for all.
    let steps_elsewhere = [block.path("steps_percent"), block.path("strategy")];
    let bake_elsewhere = block.path("bake");
    block.items("routes", &cutover.routes, |config, block| {
        route(config, block, &steps_elsewhere, &bake_elsewhere);
    });
    block.set("in_order", Value::Flag(cutover.in_order), cutover.in_order == default.in_order);
    let approve = cutover.approve_before_percent;
    block.set("approve_before_percent", number(approve), approve.is_none());
    probe(cutover.probe.as_ref(), block);
    gates(&cutover.gates, &default.gates, block);
    block.set("settle", time(cutover.settle), cutover.settle == default.settle);
    block.set("keep_warm", time(cutover.keep_warm), cutover.keep_warm == default.keep_warm);
    tombstone(cutover.tombstone.as_ref(), block);
    block.set("known_paths", list(&cutover.known_paths), cutover.known_paths.is_empty());
}

fn route(
    route: &RouteConfig,
    block: &mut Block,
    steps_elsewhere: &[String; 2],
    bake_elsewhere: &str,
) {
    block.set("to", text(&route.to), false);
    block.set("paths", list(&route.paths), route.paths.is_empty());
    block.set("hosts", list(&route.hosts), route.hosts.is_empty());
    let steps = Value::Numbers(route.steps_percent.clone());
    let is_default = route.steps_percent == CutoverConfig::STEPS_PERCENT;
    let mut elsewhere = vec![block.path("strategy")];
    elsewhere.extend_from_slice(steps_elsewhere);
    block.set("steps_percent", steps, is_default).or_at(elsewhere);
    let is_default = route.bake == CutoverConfig::BAKE;
    block.set("bake", time(route.bake), is_default).or_at([bake_elsewhere.to_owned()]);
    let targets = route.healthy_targets;
    block.set("healthy_targets", number(targets), targets.is_none());
    let path = route.probe_path.as_ref();
    block.set("probe_path", optional(path), path.is_none());
}

fn probe(probe: Option<&ProbeConfig>, block: &mut Block) {
    let Some(probe) = probe else {
        block.set("probe", text("off"), true);
        return;
    };
    let mut block = block.table("probe", false);
    block.set("base_url", optional(probe.base_url.as_ref()), probe.base_url.is_none());
    block.set("expect_status", Value::Number(probe.expect_status.into()), false);
    let is_default = probe.times == ProbeConfig::default().times;
    block.set("times", Value::Number(probe.times.into()), is_default);
}

fn gates(now: &Gates, default: &Gates, block: &mut Block) {
    let mut block = block.table("gates", now == default);
    let percent = |points| Value::Decimal(BasisPoints::text(points));
    let millis = |limit: Option<u32>| limit.map_or(Value::Unset, |limit| text(Millis::text(limit)));
    let errors = now.errors_max_bp;
    block.set("errors_max_percent", errors.map_or(Value::Unset, percent), errors.is_none());
    let (p95, p99) = (now.latency_p95_max_ms, now.latency_p99_max_ms);
    block.set("latency_p95_max", millis(p95), p95.is_none());
    block.set("latency_p99_max", millis(p99), p99.is_none());
    let requests = Value::Number(now.requests_min);
    block.set("requests_min", requests, now.requests_min == default.requests_min);
    let is_default = now.metric_period == default.metric_period;
    block.set("metric_period", time(now.metric_period), is_default);
    block.set("metric_lag", time(now.metric_lag), now.metric_lag == default.metric_lag);
    let no_data = now.no_data;
    block.set("no_data", no_data.map_or(Value::Unset, time), no_data.is_none());
    let compare = now.compare_with_blue;
    block.set("compare_with_blue", Value::Flag(compare), compare == default.compare_with_blue);
    let lag_elsewhere = block.path("metric_lag");
    block.items("others", &now.others, |gate, block| {
        other(gate, block, now, lag_elsewhere.clone());
    });
}

fn other(gate: &OtherGate, block: &mut Block, gates: &Gates, lag_elsewhere: String) {
    block.set("name", text(&gate.name), false);
    match &gate.source {
        GateSource::CloudwatchAlarm(alarm) => _ = block.set("cloudwatch_alarm", text(alarm), false),
        GateSource::Http(url) => _ = block.set("http", text(url), false),
        GateSource::Prometheus { url, query, below, above } => {
            let mut block = block.table("prometheus", false);
            block.set("url", text(url), false);
            block.set("query", text(query), false);
            let bound = |bound: &Option<String>| bound.clone().map_or(Value::Unset, Value::Decimal);
            block.set("below", bound(below), below.is_none());
            block.set("above", bound(above), above.is_none());
        }
    }
    block.set("lag", time(gate.lag), gate.lag == gates.metric_lag).or_at([lag_elsewhere]);
}

fn tombstone(tombstone: Option<&Tombstone>, block: &mut Block) {
    match tombstone {
        None => _ = block.set("tombstone", Value::Unset, true),
        Some(Tombstone::EmptyGroup) => _ = block.set("tombstone", text("empty_group"), false),
        Some(Tombstone::FixedResponse { status, body }) => {
            let mut block = block.table("tombstone", false);
            block.set("status", Value::Number((*status).into()), false);
            let body = Some(body).filter(|body| !body.is_empty());
            block.set("body", optional(body), body.is_none());
        }
        Some(Tombstone::Redirect { status, location }) => {
            let mut block = block.table("tombstone", false);
            block.set("status", Value::Number((*status).into()), false);
            block.set("redirect", text(location), false);
        }
    }
}

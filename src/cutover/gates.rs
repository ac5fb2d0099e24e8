//! What green must show: targets, requests, errors, latency, and what others say of it.
//!
//! Rule: three verdicts. No data is never a pass; a failure is believed before the bake time is
//! over only when chance does not explain it.

use serde::{Deserialize, Serialize};

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::CutoverConfig;
use crate::model::{Load, Reason, Said, TargetGroup};

use super::view::Route;

/// Two-sided 99 % quantile of the normal distribution, for bounds on a share of errors (Wilson
/// score interval: E. B. Wilson, 1927, J. Am. Stat. Assoc. 22).
const Z: f64 = 2.576;
/// Errors below which a share is not believed, however small the sample.
const ERRORS_MIN: u64 = 3;
/// Added to blue's own share of errors for a learnt limit: one percentage point.
const LEARNT_ERRORS_BP: u32 = 100;
/// A learnt latency limit is blue's own by this factor and term.
const LEARNT_LATENCY_PERCENT: u32 = 150;
const LEARNT_LATENCY_MS: u32 = 50;
/// Datapoints above the limit, in a row, that fail a latency gate.
const LATENCY_DATAPOINTS: usize = 2;

/// What all gates together say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    Pass,
    Fail(String),
    Undecided(Reason),
}

/// One gate as shown: its value beside its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Gate {
    pub name: String,
    pub verdict: Said,
    pub value: String,
    pub limit: String,
}

/// The verdict of all gates on the present step.
pub fn ruling(route: Route<'_>) -> Ruling {
    let gates = gates(route);
    if let Some(failed) = gates.iter().find(|gate| gate.verdict == Said::Fail) {
        return Ruling::Fail(format!(
            "{}: {} against a limit of {}",
            failed.name, failed.value, failed.limit
        ));
    }
    let open = |gate: &&Gate| gate.verdict != Said::Pass;
    match gates.into_iter().find(|gate| open(&gate)) {
        None => Ruling::Pass,
        Some(gate) if gate.verdict == Said::Nothing => silent(route, &gate),
        Some(gate) if gate.name == REQUESTS => Ruling::Undecided(Reason::TooFewRequests {
            seen: requests(&window(route)),
            needed: route.saga.config.gates.requests_min,
        }),
        Some(gate) => {
            let Gate { name, value, limit, .. } = gate;
            let detail = format!("{value}, limit {limit}");
            Ruling::Undecided(Reason::GateUndecided { gate: name, detail })
        }
    }
}

/// A gate that says nothing pauses the route; for too long, it leads back.
fn silent(route: Route<'_>, gate: &Gate) -> Ruling {
    let lag = route.saga.config.lag();
    let since = route.memory.baking_since.or(route.memory.written_at);
    if let (Some(limit), Some(since)) = (route.saga.config.gates.no_data, since)
        && route.saga.now - since > lag * 2 + limit
    {
        return Ruling::Fail(format!("{} has been silent for too long", gate.name));
    }
    let lag_seconds = lag.num_seconds();
    Ruling::Undecided(Reason::GateSilent { gate: gate.name.clone(), lag_seconds })
}

pub const TARGETS: &str = "healthy targets";
const REQUESTS: &str = "requests";

/// Every gate with its value and limit, in the order they are shown.
pub fn gates(route: Route<'_>) -> Vec<Gate> {
    let percent = route.percent_at(route.memory.step);
    let seen = window(route);
    let mut gates = vec![targets(route, percent), traffic(route, &seen), errors(route, &seen)];
    gates.extend(compared(route, &seen));
    gates.extend(latencies(route, &seen));
    gates.extend(others(route));
    gates
}

fn targets(route: Route<'_>, percent: u32) -> Gate {
    let health = route.green_group().and_then(|group| group.health);
    let needed = needed(route, percent);
    let verdict = match health {
        None => Said::Nothing,
        Some(health) if health.healthy >= needed => Said::Pass,
        Some(_) => Said::Inconclusive,
    };
    Gate {
        name: TARGETS.to_owned(),
        verdict,
        value: health.map_or_else(|| "unknown".to_owned(), |health| health.healthy.to_string()),
        limit: format!("at least {needed}"),
    }
}

fn traffic(route: Route<'_>, seen: &[Load]) -> Gate {
    let (count, needed) = (requests(seen), route.saga.config.gates.requests_min);
    let verdict = if count >= needed { Said::Pass } else { Said::Inconclusive };
    Gate {
        name: REQUESTS.to_owned(),
        verdict,
        value: count.to_string(),
        limit: format!("at least {needed}"),
    }
}

fn errors(route: Route<'_>, seen: &[Load]) -> Gate {
    let (count, failed) = (requests(seen), failures(seen));
    let limit_bp = route.saga.config.gates.errors_max_bp.unwrap_or_else(|| learnt_errors(route));
    let limit = f64::from(limit_bp) / 10_000.0;
    let (low, high) = wilson(failed, count);
    let enough = count >= route.saga.config.gates.requests_min;
    let verdict = match count {
        0 => Said::Nothing,
        _ if failed >= ERRORS_MIN && low > limit => Said::Fail,
        _ if enough && share(failed, count) <= limit => Said::Pass,
        _ if enough && failed >= ERRORS_MIN && high > limit => Said::Fail,
        _ => Said::Inconclusive,
    };
    Gate {
        name: "5xx share".to_owned(),
        verdict,
        value: format!("{:.2} % of {count}", share(failed, count) * 100.0),
        limit: format!("{:.2} %", limit * 100.0),
    }
}

/// Blue's own share over what was seen of it, and one percentage point.
fn learnt_errors(route: Route<'_>) -> u32 {
    let load = route.saga.blue_group().map(|group| group.load.as_slice()).unwrap_or_default();
    let (count, failed) = (requests(load), failures(load));
    let own = (failed * 10_000).checked_div(count).unwrap_or_default();
    u32::try_from(own).unwrap_or(10_000).saturating_add(LEARNT_ERRORS_BP)
}

/// Error rates of both sides in the same minutes: only where blue's group serves this route alone.
fn compared(route: Route<'_>, seen: &[Load]) -> Option<Gate> {
    if !route.saga.config.gates.compare_with_blue {
        return None;
    }
    let blue = since(route.saga.blue_group()?, route.memory.baking_since?);
    let (green_n, blue_n) = (requests(seen), requests(&blue));
    let (green, theirs) = (share(failures(seen), green_n), share(failures(&blue), blue_n));
    let pooled = share(failures(seen) + failures(&blue), green_n + blue_n);
    let spread = (pooled * (1.0 - pooled) * (inverse(green_n) + inverse(blue_n))).sqrt();
    let enough = route.saga.config.gates.requests_min;
    let verdict = match () {
        () if green_n == 0 || blue_n == 0 => Said::Nothing,
        () if failures(seen) >= ERRORS_MIN && green - theirs > Z * spread => Said::Fail,
        () if green_n >= enough && blue_n >= enough => Said::Pass,
        () => Said::Inconclusive,
    };
    Some(Gate {
        name: "5xx share against blue".to_owned(),
        verdict,
        value: format!("{:.2} %", green * 100.0),
        limit: format!("not above {:.2} % beyond chance", theirs * 100.0),
    })
}

fn latencies(route: Route<'_>, seen: &[Load]) -> Vec<Gate> {
    let config = &route.saga.config.gates;
    let blue = route.saga.blue_group();
    let of = |name: &str, limit: Option<u32>, value: fn(&Load) -> Option<u32>| {
        let learnt = || learnt_latency(blue?.load.iter().filter_map(value).collect());
        let limit = limit.or_else(learnt);
        latency(name, limit, &seen.iter().filter_map(value).collect::<Vec<_>>())
    };
    vec![
        of("latency p95", config.latency_p95_max_ms, |load| load.latency_p95_ms),
        of("latency p99", config.latency_p99_max_ms, |load| load.latency_p99_ms),
    ]
}

/// Blue's median over what was seen of it, by half more and a little.
fn learnt_latency(mut values: Vec<u32>) -> Option<u32> {
    values.sort_unstable();
    let median = *values.get(values.len() / 2)?;
    Some(median.saturating_mul(LEARNT_LATENCY_PERCENT) / 100 + LEARNT_LATENCY_MS)
}

fn latency(name: &str, limit: Option<u32>, values: &[u32]) -> Gate {
    let last = values.last();
    let above = |limit: u32| values.iter().rev().take_while(|value| **value > limit).count();
    let verdict = match (limit, last) {
        (None, _) => Said::Pass,
        (Some(_), None) => Said::Nothing,
        (Some(limit), Some(_)) => match above(limit) {
            0 => Said::Pass,
            n if n >= LATENCY_DATAPOINTS => Said::Fail,
            _ => Said::Inconclusive,
        },
    };
    Gate {
        name: name.to_owned(),
        verdict,
        value: last.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms} ms")),
        limit: limit
            .map_or_else(|| "none: blue's is not known".to_owned(), |ms| format!("{ms} ms")),
    }
}

fn others(route: Route<'_>) -> impl Iterator<Item = Gate> {
    let readings = &route.saga.traffic().readings;
    route.saga.config.gates.others.iter().map(move |gate| {
        let reading = readings.get(&gate.name);
        let fresh = reading.filter(|reading| route.saga.now - reading.at <= gate.lag * 2);
        Gate {
            name: gate.name.clone(),
            verdict: fresh.map_or(Said::Nothing, |reading| reading.said),
            value: reading.map_or_else(|| "unknown".to_owned(), |reading| reading.detail.clone()),
            limit: "as it says itself".to_owned(),
        }
    })
}

/// Healthy targets of green when they are enough for a share of the requests.
pub fn healthy_enough(route: Route<'_>, percent: u32) -> Result<u64, Reason> {
    let needed = needed(route, percent);
    let blind = || Reason::NotSeen { what: "green's health".to_owned() };
    let group = route.green_group().ok_or_else(blind)?;
    let healthy = group.health.ok_or_else(blind)?.healthy;
    if healthy >= needed {
        return Ok(healthy);
    }
    Err(Reason::TooFewHealthy { group: group.name.clone(), healthy, needed, percent })
}

/// How many healthy targets a share of the requests needs, at least one.
///
/// As configured; else so that no target of green gets more requests than one of blue has had: the
/// route's own rate once green has served some of it, before that all of blue's.
pub fn needed(route: Route<'_>, percent: u32) -> u64 {
    let share = |full: u64| (full * u64::from(percent)).div_ceil(100).max(1);
    let own = share(route.green().map_or(1, |green| green.desired_count.max(1)));
    if let Some(full) = route.config.healthy_targets {
        return share(full);
    }
    let Some(blue) = route.saga.blue_group() else {
        return own;
    };
    let blue_healthy = blue.health.map_or(1, |health| health.healthy.max(1));
    let now = route.percent_now().unwrap_or_default();
    let seen = window(route);
    let (own_n, rest_n) = (requests(&seen), requests(&beside(blue, &seen)));
    // A handful of requests says nothing of a rate.
    let known = own_n >= route.saga.config.gates.requests_min;
    match now {
        1..100 if known => {
            let route_n = own_n * 100 / u64::from(now);
            // Blue's targets carry all the rest at the same rate.
            let by_rate = (route_n * u64::from(percent) * blue_healthy)
                .div_ceil((own_n + rest_n).max(1) * 100);
            by_rate.clamp(1, share(blue_healthy))
        }
        0 if percent < 100 && last_requests(blue).is_some() => share(blue_healthy),
        _ => own,
    }
}

/// Blue's datapoints from the first of green's on.
fn beside(blue: &TargetGroup, green: &[Load]) -> Vec<Load> {
    green.first().map(|first| since(blue, first.at)).unwrap_or_default()
}

/// Green cannot serve at all: no reason to wait for a metric.
pub fn lost(route: Route<'_>, percent: u32) -> Option<String> {
    let group = route.green_group()?;
    let health = group.health?;
    (percent > 0 && health.healthy == 0).then(|| format!("{} has no healthy target", group.name))
}

/// Requests hurt if green is wholly broken at this share, until the gates lead back: weight, times
/// the lag and one datapoint, times the rate of everything blue and green serve.
pub fn exposed(route: Route<'_>, percent: u32) -> Option<u64> {
    let config = route.saga.config;
    let rate_of = |group: Option<&TargetGroup>| group.and_then(last_requests).unwrap_or_default();
    let requests = rate_of(route.saga.blue_group()) + rate_of(route.green_group());
    let period = u64::try_from(config.gates.metric_period.num_seconds()).ok()?.max(1);
    let seconds = u64::try_from(reaction(config).num_seconds()).ok()?;
    (requests > 0).then(|| (requests * seconds * u64::from(percent)).div_ceil(period * 100))
}

/// From a weight being written until a green that is wholly broken has been seen to be.
pub fn reaction(config: &CutoverConfig) -> TimeDelta {
    config.lag() + config.gates.metric_period + config.settle
}

/// Requests of the latest datapoint.
fn last_requests(group: &TargetGroup) -> Option<u64> {
    group.load.last().map(|load| load.requests)
}

/// Green's datapoints that lie wholly within the present watch.
fn window(route: Route<'_>) -> Vec<Load> {
    // What green did while the load balancer still took the weight up counts against it as well.
    match (route.green_group(), route.memory.written_at) {
        (Some(group), Some(written)) => since(group, written),
        _ => Vec::new(),
    }
}

fn since(group: &TargetGroup, start: DateTime<Utc>) -> Vec<Load> {
    let within = |load: &&Load| load.at + TimeDelta::seconds(1) > start;
    group.load.iter().filter(within).copied().collect()
}

fn requests(load: &[Load]) -> u64 {
    load.iter().map(|load| load.requests).sum()
}

fn failures(load: &[Load]) -> u64 {
    load.iter().map(|load| load.errors_5xx).sum()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

fn inverse(n: u64) -> f64 {
    if n == 0 { 0.0 } else { 1.0 / float(n) }
}

/// Exact up to 2^32, far above any count of one window.
fn float(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Bounds on a share of which `failed` of `count` were seen.
fn wilson(failed: u64, count: u64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (float(count), share(failed, count));
    let z2 = Z * Z;
    let centre = p + z2 / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    ((centre - spread) / scale, (centre + spread) / scale)
}

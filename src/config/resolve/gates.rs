//! What a new service must show at each step of a cutover.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::{given, number, period, required};
use crate::config::cutover::{CutoverConfig, GateSource, Gates, OtherGate, ProbeConfig};
use crate::config::error::{Place, Problems};
use crate::config::measure::Decimal;
use crate::config::raw::{RawCutover, RawGate, RawGates, RawProbe, RawProbeOrOff, RawPrometheus};
use crate::config::read::Written;
use crate::config::scalar::Period;

const HOUR: TimeDelta = TimeDelta::hours(1);
const SECOND: TimeDelta = TimeDelta::seconds(1);

pub(super) fn probe(raw: Option<&RawProbeOrOff>, problems: &mut Problems) -> Option<ProbeConfig> {
    let Some(RawProbeOrOff::Table(raw)) = raw else { return None };
    let RawProbe { base_url, expect_status, times } = &**raw;
    let default = ProbeConfig::default();
    let status = number(expect_status, default.expect_status.into(), 200..=499, problems);
    Some(ProbeConfig {
        base_url: given(base_url).map(|url| url.0.clone()),
        expect_status: status.try_into().unwrap_or(default.expect_status),
        times: number(times, default.times, 1..=20, problems),
    })
}

pub(super) fn gates(raw: Option<&RawGates>, problems: &mut Problems) -> Gates {
    let default = Gates::default();
    let Some(raw) = raw else { return default };
    let metric_lag =
        period(&raw.metric_lag, default.metric_lag, TimeDelta::zero()..=HOUR, problems);
    refuse_order(raw, problems);
    Gates {
        errors_max_bp: given(&raw.errors_max_percent).map(|points| points.0),
        latency_p95_max_ms: given(&raw.latency_p95_max).map(|limit| limit.0),
        latency_p99_max_ms: given(&raw.latency_p99_max).map(|limit| limit.0),
        requests_min: requests_min(raw, problems),
        metric_period: metric_period(raw, problems),
        metric_lag,
        no_data: given(&raw.no_data).map(|period| period.0),
        compare_with_blue: given(&raw.compare_with_blue)
            .copied()
            .unwrap_or(default.compare_with_blue),
        others: others(raw, metric_lag, problems),
    }
}

fn requests_min(raw: &RawGates, problems: &mut Problems) -> u64 {
    let default = Gates::default().requests_min;
    if let (Some(0), Some(written)) = (given(&raw.requests_min), &raw.requests_min) {
        written.refuse("0 would let silence pass for good answers", "write 1 or more", problems);
    }
    given(&raw.requests_min).map_or(default, |number| u64::from(*number))
}

/// More requests are below the 99th percentile's limit than below the 95th's.
fn refuse_order(raw: &RawGates, problems: &mut Problems) {
    if let (Some(p95), Some(p99), Some(written)) =
        (given(&raw.latency_p95_max), given(&raw.latency_p99_max), &raw.latency_p99_max)
        && p99.0 < p95.0
    {
        let remedy = "write at least as much as `latency_p95_max`, or leave that out";
        written.refuse("is below the limit of the 95th percentile", remedy, problems);
    }
}

fn metric_period(raw: &RawGates, problems: &mut Problems) -> TimeDelta {
    let default = Gates::default().metric_period;
    let length = period(&raw.metric_period, default, SECOND..=HOUR, problems);
    let seconds = length.num_seconds();
    if !matches!(seconds, 1 | 5 | 10 | 20 | 30)
        && seconds % 60 != 0
        && let Some(written) = &raw.metric_period
    {
        let message = format!("{} is no period of CloudWatch", Period::text(length));
        let remedy = "write `60s` or other whole minutes; `1s`, `5s`, `10s`, `20s` or `30s` where \
                      metrics are that fine";
        written.refuse(message, remedy, problems);
    }
    length
}

fn others(raw: &RawGates, metric_lag: TimeDelta, problems: &mut Problems) -> Vec<OtherGate> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for written in given(&raw.others).into_iter().flatten() {
        let Some(raw) = &written.value else { continue };
        if let (Some(name), Some(written)) = (given(&raw.name), &raw.name)
            && !names.insert(name)
        {
            let message = format!("gate {} is listed already", name.0);
            written.refuse(message, "give each gate a name of its own", problems);
        }
        all.extend(other(written, raw, metric_lag, problems));
    }
    all
}

fn other(
    written: &Written<RawGate>,
    raw: &RawGate,
    metric_lag: TimeDelta,
    problems: &mut Problems,
) -> Option<OtherGate> {
    let here = (written.place, written.path.as_str());
    let remedy = "add `name:`, under which it is shown";
    let name = required(&raw.name, here, "name", remedy, problems);
    let lag = period(&raw.lag, metric_lag, TimeDelta::zero()..=HOUR, problems);
    let sources = [raw.prometheus.is_some(), raw.cloudwatch_alarm.is_some(), raw.http.is_some()];
    if sources.iter().filter(|given| **given).count() != 1 {
        let remedy = "write one of `prometheus`, `cloudwatch_alarm` and `http`";
        written.refuse("needs one source", remedy, problems);
        return None;
    }
    let source = if let Some(written) = &raw.prometheus {
        prometheus(written, problems)
    } else if let Some(alarm) = given(&raw.cloudwatch_alarm) {
        Some(GateSource::CloudwatchAlarm(alarm.0.clone()))
    } else {
        given(&raw.http).map(|url| GateSource::Http(url.0.clone()))
    };
    Some(OtherGate { name: name?.0.clone(), source: source?, lag })
}

fn prometheus(written: &Written<RawPrometheus>, problems: &mut Problems) -> Option<GateSource> {
    let raw = written.value.as_ref()?;
    let here: (Place, &str) = (written.place, &written.path);
    let remedy = "add `url: https://HOST` of the Prometheus server";
    let url = required(&raw.url, here, "url", remedy, problems);
    let remedy = "add `query:` with an instant query of one number";
    let query = required(&raw.query, here, "query", remedy, problems);
    let bound = |Decimal(text): &Decimal| text.clone();
    let (below, above) = (given(&raw.below), given(&raw.above));
    if raw.below.is_none() && raw.above.is_none() {
        let remedy = "add `below: NUMBER`, `above: NUMBER` or both";
        written.refuse("has no bound, so that any value is good", remedy, problems);
    }
    let number = |bound: Option<&Decimal>| bound.and_then(|bound| bound.0.parse::<f64>().ok());
    if let (Some(low), Some(high), Some(written)) = (number(above), number(below), &raw.below)
        && high <= low
    {
        let message = format!("no number is below {high} and above {low}");
        written.refuse(message, "write `below` greater than `above`, or one of them", problems);
    }
    Some(GateSource::Prometheus {
        url: url?.0.clone(),
        query: query?.clone(),
        below: below.map(bound),
        above: above.map(bound),
    })
}

/// Before a datapoint can be there, silence says nothing.
pub(super) fn refuse_hasty_silence(
    raw: &RawCutover,
    cutover: &CutoverConfig,
    problems: &mut Problems,
) {
    let Some(written) = given(&raw.gates).and_then(|gates| gates.no_data.as_ref()) else { return };
    let first = cutover.lag() + cutover.gates.metric_period;
    let day = TimeDelta::hours(24);
    if let Some(Period(silence)) = written.value
        && !(first..=day).contains(&silence)
    {
        let (silence, least) = (Period::text(silence), Period::text(first));
        let message = format!("{silence} is not within {least}, lag and one sample, and 24h");
        let remedy = format!("write a duration from `{least}` to `24h`");
        written.refuse(message, remedy, problems);
    }
}

/// Readings are kept by name: one name is one gate for all cutovers of a cluster.
pub(super) fn refuse_ambiguous(
    raws: &[Written<RawCutover>],
    cutovers: &[CutoverConfig],
    problems: &mut Problems,
) {
    let mut sources: BTreeMap<&str, &GateSource> = BTreeMap::new();
    let gates = cutovers.iter().flat_map(|cutover| &cutover.gates.others);
    let mut ambiguous = BTreeSet::new();
    for gate in gates {
        let first = sources.entry(&gate.name).or_insert(&gate.source);
        if **first != gate.source {
            ambiguous.insert(gate.name.as_str());
        }
    }
    let raws = raws.iter().filter_map(|raw| given(&raw.value.as_ref()?.gates));
    let others = raws.filter_map(|gates| given(&gates.others)).flatten();
    let mut seen = BTreeSet::new();
    for written in others.filter_map(|gate| gate.value.as_ref()?.name.as_ref()) {
        let Some(name) = written.value.as_ref() else { continue };
        if ambiguous.contains(name.0.as_str()) && !seen.insert(name) {
            let message = format!("gate {} asks something else in this cluster", name.0);
            written.refuse(message, "give what differs another name", problems);
        }
    }
}

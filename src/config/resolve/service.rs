//! How services are reached and made: defaults filled in, contradictions found.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::TimeDelta;

use super::{Field, given, number, period, required};
use crate::config::alb::{
    Environment, HostPattern, PathPattern, VALUES_MAX, WILDCARDS_MAX, wildcards,
};
use crate::config::cutover::{Described, Exposure};
use crate::config::error::{Place, Problems};
use crate::config::raw::{RawDescribed, RawExposure, RawHealthCheck, RawService};
use crate::config::read::{Named, Written};
use crate::config::scalar::Period;
use crate::model::{GroupSettings, HealthCheck, Purpose, ServiceName, TaskDescription};

/// Most characters of a tag's value.
const TAG_MAX: usize = 256;

/// What Docker needs at least, and more than any host has.
const MEMORY_MIB: RangeInclusive<u32> = 6..=33_554_432;

const CPU_UNITS: RangeInclusive<u32> = 1..=1_048_576;

const PORT_REMEDY: &str = "add `port:` with the one the container listens on";

pub(super) fn exposure(
    service: &ServiceName,
    raw: &RawService,
    problems: &mut Problems,
) -> Option<Exposure> {
    let written = raw.load_balancing.as_ref()?;
    let raw = Exposed { raw: written.value.as_ref()?, create: given(&raw.create) };
    if let Some(long) = too_long(&Purpose::Service(service.clone())) {
        written.refuse(long, "give the service a shorter name", problems);
    }
    let here = (written.place, written.path.as_str());
    let (paths, hosts) = conditions(here, &raw.raw.paths, &raw.raw.hosts, problems);
    if let (Some(priority), true) = (&raw.raw.priority, paths.is_empty() && hosts.is_empty()) {
        let remedy = "add `paths` or `hosts`, or remove it";
        priority.refuse("there is no rule that it could be the priority of", remedy, problems);
    }
    let priority = raw.raw.priority.as_ref();
    let priority = priority.map(|_| small(number(&raw.raw.priority, 1, 1..=50_000, problems)));
    let port = raw.port(here, problems);
    let remedy = "add `listener:` with the ARN of a listener";
    let listener = required(&raw.raw.listener, here, "listener", remedy, problems).cloned();
    let container = given(&raw.raw.container).map(|name| name.0.clone());
    Some(Exposure {
        settings: settings(raw.raw, problems),
        listener: listener?,
        target_group: given(&raw.raw.target_group).map(|name| name.0.clone()),
        container: container.unwrap_or_else(|| service.to_string()),
        port,
        paths,
        hosts,
        priority,
    })
}

/// What is written of an exposure and of the service it may be made with.
struct Exposed<'a> {
    raw: &'a RawExposure,
    create: Option<&'a RawDescribed>,
}

impl Exposed<'_> {
    fn port(&self, here: (Place, &str), problems: &mut Problems) -> u16 {
        let made = self.create.and_then(|create| given(&create.port)).copied();
        match (&self.raw.port, made) {
            (None, Some(made)) => return small(made),
            (None, None) => _ = required(&self.raw.port, here, "port", PORT_REMEDY, problems),
            (Some(written), Some(made)) if written.value.is_some_and(|port| port != made) => {
                let message = format!("is not the port of `create`, {made}");
                written.refuse(message, "write the same, or leave one of them out", problems);
            }
            _ => {}
        }
        small(number(&self.raw.port, 1, 1..=65_535, problems))
    }
}

/// Of a number that was checked to fit, or of one that has been refused.
fn small(number: u32) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

fn settings(raw: &RawExposure, problems: &mut Problems) -> Option<GroupSettings> {
    let written = raw.health_check.is_some()
        || raw.deregistration_delay.is_some()
        || raw.slow_start.is_some()
        || raw.stickiness.is_some();
    if !written {
        return None;
    }
    let default = GroupSettings::default();
    let delay = seconds(default.deregistration_delay_seconds);
    let hour = TimeDelta::zero()..=TimeDelta::hours(1);
    let delay = period(&raw.deregistration_delay, delay, hour, problems);
    let ramp = TimeDelta::zero()..=TimeDelta::minutes(15);
    let slow_start = period(&raw.slow_start, TimeDelta::zero(), ramp, problems);
    if let (Some(written), 1..=29) = (&raw.slow_start, slow_start.num_seconds()) {
        let message = format!("{} is shorter than a slow start can be", Period::text(slow_start));
        written.refuse(message, "write `30s` to `15m`, or `0s` for off", problems);
    }
    let stickiness = given(&raw.stickiness).and_then(|stickiness| stickiness.0);
    let week = TimeDelta::seconds(1)..=TimeDelta::hours(168);
    if let (Some(written), Some(sticky)) = (&raw.stickiness, stickiness)
        && !week.contains(&sticky)
    {
        let message = format!("{} is not within 1s and 168h", Period::text(sticky));
        written.refuse(message, "write `off`, or a duration from `1s` to `168h`", problems);
    }
    Some(GroupSettings {
        health_check: health_check(given(&raw.health_check), problems),
        deregistration_delay_seconds: whole_seconds(delay),
        slow_start_seconds: whole_seconds(slow_start),
        stickiness_seconds: stickiness.map(whole_seconds),
    })
}

fn health_check(raw: Option<&RawHealthCheck>, problems: &mut Problems) -> HealthCheck {
    let default = GroupSettings::default().health_check;
    let Some(raw) = raw else { return default };
    let range = TimeDelta::seconds(5)..=TimeDelta::minutes(5);
    let interval = period(&raw.interval, seconds(default.interval_seconds), range, problems);
    let range = TimeDelta::seconds(2)..=TimeDelta::minutes(2);
    let timeout = period(&raw.timeout, seconds(default.timeout_seconds), range, problems);
    if timeout >= interval
        && let Some(written) = raw.timeout.as_ref().or(raw.interval.as_ref())
    {
        let (timeout, interval) = (Period::text(timeout), Period::text(interval));
        let message = format!("the timeout, {timeout}, is not below the interval, {interval}");
        written.refuse(message, "write a shorter `timeout` or a longer `interval`", problems);
    }
    HealthCheck {
        path: given(&raw.path).map_or(default.path, |path| path.0.clone()),
        expect: given(&raw.expect).map_or(default.expect, |expect| expect.0.clone()),
        interval_seconds: whole_seconds(interval),
        timeout_seconds: whole_seconds(timeout),
        healthy_after: number(&raw.healthy_after, default.healthy_after, 2..=10, problems),
        unhealthy_after: number(&raw.unhealthy_after, default.unhealthy_after, 2..=10, problems),
    }
}

fn seconds(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(seconds.into())
}

fn whole_seconds(period: TimeDelta) -> u32 {
    period.num_seconds().try_into().unwrap_or_default()
}

pub(super) fn described(
    written: &Written<RawDescribed>,
    problems: &mut Problems,
) -> Option<Described> {
    let raw = written.value.as_ref()?;
    let here = (written.place, written.path.as_str());
    let remedy = "add `image:` with what the container runs";
    let image = required(&raw.image, here, "image", remedy, problems);
    let remedy = "add `cpu_units:`; 1024 are one vCPU";
    required(&raw.cpu_units, here, "cpu_units", remedy, problems);
    let remedy = "add `memory_mib:`, what a task may use at most";
    required(&raw.memory_mib, here, "memory_mib", remedy, problems);
    required(&raw.port, here, "port", PORT_REMEDY, problems);
    let task = TaskDescription {
        image: image.map(|image| image.0.clone()).unwrap_or_default(),
        cpu_units: number(&raw.cpu_units, 1, CPU_UNITS, problems).into(),
        memory_mib: number(&raw.memory_mib, 6, MEMORY_MIB, problems).into(),
        port: small(number(&raw.port, 1, 1..=65_535, problems)),
        environment: given(&raw.environment)
            .map(|named| environment(named, problems))
            .unwrap_or_default(),
    };
    Some(Described { task, count: given(&raw.count).copied().unwrap_or(1).into() })
}

fn environment(named: &Named<Environment>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (place, name, written) in &named.0 {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name.is_empty() || !name.bytes().all(sign) {
            let message = format!("`{name}` is no name of an environment variable");
            problems.add(*place, &written.path, message, "write letters, digits, `_`, `.` and `-`");
        }
        if let Some(value) = &written.value {
            all.insert(name.clone(), value.0.clone());
        }
    }
    all
}

/// The patterns of one rule, within what a rule can hold.
pub(super) fn conditions(
    (place, path): (Place, &str),
    paths: &Field<Vec<Written<PathPattern>>>,
    hosts: &Field<Vec<Written<HostPattern>>>,
    problems: &mut Problems,
) -> (Vec<String>, Vec<String>) {
    let paths = patterns(paths, |pattern| &pattern.0, problems);
    let hosts = patterns(hosts, |pattern| &pattern.0, problems);
    let values = paths.len() + hosts.len();
    if values > VALUES_MAX {
        let message = format!("has {values} paths and hosts, a rule holds {VALUES_MAX}");
        let remedy = "name fewer, or cover several with one pattern such as `/api/users/*`";
        problems.add(place, path, message, remedy);
    }
    let count: usize = paths.iter().chain(&hosts).map(|pattern| wildcards(pattern)).sum();
    if count > WILDCARDS_MAX {
        let message = format!("has {count} wildcards, a rule holds {WILDCARDS_MAX}");
        problems.add(place, path, message, "write fewer `*` and `?`");
    }
    (paths, hosts)
}

fn patterns<T>(
    field: &Field<Vec<Written<T>>>,
    text: impl Fn(&T) -> &String,
    problems: &mut Problems,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for written in given(field).into_iter().flatten() {
        let Some(pattern) = written.value.as_ref().map(&text) else { continue };
        if all.contains(pattern) {
            written.refuse(format!("`{pattern}` is listed already"), "remove one", problems);
        }
        all.push(pattern.clone());
    }
    all
}

/// Why a purpose cannot be kept as a tag, if so.
pub(super) fn too_long(purpose: &Purpose) -> Option<String> {
    let length = purpose.to_string().len();
    let message = || format!("`{purpose}` has {length} characters, a tag holds {TAG_MAX}");
    (length > TAG_MAX).then(message)
}

/// No target group twice, and no priority twice on one listener.
pub(super) fn refuse_shared(services: &Named<RawService>, problems: &mut Problems) {
    let (mut groups, mut priorities) = (BTreeMap::new(), BTreeMap::new());
    for (_, name, written) in &services.0 {
        let raw = written.value.as_ref().and_then(|raw| given(&raw.load_balancing));
        let Some(raw) = raw else { continue };
        if let (Some(group), Some(written)) = (given(&raw.target_group), &raw.target_group)
            && let Some(first) = groups.insert(group, name)
        {
            let message = format!("`{}` is the target group of {first} already", group.0);
            written.refuse(message, "give each service a group of its own", problems);
        }
        if let (Some(priority), Some(written)) = (given(&raw.priority), &raw.priority)
            && let Some(first) = priorities.insert((given(&raw.listener), priority), name)
        {
            let message = format!("{priority} is the priority of {first} on this listener already");
            written.refuse(message, "write another; the lowest that matches wins", problems);
        }
    }
}

//! Defaults filled in, and what no single value shows: contradictions between them.
//!
//! Rule: whatever passes here can be obeyed as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use chrono::TimeDelta;

use super::error::{Place, Problems};
use super::names::{self, AlarmName};
use super::raw::{
    RawBudgets, RawCeiling, RawCluster, RawConfig, RawDynamoDb, RawHeadroom, RawJournal,
    RawJournalOrSqlite, RawPool, RawReleases, RawRepair, RawScaleIn, RawService, RawWindow,
};
use super::read::{Named, Written, join};
use super::scalar::Period;
use super::{
    Budgets, ClusterConfig, Headroom, JournalConfig, PoolConfig, Releases, Repair,
    ReservationCeiling, ScaleIn, ServiceConfig, TableConfig, Window, when,
};
use crate::model::{ActionKind, PoolId, ServiceName};

mod access;
mod cutover;
mod gates;
mod notify;
mod route;
mod service;

pub(super) use access::alb_oidc;
pub(super) use notify::targets;

/// What was written for a key that may be left out.
type Field<T> = Option<Written<T>>;

fn given<T>(field: &Field<T>) -> Option<&T> {
    field.as_ref()?.value.as_ref()
}

/// The value of a key that must be there. `None` without a note where what is there was refused.
fn required<'a, T>(
    field: &'a Field<T>,
    (place, path): (Place, &str),
    key: &str,
    remedy: &str,
    problems: &mut Problems,
) -> Option<&'a T> {
    if field.is_none() {
        problems.add(place, path, format!("`{key}` is missing"), remedy);
    }
    given(field)
}

/// Where the file keeps its journals; meaningless if a problem was noted.
pub(super) fn journal(
    field: Option<&Written<RawJournalOrSqlite>>,
    problems: &mut Problems,
) -> JournalConfig {
    let Some(written) = field else { return JournalConfig::Sqlite };
    let Some(RawJournalOrSqlite::Table(table)) = &written.value else {
        return JournalConfig::Sqlite;
    };
    let RawJournal { dynamodb } = &**table;
    let here = (written.place, written.path.as_str());
    let remedy = "add `dynamodb:` with the table's name as `table: NAME` below it, or write \
        `journal: sqlite`";
    let Some(raw) = required(dynamodb, here, "dynamodb", remedy, problems) else {
        return JournalConfig::Sqlite;
    };
    let RawDynamoDb { table, region, lease } = raw;
    let here = dynamodb.as_ref().map_or(here, |inner| (inner.place, inner.path.as_str()));
    let table = required(table, here, "table", "add `table:` with the table's name", problems);
    let default = TableConfig::new(table.map_or("", |name| &name.0));
    let range = TimeDelta::seconds(10)..=TimeDelta::minutes(2);
    JournalConfig::DynamoDb(TableConfig {
        region: given(region).map(|region| region.0.clone()),
        lease: period(lease, default.lease, range, problems),
        table: default.table,
    })
}

/// The clusters of the file; meaningless if a problem was noted.
pub(super) fn clusters(raw: &RawConfig, problems: &mut Problems) -> Vec<ClusterConfig> {
    let top = (Place::TOP, "");
    if let Some(version) =
        required(&raw.version, top, "version", "add a line `version: 1`", problems)
        && *version != 1
        && let Some(written) = &raw.version
    {
        let message = format!("{version} is no known version of this format");
        written.refuse(message, "write `version: 1`", problems);
    }
    let remedy =
        "add `clusters:` with at least one `- name: CLUSTER`; `tidegate config init` prints one";
    let Some(list) = required(&raw.clusters, top, "clusters", remedy, problems) else {
        return Vec::new();
    };
    if let (true, Some(written)) = (list.is_empty(), &raw.clusters) {
        written.refuse("lists no cluster", "add at least one `- name: CLUSTER`", problems);
    }
    refuse_shared(list, problems);
    cutover::refuse_foreign_listeners(raw, problems);
    list.iter().filter_map(|written| cluster(written, problems)).collect()
}

/// No cluster twice, and no pool in two of them.
fn refuse_shared(list: &[Written<RawCluster>], problems: &mut Problems) {
    let mut names = BTreeMap::new();
    let mut pools = BTreeMap::new();
    for raw in list.iter().filter_map(|written| written.value.as_ref()) {
        if let (Some(name), Some(written)) = (given(&raw.name), &raw.name)
            && let Some(first) = names.insert(name, written.place.line)
        {
            let message = format!("cluster {name} is listed already, in line {first}");
            let remedy = "keep one; a cluster of the same name in another Region or account needs \
                a configuration of its own";
            written.refuse(message, remedy, problems);
        }
        let scope = (
            given(&raw.region).map(|region| region.0.as_str()),
            given(&raw.role_arn).map(|role| role.0.as_str()),
        );
        for written in given(&raw.pools).into_iter().flatten() {
            let Some(id) = written.value.as_ref().and_then(pool_id) else {
                continue;
            };
            let named = id.to_string();
            if let Some(first) = pools.insert((scope, id), written.place.line) {
                let message = format!("pool {named} is listed already, in line {first}");
                written.refuse(message, "keep one: a pool belongs to one cluster", problems);
            }
        }
    }
}

fn cluster(written: &Written<RawCluster>, problems: &mut Problems) -> Option<ClusterConfig> {
    let raw = written.value.as_ref()?;
    let here = (written.place, written.path.as_str());
    let name =
        required(&raw.name, here, "name", "add `name:` with the ECS cluster's name", problems);
    let remedy =
        "add `pools:` with at least one `- auto_scaling_group: NAME` or `- spot_fleet: ID`";
    let pools = required(&raw.pools, here, "pools", remedy, problems);
    if let (Some([]), Some(written)) = (pools.map(Vec::as_slice), &raw.pools) {
        written.refuse("a cluster without pools cannot be sized", remedy, problems);
    }
    if let (Some(written), None) = (&raw.external_id, &raw.role_arn) {
        let remedy = "add `role_arn`, or remove `external_id`";
        written.refuse("an external id is only given when a role is assumed", remedy, problems);
    }
    let pools = pools.into_iter().flatten();
    let pools = pools.filter_map(|pool_written| pool(pool_written, problems)).collect();
    let default = ClusterConfig::new(name.cloned().unwrap_or_default(), pools);
    let range = TimeDelta::seconds(5)..=TimeDelta::minutes(5);
    let interval = period(&raw.interval, default.interval, range, problems);
    let allow = given(&raw.allow).map(|kinds| kinds.iter().filter_map(|kind| kind.value).collect());
    Some(ClusterConfig {
        region: given(&raw.region).map(|region| region.0.clone()),
        role_arn: given(&raw.role_arn).map(|role| role.0.clone()),
        external_id: given(&raw.external_id).map(|id| id.0.clone()),
        mode: given(&raw.mode).copied().unwrap_or(default.mode),
        allow: allow.unwrap_or(default.allow),
        reservation_ceiling: ceiling(given(&raw.reservation_ceiling)),
        headroom: match given(&raw.headroom) {
            Some(items) => headroom(items, problems),
            None => default.headroom,
        },
        services: given(&raw.services).map(|named| services(named, problems)).unwrap_or_default(),
        cutovers: cutover::cutovers(raw, problems),
        windows: given(&raw.windows).map(|items| windows(items, problems)).unwrap_or_default(),
        scale_in: scale_in(given(&raw.scale_in), interval, problems),
        repair: repair(given(&raw.repair), problems),
        releases: releases(given(&raw.releases), problems),
        budgets: budgets(given(&raw.budgets), problems),
        retention: period(&raw.retention, default.retention, MINUTE..=MONTH, problems),
        interval,
        queue: given(&raw.queue).map(|queue| queue.0.clone()),
        stop_parameter: given(&raw.stop_parameter).cloned(),
        resync: period(&raw.resync, default.resync, MINUTE..=HOUR, problems),
        name: default.name,
        pools: default.pools,
    })
}

fn pool_id(raw: &RawPool) -> Option<PoolId> {
    match (given(&raw.auto_scaling_group), given(&raw.spot_fleet)) {
        (Some(group), None) => Some(PoolId::AutoScalingGroup(group.0.clone())),
        (None, Some(fleet)) => Some(PoolId::SpotFleet(fleet.0.clone())),
        _ => None,
    }
}

fn pool(written: &Written<RawPool>, problems: &mut Problems) -> Option<PoolConfig> {
    let raw = written.value.as_ref()?;
    let remedy = "write either `auto_scaling_group: NAME` or `spot_fleet: ID`";
    match (&raw.auto_scaling_group, &raw.spot_fleet) {
        (None, None) => {
            written.refuse("names no Auto Scaling group and no Spot Fleet", remedy, problems)
        }
        (Some(_), Some(fleet)) => {
            fleet.refuse("a pool is one or the other, not both", remedy, problems)
        }
        _ => {}
    }
    let default = PoolConfig::new(pool_id(raw)?);
    let remedy = "write 1 or more; a pool that shall never grow is `retiring: true`";
    let max = raw.max.as_ref().map(|_| positive(&raw.max, 1, remedy, problems));
    Some(PoolConfig {
        retiring: given(&raw.retiring).copied().unwrap_or(default.retiring),
        max,
        price_percent: given(&raw.price_percent).map_or(default.price_percent, |percent| percent.0),
        id: default.id,
    })
}

fn ceiling(raw: Option<&RawCeiling>) -> ReservationCeiling {
    let default = ReservationCeiling::default();
    let Some(raw) = raw else { return default };
    ReservationCeiling {
        cpu_percent: given(&raw.cpu_percent)
            .map_or(default.cpu_percent, |percent| percent.0.into()),
        memory_percent: given(&raw.memory_percent)
            .map_or(default.memory_percent, |percent| percent.0.into()),
    }
}

fn headroom(items: &[Written<RawHeadroom>], problems: &mut Problems) -> Vec<Headroom> {
    let mut all: Vec<Headroom> = Vec::new();
    for written in items {
        let Some(raw) = &written.value else { continue };
        let here = (written.place, written.path.as_str());
        let remedy = "add `tasks_like: largest` or the name of a service";
        let like = required(&raw.tasks_like, here, "tasks_like", remedy, problems);
        let remedy = "write 1 or more; for no headroom at all write `headroom: []`";
        let count = positive(&raw.count, 1, remedy, problems).into();
        let Some(like) = like else { continue };
        if all.iter().any(|other| other.like == *like) {
            written.refuse(
                "these tasks are listed already",
                "add the counts in one item",
                problems,
            );
        }
        all.push(Headroom { like: like.clone(), count });
    }
    all
}

fn services(
    named: &Named<RawService>,
    problems: &mut Problems,
) -> BTreeMap<ServiceName, ServiceConfig> {
    let mut all = BTreeMap::new();
    for (place, name, written) in &named.0 {
        if !names::is_ecs_name(name) {
            let message = format!("`{name}` is no name of an ECS service");
            problems.add(*place, &written.path, message, names::SERVICE_REMEDY);
        }
        let Some(raw) = &written.value else { continue };
        let name = ServiceName::new(name.as_str());
        let config = ServiceConfig {
            desired_count: given(&raw.desired_count).copied().unwrap_or_default(),
            evict: given(&raw.evict).copied().unwrap_or_default(),
            exposure: service::exposure(&name, raw, problems),
            described: raw.create.as_ref().and_then(|raw| service::described(raw, problems)),
            alarms: given(&raw.alarms).map(|names| alarms(names)).unwrap_or_default(),
        };
        all.insert(name, config);
    }
    service::refuse_shared(named, problems);
    all
}

fn alarms(names: &[Written<AlarmName>]) -> BTreeSet<String> {
    names.iter().filter_map(|written| Some(written.value.as_ref()?.0.clone())).collect()
}

fn windows(items: &[Written<RawWindow>], problems: &mut Problems) -> Vec<Window> {
    items.iter().filter_map(|written| window(written, problems)).collect()
}

fn window(written: &Written<RawWindow>, problems: &mut Problems) -> Option<Window> {
    let raw = written.value.as_ref()?;
    let here = (written.place, written.path.as_str());
    let remedy =
        "add `forbid: [scale_in, replace, consolidate, services, cutover]` or some of them";
    let kinds = required(&raw.forbid, here, "forbid", remedy, problems);
    if let (Some([]), Some(written)) = (kinds.map(Vec::as_slice), &raw.forbid) {
        written.refuse("forbids nothing", remedy, problems);
    }
    let forbid = kinds.into_iter().flatten();
    let forbid = forbid.filter_map(|kind| Some(kind.value?.0)).collect();
    let remedy = "add `when: \"Fri 16:00 - Mon 07:00 Europe/Berlin\"`";
    let text = required(&raw.when, here, "when", remedy, problems)?;
    match when::parse(text) {
        Ok((spans, zone)) => Some(Window { forbid, text: text.clone(), spans, zone }),
        Err(error) => {
            problems.add(
                raw.when.as_ref()?.place,
                &join(&written.path, "when"),
                error.message,
                error.remedy,
            );
            None
        }
    }
}

/// The longest time anything may be told to take.
const DAY: TimeDelta = TimeDelta::hours(24);
const HOUR: TimeDelta = TimeDelta::hours(1);
const MONTH: TimeDelta = TimeDelta::hours(720);
const MINUTE: TimeDelta = TimeDelta::minutes(1);

fn scale_in(raw: Option<&RawScaleIn>, interval: TimeDelta, problems: &mut Problems) -> ScaleIn {
    let default = ScaleIn::default();
    let Some(raw) = raw else { return default };
    let any = TimeDelta::zero()..=DAY;
    let stabilization = period(&raw.stabilization, default.stabilization, any, problems);
    if let (Some(written), true) = (&raw.stabilization, stabilization < interval) {
        let interval = Period::text(interval);
        let message = format!("is shorter than the interval, {interval}: no host is seen so often");
        written.refuse(
            message,
            format!("write `{interval}` or more, or a shorter `interval`"),
            problems,
        );
    }
    ScaleIn {
        stabilization,
        drain_deadline: period(&raw.drain_deadline, default.drain_deadline, MINUTE..=DAY, problems),
        host_age_min: period(
            &raw.host_age_min,
            default.host_age_min,
            TimeDelta::zero()..=DAY,
            problems,
        ),
    }
}

fn repair(raw: Option<&RawRepair>, problems: &mut Problems) -> Repair {
    let default = Repair::default();
    let Some(raw) = raw else { return default };
    let remedy = "write 1 or more; to give no host up leave `repair` out of `allow`";
    Repair {
        agent_lost: period(&raw.agent_lost, default.agent_lost, MINUTE..=DAY, problems),
        registration: period(&raw.registration, default.registration, MINUTE..=DAY, problems),
        failures_max: positive(&raw.failures_max, default.failures_max, remedy, problems),
    }
}

fn releases(raw: Option<&RawReleases>, problems: &mut Problems) -> Releases {
    let default = Releases::default();
    let Some(raw) = raw else { return default };
    Releases {
        room_within: period(&raw.room_within, default.room_within, MINUTE..=DAY, problems),
        done_within: period(&raw.done_within, default.done_within, MINUTE..=DAY, problems),
    }
}

fn budgets(raw: Option<&RawBudgets>, problems: &mut Problems) -> Budgets {
    let default = Budgets::default();
    let Some(raw) = raw else { return default };
    let mut least_one = |field: &Field<u32>, kind: ActionKind| {
        let remedy = format!("write 1 or more; to forbid it leave `{kind}` out of `allow`");
        field.as_ref().map(|_| positive(field, 1, &remedy, problems))
    };
    let draining = least_one(&raw.draining_hosts, ActionKind::ScaleIn);
    let removed = least_one(&raw.removed_hosts_per_hour, ActionKind::ScaleIn);
    let launched = least_one(&raw.launched_units_per_hour, ActionKind::ScaleOut);
    Budgets {
        draining_hosts: draining.map_or(default.draining_hosts, u64::from),
        removed_hosts_per_hour: removed.map_or(default.removed_hosts_per_hour, u64::from),
        launched_units_per_hour: launched.unwrap_or(default.launched_units_per_hour),
    }
}

/// A number of which 0 would mean that nothing ever happens.
fn positive(field: &Field<u32>, default: u32, remedy: &str, problems: &mut Problems) -> u32 {
    match (given(field), field) {
        (Some(0), Some(written)) => {
            written.refuse("0 would mean that nothing can ever happen", remedy, problems);
            default
        }
        (Some(number), _) => *number,
        (None, _) => default,
    }
}

/// A whole number within bounds.
fn number(
    field: &Field<u32>,
    default: u32,
    range: RangeInclusive<u32>,
    problems: &mut Problems,
) -> u32 {
    let (Some(number), Some(written)) = (given(field), field) else { return default };
    let (min, max) = (range.start(), range.end());
    if !range.contains(number) {
        let message = format!("{number} is not within {min} and {max}");
        written.refuse(message, format!("write a whole number from {min} to {max}"), problems);
    }
    *number
}

fn period(
    field: &Field<Period>,
    default: TimeDelta,
    range: RangeInclusive<TimeDelta>,
    problems: &mut Problems,
) -> TimeDelta {
    let (Some(Period(period)), Some(written)) = (given(field), field) else {
        return default;
    };
    let (min, max) = (Period::text(*range.start()), Period::text(*range.end()));
    if !range.contains(period) {
        let message = format!("{} is not within {min} and {max}", Period::text(*period));
        written.refuse(message, format!("write a duration from `{min}` to `{max}`"), problems);
    }
    *period
}

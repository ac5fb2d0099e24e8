//! Cutovers with defaults filled in, and what their parts and their cluster say against one another.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::gates::{self, gates, probe};
use super::route::{Common, refuse_short_bakes, routes};
use super::{given, period, required};
use crate::config::cutover::{CutoverConfig, RuleMode, Tombstone};
use crate::config::error::Problems;
use crate::config::names::{balancer_of, is_rule_of, region_of};
use crate::config::raw::{
    RawCluster, RawConfig, RawCutover, RawRules, RawTombstone, RawTombstoneOrEmpty,
};
use crate::config::read::Written;
use crate::model::{ListenerArn, ServiceName};

/// The longest that blue may be kept as it was.
const WARM_MAX: TimeDelta = TimeDelta::hours(720);

pub(super) fn cutovers(raw: &RawCluster, problems: &mut Problems) -> Vec<CutoverConfig> {
    let Some(list) = given(&raw.cutovers) else { return Vec::new() };
    let mut names = BTreeMap::new();
    for written in list.iter().filter_map(|written| written.value.as_ref()?.name.as_ref()) {
        if let Some(name) = &written.value
            && let Some(first) = names.insert(name, written.place.line)
        {
            let message = format!("cutover {name} is listed already, in line {first}");
            written.refuse(message, "give each cutover a name of its own", problems);
        }
    }
    for written in list {
        refuse_other_balancers(raw, written, problems);
    }
    let cutovers: Vec<CutoverConfig> =
        list.iter().filter_map(|written| cutover(written, problems)).collect();
    gates::refuse_ambiguous(list, &cutovers, problems);
    cutovers
}

fn cutover(written: &Written<RawCutover>, problems: &mut Problems) -> Option<CutoverConfig> {
    let raw = written.value.as_ref()?;
    let here = (written.place, written.path.as_str());
    let name = required(&raw.name, here, "name", "add `name:`, what it is called", problems);
    let remedy = "add `listener:` with the ARN of the listener whose traffic moves";
    let listener = required(&raw.listener, here, "listener", remedy, problems);
    let remedy = "add `from:` with the service that serves today";
    let from = required(&raw.from, here, "from", remedy, problems);
    let remedy = "add `routes:` with at least one `- { to: SERVICE, paths: [...] }`";
    let list = required(&raw.routes, here, "routes", remedy, problems);
    if let (Some([]), Some(written)) = (list.map(Vec::as_slice), &raw.routes) {
        written.refuse("moves nothing", remedy, problems);
    }
    let name = name.cloned().unwrap_or_default();
    let probe = probe(given(&raw.probe), problems);
    let common = Common::of(raw, &name, probe.is_some(), problems);
    let routes = routes(list.map_or(&[], Vec::as_slice), &common, problems);
    let settle = TimeDelta::zero()..=TimeDelta::minutes(5);
    let warm = TimeDelta::zero()..=WARM_MAX;
    let known = given(&raw.known_paths).into_iter().flatten();
    let (listener, from) =
        (listener.cloned().unwrap_or_default(), from.cloned().unwrap_or_default());
    let default = CutoverConfig::new(name.clone(), listener, from, routes);
    let cutover = CutoverConfig {
        rules: rules(raw, problems),
        in_order: given(&raw.in_order).copied().unwrap_or(default.in_order),
        approve_before_percent: given(&raw.approve_before_percent).map(|percent| percent.0),
        probe,
        gates: gates(given(&raw.gates), problems),
        settle: period(&raw.settle, default.settle, settle, problems),
        keep_warm: period(&raw.keep_warm, default.keep_warm, warm, problems),
        tombstone: tombstone(raw, problems),
        known_paths: known.filter_map(|path| Some(path.value.as_ref()?.0.clone())).collect(),
        ..default
    };
    refuse_short_bakes(written, &cutover, problems);
    gates::refuse_hasty_silence(raw, &cutover, problems);
    Some(cutover)
}

fn rules(raw: &RawCutover, problems: &mut Problems) -> RuleMode {
    let Some(RawRules::Table(table)) = given(&raw.rules) else { return RuleMode::Own };
    let here = raw.rules.as_ref().map(|written| (written.place, written.path.as_str()));
    let remedy = "add `adopt:` with the ARN of a rule, or write `rules: own`";
    let Some(here) = here else { return RuleMode::Own };
    let Some(rule) = required(&table.adopt, here, "adopt", remedy, problems) else {
        return RuleMode::Own;
    };
    if let (Some(listener), Some(written)) = (given(&raw.listener), &table.adopt)
        && !is_rule_of(rule, listener)
    {
        let remedy = "write the ARN of a rule of the cutover's listener";
        written.refuse("is a rule of another listener", remedy, problems);
    }
    if let (Some(routes), Some(written)) = (given(&raw.routes), &raw.routes)
        && routes.len() > 1
    {
        let message = format!("{} routes cannot share the one rule that is edited", routes.len());
        let remedy = "write a cutover for each adopted rule, or `rules: own`";
        written.refuse(message, remedy, problems);
    }
    RuleMode::Adopt(rule.clone())
}

fn tombstone(raw: &RawCutover, problems: &mut Problems) -> Option<Tombstone> {
    let written = raw.tombstone.as_ref()?;
    let table = match written.value.as_ref()? {
        RawTombstoneOrEmpty::Word => return Some(Tombstone::EmptyGroup),
        RawTombstoneOrEmpty::Table(table) => table,
    };
    let here = (written.place, written.path.as_str());
    let remedy = "add `status:`, such as 410 for what is gone or 301 for a redirect";
    let status = *required(&table.status, here, "status", remedy, problems)?;
    if let (Some(_), Some(redirect)) = (&table.body, &table.redirect) {
        redirect.refuse("a redirect has no body", "keep `body` or `redirect`", problems);
    }
    answer(table, status, problems)
}

fn answer(table: &RawTombstone, status: u32, problems: &mut Problems) -> Option<Tombstone> {
    let written = table.status.as_ref()?;
    let code = u16::try_from(status).unwrap_or_default();
    if table.redirect.is_some() {
        if !matches!(code, 301 | 302) {
            let message = format!("{status} is no answer of a redirect");
            written.refuse(message, "write `301` for good or `302` for now", problems);
        }
        let location = given(&table.redirect)?.0.clone();
        return Some(Tombstone::Redirect { status: code, location });
    }
    if !matches!(code, 200..=299 | 400..=599) {
        let message = format!("{status} is no answer a load balancer gives by itself");
        let remedy = "write 2xx, 4xx or 5xx, such as `410`; for 301 or 302 add `redirect`";
        written.refuse(message, remedy, problems);
    }
    let body = given(&table.body).map(|body| body.0.clone()).unwrap_or_default();
    Some(Tombstone::FixedResponse { status: code, body })
}

/// A target group belongs to one load balancer, so both sides must stand behind the listener's.
fn refuse_other_balancers(
    cluster: &RawCluster,
    cutover: &Written<RawCutover>,
    problems: &mut Problems,
) {
    let Some(raw) = &cutover.value else { return };
    let Some(listener) = given(&raw.listener) else { return };
    let routes = given(&raw.routes).into_iter().flatten();
    let receivers = routes.filter_map(|route| route.value.as_ref()?.to.as_ref());
    for written in raw.from.iter().chain(receivers) {
        let Some(service) = &written.value else { continue };
        if let Some(other) = listener_of(cluster, service)
            && balancer_of(other) != balancer_of(listener)
        {
            let message = format!("{service} stands behind another load balancer");
            let remedy = "write a listener of the same load balancer in both places";
            written.refuse(message, remedy, problems);
        }
    }
}

fn listener_of<'a>(cluster: &'a RawCluster, service: &ServiceName) -> Option<&'a ListenerArn> {
    let named = given(&cluster.services)?;
    let (_, _, written) = named.0.iter().find(|(_, name, _)| name == service.as_str())?;
    given(&given(&written.value.as_ref()?.load_balancing)?.listener)
}

/// A listener belongs to one cluster, in the Region of that cluster.
pub(super) fn refuse_foreign_listeners(raw: &RawConfig, problems: &mut Problems) {
    let mut owners = BTreeMap::new();
    let clusters = given(&raw.clusters).into_iter().flatten();
    let clusters = clusters.filter_map(|written| written.value.as_ref());
    for (index, cluster) in clusters.enumerate() {
        for written in listeners(cluster) {
            let Some(arn) = &written.value else { continue };
            let (owner, line) = *owners.entry(arn).or_insert((index, written.place.line));
            if owner != index {
                let message = format!("this listener belongs to another cluster, in line {line}");
                let remedy = "keep all services and cutovers of a listener in one cluster";
                written.refuse(message, remedy, problems);
            }
            if let (Some(region), Some(there)) = (given(&cluster.region), region_of(arn))
                && region.0 != there
            {
                let message = format!("stands in {there}, the cluster in {}", region.0);
                written.refuse(message, "write a listener of the cluster's Region", problems);
            }
        }
    }
}

fn listeners(cluster: &RawCluster) -> impl Iterator<Item = &Written<ListenerArn>> {
    let services = given(&cluster.services).into_iter().flat_map(|named| &named.0);
    let services = services.filter_map(|(_, _, written)| {
        given(&written.value.as_ref()?.load_balancing)?.listener.as_ref()
    });
    let cutovers = given(&cluster.cutovers).into_iter().flatten();
    services.chain(cutovers.filter_map(|written| written.value.as_ref()?.listener.as_ref()))
}

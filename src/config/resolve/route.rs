//! What moves in a cutover: services, patterns, steps and how long each is watched.

use chrono::TimeDelta;

use super::service::{conditions, too_long};
use super::{Field, given, period, positive, required};
use crate::config::alb::{PathPattern, wildcards};
use crate::config::cutover::{CutoverConfig, RouteConfig};
use crate::config::error::{Place, Problems};
use crate::config::raw::{RawCutover, RawRoute};
use crate::config::read::{Written, join};
use crate::config::scalar::{Percent, Period};
use crate::config::words::Strategy;
use crate::model::{CutoverName, Purpose, RouteId, ServiceName};

/// The longest that a step may be watched.
const BAKE_MAX: TimeDelta = TimeDelta::hours(168);

/// What all routes of a cutover have unless they say otherwise, and what they must not repeat.
pub(super) struct Common<'a> {
    pub(super) cutover: &'a CutoverName,
    pub(super) from: Option<&'a ServiceName>,
    pub(super) steps_percent: Vec<u32>,
    pub(super) bake: TimeDelta,
    pub(super) probed: bool,
}

impl<'a> Common<'a> {
    pub(super) fn of(
        raw: &'a RawCutover,
        cutover: &'a CutoverName,
        probed: bool,
        problems: &mut Problems,
    ) -> Self {
        let steps = steps(&raw.steps_percent, &raw.strategy, problems);
        Self {
            cutover,
            from: given(&raw.from),
            steps_percent: steps.unwrap_or_else(|| CutoverConfig::STEPS_PERCENT.to_vec()),
            bake: bake(&raw.bake, CutoverConfig::BAKE, problems),
            probed,
        }
    }
}

fn bake(field: &Field<Period>, default: TimeDelta, problems: &mut Problems) -> TimeDelta {
    period(field, default, TimeDelta::zero()..=BAKE_MAX, problems)
}

/// `None`: neither is written, or what is written was refused.
fn steps(
    field: &Field<Vec<Written<Percent>>>,
    strategy: &Field<Strategy>,
    problems: &mut Problems,
) -> Option<Vec<u32>> {
    if let (Some(_), Some(written)) = (field, strategy) {
        let remedy = "keep `strategy` or `steps_percent`";
        written.refuse("`steps_percent` says it already", remedy, problems);
    }
    let (Some(list), Some(whole)) = (given(field), field) else {
        return given(strategy).copied().map(Strategy::steps_percent);
    };
    let Some(last) = list.last() else {
        whole.refuse(
            "lists no step",
            "write rising shares, the last 100: `[5, 50, 100]`",
            problems,
        );
        return None;
    };
    let steps: Option<Vec<u32>> =
        list.iter().map(|step| step.value.map(|percent| percent.0)).collect();
    let steps = steps?;
    for (pair, written) in steps.windows(2).zip(&list[1..]) {
        if let [before, step] = pair
            && step <= before
        {
            let message = format!("{step} does not rise above {before}");
            written.refuse(message, "write rising shares, the last 100", problems);
        }
    }
    if steps.last() != Some(&100) {
        let message = format!("the last step is {}, not 100", steps.last().unwrap_or(&0));
        last.refuse(message, "add 100: a route that stops half-way never ends", problems);
    }
    Some(steps)
}

pub(super) fn routes(
    list: &[Written<RawRoute>],
    common: &Common,
    problems: &mut Problems,
) -> Vec<RouteConfig> {
    let mut all: Vec<RouteConfig> = Vec::new();
    for written in list {
        let Some(route) = route(written, common, problems) else { continue };
        let raw = written.value.as_ref();
        if let (Some(to), true) =
            (raw.and_then(|raw| raw.to.as_ref()), all.iter().any(|other| other.to == route.to))
        {
            let message = format!("{} has a route already", route.to);
            to.refuse(message, "write all its paths in one route", problems);
        }
        for path in raw.and_then(|raw| given(&raw.paths)).into_iter().flatten() {
            let same = |other: &&RouteConfig| {
                path.value.as_ref().is_some_and(|path| other.paths.contains(&path.0))
                    && share_hosts(other, &route)
            };
            if let Some(other) = all.iter().find(same) {
                let message = format!("moves to {} already", other.to);
                path.refuse(message, "name each path in one route", problems);
            }
        }
        all.push(route);
    }
    all
}

/// No hosts are any host.
fn share_hosts(one: &RouteConfig, other: &RouteConfig) -> bool {
    one.hosts.is_empty()
        || other.hosts.is_empty()
        || one.hosts.iter().any(|host| other.hosts.contains(host))
}

fn route(
    written: &Written<RawRoute>,
    common: &Common,
    problems: &mut Problems,
) -> Option<RouteConfig> {
    let raw = written.value.as_ref()?;
    let here = (written.place, written.path.as_str());
    let remedy = "add `to:` with the service that shall serve it";
    let to = required(&raw.to, here, "to", remedy, problems);
    if let (Some(to), Some(written)) = (to, &raw.to) {
        refuse_receiver(to, written, common, problems);
    }
    let (paths, hosts) = conditions(here, &raw.paths, &raw.hosts, problems);
    refuse_aimless(written, common, problems);
    let own_steps = steps(&raw.steps_percent, &raw.strategy, problems);
    let remedy = "write 1 or more, or leave it out";
    let targets = raw.healthy_targets.as_ref();
    Some(RouteConfig {
        bake: bake(&raw.bake, common.bake, problems),
        healthy_targets: targets
            .map(|_| positive(&raw.healthy_targets, 1, remedy, problems).into()),
        to: to?.clone(),
        paths,
        hosts,
        steps_percent: own_steps.unwrap_or_else(|| common.steps_percent.clone()),
        probe_path: given(&raw.probe_path).map(|path| path.0.clone()),
    })
}

/// A route takes requests that can be told apart, and one of them can be tried.
fn refuse_aimless(written: &Written<RawRoute>, common: &Common, problems: &mut Problems) {
    let Some(raw) = &written.value else { return };
    if raw.paths.as_ref().is_none_or(is_empty) && raw.hosts.as_ref().is_none_or(is_empty) {
        let remedy = "add `paths: [/api/users, \"/api/users/*\"]` or `hosts`";
        written.refuse("names neither a path nor a host", remedy, problems);
        return;
    }
    // A path that was refused may be the one to probe.
    let for_many = |path: &Written<PathPattern>| {
        path.value.as_ref().is_some_and(|path| wildcards(&path.0) > 0)
    };
    let nothing_to_probe = given(&raw.paths).into_iter().flatten().all(for_many);
    if common.probed && raw.probe_path.is_none() && nothing_to_probe {
        let remedy = "add `probe_path:` with a path that only needs a GET, or `probe: off`";
        written.refuse("has no path without wildcards to probe", remedy, problems);
    }
}

fn is_empty<T>(written: &Written<Vec<T>>) -> bool {
    written.value.as_ref().is_some_and(Vec::is_empty)
}

fn refuse_receiver(
    to: &ServiceName,
    written: &Written<ServiceName>,
    common: &Common,
    problems: &mut Problems,
) {
    if common.from == Some(to) {
        let message = format!("{to} is the service that serves today");
        written.refuse(message, "name the service that shall take it over", problems);
    }
    let id = RouteId { cutover: common.cutover.clone(), to: to.clone() };
    if let Some(long) = too_long(&Purpose::Route(id)) {
        written.refuse(long, "give the cutover or the service a shorter name", problems);
    }
}

/// A step must be watched until its gates can have seen it.
pub(super) fn refuse_short_bakes(
    written: &Written<RawCutover>,
    cutover: &CutoverConfig,
    problems: &mut Problems,
) {
    let Some(raw) = &written.value else { return };
    let min = cutover.bake_min();
    let routes = given(&raw.routes).into_iter().flatten();
    let routes: Vec<&RawRoute> = routes.filter_map(|route| route.value.as_ref()).collect();
    let written_ones = routes.iter().filter_map(|route| route.bake.as_ref()).chain(&raw.bake);
    for bake in written_ones {
        if let Some(Period(period)) = bake.value
            && period < min
        {
            refuse_bake(period, cutover, (bake.place, &bake.path), problems);
        }
    }
    let by_default = raw.bake.is_none() && routes.iter().any(|route| route.bake.is_none());
    if by_default && CutoverConfig::BAKE < min {
        let place = raw.gates.as_ref().map_or(written.place, |gates| gates.place);
        let path = join(&written.path, "bake");
        refuse_bake(CutoverConfig::BAKE, cutover, (place, &path), problems);
    }
}

fn refuse_bake(
    bake: TimeDelta,
    cutover: &CutoverConfig,
    (place, path): (Place, &str),
    problems: &mut Problems,
) {
    let (min, lag) = (Period::text(cutover.bake_min()), Period::text(cutover.lag()));
    let sample = Period::text(cutover.gates.metric_period);
    let message = format!(
        "{} is shorter than {min}: the longest lag of a gate, {lag}, and three samples of {sample}",
        Period::text(bake),
    );
    problems.add(place, path, message, format!("write `bake: {min}` or more"));
}

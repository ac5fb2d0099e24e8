//! Requests of our own that only green answers, before any user is sent.
//!
//! Rule: the rule that lets them through asks for a header with a random value, stands above all
//! others, and is gone before the first step.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, Ask, Asked, Condition, CutoverEdge, Draft, Purpose, Reason, Rule, RuleImage, Said,
    Stage,
};

use super::Verdict;
use super::slots;
use super::view::Route;

/// The header of the probe.
pub const HEADER: &str = "x-tidegate-probe";

/// Healthy to probed.
pub fn probe(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let Some(config) = &route.saga.config.probe else {
        return Verdict::Go(Stage::Probed, 0, "no probe is configured".to_owned());
    };
    if route.memory.answered >= config.times {
        return match rule(route) {
            Some(rule) => {
                remove(route, rule, draft);
                Verdict::Stay
            }
            None => {
                let because = format!("{} good answers in a row", route.memory.answered);
                Verdict::Go(Stage::Probed, 0, because)
            }
        };
    }
    if rule(route).is_none() {
        create(route, draft);
        return Verdict::Stay;
    }
    listen(route, draft);
    Verdict::Stay
}

/// The probe's rule, while it stands.
pub fn rule(route: Route<'_>) -> Option<&Rule> {
    let purpose = Purpose::Probe(route.id());
    route.saga.traffic().rule_for(&route.saga.config.listener, &purpose)
}

/// Takes the probe's rule away.
pub fn remove(route: Route<'_>, rule: &Rule, draft: &mut Draft) {
    let action = Action::DeleteRule {
        listener: route.saga.config.listener.clone(),
        rule: rule.arn.clone(),
        purpose: Purpose::Probe(route.id()),
        was: rule.image.clone(),
    };
    route.prepare(draft, action, "the probe has been answered");
}

/// The question the cloud puts for this route, while it is in the stage for it.
pub fn ask(route: Route<'_>) -> Option<Ask> {
    let config = route.saga.config.probe.as_ref()?;
    if route.stage() != Stage::Healthy || rule(route).is_none() {
        return None;
    }
    let path = path(route)?;
    let base = config.base_url.as_deref().unwrap_or_default();
    Some(Ask {
        name: reading(route),
        of: Asked::Probe {
            listener: route.saga.config.listener.clone(),
            url: format!("{}{path}", base.trim_end_matches('/')),
            host: route.config.hosts.first().filter(|host| !host.contains(['*', '?'])).cloned(),
            header: (HEADER.to_owned(), route.saga.memory.token.clone()),
            expect_status: config.expect_status,
        },
    })
}

fn reading(route: Route<'_>) -> String {
    format!("probe {}", route.id())
}

/// The path asked for: as configured, else the first of the route without wildcards.
fn path(route: Route<'_>) -> Option<String> {
    let plain = || route.config.paths.iter().find(|path| !path.contains(['*', '?'])).cloned();
    route.config.probe_path.clone().or_else(plain)
}

fn create(route: Route<'_>, draft: &mut Draft) {
    let Some(group) = route.green_group() else {
        return;
    };
    let Some(priority) = slots::probe_slot(route) else {
        let what = "the listener has no free priority for the probe".to_owned();
        return route.hold(draft, Reason::NoPriority { what });
    };
    let values = BTreeSet::from([route.saga.memory.token.clone()]);
    let action = Action::CreateRule {
        listener: route.saga.config.listener.clone(),
        purpose: Purpose::Probe(route.id()),
        priority,
        conditions: BTreeSet::from([Condition::Header { name: HEADER.to_owned(), values }]),
        image: RuleImage::split(BTreeMap::from([(group.arn.clone(), 100)])),
    };
    route.prepare(draft, action, "a rule for the probe, before any user is sent");
}

/// Counts good answers; a bad one starts anew.
fn listen(route: Route<'_>, draft: &mut Draft) {
    let asked_after = route.saga.memory.started_at;
    let reading = route.saga.traffic().readings.get(&reading(route));
    let times = match reading.filter(|reading| reading.at >= asked_after) {
        Some(reading) if reading.said == Said::Pass => route.memory.answered + 1,
        Some(reading) => {
            let detail = reading.detail.clone();
            route.hold(draft, Reason::ProbeUnanswered { detail });
            0
        }
        None if path(route).is_none() => {
            let detail = "no path to ask for; give `probe_path`".to_owned();
            return route.hold(draft, Reason::ProbeUnanswered { detail });
        }
        None => {
            let detail = "not asked yet".to_owned();
            return route.hold(draft, Reason::ProbeUnanswered { detail });
        }
    };
    if times != route.memory.answered {
        let to = route.config.to.clone();
        route.saga.note(draft, CutoverEdge::Answered { to, times });
    }
}

//! The way back: one write of the rule, ahead of everything else, and then what was changed before.
//!
//! Rule: it waits for nothing. What somebody else wrote into the rule is overwritten and shown;
//! missing metrics, deployments, windows and pauses never stand in its way.

use crate::config::RuleMode;
use crate::model::{Action, Draft, Purpose, Reason, Rule, Stage, Why};

use super::view::Route;
use super::{Verdict, floors, probe};

/// Rolling back to rolled back.
pub fn roll_back(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let because = route.memory.because.clone().unwrap_or_default();
    let open = remove_tombstones(route, draft);
    if let Some(rule) = route.rule()
        && let Some(wanted) = route.image_at(rule, 0)
    {
        let restored = route.original() == Some(&rule.image);
        if rule.image != wanted && !restored {
            if let Some(reason) = blue_is_down(route) {
                route.hold(draft, reason);
                return Verdict::Stay;
            }
            let why = Why::RollsBack { route: route.id(), because };
            route.saga.act(draft, route.write(rule, None, wanted), why);
            return Verdict::Stay;
        }
        if route.memory.recorded.as_ref() != Some(&rule.image) {
            route.adopt_recorded(rule, draft);
            return Verdict::Stay;
        }
        if route.saga.now < route.settled_at() {
            route.hold(draft, Reason::Settling { until: route.settled_at() });
            return Verdict::Stay;
        }
    }
    if let Some(rule) = probe::rule(route) {
        probe::remove(route, rule, draft);
        return Verdict::Stay;
    }
    if open && tidied(route, draft) {
        return Verdict::Go(Stage::RolledBack, 0, because);
    }
    Verdict::Stay
}

/// Reviving to rolling back: blue as before step one.
pub fn revive(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let from = &route.saga.config.from;
    let floor = route.saga.memory.floors.get(from).copied().unwrap_or(1).max(1);
    let Some(blue) = route.saga.blue() else {
        route.hold(draft, Reason::NoService { service: from.clone() });
        return Verdict::Stay;
    };
    if blue.desired_count < floor {
        let (was, service) = (blue.desired_count, from.clone());
        let action = Action::SetServiceCount { service: service.clone(), was, now: floor };
        route.saga.act(draft, action, Why::KeepsFloor { service, floor });
        return Verdict::Stay;
    }
    let group = route.saga.blue_group();
    let healthy = group.and_then(|group| group.health).map_or(0, |health| health.healthy);
    if healthy < floor {
        let name = group.map_or_else(|| from.as_str().to_owned(), |group| group.name.clone());
        let reason = Reason::TooFewHealthy { group: name, healthy, needed: floor, percent: 100 };
        route.hold(draft, reason);
        return Verdict::Stay;
    }
    let because = route.memory.because.clone().unwrap_or_default();
    Verdict::Go(Stage::RollingBack, 0, because)
}

/// Blue has no healthy target while green has one: going back would be the outage. Unknown health
/// stops nothing.
pub fn blue_is_down(route: Route<'_>) -> Option<Reason> {
    let blue = route.saga.blue_group()?;
    let (theirs, ours) = (blue.health?, route.green_group()?.health?);
    (theirs.healthy == 0 && ours.healthy > 0).then(|| Reason::TooFewHealthy {
        group: blue.name.clone(),
        healthy: 0,
        needed: 1,
        percent: 100,
    })
}

/// A tombstone in front of blue would answer instead of it. Routes already on green have rules of
/// their own above it. Whether none is left.
fn remove_tombstones(route: Route<'_>, draft: &mut Draft) -> bool {
    let Some(listener) = route.saga.listener() else {
        return true;
    };
    let mut none = true;
    for rule in &listener.rules {
        if let crate::model::Owner::Tidegate(Purpose::Tombstone(cutover, n)) = &rule.owner
            && *cutover == route.saga.config.name
        {
            let action = delete(route, rule, Purpose::Tombstone(cutover.clone(), *n));
            let why =
                Why::RollsBack { route: route.id(), because: "blue answers again".to_owned() };
            route.saga.act(draft, action, why);
            none = false;
        }
    }
    none
}

/// Scaling is given back, an adopted rule says what it said before, and after an abort the route's
/// own rule is gone; whether all of that is so.
fn tidied(route: Route<'_>, draft: &mut Draft) -> bool {
    let mut done = floors::restored(route.saga, &route.config.to, draft);
    let open = |other: Route<'_>| {
        other.config.to != route.config.to
            && other.stage() > Stage::Planned
            && !other.stage().is_final()
            && !is_back(other)
    };
    if !route.saga.routes().any(open) {
        done &= floors::restored(route.saga, &route.saga.config.from, draft);
    }
    if let (Some(original), Some(rule)) = (route.original(), route.rule())
        && rule.image != *original
    {
        let action = route.write(rule, Some(rule.image.clone()), original.clone());
        let what = "what the cutover wrote into the rule".to_owned();
        route.saga.act(draft, action, Why::Tidies { what });
        done = false;
    }
    let own = route.saga.config.rules == RuleMode::Own;
    if let (true, true, Some(rule)) = (route.saga.memory.aborted, own, route.rule()) {
        let action = delete(route, rule, Purpose::Route(route.id()));
        let what = "the rule of the route".to_owned();
        route.saga.act(draft, action, Why::Tidies { what });
        done = false;
    }
    done
}

/// Whether blue has it all again, and surely. Routes that get there together end together: each
/// gives the scaling back.
fn is_back(route: Route<'_>) -> bool {
    let settled = route.percent_now() == Some(0) && route.saga.now >= route.settled_at();
    route.stage() == Stage::RollingBack && (settled || route.rule().is_none())
}

fn delete(route: Route<'_>, rule: &Rule, purpose: Purpose) -> Action {
    Action::DeleteRule {
        listener: route.saga.config.listener.clone(),
        rule: rule.arn.clone(),
        purpose,
        was: rule.image.clone(),
    }
}

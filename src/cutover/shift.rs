//! Shifting: weight by weight, each watched before the next.
//!
//! Rule: nothing moves on blind eyes. A step forward needs the rule as we left it, targets enough
//! for the next weight, nobody deploying, and every gate; a failed gate leads back at once.

use crate::model::{CutoverEdge, Draft, Reason, Rule, RuleImage, Stage, Why};

use super::gates::{self, Ruling};
use super::view::Route;
use super::{Verdict, probe};

const GONE: &str = "the route's rule is gone";

/// Probed to shifting: the first request of a user.
pub fn begin(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if let Some(failed) = route.failed_deployment() {
        return Verdict::Back(failed);
    }
    if let Some(rule) = probe::rule(route) {
        probe::remove(route, rule, draft);
        return Verdict::Stay;
    }
    match may_step(route, 0) {
        Ok(()) => Verdict::Go(Stage::Shifting, 0, "everything is ready".to_owned()),
        Err(Standing::Hold(reason)) => route.wait(reason, draft),
        Err(Standing::Stop(because)) => Verdict::Stop(because),
    }
}

/// One step of the shift: write its weight, see it taken up, watch it, go on.
pub fn shift(route: Route<'_>, draft: &mut Draft) -> Verdict {
    match at_weight(route, route.percent_at(route.memory.step), draft) {
        Ok(()) => {}
        Err(verdict) => return verdict,
    }
    let last = route.memory.step + 1 >= route.config.steps_percent.len();
    if last {
        let because = "green has all of the weight".to_owned();
        return Verdict::Go(Stage::Shifted, route.memory.step, because);
    }
    match watched(route, draft) {
        Ok(because) => step_on(route, because, draft),
        Err(verdict) => verdict,
    }
}

fn step_on(route: Route<'_>, because: String, draft: &mut Draft) -> Verdict {
    let next = route.memory.step + 1;
    match may_step(route, next) {
        Ok(()) => Verdict::Go(Stage::Shifting, next, because),
        Err(Standing::Hold(reason)) => route.wait(reason, draft),
        Err(Standing::Stop(because)) => Verdict::Stop(because),
    }
}

/// Shifted to baked.
pub fn bake_out(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if let Err(verdict) = at_weight(route, 100, draft) {
        return verdict;
    }
    match watched(route, draft) {
        Ok(because) => Verdict::Go(Stage::Baked, route.memory.step, because),
        Err(verdict) => verdict,
    }
}

/// Whether the rule has green at this share, by our own write, and the load balancer follows it.
///
/// A lost answer is settled here: what stands is taken up if it is what we wrote, and written again
/// if it is what stood before.
pub fn at_weight(route: Route<'_>, percent: u32, draft: &mut Draft) -> Result<(), Verdict> {
    let Some((rule, wanted)) = route.rule().and_then(|r| Some((r, route.image_at(r, percent)?)))
    else {
        return Err(stop(route, GONE.to_owned(), draft));
    };
    let recorded = route.memory.recorded.as_ref();
    if rule.image == wanted && recorded != Some(&wanted) {
        route.adopt_recorded(rule, draft);
        return Err(Verdict::Stay);
    }
    if let Some(recorded) = recorded.filter(|recorded| rule.image != **recorded) {
        return Err(stop(route, difference(recorded, &rule.image), draft));
    }
    if rule.image != wanted {
        if let Some(failed) = route.failed_deployment() {
            return Err(Verdict::Back(failed));
        }
        match may_step(route, route.memory.step) {
            Ok(()) => write_step(route, rule, wanted, percent, draft),
            Err(Standing::Hold(reason)) => return Err(route.wait(reason, draft)),
            Err(Standing::Stop(because)) => return Err(Verdict::Stop(because)),
        }
        return Err(Verdict::Stay);
    }
    if route.saga.now < route.settled_at() {
        let until = route.settled_at();
        if let Some(lost) = gates::lost(route, percent) {
            return Err(Verdict::Back(lost));
        }
        route.hold(draft, Reason::Settling { until });
        return Err(Verdict::Stay);
    }
    Ok(())
}

/// Watches the present weight. `Ok` once the bake time and every gate have passed.
fn watched(route: Route<'_>, draft: &mut Draft) -> Result<String, Verdict> {
    if let Some(failed) = route.failed_deployment() {
        return Err(Verdict::Back(failed));
    }
    let percent = route.percent_at(route.memory.step);
    if let Some(lost) = gates::lost(route, percent) {
        return Err(Verdict::Back(lost));
    }
    let ruling = gates::ruling(route);
    if let Ruling::Fail(because) = &ruling {
        return Err(Verdict::Back(because.clone()));
    }
    let disturbed = route.is_paused(draft) | route.is_deploying(draft);
    if disturbed {
        if route.memory.baking_since.is_some() {
            let to = route.config.to.clone();
            route.saga.note(draft, CutoverEdge::Disturbed { to });
        }
        return Err(Verdict::Stay);
    }
    let Some(until) = route.baked_at() else {
        route.saga.note(draft, CutoverEdge::Baking { to: route.config.to.clone() });
        return Err(Verdict::Stay);
    };
    // A person may cut the watch short; what has failed was found above.
    let promoted = route.memory.promoted || route.memory.promoted_full;
    if route.saga.now < until && !promoted {
        route.hold(draft, Reason::Baking { until });
        return Err(Verdict::Stay);
    }
    match ruling {
        Ruling::Undecided(reason) if !promoted => {
            route.hold(draft, reason);
            Err(Verdict::Stay)
        }
        _ if promoted => Ok("promoted by a person, no gate has failed".to_owned()),
        _ => Ok("every gate has passed".to_owned()),
    }
}

/// Why a step may not be taken.
pub enum Standing {
    Hold(Reason),
    Stop(String),
}

/// What must hold right before a step forward.
pub fn may_step(route: Route<'_>, step: usize) -> Result<(), Standing> {
    let percent = route.percent_at(step);
    let hold = |reason| Err(Standing::Hold(reason));
    if let Some(pause) = &route.saga.memory.paused {
        let (by, because) = (pause.by.clone(), pause.because.clone());
        return hold(Reason::CutoverPaused { by, because });
    }
    if let Some(before) = route.saga.before(route.config) {
        let route = before.id();
        return hold(match before.stage() {
            Stage::RolledBack => Reason::RouteRolledBack { route },
            _ => Reason::AfterRoute { route },
        });
    }
    if let Some(service) = route.deploying() {
        return hold(Reason::Deploying { service: service.name.clone() });
    }
    if !route.is_approved(percent) {
        return hold(Reason::AwaitsPromotion { percent });
    }
    if let Err(reason) = gates::healthy_enough(route, percent) {
        return hold(reason);
    }
    let Some(rule) = route.rule() else {
        return Err(Standing::Stop(GONE.to_owned()));
    };
    match &route.memory.recorded {
        Some(recorded) if rule.image != *recorded => {
            Err(Standing::Stop(difference(recorded, &rule.image)))
        }
        _ => Ok(()),
    }
}

fn write_step(route: Route<'_>, rule: &Rule, now: RuleImage, percent: u32, draft: &mut Draft) {
    let why = Why::Shifts {
        route: route.id(),
        percent,
        step: route.memory.step,
        of: route.config.steps_percent.len(),
        exposed: gates::exposed(route, percent),
    };
    let was = Some(rule.image.clone());
    route.saga.act(draft, route.write(rule, was, now), why);
}

/// Stops the cutover once; after a person's resume what stands is where it goes on from.
fn stop(route: Route<'_>, because: String, draft: &mut Draft) -> Verdict {
    if route.is_paused(draft) { Verdict::Stay } else { Verdict::Stop(because) }
}

fn difference(recorded: &RuleImage, found: &RuleImage) -> String {
    format!("somebody changed the rule: it said {recorded}, now {found}")
}

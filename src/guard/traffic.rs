//! The guard's checks on what moves requests and on the tasks that answer them.
//!
//! Rule: no write leaves a rule without weight, no step forward goes to targets that could not bear
//! it or over a rule somebody changed, and blue never shrinks while anything may still lead to it.

use super::Case;
use crate::cutover::view::{Route, Saga};
use crate::cutover::{back, gates, remove};
use crate::handback;
use crate::model::{
    Action, ActionKind, ListenerArn, Owner, Planned, Purpose, Rank, Reason, RouteId, Rule, RuleArn,
    RuleImage, ServiceName, Stage,
};

/// A forward to nobody: ALB would answer 503 to every request.
pub(super) fn some_weight(_: Case<'_>, planned: &Planned) -> Option<Reason> {
    let image = match &planned.action {
        Action::CreateRule { image, .. } | Action::WriteRule { now: image, .. } => image,
        _ => return None,
    };
    let empty = image.actions.is_empty();
    let zero = image.weights().is_some_and(|weights| weights.values().all(|weight| *weight == 0));
    (empty || zero).then_some(Reason::NoWeight)
}

/// A step forward goes on from the rule as we left it, to targets that can bear it.
pub(super) fn forward(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::WriteRule { rule, purpose: Purpose::Route(id), was: Some(was), now, .. } =
        &planned.action
    else {
        return None;
    };
    let unseen = || Reason::Implausible { what: format!("{id} is no route of an open cutover") };
    let Some(route) = find(case, id) else {
        return Some(unseen());
    };
    let Some(live) = route.rule().filter(|live| live.arn == *rule) else {
        return Some(Reason::Outdated { what: format!("the rule of {id}") });
    };
    if live.image != *was {
        return Some(changed(was, &live.image));
    }
    let recorded = route.memory.recorded.as_ref();
    if route.stage() > Stage::Attached
        && let Some(recorded) = recorded.filter(|recorded| *recorded != was)
    {
        return Some(changed(recorded, was));
    }
    let green = route.green_group()?;
    let percent = now.percent_of(&green.arn);
    if percent <= was.percent_of(&green.arn) {
        return back::blue_is_down(route);
    }
    still(route).or_else(|| gates::healthy_enough(route, percent).err())
}

/// An order that came after the look: a pause, or the way back.
fn still(route: Route<'_>) -> Option<Reason> {
    if let Some(pause) = &route.saga.memory.paused {
        let (by, because) = (pause.by.clone(), pause.because.clone());
        return Some(Reason::CutoverPaused { by, because });
    }
    let forward = matches!(route.stage(), Stage::Shifting | Stage::Shifted);
    (!forward).then(|| Reason::Outdated { what: format!("the step of {}", route.id()) })
}

/// Only a route that rolls back may overwrite what it has not read, and only with blue 100.
pub(super) fn backward(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::WriteRule { purpose, was: None, now, .. } = &planned.action else {
        return None;
    };
    let implausible = |what: &str| Some(Reason::Implausible { what: what.to_owned() });
    let Purpose::Route(id) = purpose else {
        return implausible("only a route's rule may be overwritten unread");
    };
    let Some(route) = find(case, id) else {
        return implausible("no such route is rolling back");
    };
    let blue = route.saga.blue_group()?;
    let whole = now.percent_of(&blue.arn) == 100;
    match route.stage() == Stage::RollingBack && whole {
        true => None,
        false => implausible("an unread rule may only be overwritten to send everything back"),
    }
}

/// Only rules that carry our tag for this purpose are deleted, and none that still sends users on.
pub(super) fn deletes(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::DeleteRule { listener, rule, purpose, was } = &planned.action else {
        return None;
    };
    let live = match ours(case, listener, rule, purpose) {
        Ok(live) => live,
        Err(reason) => return Some(reason),
    };
    if live.image != *was {
        return Some(changed(was, &live.image));
    }
    let Purpose::Route(id) = purpose else {
        return None;
    };
    let green = find(case, id)?.green_group()?;
    (live.image.percent_of(&green.arn) > 0).then(|| {
        let (service, rule) = (id.to.clone(), format!("the rule of {id}"));
        Reason::StillServes { service, rule }
    })
}

/// Which requests a rule takes changes only for a service's own, as it was seen, and while no
/// cutover moves requests of its listener.
pub(super) fn places(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let (Action::SetRuleConditions { listener, rule, purpose, .. }
    | Action::SetRulePriority { listener, rule, purpose, .. }) = &planned.action
    else {
        return None;
    };
    let live = match ours(case, listener, rule, purpose) {
        Ok(live) => live,
        Err(reason) => return Some(reason),
    };
    if !matches!(purpose, Purpose::Service(_) | Purpose::Park(_)) {
        let what = format!("the rule of {purpose} is not a service's");
        return Some(Reason::Implausible { what });
    }
    let as_seen = match &planned.action {
        Action::SetRuleConditions { was, .. } => live.conditions == *was,
        Action::SetRulePriority { was, .. } => live.priority == *was,
        _ => true,
    };
    if !as_seen {
        return Some(Reason::Outdated { what: format!("the rule of {purpose}") });
    }
    let mut shifting = open(case).filter(|saga| saga.config.listener == *listener);
    shifting.next().map(|saga| Reason::CutoverShifts { cutover: saga.config.name.clone() })
}

/// The rule as it was seen, if its tag says that it was made for this.
fn ours<'a>(
    case: Case<'a>,
    listener: &ListenerArn,
    rule: &RuleArn,
    purpose: &Purpose,
) -> Result<&'a Rule, Reason> {
    let listener = case.snapshot.traffic.value.listeners.get(listener);
    let live = listener.and_then(|seen| seen.rules.iter().find(|live| live.arn == *rule));
    let live = live.ok_or_else(|| Reason::Outdated { what: format!("the rule of {purpose}") })?;
    if live.owner != Owner::Tidegate(purpose.clone()) {
        return Err(Reason::Implausible { what: format!("rule {rule} is not ours") });
    }
    Ok(live)
}

/// What was made for a service goes only once it has been marked for long enough and nobody uses
/// it.
pub(super) fn removes(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let removal = match &planned.action {
        Action::DeleteRule { purpose, .. } => {
            matches!(purpose, Purpose::Service(_) | Purpose::Park(_))
        }
        Action::DeleteTargetGroup { .. } => true,
        _ => false,
    };
    let Case { config, snapshot, memory, now, .. } = case;
    let config = &handback::declared(config, memory);
    removal.then(|| remove::against(config, snapshot, memory, &planned.action, now)).flatten()
}

/// While a cutover is open its services keep their floors; blue goes only when nothing leads to it.
pub(super) fn floor(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::SetServiceCount { service, was, now } = &planned.action else {
        return None;
    };
    if now >= was {
        return None;
    }
    open(case).find_map(|saga| below(saga, service, *now))
}

fn below(saga: Saga<'_>, service: &ServiceName, now: u64) -> Option<Reason> {
    let floor = saga.memory.floors.get(service).copied().filter(|floor| now < *floor)?;
    let retired = *service == saga.config.from && crate::cutover::floors::retiring(saga);
    if !retired {
        return Some(Reason::BelowFloor { service: service.clone(), floor });
    }
    let group = saga.blue_group()?;
    crate::cutover::retire::still_led(saga, group)
        .map(|rule| Reason::StillServes { service: service.clone(), rule })
}

/// Whether what the action stands on was seen, whole and just now. The way back needs none of it.
pub(super) fn sight(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    if planned.rank() == Rank::Rollback {
        return None;
    }
    let snapshot = case.snapshot;
    let parts = [
        ("load balancers", snapshot.traffic.as_of, &snapshot.traffic.gaps),
        ("services", snapshot.services.as_of, &snapshot.services.gaps),
        ("rivals", snapshot.rivals.as_of, &snapshot.rivals.gaps),
    ];
    // Raising a count and bringing out a revision need no load balancer.
    let of_service = planned.rank() == Rank::CountUp || planned.kind == ActionKind::Services;
    let needed = if of_service { &parts[1..2] } else { &parts[..] };
    needed.iter().find_map(|(part, as_of, gaps)| super::checks::blind(case, part, *as_of, gaps))
}

/// Whether the action is about load balancers and services, not about hosts.
pub(super) fn is_traffic(action: &Action) -> bool {
    action.shows_in_traffic() || matches!(action, Action::SuspendScaling { .. })
}

fn open<'a>(case: Case<'a>) -> impl Iterator<Item = Saga<'a>> {
    Saga::open(case.config, case.snapshot, case.memory, case.now)
}

fn find<'a>(case: Case<'a>, id: &RouteId) -> Option<Route<'a>> {
    let saga = open(case).find(|saga| saga.config.name == id.cutover)?;
    saga.routes().find(|route| route.config.to == id.to)
}

fn changed(expected: &RuleImage, found: &RuleImage) -> Reason {
    Reason::RuleChanged { expected: expected.to_string(), found: found.to_string() }
}

//! Getting ready: a rule of the route's own, green's tasks, and their health.
//!
//! Rule: no request moves here. Whatever is missing is a hold that names it.

use crate::config::RuleMode;
use crate::model::{
    Action, CutoverEdge, Draft, NewService, Purpose, Reason, RuleImage, Service, Stage, Suspension,
    TargetGroup, TargetGroupArn, TaskSpec,
};

use super::listener::Severity;
use super::view::{Route, group_name};
use super::{Verdict, fitness, floors, gates};

/// Planned to attached: our own rule, with blue 100 and green 0.
pub fn attach(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if route.is_paused(draft) {
        return Verdict::Stay;
    }
    let Some(blue) = route.saga.blue_group() else {
        let service = route.saga.config.from.clone();
        return route.stay(Reason::NoTargetGroup { service }, draft);
    };
    if route.saga.listener().is_none() {
        return route.stay(Reason::NotSeen { what: "the listener".to_owned() }, draft);
    }
    if let Some(reason) = unfit(route) {
        return route.stay(reason, draft);
    }
    let Some(green) = route.green_group() else {
        return route.stay(no_group(route), draft);
    };
    match route.rule() {
        Some(rule) if rule.image.weight_of(&green.arn) > 0 => {
            route.stay(Reason::AlreadySends { service: route.config.to.clone() }, draft)
        }
        Some(rule) if rule.image.weights().is_some_and(|w| w.contains_key(&green.arn)) => {
            route.adopt_recorded(rule, draft);
            Verdict::Go(Stage::Attached, 0, "the route has a rule with green at 0".to_owned())
        }
        Some(rule) if rule.image.percent_of(&blue.arn) < 100 => {
            no_rule(route, shares(route, &rule.image), draft)
        }
        Some(rule) => {
            let Some(now) = route.image_at(rule, 0) else {
                return no_rule(route, "its rule forwards to no target group".to_owned(), draft);
            };
            let action = route.write(rule, Some(rule.image.clone()), now);
            route.prepare(draft, action, "the route's rule names green");
            Verdict::Stay
        }
        None => create_rule(route, &blue.arn, &green.arn, draft),
    }
}

/// What of the listener or the services speaks against starting at all.
fn unfit(route: Route<'_>) -> Option<Reason> {
    let services = [route.saga.blue(), route.green()];
    if let Some(service) = services.into_iter().flatten().find(|s| !s.native_rules.is_empty()) {
        return Some(Reason::NativeDeployment { service: service.name.clone() });
    }
    let saga = route.saga;
    match &saga.config.rules {
        RuleMode::Own if route.rule().is_some() => return None,
        RuleMode::Own => {}
        RuleMode::Adopt(rule) => {
            let mut all = saga.snapshot.services.value.values();
            if let Some(service) = all.find(|service| service.native_rules.contains(rule)) {
                return Some(Reason::NativeDeployment { service: service.name.clone() });
            }
        }
    }
    let findings = fitness::findings(saga.cluster, saga.config, saga.snapshot);
    // What would misroute may be meant; what cannot be done is not a person's to promote.
    let promoted = route.memory.promoted || route.memory.promoted_full;
    let against = |severity| match severity {
        Severity::Blocks => true,
        Severity::Misroutes => !promoted,
        Severity::Advice => false,
    };
    let first = findings.into_iter().find(|finding| against(finding.severity))?;
    let accept = match first.severity {
        Severity::Misroutes => "; `tidegate cutover promote` accepts it",
        _ => "",
    };
    let finding = format!("{}: {}{accept}", first.explanation, first.remedy);
    Some(Reason::ListenerUnfit { finding })
}

/// A group that is declared is made as part of keeping it; any other has to be there.
fn no_group(route: Route<'_>) -> Reason {
    let (cluster, to) = (route.saga.cluster, &route.config.to);
    match cluster.service(to).exposure {
        Some(exposure) => {
            let name = group_name(cluster, to, exposure.target_group.as_deref());
            Reason::NotSeen { what: format!("target group {name}") }
        }
        None => Reason::NoTargetGroup { service: to.clone() },
    }
}

fn create_rule(
    route: Route<'_>,
    blue: &TargetGroupArn,
    green: &TargetGroupArn,
    draft: &mut Draft,
) -> Verdict {
    if let RuleMode::Adopt(arn) = &route.saga.config.rules {
        return route.stay(Reason::NotSeen { what: format!("rule {arn}") }, draft);
    }
    let Some(placed) = fitness::placed(route, blue) else {
        let what = format!("no rule leads its paths to {}", route.saga.config.from);
        return no_rule(route, what, draft);
    };
    if placed.image.percent_of(blue) < 100 {
        return no_rule(route, shares(route, &placed.image), draft);
    }
    let Some(priority) = placed.priority else {
        let what = "no free priority above the rule that serves it today".to_owned();
        return route.stay(Reason::NoPriority { what }, draft);
    };
    let Some(image) = placed.image.with_weights(&super::view::weights(blue, green, 0)) else {
        return no_rule(route, "the rule of today forwards nowhere".to_owned(), draft);
    };
    let action = Action::CreateRule {
        listener: route.saga.config.listener.clone(),
        purpose: Purpose::Route(route.id()),
        priority,
        conditions: placed.conditions,
        image,
    };
    route.prepare(draft, action, "a rule of its own, blue 100 and green 0");
    Verdict::Stay
}

/// Attached to provisioned: tasks ordered, and nobody else takes any away.
pub fn provision(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if route.is_paused(draft) {
        return Verdict::Stay;
    }
    let scale_in = Suspension { scale_in: true, ..Suspension::default() };
    let (from, to) = (&route.saga.config.from, &route.config.to);
    let quiet = [from, to].map(|name| floors::suspended(route.saga, name, scale_in, draft));
    let Some(green) = route.green() else {
        return create_service(route, draft);
    };
    let Some(group) = route.green_group() else {
        return route.stay(no_group(route), draft);
    };
    if !green.targets.iter().any(|targets| targets.group == group.arn) {
        return route.stay(unregistered(route, green, group), draft);
    }
    let wanted = wanted_count(route);
    if green.desired_count < wanted {
        let was = green.desired_count;
        let action = Action::SetServiceCount { service: to.clone(), was, now: wanted };
        route.prepare(draft, action, "green's tasks are ordered");
        return Verdict::Stay;
    }
    let floored = [from, to].iter().all(|name| route.saga.memory.floors.contains_key(*name));
    if !floored && let None = route.saga.memory.floors.get(to) {
        let (service, count) = (to.clone(), green.desired_count);
        route.saga.note(draft, CutoverEdge::Floor { service, count });
    }
    if quiet == [true, true] && floored {
        let because = format!("{} tasks of {to} ordered", green.desired_count);
        return Verdict::Go(Stage::Provisioned, 0, because);
    }
    Verdict::Stay
}

/// Green registers with a declared group as part of keeping it; with any other it has to.
fn unregistered(route: Route<'_>, green: &Service, group: &TargetGroup) -> Reason {
    let (service, to) = (green.name.clone(), &route.config.to);
    match route.saga.cluster.service(to).exposure {
        Some(_) if green.is_deploying() => Reason::Deploying { service },
        Some(_) => {
            Reason::NotSeen { what: format!("registration of {service} with {}", group.name) }
        }
        None => Reason::OtherTargetGroup { service },
    }
}

/// Green's count before step one: what it has, else as configured, else blue's.
fn wanted_count(route: Route<'_>) -> u64 {
    let described = route.saga.cluster.service(&route.config.to).described;
    let configured = route.config.healthy_targets.or(described.map(|described| described.count));
    let now = route.green().map_or(0, |green| green.desired_count);
    match configured {
        Some(count) => count.max(now),
        None if now > 0 => now,
        None => route.saga.blue().map_or(1, |blue| blue.desired_count.max(1)),
    }
}

fn create_service(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let to = &route.config.to;
    let service = route.saga.cluster.service(to);
    let (Some(described), Some(group)) = (service.described, route.green_group()) else {
        return route.stay(Reason::NoService { service: to.clone() }, draft);
    };
    let task = TaskSpec::Described(described.task.clone());
    if route.saga.all.registered.get(to) != Some(&task) {
        let action = Action::RegisterTask { service: to.clone(), task };
        route.prepare(draft, action, "green is described and does not exist yet");
        return Verdict::Stay;
    }
    let spec = NewService {
        service: to.clone(),
        family: to.as_str().to_owned(),
        count: wanted_count(route),
        group: group.arn.clone(),
        container: to.as_str().to_owned(),
        port: described.task.port,
    };
    route.prepare(draft, Action::CreateService { spec }, "green is described and does not exist");
    Verdict::Stay
}

/// Provisioned to healthy: targets enough for the first step.
pub fn heal(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if let Some(failed) = route.failed_deployment() {
        return Verdict::Back(failed);
    }
    if route.is_paused(draft) || route.is_deploying(draft) {
        return Verdict::Stay;
    }
    match gates::healthy_enough(route, route.percent_at(0)) {
        Ok(healthy) => Verdict::Go(Stage::Healthy, 0, format!("{healthy} healthy targets")),
        Err(reason) => route.wait(reason, draft),
    }
}

/// Weights of others would be lost.
fn shares(route: Route<'_>, image: &RuleImage) -> String {
    let from = &route.saga.config.from;
    format!("the rule of today does not send everything to {from}: it says {image}")
}

fn no_rule(route: Route<'_>, what: String, draft: &mut Draft) -> Verdict {
    route.stay(Reason::NoRule { what }, draft)
}

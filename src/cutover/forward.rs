//! The way forward: a rule of our own, green's tasks and health, then weight by weight.
//!
//! Rule: nothing moves on blind eyes. A step forward needs the rule as we left it, targets enough
//! for the next weight, nobody deploying, and every gate; a failed gate leads back at once.

use crate::config::RuleMode;
use crate::model::{
    Action, Booking, CutoverEdge, Fact, Launch, NewService, Purpose, Reason, Rollout, Rule,
    RuleImage, Stage, Subject, Suspension, TargetGroupSpec, TargetType, TaskSpec, Why,
};

use super::gates::{self, Ruling};
use super::listener::Severity;
use super::view::{Route, group_name};
use super::{Draft, Verdict, fitness, floors, probe, slots};

const GONE: &str = "the route's rule is gone";

/// Planned to attached: our own rule, with blue 100 and green 0.
pub fn attach(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if is_paused(route, draft) {
        return Verdict::Stay;
    }
    let Some(blue) = route.saga.blue_group() else {
        let what = format!("{} registers with no target group", route.saga.config.from);
        return unprepared(route, what, draft);
    };
    if route.saga.listener().is_none() {
        return unprepared(route, "the listener was not seen".to_owned(), draft);
    }
    if let Some(reason) = unfit(route) {
        route.hold(draft, reason);
        return Verdict::Stay;
    }
    let Some(green) = route.green_group() else {
        return create_group(route, draft);
    };
    match route.rule() {
        Some(rule) if rule.image.weight_of(&green.arn) > 0 => {
            let what = format!("its rule sends requests to {} already", route.config.to);
            unprepared(route, what, draft)
        }
        Some(rule) if rule.image.weights().is_some_and(|w| w.contains_key(&green.arn)) => {
            adopt_recorded(route, rule, draft);
            Verdict::Go(Stage::Attached, 0, "the route has a rule with green at 0".to_owned())
        }
        Some(rule) => {
            let Some(now) = route.image_at(rule, 0) else {
                return unprepared(route, "its rule forwards to no target group".to_owned(), draft);
            };
            let was = rule.image.clone();
            write(route, rule, Some(was), now, "the route's rule names green", draft);
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
    if route.rule().is_some() {
        return None;
    }
    let saga = route.saga;
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

fn create_group(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let service = route.saga.cluster.service(&route.config.to);
    let Some(exposure) = service.exposure else {
        let what = format!(
            "{} has no target group: let it register with one, or give `load_balancing`",
            route.config.to
        );
        return unprepared(route, what, draft);
    };
    let name = group_name(route.saga.cluster, &route.config.to, exposure.target_group.as_deref());
    let spec = TargetGroupSpec {
        name,
        service: route.config.to.clone(),
        listener: route.saga.config.listener.clone(),
        target_type: TargetType::Instance,
        settings: exposure.settings.unwrap_or_default(),
    };
    route.prepare(draft, Action::CreateTargetGroup { spec }, "green needs a target group");
    Verdict::Stay
}

fn create_rule(
    route: Route<'_>,
    blue: &crate::model::TargetGroupArn,
    green: &crate::model::TargetGroupArn,
    draft: &mut Draft,
) -> Verdict {
    if let RuleMode::Adopt(arn) = &route.saga.config.rules {
        return unprepared(route, format!("rule {} was not seen", arn.as_str()), draft);
    }
    let Some(base) = slots::base_of(route, blue) else {
        let what = format!("no rule leads its paths to {}", route.saga.config.from);
        return unprepared(route, what, draft);
    };
    let Some(priority) = slots::route_slot(route, &base) else {
        let what = "no free priority above the rule that serves it today".to_owned();
        return unprepared(route, what, draft);
    };
    let Some(image) = base.image.with_weights(&super::view::weights(blue, green, 0)) else {
        return unprepared(route, "the rule of today forwards nowhere".to_owned(), draft);
    };
    let action = Action::CreateRule {
        listener: route.saga.config.listener.clone(),
        purpose: Purpose::Route(route.id()),
        priority,
        conditions: slots::conditions(route, &base),
        image,
    };
    route.prepare(draft, action, "a rule of its own, blue 100 and green 0");
    Verdict::Stay
}

/// Attached to provisioned: tasks ordered, and nobody else takes any away.
pub fn provision(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if is_paused(route, draft) {
        return Verdict::Stay;
    }
    let scale_in = Suspension { scale_in: true, ..Suspension::default() };
    let (from, to) = (&route.saga.config.from, &route.config.to);
    let quiet = [from, to].map(|name| floors::suspended(route.saga, name, scale_in, draft));
    let Some(green) = route.green() else {
        return create_service(route, draft);
    };
    let Some(group) = route.green_group() else {
        return unprepared(route, "green's target group was not seen".to_owned(), draft);
    };
    if !green.targets.iter().any(|targets| targets.group == group.arn) {
        return attach_service(route, &group.arn, draft);
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
        draft.edge(route.saga, CutoverEdge::Floor { service, count });
    }
    if quiet == [true, true] && floored {
        let because = format!("{} tasks of {to} ordered", green.desired_count);
        return Verdict::Go(Stage::Provisioned, 0, because);
    }
    Verdict::Stay
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
        let what = format!("service {to} does not exist; create it, or describe it with `create`");
        return unprepared(route, what, draft);
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

fn attach_service(
    route: Route<'_>,
    group: &crate::model::TargetGroupArn,
    draft: &mut Draft,
) -> Verdict {
    let to = &route.config.to;
    let Some(exposure) = route.saga.cluster.service(to).exposure else {
        let what = format!("{to} registers with another target group than its route names");
        return unprepared(route, what, draft);
    };
    if route.green().is_some_and(crate::model::Service::is_deploying) {
        route.hold(draft, Reason::Deploying { service: to.clone() });
        return Verdict::Stay;
    }
    if let Some(reason) = lacks_room(route, draft) {
        route.hold(draft, reason);
        return Verdict::Stay;
    }
    let (container, port) = (exposure.container.clone(), exposure.port);
    let action = Action::AttachGroup { service: to.clone(), group: group.clone(), container, port };
    route.prepare(draft, action, "green registers with its target group");
    Verdict::Stay
}

/// A load balancer added to a running service starts a deployment, whose surge is booked first. A
/// service that may stop tasks first waits for no room.
fn lacks_room(route: Route<'_>, draft: &mut Draft) -> Option<Reason> {
    let green = route.green().filter(|green| green.launch != Launch::Elsewhere)?;
    let (service, tasks) = (green.name.clone(), green.surge());
    if tasks == 0 {
        return None;
    }
    draft.bookings.push(Booking { service: service.clone(), count: tasks });
    let there = Subject::Service(service.clone());
    let there = route.saga.all.since(&there, &Fact::RoomThere).is_some();
    (!there && !green.may_stop_first()).then_some(Reason::RoomMissing {
        service,
        tasks,
        until: None,
    })
}

/// Provisioned to healthy: targets enough for the first step.
pub fn heal(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if let Some(failed) = failed_deployment(route) {
        return Verdict::Back(failed);
    }
    if is_paused(route, draft) || is_deploying(route, draft) {
        return Verdict::Stay;
    }
    match gates::healthy_enough(route, route.percent_at(0)) {
        Ok(healthy) => Verdict::Go(Stage::Healthy, 0, format!("{healthy} healthy targets")),
        Err(reason) => {
            route.hold(draft, reason);
            Verdict::Stay
        }
    }
}

/// Probed to shifting: the first request of a user.
pub fn begin(route: Route<'_>, draft: &mut Draft) -> Verdict {
    if let Some(failed) = failed_deployment(route) {
        return Verdict::Back(failed);
    }
    if let Some(rule) = probe::rule(route) {
        probe::remove(route, rule, draft);
        return Verdict::Stay;
    }
    match may_step(route, 0) {
        Ok(()) => Verdict::Go(Stage::Shifting, 0, "everything is ready".to_owned()),
        Err(Standing::Hold(reason)) => {
            route.hold(draft, reason);
            Verdict::Stay
        }
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
        Err(Standing::Hold(reason)) => {
            route.hold(draft, reason);
            Verdict::Stay
        }
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
        adopt_recorded(route, rule, draft);
        return Err(Verdict::Stay);
    }
    if let Some(recorded) = recorded.filter(|recorded| rule.image != **recorded) {
        return Err(stop(route, difference(recorded, &rule.image), draft));
    }
    if rule.image != wanted {
        if let Some(failed) = failed_deployment(route) {
            return Err(Verdict::Back(failed));
        }
        match may_step(route, route.memory.step) {
            Ok(()) => write_step(route, rule, wanted, percent, draft),
            Err(Standing::Hold(reason)) => route.hold(draft, reason),
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
    if let Some(failed) = failed_deployment(route) {
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
    let disturbed = is_paused(route, draft) | is_deploying(route, draft);
    if disturbed {
        if route.memory.baking_since.is_some() {
            let to = route.config.to.clone();
            draft.edge(route.saga, CutoverEdge::Disturbed { to });
        }
        return Err(Verdict::Stay);
    }
    let Some(until) = route.baked_at() else {
        draft.edge(route.saga, CutoverEdge::Baking { to: route.config.to.clone() });
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
        return hold(Reason::AfterRoute { route: before.id() });
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
    route.saga.act(draft, rule_write(route, rule, was, now), why);
}

fn write(
    route: Route<'_>,
    rule: &Rule,
    was: Option<RuleImage>,
    now: RuleImage,
    what: &str,
    draft: &mut Draft,
) {
    route.prepare(draft, rule_write(route, rule, was, now), what);
}

/// The write of a route's rule.
pub fn rule_write(route: Route<'_>, rule: &Rule, was: Option<RuleImage>, now: RuleImage) -> Action {
    Action::WriteRule {
        listener: route.saga.config.listener.clone(),
        rule: rule.arn.clone(),
        purpose: Purpose::Route(route.id()),
        was,
        now,
    }
}

/// A rule that is as we want it counts as our write, whoever heard the answer.
pub fn adopt_recorded(route: Route<'_>, rule: &Rule, draft: &mut Draft) {
    if route.memory.recorded.as_ref() != Some(&rule.image) {
        let (to, image) = (route.config.to.clone(), rule.image.clone());
        draft.edge(route.saga, CutoverEdge::Adopted { to, image });
    }
}

/// Stops the cutover once; after a person's resume what stands is where it goes on from.
fn stop(route: Route<'_>, because: String, draft: &mut Draft) -> Verdict {
    if is_paused(route, draft) { Verdict::Stay } else { Verdict::Stop(because) }
}

fn difference(recorded: &RuleImage, found: &RuleImage) -> String {
    format!("somebody changed the rule: it said {recorded}, now {found}")
}

/// A deployment of green that ECS gave up.
fn failed_deployment(route: Route<'_>) -> Option<String> {
    let green = route.green()?;
    let failed = green.deployments.iter().find(|d| d.rollout == Rollout::Failed)?;
    Some(format!("deployment {} of {} failed", failed.id, green.name))
}

fn is_deploying(route: Route<'_>, draft: &mut Draft) -> bool {
    let Some(service) = route.deploying() else {
        return false;
    };
    route.hold(draft, Reason::Deploying { service: service.name.clone() });
    true
}

fn is_paused(route: Route<'_>, draft: &mut Draft) -> bool {
    let Some(pause) = &route.saga.memory.paused else {
        return false;
    };
    let (by, because) = (pause.by.clone(), pause.because.clone());
    route.hold(draft, Reason::CutoverPaused { by, because });
    true
}

fn unprepared(route: Route<'_>, what: String, draft: &mut Draft) -> Verdict {
    route.hold(draft, Reason::Unprepared { what });
    Verdict::Stay
}

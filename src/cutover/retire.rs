//! The end: what still reaches blue is answered by the tombstone, and blue goes once nothing needs
//! it.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

use crate::config::Tombstone;
use crate::model::{
    Action, Condition, Draft, Purpose, Reason, RuleAction, RuleImage, ServiceName, Stage,
    Suspension, TargetGroup, TargetGroupSpec, TargetType, Why,
};

use super::slots::{self, Base};
use super::view::{Route, Saga, group_name};
use super::{Verdict, floors};

/// Time after which no request started by the old weights is under way, whatever the group's
/// deregistration delay says.
const DRAINED_MIN: TimeDelta = TimeDelta::seconds(120);
/// The service whose name stands for the group that never gets targets.
pub const DROP_TRAFFIC: &str = "drop-traffic";

impl<'a> Saga<'a> {
    /// When blue has been kept warm for long enough; `None` before the tombstone.
    pub fn warm_until(self) -> Option<DateTime<Utc>> {
        Some(self.memory.tombstoned_at? + self.config.keep_warm)
    }

    /// What shall answer for blue; nothing while blue itself does, because it is meant to or a route
    /// went back to it.
    pub fn tombstone(self) -> Option<&'a Tombstone> {
        let back = |route: Route<'_>| route.stage() == Stage::RolledBack;
        self.config.tombstone.as_ref().filter(|_| !self.routes().any(back))
    }

    /// What else has to be at this stage before the end goes on, or be given up by a person.
    fn waits_for(self, stage: Stage) -> Option<Reason> {
        let open = |route: &Route<'_>| match route.stage() {
            Stage::RolledBack => false,
            other => other < stage || other > Stage::Finalized,
        };
        let back = |route: &Route<'_>| route.stage() == Stage::RolledBack;
        if let Some(other) = self.routes().find(open) {
            return Some(Reason::AfterRoute { route: other.id() });
        }
        let other = self.routes().find(back).filter(|_| !self.memory.finalize_ordered)?;
        Some(Reason::RouteRolledBack { route: other.id() })
    }

    pub fn is_kept_long_enough(self) -> bool {
        self.memory.finalize_ordered || self.warm_until().is_some_and(|until| self.now >= until)
    }
}

/// Baked to tombstoned, all routes together.
pub fn tombstone(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let saga = route.saga;
    if let Some(reason) = saga.waits_for(Stage::Baked) {
        route.hold(draft, reason);
        return Verdict::Stay;
    }
    let Some(config) = saga.tombstone() else {
        let because = format!("{} goes on serving what is left", saga.config.from);
        return Verdict::Go(Stage::Tombstoned, route.memory.step, because);
    };
    if let Some(pause) = &saga.memory.paused {
        let (by, because) = (pause.by.clone(), pause.because.clone());
        route.hold(draft, Reason::CutoverPaused { by, because });
        return Verdict::Stay;
    }
    let Some(blue) = saga.blue_group() else {
        let what = format!("the target group of {}", saga.config.from);
        route.hold(draft, Reason::NotSeen { what });
        return Verdict::Stay;
    };
    if let Some(astray) = astray(saga) {
        let (service, rule) = (saga.config.from.clone(), format!("the rule of {}", astray.id()));
        route.hold(draft, Reason::StillServes { service, rule });
        return Verdict::Stay;
    }
    let Some(image) = answer(route, config, draft) else {
        return Verdict::Stay;
    };
    let missing = missing(saga, blue);
    if missing.is_empty() {
        let because = "the tombstone answers what still reached blue".to_owned();
        return Verdict::Go(Stage::Tombstoned, route.memory.step, because);
    }
    for (purpose, base) in missing {
        let Some(priority) = slots::tombstone_slot(saga, &base) else {
            let what = "no free priority above the rule that leads to blue".to_owned();
            route.hold(draft, Reason::NoPriority { what });
            continue;
        };
        let action = Action::CreateRule {
            listener: saga.config.listener.clone(),
            purpose,
            priority,
            conditions: twin(&base),
            image: image.clone(),
        };
        let what = format!("the tombstone in front of {}", saga.config.from);
        saga.act(draft, action, Why::Declared { what });
    }
    Verdict::Stay
}

/// Tombstoned to finalized: blue at zero, scaling given back.
pub fn finalize(route: Route<'_>, draft: &mut Draft) -> Verdict {
    let saga = route.saga;
    if let Some(reason) = saga.waits_for(Stage::Tombstoned) {
        route.hold(draft, reason);
        return Verdict::Stay;
    }
    if !saga.is_kept_long_enough() {
        let until = saga.warm_until().unwrap_or(saga.now);
        route.hold(draft, Reason::KeptWarm { until });
        return Verdict::Stay;
    }
    let keeps_blue = saga.tombstone().is_none();
    if !keeps_blue && !blue_is_gone(route, draft) {
        return Verdict::Stay;
    }
    let mut done = floors::restored(saga, &route.config.to, draft);
    if keeps_blue {
        done &= floors::restored(saga, &saga.config.from, draft);
    }
    if !done {
        return Verdict::Stay;
    }
    let because = match keeps_blue {
        true => format!("{} goes on serving what is left", saga.config.from),
        false => "blue is no longer needed".to_owned(),
    };
    Verdict::Go(Stage::Finalized, route.memory.step, because)
}

fn blue_is_gone(route: Route<'_>, draft: &mut Draft) -> bool {
    let saga = route.saga;
    let Some(blue) = saga.blue() else {
        return true;
    };
    if blue.desired_count == 0 {
        return true;
    }
    if let Some(until) = drained_at(saga).filter(|until| saga.now < *until) {
        route.hold(draft, Reason::Settling { until });
        return false;
    }
    if let Some(rule) = saga.blue_group().and_then(|group| still_led(saga, group)) {
        route.hold(draft, Reason::StillServes { service: saga.config.from.clone(), rule });
        return false;
    }
    // Else its scaling would bring it back to its minimum.
    let all = Suspension { scale_in: true, scale_out: true, scheduled: true };
    if !floors::suspended(saga, &saga.config.from, all, draft) {
        return false;
    }
    let service = saga.config.from.clone();
    let action =
        Action::SetServiceCount { service: service.clone(), was: blue.desired_count, now: 0 };
    saga.act(draft, action, Why::Retires { service });
    false
}

/// When the last request by the old weights has surely ended.
fn drained_at(saga: Saga<'_>) -> Option<DateTime<Utc>> {
    let group = saga.blue_group()?;
    let delay = TimeDelta::seconds(group.settings.deregistration_delay_seconds.into());
    Some(saga.memory.tombstoned_at? + saga.config.settle + delay.max(DRAINED_MIN))
}

/// What answers for blue; `None` while its group is being made.
fn answer(route: Route<'_>, config: &Tombstone, draft: &mut Draft) -> Option<RuleImage> {
    let one = |action| Some(RuleImage { actions: vec![action] });
    match config {
        Tombstone::FixedResponse { status, body } => one(RuleAction::FixedResponse {
            status: *status,
            content_type: "text/plain".to_owned(),
            body: body.clone(),
        }),
        Tombstone::Redirect { status, location } => {
            one(RuleAction::Redirect { status: *status, location: location.clone() })
        }
        Tombstone::EmptyGroup => {
            let service = ServiceName::from(DROP_TRAFFIC);
            let name = group_name(route.saga.cluster, &service, None);
            if let Some(group) = route.saga.traffic().group_named(&name) {
                return Some(RuleImage::forward_to(&group.arn));
            }
            let spec = TargetGroupSpec {
                name,
                service,
                listener: route.saga.config.listener.clone(),
                target_type: TargetType::Instance,
                settings: crate::model::GroupSettings::default(),
            };
            let what = "the empty group that answers 503".to_owned();
            let action = Action::CreateTargetGroup { spec };
            route.saga.act(draft, action, Why::Declared { what });
            None
        }
    }
}

/// The rules that lead to blue and have no tombstone in front of them yet.
fn missing(saga: Saga<'_>, blue: &TargetGroup) -> Vec<(Purpose, Base)> {
    let bases = slots::bases(saga, &blue.arn).into_iter().zip(1_u16..);
    bases
        .map(|(base, n)| (Purpose::Tombstone(saga.config.name.clone(), n), base))
        .filter(|(_, base)| !has_twin(saga, base))
        .collect()
}

/// A route whose rule does not send everything to green, or is gone.
fn astray(saga: Saga<'_>) -> Option<Route<'_>> {
    saga.routes().find(|route| route.percent_now() != Some(100))
}

/// A rule by which a request still reaches blue, on any listener that was seen.
pub fn still_led(saga: Saga<'_>, blue: &TargetGroup) -> Option<String> {
    if let Some(route) = astray(saga) {
        return Some(format!("the rule of {}", route.id()));
    }
    let here = slots::bases(saga, &blue.arn).into_iter().find(|base| !has_twin(saga, base));
    if let Some(base) = here {
        return Some(match base.priority {
            Some(priority) => format!("rule {priority}"),
            None => "the default action".to_owned(),
        });
    }
    let elsewhere =
        |(listener, _): &(&crate::model::Listener, _)| listener.arn != saga.config.listener;
    let (listener, rule) = saga.traffic().weighted(&blue.arn).find(elsewhere)?;
    let rule = rule.map_or_else(|| "default".to_owned(), |rule| rule.priority.to_string());
    Some(format!("rule {rule} of {}", listener.arn))
}

fn has_twin(saga: Saga<'_>, base: &Base) -> bool {
    let conditions = twin(base);
    let rules = saga.listener().map(|listener| listener.rules.as_slice()).unwrap_or_default();
    rules.iter().any(|rule| {
        let ours = matches!(&rule.owner, crate::model::Owner::Tidegate(Purpose::Tombstone(name, _))
            if *name == saga.config.name);
        ours && rule.conditions == conditions
    })
}

/// The conditions of the tombstone of a base: the same, or any path for the default action.
fn twin(base: &Base) -> BTreeSet<Condition> {
    if base.all.is_empty() {
        return BTreeSet::from([Condition::Path { values: BTreeSet::from(["*".to_owned()]) }]);
    }
    base.all.clone()
}

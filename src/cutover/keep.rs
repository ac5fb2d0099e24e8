//! Target groups and rules of services, kept as declared.
//!
//! Rule: only what the configuration names is touched, and only target groups of ours or those it
//! names; a rule is made beside those of others, never written over them.

use std::collections::BTreeSet;

use crate::config::{ClusterConfig, Exposure};
use crate::model::{
    Action, ActionKind, Condition, GroupSettings, Hold, Origin, Planned, Purpose, Reason,
    RuleImage, ServiceName, Snapshot, Subject, TargetGroup, TargetGroupSpec, TargetType, Why,
};

use super::Draft;
use super::view::group_name;

/// The header that nobody sends: its rule only associates a group, so that ALB checks its targets.
const PARK_HEADER: &str = "x-tidegate-park";
/// Parked groups need no place of note; the lowest free priority is theirs.
const PRIORITY_MAX: u16 = 50_000;

/// Creates what is missing and settles what has drifted.
pub fn keep(config: &ClusterConfig, snapshot: &Snapshot, draft: &mut Draft) {
    for (name, service) in &config.services {
        if let Some(exposure) = &service.exposure {
            Keeper { config, snapshot, name, exposure }.keep(draft);
        }
    }
}

#[derive(Clone, Copy)]
struct Keeper<'a> {
    config: &'a ClusterConfig,
    snapshot: &'a Snapshot,
    name: &'a ServiceName,
    exposure: &'a Exposure,
}

impl Keeper<'_> {
    fn keep(self, draft: &mut Draft) {
        // A group that was not seen may exist all the same.
        if !self.snapshot.traffic.gaps.is_empty() || !self.listener_is_seen() {
            return;
        }
        let name = group_name(self.config, self.name, self.exposure.target_group.as_deref());
        match self.snapshot.traffic.value.group_named(&name) {
            None => self.create_group(name, draft),
            Some(group) => {
                self.settle(group, draft);
                self.rule(group, draft);
            }
        }
    }

    fn listener_is_seen(self) -> bool {
        self.snapshot.traffic.value.listeners.contains_key(&self.exposure.listener)
    }

    fn create_group(self, name: String, draft: &mut Draft) {
        let spec = TargetGroupSpec {
            name,
            service: self.name.clone(),
            listener: self.exposure.listener.clone(),
            target_type: TargetType::Instance,
            settings: self.exposure.settings.clone().unwrap_or_default(),
        };
        self.act(draft, Action::CreateTargetGroup { spec }, "a target group");
    }

    /// One difference at a time: each is a request of its own on the same group.
    fn settle(self, group: &TargetGroup, draft: &mut Draft) {
        let Some(now) = &self.exposure.settings else {
            return;
        };
        let was = group.settings.clone();
        if was.health_check != now.health_check {
            let (group, now) = (group.arn.clone(), now.clone());
            self.act(draft, Action::SetHealthCheck { group, was, now }, "the health check");
        } else if attributes(&was) != attributes(now) {
            let (group, now) = (group.arn.clone(), now.clone());
            self.act(draft, Action::SetGroupAttributes { group, was, now }, "its attributes");
        }
    }

    /// The rule the configuration asks for, or one that only associates the group.
    fn rule(self, group: &TargetGroup, draft: &mut Draft) {
        let purpose = Purpose::Service(self.name.clone());
        let traffic = &self.snapshot.traffic.value;
        let listener = &self.exposure.listener;
        if traffic.rule_for(listener, &purpose).is_some() {
            return;
        }
        let wants_rule = !self.exposure.paths.is_empty() || !self.exposure.hosts.is_empty();
        if !wants_rule && group.load_balancer.is_some() {
            return;
        }
        let taken: BTreeSet<_> =
            traffic.listeners[listener].rules.iter().map(|rule| rule.priority).collect();
        let lowest = (1..=PRIORITY_MAX).rev().find(|priority| !taken.contains(priority));
        let priority = if wants_rule { self.exposure.priority.or(lowest) } else { lowest };
        match priority {
            Some(priority) if !taken.contains(&priority) => {
                let action = Action::CreateRule {
                    listener: listener.clone(),
                    purpose,
                    priority,
                    conditions: self.conditions(wants_rule),
                    image: RuleImage::forward_to(&group.arn),
                };
                self.act(draft, action, "a rule");
            }
            _ => {
                let what = format!("priority {} is taken", priority.unwrap_or_default());
                let subject = Subject::Service(self.name.clone());
                let reason = Reason::Unprepared { what };
                draft.holds.push(Hold::new(subject, ActionKind::Cutover, reason));
            }
        }
    }

    fn conditions(self, wants_rule: bool) -> BTreeSet<Condition> {
        if !wants_rule {
            let values = BTreeSet::from([self.name.as_str().to_owned()]);
            return BTreeSet::from([Condition::Header { name: PARK_HEADER.to_owned(), values }]);
        }
        let mut conditions = BTreeSet::new();
        if !self.exposure.paths.is_empty() {
            conditions
                .insert(Condition::Path { values: self.exposure.paths.iter().cloned().collect() });
        }
        if !self.exposure.hosts.is_empty() {
            conditions
                .insert(Condition::Host { values: self.exposure.hosts.iter().cloned().collect() });
        }
        conditions
    }

    fn act(self, draft: &mut Draft, action: Action, what: &str) {
        let why = Why::Declared { what: format!("{what} of {}", self.name) };
        let (kind, by) = (ActionKind::Cutover, Origin::Capacity);
        draft.actions.push(Planned { action, kind, why, by });
    }
}

fn attributes(settings: &GroupSettings) -> (u32, u32, Option<u32>) {
    (
        settings.deregistration_delay_seconds,
        settings.slow_start_seconds,
        settings.stickiness_seconds,
    )
}

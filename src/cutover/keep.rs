//! Target groups and rules of services, kept as declared.
//!
//! Rule: only what the configuration names is touched, and only target groups of ours or those it
//! names; a rule is made beside those of others, never written over them. From its creation to its
//! deletion a group of ours is named by a rule: its service's own, or a park rule.

use std::collections::BTreeSet;

use crate::config::{ClusterConfig, CutoverConfig, Exposure, RuleMode};
use crate::model::{
    Action, ActionKind, Booking, Condition, CutoverMemory, CutoverName, Draft, Fact, GroupSettings,
    Hold, KeptAt, KeptEdge, Launch, ListenerArn, Memory, Note, Origin, Owner, Planned, Purpose,
    Reason, Rule, RuleImage, Service, ServiceName, Snapshot, Subject, TargetGroup, TargetGroupSpec,
    TargetType, Why,
};

use super::view::{group_name, group_of};

/// The header that nobody sends: its rule only associates a group, so that ALB checks its targets
/// and ECS takes it.
const PARK_HEADER: &str = "x-tidegate-park";
/// Where rules without a priority of their own begin, upwards. What is below is for cutovers, whose
/// tombstone in front of a default action must not take what these rules take.
const PRIORITY_MAX: u16 = 49_000;

/// Creates what is missing and settles what has drifted.
pub fn keep(config: &ClusterConfig, snapshot: &Snapshot, memory: &Memory, draft: &mut Draft) {
    for (name, service) in &config.services {
        if let Some(exposure) = &service.exposure {
            Keeper { config, snapshot, name, exposure }.keep(memory, draft);
        }
    }
}

/// What is declared of a service on a listener; nothing where it is declared on another.
pub fn declared<'a>(
    config: &'a ClusterConfig,
    service: &ServiceName,
    listener: &ListenerArn,
) -> Option<&'a Exposure> {
    let exposure = config.services.get(service)?.exposure.as_ref()?;
    (exposure.listener == *listener).then_some(exposure)
}

/// What the rule is for that names the service's group.
pub fn purpose(service: &ServiceName, exposure: &Exposure) -> Purpose {
    if exposure.paths.is_empty() && exposure.hosts.is_empty() {
        Purpose::Park(service.clone())
    } else {
        Purpose::Service(service.clone())
    }
}

#[derive(Clone, Copy)]
struct Keeper<'a> {
    config: &'a ClusterConfig,
    snapshot: &'a Snapshot,
    name: &'a ServiceName,
    exposure: &'a Exposure,
}

impl<'a> Keeper<'a> {
    fn keep(self, memory: &Memory, draft: &mut Draft) {
        // A group that was not seen may exist all the same.
        let parts = [&self.snapshot.traffic.gaps, &self.snapshot.services.gaps];
        if parts.iter().any(|gaps| !gaps.is_empty()) || !self.listener_is_seen() {
            return;
        }
        let group = group_of(self.config, self.snapshot, self.name);
        let name = group.map_or_else(|| self.group_name(), |group| group.name.clone());
        let (service, listener) = (self.name.clone(), self.exposure.listener.clone());
        let at = KeptAt { service, listener, group: name.clone() };
        // Before the first write, so that nothing is made that nobody remembers.
        if !memory.kept.contains_key(&at) {
            draft.notes.push(Note::Kept { at, edge: KeptEdge::Declared });
        }
        match group {
            None => self.create_group(name, draft),
            Some(group) => {
                self.settle(group, draft);
                self.rule(group, memory, draft);
                self.attach(group, memory, draft);
            }
        }
    }

    fn listener_is_seen(self) -> bool {
        self.snapshot.traffic.value.listeners.contains_key(&self.exposure.listener)
    }

    fn group_name(self) -> String {
        group_name(self.config, self.name, self.exposure.target_group.as_deref())
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

    /// The rule the configuration asks for, or one that only names the group.
    fn rule(self, group: &TargetGroup, memory: &Memory, draft: &mut Draft) {
        let purpose = purpose(self.name, self.exposure);
        let traffic = &self.snapshot.traffic.value;
        let listener = &self.exposure.listener;
        if let Some(rule) = traffic.rule_for(listener, &purpose) {
            return self.settle_rule(rule, purpose, group, memory, draft);
        }
        let parks = matches!(purpose, Purpose::Park(_));
        if parks && group.owner == Owner::Other && group.load_balancer.is_some() {
            return;
        }
        let taken = self.taken();
        let free = || (1..=PRIORITY_MAX).rev().find(|priority| !taken.contains(priority));
        let priority = self.exposure.priority.or_else(free);
        let Some(priority) = priority.filter(|priority| !taken.contains(priority)) else {
            let none = || format!("the listener has no free priority up to {PRIORITY_MAX}");
            let what = self.exposure.priority.map_or_else(none, is_taken);
            return self.hold(draft, Reason::NoPriority { what });
        };
        let what = if parks { "a park rule for the target group" } else { "a rule" };
        let action = Action::CreateRule {
            listener: listener.clone(),
            conditions: self.conditions(&purpose),
            purpose,
            priority,
            image: RuleImage::forward_to(&group.arn),
        };
        self.act(draft, action, what);
    }

    /// What the configuration says of a rule that stands, one request at a time. Where it sends
    /// requests is never written over: whoever changed that had a reason.
    fn settle_rule(
        self,
        rule: &Rule,
        purpose: Purpose,
        group: &TargetGroup,
        memory: &Memory,
        draft: &mut Draft,
    ) {
        let adopts = |cutover: &CutoverConfig| cutover.rules == RuleMode::Adopt(rule.arn.clone());
        let is_route = self.config.cutovers.iter().any(adopts);
        if !rule.image.names(&group.arn) && !is_route {
            let [expected, found] =
                [&RuleImage::forward_to(&group.arn), &rule.image].map(ToString::to_string);
            return self.hold(draft, Reason::RuleChanged { expected, found });
        }
        let conditions = self.conditions(&purpose);
        let moves = self.exposure.priority.filter(|priority| *priority != rule.priority);
        if rule.conditions == conditions && moves.is_none() {
            return;
        }
        if let Some(cutover) = self.open_cutover(memory) {
            return self.hold(draft, Reason::CutoverShifts { cutover: cutover.clone() });
        }
        let (listener, arn) = (self.exposure.listener.clone(), rule.arn.clone());
        if rule.conditions != conditions {
            let (was, now) = (rule.conditions.clone(), conditions);
            let action = Action::SetRuleConditions { listener, rule: arn, purpose, was, now };
            return self.act(draft, action, "the conditions of the rule");
        }
        if let Some(now) = moves {
            if self.taken().contains(&now) {
                return self.hold(draft, Reason::NoPriority { what: is_taken(now) });
            }
            let was = rule.priority;
            let action = Action::SetRulePriority { listener, rule: arn, purpose, was, now };
            self.act(draft, action, "the priority of the rule");
        }
    }

    fn taken(self) -> BTreeSet<u16> {
        let listener = self.snapshot.traffic.value.listeners.get(&self.exposure.listener);
        listener.into_iter().flat_map(|seen| &seen.rules).map(|rule| rule.priority).collect()
    }

    /// Its rules stand above and below others of this listener, by what those say now.
    fn open_cutover(self, memory: &Memory) -> Option<&'a CutoverName> {
        let here = |cutover: &&CutoverConfig| cutover.listener == self.exposure.listener;
        let is_open = |name| memory.cutovers.get(name).is_some_and(CutoverMemory::is_open);
        let mut here = self.config.cutovers.iter().filter(here).map(|cutover| &cutover.name);
        here.find(|name| is_open(*name))
    }

    /// ECS takes a group only once a rule names it; taking it is a deployment.
    fn attach(self, group: &TargetGroup, memory: &Memory, draft: &mut Draft) {
        let Some(service) = self.snapshot.services.value.get(self.name) else {
            return;
        };
        let registers = service.targets.iter().any(|targets| targets.group == group.arn);
        if registers || group.load_balancer.is_none() {
            return;
        }
        let (service_name, group) = (self.name.clone(), group.arn.clone());
        if !service.native_rules.is_empty() {
            return self.hold(draft, Reason::NativeDeployment { service: service_name });
        }
        if service.is_deploying() {
            return self.hold(draft, Reason::Deploying { service: service_name });
        }
        if let Some(reason) = lacks_room(service, memory, draft) {
            return self.hold(draft, reason);
        }
        let (container, port) = (self.exposure.container.clone(), self.exposure.port);
        let action = Action::AttachGroup { service: service_name, group, container, port };
        self.act(draft, action, "the registration of the tasks");
    }

    fn conditions(self, purpose: &Purpose) -> BTreeSet<Condition> {
        let set = |values: &[String]| values.iter().cloned().collect::<BTreeSet<_>>();
        if matches!(purpose, Purpose::Park(_)) {
            let values = set(&[self.name.to_string()]);
            return BTreeSet::from([Condition::Header { name: PARK_HEADER.to_owned(), values }]);
        }
        let path = Condition::Path { values: set(&self.exposure.paths) };
        let host = Condition::Host { values: set(&self.exposure.hosts) };
        let path = (!self.exposure.paths.is_empty()).then_some(path);
        let host = (!self.exposure.hosts.is_empty()).then_some(host);
        path.into_iter().chain(host).collect()
    }

    fn hold(self, draft: &mut Draft, reason: Reason) {
        let subject = Subject::Service(self.name.clone());
        draft.holds.push(Hold::new(subject, ActionKind::Cutover, reason));
    }

    fn act(self, draft: &mut Draft, action: Action, what: &str) {
        let why = Why::Declared { what: format!("{what} of {}", self.name) };
        let (kind, by) = (ActionKind::Cutover, Origin::LoadBalancing);
        draft.actions.push(Planned { action, kind, why, by });
    }
}

/// The deployment's surge is booked first. A service that may stop tasks first waits for no room.
fn lacks_room(service: &Service, memory: &Memory, draft: &mut Draft) -> Option<Reason> {
    let tasks = service.surge();
    if tasks == 0 || service.launch == Launch::Elsewhere {
        return None;
    }
    let name = service.name.clone();
    draft.bookings.push(Booking { service: name.clone(), count: tasks });
    let there = memory.since(&Subject::Service(name.clone()), &Fact::RoomThere).is_some();
    let waits = !there && !service.may_stop_first();
    waits.then_some(Reason::RoomMissing { service: name, tasks, until: None })
}

fn attributes(settings: &GroupSettings) -> (u32, u32, Option<u32>) {
    (
        settings.deregistration_delay_seconds,
        settings.slow_start_seconds,
        settings.stickiness_seconds,
    )
}

fn is_taken(priority: u16) -> String {
    format!("priority {priority} is taken")
}

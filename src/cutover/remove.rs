//! What was made for a service that left the configuration: marked first, deleted later.
//!
//! Rule: only what is ours by its tag goes, the rules first and then the group; and only once it
//! has been marked for the whole retention time and nobody uses it. What was not seen neither marks
//! nor deletes anything. The guard asks the same questions again before each write.

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::model::{
    Action, ActionKind, CutoverName, Draft, Health, Hold, KeptAt, KeptEdge, Memory, Note, Origin,
    Owner, Planned, Purpose, Reason, Rule, Snapshot, Subject, TargetGroup, Why,
};

use super::keep::{declared, purpose};
use super::view::group_of;

/// Marks what nobody asks for any more, and deletes it one request after the other.
pub fn remove(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    now: DateTime<Utc>,
    draft: &mut Draft,
) {
    let blind = blind(snapshot, now);
    for (at, since) in &memory.kept {
        let hold = |reason| {
            let subject = Subject::Service(at.service.clone());
            Hold::new(subject, ActionKind::Cutover, reason)
        };
        if let Some(reason) = &blind {
            draft.holds.extend(since.map(|_| hold(reason.clone())));
            continue;
        }
        let left = Left::of(config, snapshot, memory, at);
        let mut note = |edge| draft.notes.push(Note::Kept { at: at.clone(), edge });
        match (left.next(), since) {
            (None, _) if !left.is_declared_here => note(KeptEdge::Gone),
            (None, Some(_)) => note(KeptEdge::Wanted),
            (None, None) => {}
            (Some(_), None) => {
                note(KeptEdge::Unwanted);
                draft.holds.push(hold(Reason::Retained { until: now + config.retention }));
            }
            (Some(action), Some(since)) => match left.against(*since, now) {
                Some(reason) => draft.holds.push(hold(reason)),
                None => draft.actions.push(Planned {
                    action,
                    kind: ActionKind::Cutover,
                    why: Why::Undeclared { service: at.service.clone(), since: *since },
                    by: Origin::LoadBalancing,
                }),
            },
        }
    }
}

/// What speaks against a deletion, as things stand now.
pub fn against(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    action: &Action,
    now: DateTime<Utc>,
) -> Option<Reason> {
    if let Some(reason) = blind(snapshot, now) {
        return Some(reason);
    }
    let mut all = memory.kept.iter();
    let marked = all.find_map(|(at, since)| {
        let left = Left::of(config, snapshot, memory, at);
        Some((since.as_ref()?, left)).filter(|(_, left)| left.next().as_ref() == Some(action))
    });
    match marked {
        Some((since, left)) => left.against(*since, now),
        None => Some(Reason::Implausible { what: format!("{action}: not marked for removal") }),
    }
}

fn blind(snapshot: &Snapshot, now: DateTime<Utc>) -> Option<Reason> {
    let (traffic, services) = (&snapshot.traffic, &snapshot.services);
    let parts = [
        ("load balancers", traffic.as_of, &traffic.gaps),
        ("services", services.as_of, &services.gaps),
    ];
    parts.into_iter().find_map(|(part, as_of, gaps)| {
        let gap = Some(gaps.first()?.failure.clone());
        let (part, age_seconds) = (part.to_owned(), (now - as_of).num_seconds());
        Some(Reason::Blind { part, age_seconds, gap })
    })
}

/// What of ours stands for a service on a listener, and the configuration does not ask for.
struct Left<'a> {
    config: &'a ClusterConfig,
    snapshot: &'a Snapshot,
    memory: &'a Memory,
    at: &'a KeptAt,
    /// The configuration asks for the group, here or on another listener.
    is_wanted: bool,
    is_declared_here: bool,
    rules: Vec<(&'a Rule, &'a Purpose)>,
    /// Whoever it belongs to.
    group: Option<&'a TargetGroup>,
}

impl<'a> Left<'a> {
    fn of(
        config: &'a ClusterConfig,
        snapshot: &'a Snapshot,
        memory: &'a Memory,
        at: &'a KeptAt,
    ) -> Self {
        let traffic = &snapshot.traffic.value;
        let exposure = declared(config, &at.service, &at.listener);
        let asked = exposure.map(|exposure| purpose(&at.service, exposure));
        let rules = traffic.listeners.get(&at.listener).map(|listener| listener.rules.as_slice());
        let rules = rules.unwrap_or_default().iter().filter_map(|rule| match &rule.owner {
            Owner::Tidegate(purpose @ (Purpose::Service(of) | Purpose::Park(of)))
                if *of == at.service && asked.as_ref() != Some(purpose) =>
            {
                Some((rule, purpose))
            }
            _ => None,
        });
        let group = traffic.group_named(&at.group);
        let is_exposed = config.service(&at.service).exposure.is_some();
        let is_wanted = is_exposed
            && match group_of(config, snapshot, &at.service) {
                Some(wanted) => wanted.name == at.group,
                None => exposure.is_some(),
            };
        let is_declared_here = is_wanted && exposure.is_some();
        let rules = rules.collect();
        Self { config, snapshot, memory, at, is_wanted, is_declared_here, rules, group }
    }

    /// Whether the group is to go: ours, by its tag, and no longer wanted.
    fn goes(&self, group: &TargetGroup) -> bool {
        let purpose = Purpose::Group(self.at.service.clone());
        !self.is_wanted && group.owner == Owner::Tidegate(purpose)
    }

    /// The next request of its removal; `None` if nothing is left.
    fn next(&self) -> Option<Action> {
        if let Some((rule, purpose)) = self.rules.first() {
            return Some(Action::DeleteRule {
                listener: self.at.listener.clone(),
                rule: rule.arn.clone(),
                purpose: (*purpose).clone(),
                was: rule.image.clone(),
            });
        }
        let group = self.group.filter(|group| self.goes(group))?.arn.clone();
        Some(Action::DeleteTargetGroup { group, service: self.at.service.clone() })
    }

    fn against(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Reason> {
        let until = since + self.config.retention;
        if now < until {
            return Some(Reason::Retained { until });
        }
        let used = |by| Reason::StillUsed { group: self.at.group.clone(), by };
        if let Some(cutover) = self.open_cutover() {
            return Some(used(format!("cutover `{cutover}`")));
        }
        let group = self.group?;
        let by = match (self.named_by(group), self.goes(group)) {
            (Some(rule), true) => Some(rule),
            // A group that stays is checked by that rule.
            (Some(_), false) => return None,
            (None, _) => self.user(group),
        };
        let unseen = || Reason::NotSeen { what: format!("the health of {}", group.name) };
        by.map(used).or_else(|| group.health.is_none().then(unseen))
    }

    /// A cutover that is under way needs the groups of its services.
    fn open_cutover(&self) -> Option<&'a CutoverName> {
        let service = &self.at.service;
        let open = self.memory.cutovers.iter().filter(|(_, memory)| memory.is_open());
        let mut needing = open.filter(|(name, memory)| {
            let from = self.config.cutover(name).map(|cutover| &cutover.from);
            from == Some(service) || memory.routes.contains_key(service)
        });
        needing.next().map(|(name, _)| name)
    }

    /// Another rule that names the group.
    fn named_by(&self, group: &TargetGroup) -> Option<String> {
        let goes = |rule: &Rule| self.rules.iter().any(|(left, _)| left.arn == rule.arn);
        self.snapshot.traffic.value.listeners.values().find_map(|listener| {
            if listener.default.names(&group.arn) {
                return Some(format!("the default action of {}", listener.arn));
            }
            let mut naming = listener.rules.iter().filter(|rule| rule.image.names(&group.arn));
            let rule = naming.find(|rule| !goes(rule))?;
            Some(format!("rule {} of {}", rule.priority, listener.arn))
        })
    }

    /// Who still needs the group, in words.
    fn user(&self, group: &TargetGroup) -> Option<String> {
        let services = self.snapshot.services.value.values();
        let mut registering =
            services.filter(|service| service.targets.iter().any(|t| t.group == group.arn));
        if let Some(service) = registering.next() {
            return Some(format!("service {}, whose tasks register with it", service.name));
        }
        match group.health.map_or(0, Health::targets) {
            0 => {}
            1 => return Some("1 target".to_owned()),
            targets => return Some(format!("{targets} targets")),
        }
        let elsewhere = self.rules.is_empty() && group.load_balancer.is_some();
        elsewhere.then(|| "a rule of a listener that is not looked at".to_owned())
    }
}

//! The load balancers of the world: listeners with their rules, and target groups.
//!
//! Rule: what AWS describes changes at once; requests go by a change only once it has spread.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{
    Condition, GroupSettings, Listener, ListenerArn, LoadBalancerArn, Owner, Purpose, Rule,
    RuleImage, ServiceName, TargetGroup, TargetGroupArn,
};

use super::delays;
use super::metrics::{Metrics, Point};
use super::readings::Answer;
use super::requests::{Answers, Misbehaviour, SimFlow};
use super::rng::Rng;
use super::scaling::SimScaling;
use super::state::{Due, TaskNo};
use super::targets::SimTarget;
use super::world::World;

const ACCOUNT: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

/// All that serves requests; empty in a world without load balancers.
#[derive(Clone, Debug)]
pub(super) struct Balancing {
    pub(super) listeners: BTreeMap<ListenerArn, SimListener>,
    pub(super) groups: BTreeMap<TargetGroupArn, SimGroup>,
    pub(super) flows: Vec<SimFlow>,
    pub(super) misbehaviours: BTreeMap<ServiceName, Misbehaviour>,
    pub(super) scalings: BTreeMap<ServiceName, SimScaling>,
    /// What alarms, queries and checks say, by their name.
    pub(super) says: BTreeMap<String, Answer>,
    pub(super) metrics: Metrics,
    pub(super) answers: Answers,
    /// A stream of its own: load balancers change nothing of what happens to hosts.
    pub(super) rng: Rng,
    pub(super) created: u64,
}

impl Balancing {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            listeners: BTreeMap::new(),
            groups: BTreeMap::new(),
            flows: Vec::new(),
            misbehaviours: BTreeMap::new(),
            scalings: BTreeMap::new(),
            says: BTreeMap::new(),
            metrics: Metrics::default(),
            answers: Answers::default(),
            rng: Rng::new(seed.rotate_left(32)),
            created: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimListener {
    /// As AWS describes it.
    pub(super) shown: Listener,
    /// By which requests go.
    pub(super) effective: Listener,
    /// Changes on their way, by number.
    spreading: BTreeMap<u64, Listener>,
    changes: u64,
}

impl SimListener {
    fn images(&self) -> impl Iterator<Item = &RuleImage> {
        images(&self.shown)
    }

    /// Whether some user's request may still reach this group by a rule, described or in effect.
    pub(super) fn gives_weight(&self, group: &TargetGroupArn) -> bool {
        let listeners = [&self.shown, &self.effective].into_iter().chain(self.spreading.values());
        listeners.into_iter().any(|listener| {
            let (rules, any) = (&listener.rules, BTreeSet::new());
            let default = (&any, &listener.default, rules.len());
            let rules = rules.iter().enumerate();
            let rules = rules.filter(|(_, rule)| !for_no_user(&rule.owner));
            let rules = rules.map(|(at, rule)| (&rule.conditions, &rule.image, at));
            rules.chain([default]).any(|(conditions, image, at)| {
                image.weight_of(group) > 0 && !is_shadowed(&listener.rules[..at], conditions)
            })
        })
    }
}

/// Whether a rule in front takes every request that meets these conditions.
fn is_shadowed(in_front: &[Rule], conditions: &BTreeSet<Condition>) -> bool {
    let any_path = Condition::Path { values: ["*".to_owned()].into() };
    let holds = |condition: &Condition| *condition == any_path || conditions.contains(condition);
    in_front.iter().any(|rule| rule.conditions.iter().all(holds))
}

/// Rules of ours that no user's request meets.
fn for_no_user(owner: &Owner) -> bool {
    matches!(owner, Owner::Tidegate(Purpose::Park(_) | Purpose::Probe(_)))
}

pub(super) fn images(listener: &Listener) -> impl Iterator<Item = &RuleImage> {
    std::iter::once(&listener.default).chain(listener.rules.iter().map(|rule| &rule.image))
}

#[derive(Clone, Debug)]
pub(super) struct SimGroup {
    pub(super) arn: TargetGroupArn,
    pub(super) name: String,
    pub(super) owner: Owner,
    pub(super) settings: GroupSettings,
    pub(super) targets: BTreeMap<TaskNo, SimTarget>,
    /// The target whose turn is next.
    pub(super) turn: usize,
    pub(super) points: VecDeque<Point>,
    /// Requests since Application Auto Scaling last looked.
    pub(super) since_scaled: u64,
}

impl World {
    /// Adds a listener of a load balancer with its rules, in effect at once.
    pub fn add_load_balancer(&mut self, listener: Listener) {
        if self.traffic.listeners.is_empty() {
            self.enter(delays::SECOND, Due::Second);
        }
        let sim = SimListener {
            shown: listener.clone(),
            effective: listener.clone(),
            spreading: BTreeMap::new(),
            changes: 0,
        };
        self.traffic.listeners.insert(listener.arn, sim);
    }

    /// Adds a target group that somebody else made.
    pub fn add_target_group(&mut self, name: &str, settings: GroupSettings) -> TargetGroupArn {
        self.create_group(name, Owner::Other, settings)
    }

    /// A listener as AWS describes it.
    pub fn listener(&self, arn: &ListenerArn) -> Option<&Listener> {
        self.traffic.listeners.get(arn).map(|sim| &sim.shown)
    }

    /// A listener as requests meet it.
    pub fn listener_in_effect(&self, arn: &ListenerArn) -> Option<&Listener> {
        self.traffic.listeners.get(arn).map(|sim| &sim.effective)
    }

    /// A target group as AWS describes it, without its load.
    pub fn target_group(&self, name: &str) -> Option<TargetGroup> {
        let sim = self.traffic.groups.values().find(|group| group.name == name)?;
        Some(self.describe_group(sim))
    }

    pub(super) fn create_group(
        &mut self,
        name: &str,
        owner: Owner,
        settings: GroupSettings,
    ) -> TargetGroupArn {
        let number = self.number();
        let arn: TargetGroupArn = format!("{ACCOUNT}:targetgroup/{name}/{number:016x}").into();
        let group = SimGroup {
            arn: arn.clone(),
            name: name.to_owned(),
            owner,
            settings,
            targets: BTreeMap::new(),
            turn: 0,
            points: VecDeque::new(),
            since_scaled: 0,
        };
        self.traffic.groups.insert(arn.clone(), group);
        arn
    }

    /// The ARN of the next rule of a listener: `…:listener-rule/app/NAME/ID/LISTENER/RULE`.
    pub(super) fn next_rule_arn(&mut self, listener: &ListenerArn) -> crate::model::RuleArn {
        let number = self.number();
        let rule = listener.as_str().replacen(":listener/", ":listener-rule/", 1);
        format!("{rule}/{number:016x}").into()
    }

    fn number(&mut self) -> u64 {
        self.traffic.created += 1;
        self.traffic.created
    }

    /// Changes a listener: described at once, in effect after a while.
    pub(super) fn steer(&mut self, arn: &ListenerArn, change: impl FnOnce(&mut Listener)) {
        let Some(sim) = self.traffic.listeners.get_mut(arn) else {
            return;
        };
        change(&mut sim.shown);
        sim.shown.rules.sort_by_key(|rule| rule.priority);
        sim.changes += 1;
        sim.spreading.insert(sim.changes, sim.shown.clone());
        let spread = Due::Spread(arn.clone(), sim.changes);
        let (least, most) = delays::RULE_SPREADS;
        let after = self.traffic.rng.time_between(least, most);
        self.enter(after, spread);
    }

    /// A later change that was faster stays.
    pub(super) fn spread_rules(&mut self, arn: &ListenerArn, change: u64) {
        let Some(sim) = self.traffic.listeners.get_mut(arn) else {
            return;
        };
        if let Some(listener) = sim.spreading.remove(&change) {
            sim.effective = listener;
            sim.spreading.retain(|other, _| *other > change);
        }
    }

    /// A person's hand on a rule by its priority, or on the default.
    pub(super) fn edit_rule(
        &mut self,
        arn: &ListenerArn,
        priority: Option<u16>,
        image: Option<RuleImage>,
    ) {
        self.steer(arn, |listener| match (priority, image) {
            (None, image) => listener.default = image.unwrap_or_default(),
            (Some(priority), None) => listener.rules.retain(|rule| rule.priority != priority),
            (Some(priority), Some(image)) => {
                let rule = listener.rules.iter_mut().find(|rule| rule.priority == priority);
                if let Some(rule) = rule {
                    rule.image = image;
                }
            }
        });
    }

    /// The load balancer whose rules name a group: ECS and the health checks want one.
    pub(super) fn load_balancer_of(&self, group: &TargetGroupArn) -> Option<&LoadBalancerArn> {
        let names = |sim: &&SimListener| sim.images().any(|image| names(image, group));
        self.traffic.listeners.values().find(names).map(|sim| &sim.shown.load_balancer)
    }
}

pub(super) fn names(image: &RuleImage, group: &TargetGroupArn) -> bool {
    image.weights().is_some_and(|weights| weights.contains_key(group))
}

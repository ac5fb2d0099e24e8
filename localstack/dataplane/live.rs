//! What the load balancers know: which rules are in effect, which targets are registered, how
//! healthy they are, and so where a request goes.
//!
//! Rule: no kinder than an Application Load Balancer. A group without targets is a 503, one whose
//! targets are all unhealthy sends to all of them, and a target that was deregistered gets nothing
//! new and is cut off when its delay has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::propagation::Propagation;
use super::random::Random;
use super::rules::{Action, Asked, Weighted};
use super::world::{self, Found, Shown};

/// However fast time goes here, a busy machine answers no faster.
const LEAST_TIMEOUT: Duration = Duration::from_secs(2);

/// How late rules are, and how much faster than on AWS health is checked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub least_delay: Duration,
    pub most_delay: Duration,
    pub health_speed: f64,
}

/// One instance and port in one group.
#[derive(Debug)]
pub struct Target {
    pub group: String,
    /// `i-…:port`.
    pub key: String,
    /// Ends what is still in flight.
    pub cut: CancellationToken,
    in_flight: AtomicUsize,
    sent: AtomicU64,
}

/// A request that a target has not answered yet.
#[derive(Debug)]
pub struct InFlight(pub Arc<Target>);

impl InFlight {
    fn new(target: &Arc<Target>) -> Self {
        target.in_flight.fetch_add(1, Ordering::Relaxed);
        target.sent.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(target))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Initial,
    Healthy,
    Unhealthy,
}

#[derive(Debug)]
struct Member {
    target: Arc<Target>,
    health: Health,
    forced: Option<String>,
    /// Checks in a row that contradict its health.
    against: u32,
    next_check: Instant,
    is_checked_now: bool,
    /// When the delay of its deregistration ends.
    leaves_at: Option<Instant>,
    told: &'static str,
}

impl Member {
    fn new(group: &str, key: &str, first_check: Instant) -> Self {
        let target = Target {
            group: group.to_owned(),
            key: key.to_owned(),
            cut: CancellationToken::new(),
            in_flight: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
        };
        Self {
            target: Arc::new(target),
            health: Health::Initial,
            forced: None,
            against: 0,
            next_check: first_check,
            is_checked_now: false,
            leaves_at: None,
            told: "initial",
        }
    }

    fn health(&self) -> Health {
        match self.forced.as_deref() {
            Some("healthy") => Health::Healthy,
            Some("initial") => Health::Initial,
            Some(_) => Health::Unhealthy,
            None => self.health,
        }
    }

    fn state(&self) -> &'static str {
        match self.health {
            _ if self.leaves_at.is_some() => {
                // ALB ends a deregistration early when nothing is in flight.
                let busy = self.target.in_flight.load(Ordering::Relaxed) > 0;
                if busy { "draining" } else { "unused" }
            }
            Health::Initial => "initial",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }
    }
}

#[derive(Debug)]
struct Group {
    settings: world::Group,
    members: BTreeMap<String, Member>,
    turn: usize,
}

/// A health check that is due.
#[derive(Clone, Debug)]
pub struct Check {
    pub group: String,
    pub target: String,
    pub path: String,
    pub codes: String,
    pub timeout: Duration,
}

/// What the load balancer does with a request.
#[derive(Debug)]
pub enum Choice {
    Forward(InFlight),
    Answer(Box<Action>),
    /// 503.
    Nobody,
}

/// What a target is doing, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    pub target: String,
    pub state: &'static str,
    pub in_flight: usize,
    /// Requests sent to it so far.
    pub sent: u64,
}

#[derive(Debug)]
pub struct Live {
    pace: Pace,
    random: Random,
    rules: Propagation,
    groups: BTreeMap<String, Group>,
    /// Groups that a rule names; only they are checked.
    named: BTreeSet<String>,
}

impl Live {
    pub fn new(pace: Pace, seed: u64) -> Self {
        let (rules, groups, named) = (Propagation::default(), BTreeMap::new(), BTreeSet::new());
        Self { pace, random: Random::new(seed), rules, groups, named }
    }

    pub fn see(&mut self, shown: &Shown, now: Instant) {
        let Pace { least_delay, most_delay, health_speed } = self.pace;
        self.rules.see(&shown.listeners, now, || self.random.between(least_delay, most_delay));
        let rules = shown.listeners.iter().flat_map(|listener| &listener.rules);
        let named = rules.flat_map(|rule| rule.groups()).map(|group| group.target_group_arn);
        self.named = named.collect();
        self.groups.retain(|arn, _| shown.groups.iter().any(|group| group.arn == *arn));
        for settings in &shown.groups {
            let group = self.groups.entry(settings.arn.clone()).or_insert_with(|| {
                let (settings, members) = (settings.clone(), BTreeMap::new());
                Group { settings, members, turn: 0 }
            });
            group.settings.clone_from(settings);
            group.see(now, health_speed);
            if !self.named.contains(&settings.arn) {
                group.forget_health();
            }
        }
    }

    /// Puts due rule changes into effect, and names the rules.
    pub fn advance(&mut self, now: Instant) -> Vec<String> {
        self.rules.advance(now)
    }

    pub fn choose(&mut self, listener: &str, asked: &Asked<'_>) -> Choice {
        let rules = self.rules.rules_of(listener);
        let Some(rule) = rules.into_iter().find(|rule| rule.matches(asked)) else {
            return Choice::Nobody;
        };
        let weighted = rule.groups();
        if weighted.is_empty() {
            let last = rule.actions.last().cloned().map(Box::new);
            return last.map_or(Choice::Nobody, Choice::Answer);
        }
        let chosen = by_weight(&weighted, &mut self.random);
        let group = chosen.and_then(|arn| self.groups.get_mut(arn));
        let target = group.and_then(Group::next_target);
        target.map_or(Choice::Nobody, |target| Choice::Forward(InFlight::new(&target)))
    }

    /// The checks to start now; each group at its own interval.
    pub fn due_checks(&mut self, now: Instant) -> Vec<Check> {
        let mut due = Vec::new();
        for (arn, group) in &mut self.groups {
            if !self.named.contains(arn) {
                continue;
            }
            let settings = &group.settings;
            let speed = self.pace.health_speed;
            let interval = Duration::from_secs_f64(settings.interval / speed);
            let timeout = Duration::from_secs_f64(settings.timeout / speed).max(LEAST_TIMEOUT);
            for member in group.members.values_mut() {
                let waits = member.next_check > now || member.is_checked_now;
                if waits || member.leaves_at.is_some() {
                    continue;
                }
                member.next_check = now + interval;
                member.is_checked_now = true;
                due.push(Check {
                    group: arn.clone(),
                    target: member.target.key.clone(),
                    path: settings.path.clone(),
                    codes: settings.codes.clone(),
                    timeout,
                });
            }
        }
        due
    }

    pub fn checked(&mut self, check: &Check, passed: bool) {
        let Some(group) = self.groups.get_mut(&check.group) else { return };
        let (up, down) = (group.settings.healthy_threshold, group.settings.unhealthy_threshold);
        let Some(member) = group.members.get_mut(&check.target) else { return };
        member.is_checked_now = false;
        let (contradicts, enough, other) = match member.health {
            // A new target needs to pass only once.
            Health::Initial if passed => (true, 1, Health::Healthy),
            Health::Initial | Health::Healthy => (!passed, down, Health::Unhealthy),
            Health::Unhealthy => (passed, up, Health::Healthy),
        };
        member.against = if contradicts { member.against + 1 } else { 0 };
        if member.against >= enough {
            (member.health, member.against) = (other, 0);
        }
    }

    /// What has changed since this was last asked.
    pub fn found(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for (arn, group) in &mut self.groups {
            for (key, member) in &mut group.members {
                let state = member.state();
                if state != member.told {
                    member.told = state;
                    let (target_group, target) = (arn.clone(), key.clone());
                    found.push(Found { target_group, target, state });
                }
            }
        }
        found
    }

    pub fn targets(&self, group: &str) -> Vec<TargetView> {
        let members = self.groups.get(group).into_iter().flat_map(|group| group.members.values());
        let view = |member: &Member| TargetView {
            target: member.target.key.clone(),
            state: member.state(),
            in_flight: member.target.in_flight.load(Ordering::Relaxed),
            sent: member.target.sent.load(Ordering::Relaxed),
        };
        members.map(view).collect()
    }
}

impl Group {
    fn see(&mut self, now: Instant, health_speed: f64) {
        let interval = Duration::from_secs_f64(self.settings.interval / health_speed);
        let delay = Duration::from_secs_f64(self.settings.delay);
        for shown in &self.settings.targets {
            let new = || Member::new(&self.settings.arn, &shown.target, now + interval);
            let member = self.members.entry(shown.target.clone()).or_insert_with(new);
            if member.leaves_at.is_some() && !shown.leaving {
                // Registered again: its life begins anew.
                *member = Member::new(&self.settings.arn, &shown.target, now + interval);
            }
            member.forced.clone_from(&shown.forced);
            if shown.leaving {
                let leaves_at = *member.leaves_at.get_or_insert(now + delay);
                if now >= leaves_at {
                    member.target.cut.cancel();
                }
            }
        }
        let shown: BTreeSet<_> = self.settings.targets.iter().map(|each| &each.target).collect();
        self.members.retain(|key, member| {
            let stays = shown.contains(key) || member.is_leaving_until(now, delay);
            if !stays {
                member.target.cut.cancel();
            }
            stays
        });
    }

    /// Nothing checks a group that no rule names.
    fn forget_health(&mut self) {
        for member in self.members.values_mut() {
            (member.health, member.against) = (Health::Initial, 0);
        }
    }

    fn next_target(&mut self) -> Option<Arc<Target>> {
        let staying = self.members.values().filter(|member| member.leaves_at.is_none());
        let staying: Vec<_> = staying.collect();
        let of = |health| staying.iter().filter(move |member| member.health() == health);
        let healthy: Vec<_> = of(Health::Healthy).collect();
        // Open when all have failed; a target that was never checked gets nothing.
        let usable = if healthy.is_empty() { of(Health::Unhealthy).collect() } else { healthy };
        if usable.is_empty() {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        Some(Arc::clone(&usable[self.turn % usable.len()].target))
    }
}

impl Member {
    /// Whether it is no longer shown because the endpoint counts its delay from a moment before.
    fn is_leaving_until(&mut self, now: Instant, delay: Duration) -> bool {
        let busy = self.target.in_flight.load(Ordering::Relaxed) > 0;
        let leaves_at = *self.leaves_at.get_or_insert(now + delay);
        busy && now < leaves_at
    }
}

fn by_weight<'a>(groups: &'a [Weighted], random: &mut Random) -> Option<&'a str> {
    let total: u64 = groups.iter().map(|group| u64::from(group.weight)).sum();
    if total == 0 {
        return None;
    }
    let mut left = random.below(total);
    for group in groups {
        match left.checked_sub(u64::from(group.weight)) {
            Some(less) => left = less,
            None => return Some(&group.target_group_arn),
        }
    }
    None
}

//! What the explored states are made of: rules, tasks and memory, without clock or history.
//!
//! Rule: two worlds that the saga cannot tell apart are the same. Moments count only until the last
//! timer that looks at them has run out; texts that only people read are left out.

use chrono::{DateTime, TimeDelta, Utc};

use crate::cutover::tests::little::{LISTENER, Little, group_arn, route};
use crate::model::*;

/// The services: blue first.
pub(super) const NAMES: [&str; 3] = ["api", "users", "posts"];
/// Health is not limited from outside.
pub(super) const ALL: u64 = 9;
/// The step by which time passes.
pub(super) const UNIT: TimeDelta = TimeDelta::seconds(150);
/// Units after which settling and baking, and keeping warm, make no difference any more.
const WATCHED: i32 = 1;
const KEPT: i32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Bad,
    Silent,
}

/// The tasks of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) count: u64,
    /// Tasks that have started.
    pub(super) up: u64,
    /// As many of them are healthy at most.
    pub(super) fit: u64,
    pub(super) mood: Mood,
}

impl Side {
    pub(super) fn healthy(self) -> u64 {
        self.up.min(self.fit)
    }
}

/// What AWS says.
#[derive(Clone, Debug)]
pub(super) struct Aws {
    pub(super) rules: Vec<Rule>,
    pub(super) sides: [Side; 3],
}

/// A plan whose writes are still to come, and what it was made from.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) seen: Aws,
    pub(super) actions: Vec<Planned>,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) aws: Aws,
    pub(super) memory: Memory,
    pub(super) pending: Option<Pending>,
    /// The law that was broken on the way here.
    pub(super) broken: Option<&'static str>,
}

pub(super) fn now() -> DateTime<Utc> {
    build::now()
}

impl Aws {
    pub(super) fn of(little: &Little) -> Self {
        let listener = &little.snapshot.traffic.value.listeners[&ListenerArn::from(LISTENER)];
        let side = |name: &str| {
            let count = little.snapshot.services.value[&ServiceName::from(name)].desired_count;
            Side { count, up: count, fit: ALL, mood: Mood::Good }
        };
        Self { rules: listener.rules.clone(), sides: NAMES.map(side) }
    }

    pub(super) fn rule_of(&self, to: &str) -> Option<&Rule> {
        let owner = Owner::Tidegate(Purpose::Route(route(to)));
        self.rules.iter().find(|rule| rule.owner == owner)
    }

    pub(super) fn rule_of_mut(&mut self, to: &str) -> Option<&mut Rule> {
        let owner = Owner::Tidegate(Purpose::Route(route(to)));
        self.rules.iter_mut().find(|rule| rule.owner == owner)
    }

    /// Green's share of the requests of its route.
    pub(super) fn percent(&self, to: &str) -> u32 {
        self.rule_of(to).map_or(0, |rule| rule.image.percent_of(&group_arn(to)))
    }

    pub(super) fn healthy(&self, group: &TargetGroupArn) -> u64 {
        let side = NAMES.iter().position(|name| group_arn(name) == *group);
        side.map_or(0, |side| self.sides[side].healthy())
    }

    pub(super) fn tombstones(&self) -> usize {
        let is = |owner: &Owner| matches!(owner, Owner::Tidegate(Purpose::Tombstone(..)));
        self.rules.iter().filter(|rule| is(&rule.owner)).count()
    }

    fn side(&mut self, service: &ServiceName) -> &mut Side {
        let side = NAMES.iter().position(|name| *name == service.as_str());
        &mut self.sides[side.expect("a service of the story")]
    }

    /// Whether what the action stands on is no longer so.
    pub(super) fn has_moved(&self, action: &Action) -> bool {
        let find = |arn: &RuleArn| self.rules.iter().find(|rule| rule.arn == *arn);
        match action {
            Action::CreateRule { purpose, priority, .. } => {
                let owner = Owner::Tidegate(purpose.clone());
                self.rules.iter().any(|rule| rule.owner == owner || rule.priority == *priority)
            }
            Action::WriteRule { rule, was, .. } => {
                find(rule).is_none_or(|live| was.as_ref().is_some_and(|was| live.image != *was))
            }
            Action::DeleteRule { rule, was, .. } => {
                find(rule).is_none_or(|live| live.image != *was)
            }
            Action::SetServiceCount { service, was, .. } => {
                self.clone().side(service).count != *was
            }
            other => panic!("{other} is not of this story"),
        }
    }

    pub(super) fn apply(&mut self, action: &Action) {
        match action.clone() {
            Action::CreateRule { purpose, priority, conditions, image, .. } => {
                let arn = format!("rule-{purpose}").into();
                let owner = Owner::Tidegate(purpose);
                self.rules.push(Rule { arn, priority, conditions, image, owner });
                self.rules.sort_by_key(|rule| rule.priority);
            }
            Action::WriteRule { rule, now, .. } => {
                let live = self.rules.iter_mut().find(|live| live.arn == rule);
                live.expect("a rule that was seen").image = now;
            }
            Action::DeleteRule { rule, .. } => self.rules.retain(|live| live.arn != rule),
            Action::SetServiceCount { service, now, .. } => {
                let side = self.side(&service);
                (side.count, side.up) = (now, side.up.min(now));
            }
            other => panic!("{other} is not of this story"),
        }
    }

    /// What a look shows. Green's numbers come once the load balancer has settled.
    pub(super) fn snapshot(&self, like: &Snapshot, memory: &Memory) -> Snapshot {
        let mut snapshot = like.clone();
        for (n, side) in self.sides.iter().enumerate() {
            let service = snapshot.services.value.get_mut(&NAMES[n].into()).expect("a service");
            (service.desired_count, service.running_count) = (side.count, side.up);
        }
        let traffic = &mut snapshot.traffic.value;
        let listener = traffic.listeners.get_mut(&LISTENER.into()).expect("the listener");
        listener.rules.clone_from(&self.rules);
        for (n, name) in NAMES.iter().enumerate() {
            let side = self.sides[n];
            let percent = if n == 0 { 100 } else { self.percent(name) };
            let group = traffic.groups.get_mut(&group_arn(name)).expect("a group");
            let healthy = side.healthy();
            let health = Health { healthy, initial: side.count - healthy, ..Health::default() };
            group.health = Some(health);
            group.load.clear();
            if percent > 0 && side.mood != Mood::Silent && is_settled(memory, name) {
                group.load.push(load(percent, side.mood));
            }
            let said = match side.mood {
                Mood::Good if healthy > 0 => Said::Pass,
                _ => Said::Fail,
            };
            let reading = Reading { at: now(), said, detail: String::new() };
            traffic.readings.insert(format!("probe break/{name}"), reading);
        }
        snapshot
    }
}

fn is_settled(memory: &Memory, name: &str) -> bool {
    let routes = memory.cutovers.values().flat_map(|cutover| cutover.routes.get(&name.into()));
    routes.filter_map(|route| route.written_at).all(|at| now() - at >= UNIT)
}

fn load(percent: u32, mood: Mood) -> Load {
    let requests = u64::from(percent) * 60;
    Load {
        at: now(),
        period_seconds: 60,
        requests,
        errors_5xx: if mood == Mood::Bad { requests / 2 } else { 0 },
        latency_p50_ms: Some(10),
        latency_p95_ms: Some(20),
        latency_p99_ms: Some(40),
    }
}

impl World {
    pub(super) fn record(&mut self, record: Record) -> Seq {
        let seq = Seq(self.memory.seq.0 + 1);
        let entry = Entry { seq, epoch: Epoch(1), at: now(), record };
        self.memory = std::mem::take(&mut self.memory).fold(&entry);
        seq
    }

    pub(super) fn order(&mut self, steer: CutoverOrder) {
        let order = Order::Cutover { cutover: "break".into(), steer };
        let (actor, reason) = ("ana".to_owned(), String::new());
        self.record(Record::Command { command: Command { actor, reason, order } });
    }

    pub(super) fn cutover(&self) -> Option<&CutoverMemory> {
        self.memory.cutovers.get(&"break".into())
    }

    pub(super) fn is_open(&self) -> bool {
        self.cutover().is_some_and(CutoverMemory::is_open)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.cutover().is_some_and(|cutover| cutover.paused.is_some())
    }

    /// One unit of time: tasks start, timers run.
    pub(super) fn pass(&mut self) {
        for side in &mut self.aws.sides {
            side.up = side.count;
        }
        for cutover in self.memory.cutovers.values_mut() {
            cutover.tombstoned_at = cutover.tombstoned_at.map(|at| at - UNIT);
            for route in cutover.routes.values_mut() {
                route.written_at = route.written_at.map(|at| at - UNIT);
                route.baking_since = route.baking_since.map(|at| at - UNIT);
            }
        }
    }

    /// Forgets what makes no difference any more.
    pub(super) fn calm(&mut self) {
        let cap = |at: Option<DateTime<Utc>>, units| at.map(|at| at.max(now() - UNIT * units));
        let doubts = std::mem::take(&mut self.memory.in_doubt);
        self.memory.in_doubt =
            (1..).map(Seq).zip(doubts.into_values().map(|d| Doubt { since: now(), ..d })).collect();
        self.memory.seq = Seq(self.memory.in_doubt.len() as u64);
        // Fewer failures than a breaker needs.
        self.memory.breakers.retain(|_, breaker| breaker.open_until.is_some());
        for cutover in self.memory.cutovers.values_mut() {
            cutover.tombstoned_at = cap(cutover.tombstoned_at, KEPT);
            if let Some(pause) = &mut cutover.paused {
                pause.because.clear();
            }
            for route in cutover.routes.values_mut() {
                route.written_at = cap(route.written_at, WATCHED);
                route.baking_since = cap(route.baking_since, WATCHED);
                (route.because, route.since) = (None, None);
                route.history.clear();
            }
        }
    }

    /// What tells this world from others, all of it and no more.
    pub(super) fn key(&self) -> String {
        use std::fmt::Write as _;
        let mut key = String::with_capacity(512);
        aws(&mut key, &self.aws);
        for doubt in self.memory.in_doubt.values() {
            let _ = write!(key, "?{};", doubt.planned.action);
        }
        let _ = write!(key, "{:?}", self.memory.mode);
        for cutover in self.memory.cutovers.values() {
            saga(&mut key, cutover);
        }
        if let Some(pending) = &self.pending {
            key.push('>');
            aws(&mut key, &pending.seen);
            for planned in &pending.actions {
                let _ = write!(key, "!{};", planned.action);
            }
        }
        let _ = write!(key, "{:?}", self.broken);
        key
    }
}

fn aws(key: &mut String, aws: &Aws) {
    use std::fmt::Write as _;
    for Rule { arn, priority, conditions: _, image, owner: _ } in &aws.rules {
        let _ = write!(key, "{} {priority} {image};", arn.as_str());
    }
    for Side { count, up, fit, mood } in aws.sides {
        let _ = write!(key, "{count}.{up}.{fit}.{};", mood as u8);
    }
}

fn saga(key: &mut String, saga: &CutoverMemory) {
    use std::fmt::Write as _;
    let age = |at: &Option<DateTime<Utc>>| at.map_or(-1, |at| (now() - at).num_seconds());
    let CutoverMemory { routes, floors, paused, finalize_ordered, aborted, tombstoned_at, .. } =
        saga;
    let _ = write!(key, "|{finalize_ordered}{aborted}{}", age(tombstoned_at));
    let _ = write!(key, "{:?}", paused.as_ref().map(|pause| pause.by.is_some()));
    for floor in floors {
        let _ = write!(key, "{}={};", floor.0, floor.1);
    }
    for (to, route) in routes {
        let RouteMemory {
            stage,
            since: _,
            step,
            // Looked at only where a rule was adopted.
            original: _,
            recorded,
            written_at,
            baking_since,
            promoted,
            answered,
            promoted_full,
            because: _,
            history: _,
        } = route;
        let (written, baking) = (age(written_at), age(baking_since));
        let _ = write!(key, "|{to} {} {step} {written} {baking} ", *stage as u8);
        let _ = write!(key, "{answered}{promoted}{promoted_full}");
        if let Some(recorded) = recorded {
            let _ = write!(key, "{recorded}");
        }
    }
}

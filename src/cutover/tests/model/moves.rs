//! Every way a world can go on: looks and writes of the program, orders of people, and what happens
//! to the cluster by itself.
//!
//! Rule: the plan is of the real `step`, the leave to write of the real guard, the memory of the
//! real fold. One look and its notes are one move, each rank of writes another, so that orders and
//! foreign hands come in between as they do in life.

use std::collections::BTreeSet;

use super::laws;
use super::world::{ALL, Aws, Mood, NAMES, Pending, World, now};
use crate::cutover;
use crate::cutover::tests::little::{Little, group_arn};
use crate::guard::{self, Case, Lease};
use crate::model::*;

/// How much may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) crashes: u8,
    pub(super) failures: u8,
    pub(super) orders: u8,
    pub(super) events: u8,
}

impl Budget {
    pub(super) const NONE: Self = Self { crashes: 0, failures: 0, orders: 0, events: 0 };
    const CRASH: Self = Self { crashes: 1, ..Self::NONE };
    const FAILURE: Self = Self { failures: 1, ..Self::NONE };
    const ORDER: Self = Self { orders: 1, ..Self::NONE };
    const EVENT: Self = Self { events: 1, ..Self::NONE };

    pub(super) fn minus(self, cost: Self) -> Option<Self> {
        Some(Self {
            crashes: self.crashes.checked_sub(cost.crashes)?,
            failures: self.failures.checked_sub(cost.failures)?,
            orders: self.orders.checked_sub(cost.orders)?,
            events: self.events.checked_sub(cost.events)?,
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            crashes: self.crashes + other.crashes,
            failures: self.failures + other.failures,
            orders: self.orders + other.orders,
            events: self.events + other.events,
        }
    }
}

/// A fault put in on purpose, around the real code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    Nothing,
    /// A write whose answer was lost counts as done, and the rule is not read back.
    BelievesDoubts,
    /// Neither step nor guard asks for healthy targets.
    IgnoresHealth,
    /// Blue goes as soon as every route is shifted, and no guard looks at it.
    DropsBlue,
    /// The same, but the guard is there.
    DropsBlueGuarded,
}

/// Who or what moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Program,
    /// A failure or a crash.
    Fault,
    Order,
    /// Something happens to the cluster, or heals.
    Event,
}

/// One way on: what happens, what it costs, and where it leads.
pub(super) struct Way {
    pub(super) label: String,
    pub(super) cost: Budget,
    pub(super) world: World,
}

pub(super) struct Game {
    pub(super) little: Little,
    pub(super) plant: Plant,
}

/// What became of one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Refused,
    LostButDone,
    Lost,
    Unsent,
}

impl Game {
    pub(super) fn begin(&self) -> World {
        let memory = self.little.memory.clone();
        World { aws: Aws::of(&self.little), memory, pending: None, broken: None }
    }

    /// All ways of one kind.
    pub(super) fn ways(&self, world: &World, kind: Kind) -> Vec<Way> {
        let mut ways = Vec::new();
        if world.broken.is_some() {
            return ways;
        }
        match (kind, &world.pending) {
            (Kind::Program, Some(_)) => ways = self.rank(world, &[Fate::Done]),
            (Kind::Program, None) => {
                ways = vec![self.tick(world)];
                ways.push(way("time passes", Budget::NONE, world, World::pass));
            }
            (Kind::Fault, Some(_)) => {
                let fates = [Fate::Done, Fate::Refused, Fate::LostButDone, Fate::Lost];
                ways = self.rank(world, &fates);
                ways.retain(|way| way.cost != Budget::NONE);
                ways.extend(self.crash(world));
            }
            (Kind::Fault, None) => {}
            (Kind::Order, _) => orders(world, &mut ways),
            (Kind::Event, _) => events(world, &mut ways),
        }
        for way in &mut ways {
            way.world.calm();
        }
        ways
    }

    /// What the program sees: everything, unless a fault is planted.
    fn look(&self, world: &World) -> Snapshot {
        let mut aws = world.aws.clone();
        let routes = world.cutover().into_iter().flat_map(|cutover| &cutover.routes);
        match self.plant {
            Plant::BelievesDoubts => {
                for (to, route) in routes {
                    if let (Some(image), Some(rule)) =
                        (&route.recorded, aws.rule_of_mut(to.as_str()))
                    {
                        rule.image.clone_from(image);
                    }
                }
            }
            Plant::IgnoresHealth => {
                for side in &mut aws.sides {
                    (side.fit, side.up) = (ALL, side.count);
                }
            }
            _ => {}
        }
        aws.snapshot(&self.little.snapshot, &world.memory)
    }

    pub(super) fn plan(&self, world: &World) -> Plan {
        let snapshot = self.look(world);
        let mut plan = cutover::step(&self.little.config, &snapshot, &world.memory, now()).plan;
        if matches!(self.plant, Plant::DropsBlue | Plant::DropsBlueGuarded) {
            plan.actions.extend(hasty(world));
        }
        plan
    }

    /// One look, its plan, and the notes of it.
    fn tick(&self, world: &World) -> Way {
        let mut next = world.clone();
        for intent in world.memory.in_doubt.keys().copied() {
            next.record(Record::Noted { note: Note::DoubtSettled { intent } });
        }
        let plan = self.plan(world);
        let mut label = "look".to_owned();
        for note in plan.notes {
            if let Note::Cutover { edge, .. } = &note {
                label.push_str(&format!("; {}", told(edge)));
            }
            next.record(Record::Noted { note });
        }
        let mut taken = BTreeSet::new();
        let mut actions = plan.actions;
        actions.retain(|planned| {
            let subjects = planned.action.subjects();
            let free = subjects.is_disjoint(&taken);
            taken.extend(subjects);
            free
        });
        let seen = world.aws.clone();
        next.pending = (!actions.is_empty()).then_some(Pending { seen, actions });
        Way { label, cost: Budget::NONE, world: next }
    }

    /// The writes of the next rank: intents together, then each request with its fate.
    fn rank(&self, world: &World, fates: &[Fate]) -> Vec<Way> {
        let (live, intents) = self.intend(world);
        self.fates(vec![live], &intents, fates)
    }

    /// The program dies between the intents of a rank and their outcomes.
    fn crash(&self, world: &World) -> Vec<Way> {
        let (mut dead, intents) = self.intend(world);
        if intents.is_empty() {
            return Vec::new();
        }
        dead.world.pending = None;
        dead.cost = Budget::CRASH;
        dead.label.push_str("CRASH; ");
        self.fates(vec![dead], &intents, &[Fate::LostButDone, Fate::Unsent])
    }

    fn intend(&self, world: &World) -> (Way, Vec<(Seq, Planned)>) {
        let mut start = world.clone();
        let mut pending = start.pending.take().expect("a plan");
        let rank = pending.actions[0].rank();
        let at = pending.actions.partition_point(|planned| planned.rank() == rank);
        let rest = pending.actions.split_off(at);
        let snapshot = pending.seen.snapshot(&self.little.snapshot, &world.memory);
        let mut label = String::new();
        let mut intents = Vec::new();
        for planned in pending.actions {
            match self.admit(&snapshot, &start.memory, &planned) {
                Ok(()) => {
                    let seq = start.record(Record::Intent { planned: planned.clone() });
                    intents.push((seq, planned));
                }
                Err(hold) => {
                    label.push_str(&format!("guard refuses {}: {}; ", planned.action, hold.reason));
                }
            }
        }
        start.pending = (!rest.is_empty()).then_some(Pending { seen: pending.seen, actions: rest });
        (Way { label, cost: Budget::NONE, world: start }, intents)
    }

    fn fates(&self, mut ways: Vec<Way>, intents: &[(Seq, Planned)], fates: &[Fate]) -> Vec<Way> {
        let crashed = fates.contains(&Fate::Unsent);
        for (seq, planned) in intents {
            let branch = |way: &Way| {
                let Way { label, cost, world } = way;
                let of = |fate: &Fate| {
                    self.send((world.clone(), label, *cost), *seq, planned, *fate, crashed)
                };
                fates.iter().map(of).collect::<Vec<_>>()
            };
            ways = ways.iter().flat_map(branch).collect();
        }
        ways
    }

    fn send(
        &self,
        (mut world, label, cost): (World, &str, Budget),
        of: Seq,
        planned: &Planned,
        fate: Fate,
        crashed: bool,
    ) -> Way {
        let moved = world.aws.has_moved(&planned.action);
        if matches!(fate, Fate::Done | Fate::LostButDone) && !moved {
            world.broken = world.broken.or(laws::broken_by(&world, planned));
            world.aws.apply(&planned.action);
        }
        let lost = || Outcome::InDoubt { message: "no answer".to_owned() };
        let done = || Outcome::done();
        let believed = self.plant == Plant::BelievesDoubts;
        let outcome = match fate {
            Fate::Refused => Outcome::Refused { failure: Failure::Throttled },
            Fate::LostButDone | Fate::Lost if !believed => lost(),
            _ if moved => Outcome::Moved { expected: String::new(), found: String::new() },
            _ => done(),
        };
        if !crashed {
            world.record(Record::Outcome { of, outcome });
        }
        let (word, dearer) = match fate {
            Fate::Done if moved => ("moved", Budget::NONE),
            Fate::Done => ("done", Budget::NONE),
            Fate::Refused => ("REFUSED", Budget::FAILURE),
            Fate::LostButDone => ("done, ANSWER LOST", Budget::FAILURE),
            Fate::Lost => ("not done, ANSWER LOST", Budget::FAILURE),
            Fate::Unsent => ("not sent", Budget::NONE),
        };
        let cost = if crashed { cost } else { cost.plus(dearer) };
        Way { label: format!("{label}{}: {word}; ", planned.action), cost, world }
    }

    fn admit(&self, snapshot: &Snapshot, memory: &Memory, planned: &Planned) -> Result<(), Hold> {
        let hasty = planned.by == Origin::Capacity;
        if self.plant == Plant::IgnoresHealth || (self.plant == Plant::DropsBlue && hasty) {
            return Ok(());
        }
        let lease = Lease::exclusive(Epoch(1));
        let (config, switch) = (&self.little.config, Switch::default());
        let case = Case { config, snapshot, memory, lease: &lease, switch: &switch, now: now() };
        guard::admit(case, planned.clone()).map(|_| ())
    }
}

/// Blue to zero as soon as every route is shifted: a fault to be found.
fn hasty(world: &World) -> Option<Planned> {
    let routes = &world.cutover()?.routes;
    let shifted = |route: &RouteMemory| (Stage::Shifted..=Stage::Tombstoned).contains(&route.stage);
    let was = world.aws.sides[0].count;
    (was > 0 && routes.values().all(shifted)).then(|| Planned {
        action: Action::SetServiceCount { service: NAMES[0].into(), was, now: 0 },
        kind: ActionKind::Cutover,
        why: Why::Retires { service: NAMES[0].into() },
        by: Origin::Capacity,
    })
}

fn way(label: &str, cost: Budget, world: &World, change: impl FnOnce(&mut World)) -> Way {
    let mut world = world.clone();
    change(&mut world);
    Way { label: label.to_owned(), cost, world }
}

pub(super) fn start() -> CutoverOrder {
    let routes = NAMES[1..].iter().map(|name| (*name).into()).collect();
    CutoverOrder::Start { token: "t0ken".to_owned(), routes }
}

fn orders(world: &World, ways: &mut Vec<Way>) {
    let mut give = |label: &str, cost, order: CutoverOrder| {
        ways.push(way(&format!("ORDER {label}"), cost, world, |world| world.order(order)));
    };
    if world.cutover().is_none() {
        return give("start", Budget::NONE, start());
    }
    let cost = Budget::ORDER;
    give("start", cost, start());
    give("pause", cost, CutoverOrder::Pause);
    give("resume", cost, CutoverOrder::Resume);
    give("promote", cost, CutoverOrder::Promote { route: None, full: false });
    give("promote all steps", cost, CutoverOrder::Promote { route: None, full: true });
    give("rollback", cost, CutoverOrder::Rollback { route: None });
    give("abort", cost, CutoverOrder::Abort);
    give("finalize", cost, CutoverOrder::Finalize);
    give("undo", cost, CutoverOrder::Undo);
    for name in &NAMES[1..] {
        let order = CutoverOrder::Rollback { route: Some((*name).into()) };
        give(&format!("rollback of {name}"), cost, order);
    }
}

/// Health moves between looks only: nobody can know it better than the last look. Rules change
/// before writes of rules as well, since each of those reads its own again. What heals costs nothing.
fn events(world: &World, ways: &mut Vec<Way>) {
    let cost = Budget::EVENT;
    let pending = world.pending.iter().flat_map(|pending| &pending.actions);
    if !pending.into_iter().all(|planned| planned.action.steers()) {
        return;
    }
    for (n, name) in NAMES.iter().enumerate() {
        let green = (n > 0).then(|| group_arn(name));
        if let (Some(green), Some(rule)) = (&green, world.aws.rule_of(name)) {
            let api = group_arn(NAMES[0]);
            let image = RuleImage::split([(api, 30), (green.clone(), 70)]);
            let foreign = rule.image != image;
            if foreign {
                let label = format!("SOMEBODY writes 70 % into the rule of {name}");
                ways.push(way(&label, cost, world, |world| {
                    world.aws.rule_of_mut(name).expect("its rule").image = image;
                }));
            }
            let label = format!("SOMEBODY deletes the rule of {name}");
            let arn = rule.arn.clone();
            ways.push(way(&label, cost, world, |world| {
                world.aws.rules.retain(|rule| rule.arn != arn);
            }));
        }
        if world.pending.is_some() {
            continue;
        }
        let side = world.aws.sides[n];
        let mut healthy = |fit, cost| {
            let label = format!("{name} has at most {fit} healthy targets");
            ways.push(way(&label, cost, world, |world| world.aws.sides[n].fit = fit));
        };
        match side.fit {
            ALL => {
                healthy(0, cost);
                if n > 0 {
                    healthy(1, cost);
                }
            }
            _ => healthy(ALL, Budget::NONE),
        }
        if n > 0 {
            let mut turns = |mood: Mood, cost| {
                let label = format!("{name} turns {mood:?}");
                ways.push(way(&label, cost, world, |world| world.aws.sides[n].mood = mood));
            };
            match side.mood {
                Mood::Good => {
                    turns(Mood::Bad, cost);
                    turns(Mood::Silent, cost);
                }
                _ => turns(Mood::Good, Budget::NONE),
            }
        }
    }
}

fn told(edge: &CutoverEdge) -> String {
    match edge {
        CutoverEdge::Moved { to, stage, step, because } => {
            format!("{to} {stage} {step} ({because})")
        }
        CutoverEdge::Adopted { to, image } => format!("{to} adopts {image}"),
        CutoverEdge::Stopped { because } => format!("STOPPED: {because}"),
        other => format!("{other:?}"),
    }
}

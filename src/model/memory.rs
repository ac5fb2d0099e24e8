//! What AWS cannot tell: the fold of the journal, and the only state that outlives a tick.
//!
//! Rule: [`Memory::fold`] is the only writer. The live path and recovery call it alike, so a
//! restart knows exactly what the process before it knew.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::action::{Action, Subject};
use super::drain::Drain;
use super::handback::{self, Handback, Scope, Written};
use super::id::{
    CutoverName, InstanceId, InstanceType, PoolId, RouteId, ServiceName, TaskDefinitionArn,
};
use super::kept::{KeptAt, KeptEdge};
use super::mode::Mode;
use super::note::{Attribute, Fact, Note};
use super::orders::{Known, check};
use super::plan::{Origin, Planned};
use super::record::{Command, Entry, Epoch, Order, Outcome, Record, Seq};
use super::release::{ReleaseMemory, ReleaseOrder};
use super::resources::Resources;
use super::route::{CutoverMemory, CutoverOrder, RouteMemory};
use super::snapshot::Units;
use super::spec::TaskSpec;
use super::traffic::Purpose;

/// How long removals and launches are remembered for hourly budgets.
const BUDGET_WINDOW: TimeDelta = TimeDelta::hours(1);
/// Services whose last release is remembered; open ones always are.
const RELEASES_MAX: usize = 200;
/// Failures of one kind in a row that open its breaker (design, section 3).
const BREAKER_FAILURES: u32 = 3;
/// First wait of an open breaker; doubled by each failure on, up to [`BREAKER_WAIT_MAX`].
const BREAKER_WAIT: TimeDelta = TimeDelta::minutes(3);
const BREAKER_WAIT_MAX: TimeDelta = TimeDelta::minutes(30);

/// Everything that must survive a crash. Maps are bounded by what is observed: notes that end a
/// fact remove it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Memory {
    /// The last record folded.
    pub seq: Seq,
    pub epoch: Epoch,
    /// The stored mode; raised only by a command.
    pub mode: Mode,
    pub pause: Option<Pause>,
    pub pools: BTreeMap<PoolId, PoolMemory>,
    /// Set when a drain begins, cleared by its verdict.
    pub drains: BTreeMap<InstanceId, Drain>,
    /// When a fact that still holds began.
    #[serde(with = "pairs")]
    #[schema(value_type = Vec<((Subject, Fact), DateTime<Utc>)>)]
    pub since: BTreeMap<(Subject, Fact), DateTime<Utc>>,
    /// Hosts ended within the last hour: one entry each.
    #[schema(value_type = Vec<DateTime<Utc>>)]
    pub removals: VecDeque<DateTime<Utc>>,
    /// Units ordered within the last hour.
    #[schema(value_type = Vec<(DateTime<Utc>, u32)>)]
    pub launches: VecDeque<(DateTime<Utc>, u32)>,
    pub breakers: BTreeMap<String, Breaker>,
    /// Intents without outcome, or whose outcome is in doubt.
    #[serde(with = "pairs")]
    #[schema(value_type = Vec<(Seq, Doubt)>)]
    pub in_doubt: BTreeMap<Seq, Doubt>,
    /// Values from before Tidegate's first write.
    #[serde(with = "pairs")]
    #[schema(value_type = Vec<((Subject, Attribute), serde_json::Value)>)]
    pub originals: BTreeMap<(Subject, Attribute), serde_json::Value>,
    /// What Tidegate has asked for of the attributes in `originals`.
    #[serde(default, with = "pairs")]
    #[schema(value_type = Vec<((Subject, Attribute), Written)>)]
    pub written: BTreeMap<(Subject, Attribute), Written>,
    /// What a person wants handed back; the last one stays when it has ended.
    #[serde(default)]
    pub handback: Option<Handback>,
    pub shapes: BTreeMap<InstanceType, Resources>,
    /// The task description last registered for a service.
    #[serde(default)]
    pub registered: BTreeMap<ServiceName, TaskSpec>,
    /// What is kept for services on listeners, and since when the configuration no longer asks for
    /// all of it.
    #[serde(default, with = "pairs")]
    #[schema(value_type = Vec<(KeptAt, Option<DateTime<Utc>>)>)]
    pub kept: BTreeMap<KeptAt, Option<DateTime<Utc>>>,
    /// Cutovers that a person has started, finished ones included until they are started anew.
    #[serde(default)]
    pub cutovers: BTreeMap<CutoverName, CutoverMemory>,
    /// The last release of each service.
    #[serde(default)]
    pub releases: BTreeMap<ServiceName, ReleaseMemory>,
    /// A record of a newer version was met: observe until a person sets the mode again.
    #[serde(default)]
    pub unknown_record: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pause {
    pub by: String,
    pub reason: String,
    pub at: DateTime<Utc>,
}

/// What is remembered of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PoolMemory {
    /// The capacity we last saw or set; a different one in AWS is somebody else's.
    pub expected: Option<Units>,
    /// Foreign writes of the last hour; the latest is adopted for a stabilization window.
    #[schema(value_type = Vec<DateTime<Utc>>)]
    pub foreign_writes: VecDeque<DateTime<Utc>>,
    /// The capacity that the latest of them replaced.
    #[serde(default)]
    pub overruled: Option<Units>,
    pub demoted: Option<String>,
    /// Hosts given up one after the other, without one that served.
    pub failed_hosts: u32,
    pub failed_at: Option<DateTime<Utc>>,
    /// A person ordered the handover then.
    pub handover: Option<Handover>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Handover {
    pub by: String,
    pub at: DateTime<Utc>,
}

/// Counts failures of one kind of action in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Breaker {
    pub failures: u32,
    pub last: String,
    /// Set when it opened; one attempt is let through after it.
    pub open_until: Option<DateTime<Utc>>,
}

/// A request that may or may not have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Doubt {
    pub planned: Planned,
    pub since: DateTime<Utc>,
}

impl Memory {
    /// Folds one entry in. Total: any entry gives a memory.
    #[must_use]
    pub fn fold(mut self, entry: &Entry) -> Self {
        let Entry { seq, epoch, at, record } = entry;
        match record {
            Record::Intent { planned } => self.intend(*seq, planned, *at),
            Record::Outcome { of, outcome } => self.conclude(*of, outcome, *at),
            Record::Noted { note } => self.note(note, *at),
            Record::Command { command } => self.obey(command, *at),
            Record::Checkpoint { memory } => self = (**memory).clone(),
            Record::Unknown => {
                self.unknown_record = true;
                self.mode = Mode::Observe;
            }
        }
        self.seq = *seq;
        self.epoch = *epoch;
        self.forget(*at);
        self
    }

    /// Whether every record was understood: only then may a checkpoint take their place.
    pub fn is_whole(&self) -> bool {
        !self.unknown_record
    }

    /// When this fact began, if it holds.
    pub fn since(&self, subject: &Subject, fact: &Fact) -> Option<DateTime<Utc>> {
        self.since.get(&(subject.clone(), fact.clone())).copied()
    }

    /// What is remembered of a pool, or nothing yet.
    pub fn pool(&self, pool: &PoolId) -> PoolMemory {
        self.pools.get(pool).cloned().unwrap_or_default()
    }

    /// Units ordered within the hour before `now`.
    pub fn launched_units(&self, now: DateTime<Utc>) -> u32 {
        let recent = self.launches.iter().filter(|(at, _)| now - *at < BUDGET_WINDOW);
        recent.fold(0, |sum, (_, units)| units.saturating_add(sum))
    }

    /// Hosts whose end began within the hour before `now`.
    pub fn removed_hosts(&self, now: DateTime<Utc>) -> usize {
        self.removals.iter().filter(|at| now - **at < BUDGET_WINDOW).count()
    }

    /// The doubt that rests on a subject, if any.
    pub fn doubt(&self, subject: &Subject) -> Option<&Doubt> {
        self.in_doubt.values().find(|doubt| doubt.planned.action.subjects().contains(subject))
    }

    /// An intent is a doubt until its outcome is known: a crash leaves exactly this behind.
    fn intend(&mut self, seq: Seq, planned: &Planned, at: DateTime<Utc>) {
        self.in_doubt.insert(seq, Doubt { planned: planned.clone(), since: at });
        if let Action::SetPoolCapacity { was, now, .. } = &planned.action
            && now > was
        {
            self.launches.push_back((at, now.0 - was.0));
        }
        if let Action::TerminateHost { .. } = &planned.action {
            self.removals.push_back(at);
        }
        for (subject, attribute, value) in handback::asks(&planned.action) {
            let key = (subject, attribute);
            if self.originals.contains_key(&key) {
                self.written.entry(key).or_insert_with(|| Written::first(at)).add(value);
            }
        }
        if let Action::WriteRule { purpose: Purpose::Route(route), was: Some(was), .. } =
            &planned.action
        {
            self.on_route(route, |memory| memory.before_first_write(was));
        }
    }

    fn conclude(&mut self, of: Seq, outcome: &Outcome, at: DateTime<Utc>) {
        let Some(doubt) = self.in_doubt.get(&of).cloned() else {
            return;
        };
        let name = doubt.planned.action.name();
        match outcome {
            Outcome::Done { failed, made } if failed.is_empty() => {
                self.in_doubt.remove(&of);
                self.breakers.remove(name);
                self.effect(&doubt.planned, made.as_ref(), at);
            }
            Outcome::Done { failed, made } => {
                self.in_doubt.remove(&of);
                self.effect(&doubt.planned, made.as_ref(), at);
                let first = failed.first().map_or_else(String::new, |f| f.failure.to_string());
                self.fail(name, first, at);
            }
            Outcome::Moved { .. } => {
                self.in_doubt.remove(&of);
                self.take_back(&doubt);
            }
            Outcome::Refused { failure } => {
                self.in_doubt.remove(&of);
                self.take_back(&doubt);
                self.fail(name, failure.to_string(), at);
            }
            Outcome::InDoubt { message } => self.fail(name, message.clone(), at),
        }
    }

    /// What a request that took effect changes in what we expect to see.
    fn effect(&mut self, planned: &Planned, made: Option<&TaskDefinitionArn>, at: DateTime<Utc>) {
        match &planned.action {
            Action::SetPoolCapacity { pool, now, .. } => {
                self.pools.entry(pool.clone()).or_default().expected = Some(*now);
            }
            Action::TerminateHost { pool, replace: false, .. } if !pool.is_fleet() => {
                let memory = self.pools.entry(pool.clone()).or_default();
                // By how much it falls depends on the host's weight: seen at the next look.
                memory.expected = None;
            }
            Action::RegisterTask { service, .. } if matches!(planned.by, Origin::Release(_)) => {
                if let Some(release) = self.releases.get_mut(service).filter(|r| r.is_open()) {
                    release.now = made.cloned();
                }
            }
            Action::RegisterTask { service, task } => {
                self.registered.insert(service.clone(), task.clone());
            }
            Action::CreateRule { purpose: Purpose::Route(route), image, .. }
            | Action::WriteRule { purpose: Purpose::Route(route), now: image, .. } => {
                self.on_route(route, |memory| memory.written(image, at));
            }
            _ => {}
        }
    }

    /// A request that had no effect spends no budget.
    fn take_back(&mut self, doubt: &Doubt) {
        match &doubt.planned.action {
            Action::SetPoolCapacity { .. } => self.launches.retain(|(at, _)| *at != doubt.since),
            Action::TerminateHost { .. } => {
                if let Some(last) = self.removals.iter().rposition(|at| *at == doubt.since) {
                    self.removals.remove(last);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, name: &str, last: String, at: DateTime<Utc>) {
        let breaker = self.breakers.entry(name.to_owned()).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        breaker.last = last;
        if breaker.failures >= BREAKER_FAILURES {
            let doublings = (breaker.failures - BREAKER_FAILURES).min(4);
            let wait = (BREAKER_WAIT * 2_i32.pow(doublings)).min(BREAKER_WAIT_MAX);
            breaker.open_until = Some(at + wait);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each note")]
    fn note(&mut self, note: &Note, at: DateTime<Utc>) {
        match note {
            Note::Began { subject, what } => {
                self.since.entry((subject.clone(), what.clone())).or_insert(at);
            }
            Note::Ended { subject, what } => {
                self.since.remove(&(subject.clone(), what.clone()));
            }
            Note::CapacitySeen { pool, units } => {
                self.pools.entry(pool.clone()).or_default().expected = Some(*units);
            }
            Note::ForeignWrite { pool, expected, found } => {
                let memory = self.pools.entry(pool.clone()).or_default();
                memory.overruled = Some(*expected);
                memory.expected = Some(*found);
                memory.foreign_writes.push_back(at);
            }
            Note::HandedOver { pool } => {
                self.pools.entry(pool.clone()).or_default().handover = None;
            }
            Note::Demoted { pool, because } => {
                self.pools.entry(pool.clone()).or_default().demoted = Some(because.clone());
            }
            Note::DrainBegan { host, pool, mark } => {
                let drain = Drain { mark: *mark, pool: pool.clone(), began_at: at };
                self.drains.entry(host.clone()).or_insert(drain);
            }
            Note::DrainEnded { host, .. } => {
                self.drains.remove(host);
            }
            Note::ShapeLearnt { instance_type, registers } => {
                self.shapes.insert(instance_type.clone(), *registers);
            }
            Note::HostFailed { pool, .. } => {
                let memory = self.pools.entry(pool.clone()).or_default();
                memory.failed_hosts = memory.failed_hosts.saturating_add(1);
                memory.failed_at = Some(at);
            }
            Note::HostServes { pool } => {
                let memory = self.pools.entry(pool.clone()).or_default();
                memory.failed_hosts = 0;
                memory.failed_at = None;
            }
            Note::Original { subject, attribute, value } => {
                let key = (subject.clone(), *attribute);
                self.originals.entry(key).or_insert_with(|| value.clone());
            }
            Note::Restored { subject, attribute } => {
                let key = (subject.clone(), *attribute);
                self.originals.remove(&key);
                self.written.remove(&key);
            }
            Note::HandedBack => {
                if let Some(handback) = &mut self.handback {
                    handback.ended = handback.ended.or(Some(at));
                }
            }
            Note::ClockJumped { .. } => {
                let removal_timer = |fact: &Fact| matches!(fact, Fact::Unneeded | Fact::AgentLost);
                self.since.retain(|(_, fact), _| !removal_timer(fact));
                let marks = self.kept.values_mut().flatten();
                marks.for_each(|since| *since = at);
            }
            Note::DoubtSettled { intent } => {
                self.in_doubt.remove(intent);
            }
            Note::Kept { at: kept, edge } => self.keep(kept, *edge, at),
            Note::Cutover { cutover, edge } => {
                if let Some(memory) = self.cutovers.get_mut(cutover) {
                    memory.note(edge, at);
                }
            }
            Note::Release { service, edge } => {
                if let Some(release) = self.releases.get_mut(service).filter(|r| r.is_open()) {
                    release.note(edge, at);
                }
            }
        }
    }

    fn keep(&mut self, kept: &KeptAt, edge: KeptEdge, at: DateTime<Utc>) {
        if edge == KeptEdge::Gone {
            self.kept.remove(kept);
            return;
        }
        let mark = self.kept.entry(kept.clone()).or_default();
        *mark = match edge {
            KeptEdge::Wanted => None,
            KeptEdge::Unwanted => mark.or(Some(at)),
            KeptEdge::Declared | KeptEdge::Gone => *mark,
        };
    }

    fn obey(&mut self, command: &Command, at: DateTime<Utc>) {
        let Command { actor, reason, order } = command;
        match order {
            Order::SetMode { mode } => {
                self.mode = *mode;
                if *mode > Mode::Observe {
                    self.unknown_record = false;
                    self.handback = None;
                }
            }
            Order::Pause => {
                self.pause = Some(Pause { by: actor.clone(), reason: reason.clone(), at });
            }
            Order::Resume { pool: None } => {
                self.pause = None;
                self.breakers.clear();
                self.handback.take_if(|handback| matches!(handback.scope, Scope::Pool(_)));
                for memory in self.pools.values_mut() {
                    memory.resume();
                }
            }
            Order::Resume { pool: Some(pool) } => {
                self.pools.entry(pool.clone()).or_default().resume();
                self.handback.take_if(|handback| handback.scope == Scope::Pool(pool.clone()));
            }
            Order::Handback { scope, side } => self.hand_back(scope, *side, (actor, reason), at),
            Order::Handover { pools } => {
                for pool in pools {
                    let handover = Handover { by: actor.clone(), at };
                    self.pools.entry(pool.clone()).or_default().handover = Some(handover);
                }
            }
            Order::Cutover { cutover, steer } => self.steer(cutover, steer, (actor, reason), at),
            Order::Release { service, steer: ReleaseOrder::Start { image, container } } => {
                let before = self.releases.remove(service);
                let next = match before {
                    Some(open) if open.is_open() => open,
                    before => {
                        let by = (actor.as_str(), reason.as_str());
                        ReleaseMemory::ordered(image, container.as_ref(), by, at, before)
                    }
                };
                self.releases.insert(service.clone(), next);
            }
            Order::Release { service, steer: ReleaseOrder::Abort } => {
                if let Some(release) = self.releases.get_mut(service) {
                    release.abort(actor, reason, at);
                }
            }
        }
    }

    fn steer(
        &mut self,
        cutover: &CutoverName,
        order: &CutoverOrder,
        (actor, reason): (&str, &str),
        at: DateTime<Utc>,
    ) {
        let known = self.cutovers.get_mut(cutover);
        if check(&Known::of(cutover, known.as_deref()), order).is_err() {
            return;
        }
        match (order, known) {
            (CutoverOrder::Start { token, routes }, known)
                if known.as_ref().is_none_or(|memory| memory.is_rolled_back()) =>
            {
                let started = CutoverMemory::started(actor, token, routes, at);
                self.cutovers.insert(cutover.clone(), started);
            }
            (order, Some(memory)) => memory.obey(order, (actor, reason), at),
            (_, None) => {}
        }
    }

    fn on_route(&mut self, id: &RouteId, change: impl FnOnce(&mut RouteMemory)) {
        let cutover = self.cutovers.get_mut(&id.cutover);
        if let Some(route) = cutover.and_then(|memory| memory.routes.get_mut(&id.to)) {
            change(route);
        }
    }

    fn forget(&mut self, now: DateTime<Utc>) {
        self.removals.retain(|at| now - *at < BUDGET_WINDOW);
        self.launches.retain(|(at, _)| now - *at < BUDGET_WINDOW);
        while self.releases.len() > RELEASES_MAX {
            let finished = self.releases.iter().filter(|(_, release)| !release.is_open());
            let oldest = finished.min_by_key(|(_, release)| release.since);
            let Some((service, _)) = oldest.map(|(service, r)| (service.clone(), r.since)) else {
                break;
            };
            self.releases.remove(&service);
        }
        for memory in self.pools.values_mut() {
            memory.foreign_writes.retain(|at| now - *at < BUDGET_WINDOW);
        }
    }
}

impl PoolMemory {
    fn resume(&mut self) {
        self.demoted = None;
        self.handover = None;
        self.foreign_writes.clear();
        self.failed_hosts = 0;
        self.failed_at = None;
    }
}

/// Maps whose keys are not strings, as lists of pairs: JSON objects know only string keys, and
/// inside a tagged enum (a checkpoint is one) serde does not read numbers back from them.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K, V, S>(map: &BTreeMap<K, V>, to: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

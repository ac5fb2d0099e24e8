//! What is remembered of a cutover: where each of its routes stands, and what people ordered.
//!
//! Rule: everything here is folded from the journal; what AWS can tell (weights, health, counts)
//! is read from AWS each time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::handback::Side;
use super::id::ServiceName;
use super::traffic::RuleImage;

/// Moves kept in a route's history; older ones are in the journal only.
const HISTORY_MAX: usize = 64;

/// Where a route stands. In this order until finalized; any of them before may roll back.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Nothing has been written.
    #[default]
    Planned,
    /// Our own rule carries the route: blue 100, green 0.
    Attached,
    /// Green's tasks are ordered, and scale-in of both sides is suspended.
    Provisioned,
    /// Green has the healthy targets its first step needs.
    Healthy,
    /// The probe was answered by green.
    Probed,
    /// Green has the weight of a step and is watched.
    Shifting,
    /// Green has all of the weight.
    Shifted,
    /// Green has served everything for the whole bake time.
    Baked,
    /// What still reaches blue is answered by the tombstone.
    Tombstoned,
    /// Blue is no longer kept for this route.
    Finalized,
    /// Blue gets all of the weight back.
    RollingBack,
    RolledBack,
    /// Undo after finalize: blue is provided again before the route rolls back.
    Reviving,
}

impl Stage {
    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::RolledBack)
    }

    /// Whether a rollback leads out of it.
    pub fn can_roll_back(self) -> bool {
        !matches!(self, Self::Finalized | Self::RolledBack | Self::RollingBack)
    }

    /// Whether green may have weight in it.
    pub fn sends_traffic(self) -> bool {
        matches!(
            self,
            Self::Shifting
                | Self::Shifted
                | Self::Baked
                | Self::Tombstoned
                | Self::Finalized
                | Self::RollingBack
                | Self::Reviving
        )
    }
}

/// What is remembered of one cutover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CutoverMemory {
    pub started_at: DateTime<Utc>,
    pub started_by: String,
    /// The random value of the probe's header, drawn when the cutover was started.
    pub token: String,
    pub routes: BTreeMap<ServiceName, RouteMemory>,
    /// Counts of blue and of each green before step one: none of them falls below while open.
    #[serde(default)]
    pub floors: BTreeMap<ServiceName, u64>,
    pub paused: Option<CutoverPause>,
    /// A person ordered the end; blue's keep-warm time is cut short.
    #[serde(default)]
    pub finalize_ordered: bool,
    /// A person ordered the end and the removal of our rules.
    #[serde(default)]
    pub aborted: bool,
    /// When what reaches blue was first answered by the tombstone.
    pub tombstoned_at: Option<DateTime<Utc>>,
}

/// Why a cutover stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CutoverPause {
    /// A person's name, or nothing if Tidegate stopped by itself.
    pub by: Option<String>,
    pub because: String,
    pub at: DateTime<Utc>,
}

/// What is remembered of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RouteMemory {
    pub stage: Stage,
    pub since: Option<DateTime<Utc>>,
    /// Which of the configured steps green's weight is at, while shifting.
    pub step: usize,
    /// What the rule said before our first write, if it stood already.
    #[serde(default)]
    pub original: Option<RuleImage>,
    /// What our rule was left at by our last write: the recorded rule.
    pub recorded: Option<RuleImage>,
    /// When that was.
    pub written_at: Option<DateTime<Utc>>,
    /// Since when the present step is being watched; starts anew after a disturbance.
    pub baking_since: Option<DateTime<Utc>>,
    /// A person let the next step pass; with `promoted_full`, all that are left.
    #[serde(default)]
    pub promoted: bool,
    /// Good answers of the probe in a row.
    #[serde(default)]
    pub answered: u32,
    #[serde(default)]
    pub promoted_full: bool,
    /// Why it rolls back or was rolled back.
    pub because: Option<String>,
    /// Each move, oldest first.
    #[schema(value_type = Vec<Move>)]
    pub history: VecDeque<Move>,
}

/// One change of stage or step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Move {
    pub at: DateTime<Utc>,
    pub stage: Stage,
    pub step: usize,
    pub because: String,
}

impl CutoverMemory {
    /// A cutover a person has just started.
    pub fn started(by: &str, token: &str, routes: &[ServiceName], at: DateTime<Utc>) -> Self {
        let fresh = || RouteMemory { since: Some(at), ..RouteMemory::default() };
        Self {
            started_at: at,
            started_by: by.to_owned(),
            token: token.to_owned(),
            routes: routes.iter().map(|to| (to.clone(), fresh())).collect(),
            floors: BTreeMap::new(),
            paused: None,
            finalize_ordered: false,
            aborted: false,
            tombstoned_at: None,
        }
    }

    /// Whether everything went back: a start begins it as a whole.
    pub fn is_rolled_back(&self) -> bool {
        self.routes.values().all(|route| route.stage == Stage::RolledBack)
    }

    /// Whether something may still happen by itself.
    pub fn is_open(&self) -> bool {
        self.routes.values().any(|route| !route.stage.is_final())
    }
}

impl CutoverMemory {
    /// Folds an edge in.
    pub(super) fn note(&mut self, edge: &CutoverEdge, at: DateTime<Utc>) {
        match edge {
            CutoverEdge::Moved { to, stage, step, because } => {
                match stage {
                    Stage::Tombstoned => self.tombstoned_at = self.tombstoned_at.or(Some(at)),
                    // No tombstone stands in front of a blue that is needed.
                    Stage::RollingBack => self.tombstoned_at = None,
                    _ => {}
                }
                if let Some(route) = self.routes.get_mut(to) {
                    route.go(*stage, *step, because, at);
                }
            }
            CutoverEdge::Baking { to } => {
                if let Some(route) = self.routes.get_mut(to) {
                    route.baking_since = Some(at);
                }
            }
            CutoverEdge::Disturbed { to } => {
                if let Some(route) = self.routes.get_mut(to) {
                    route.baking_since = None;
                }
            }
            CutoverEdge::Answered { to, times } => {
                if let Some(route) = self.routes.get_mut(to) {
                    route.answered = *times;
                }
            }
            CutoverEdge::Adopted { to, image } => {
                if let Some(route) = self.routes.get_mut(to) {
                    route.written(image, at);
                }
            }
            CutoverEdge::Floor { service, count } => {
                self.floors.entry(service.clone()).or_insert(*count);
            }
            CutoverEdge::Stopped { because } => {
                self.paused = Some(CutoverPause { by: None, because: because.clone(), at });
            }
        }
    }

    /// Folds in a person's order that makes sense.
    pub(super) fn obey(
        &mut self,
        order: &CutoverOrder,
        (actor, reason): (&str, &str),
        at: DateTime<Utc>,
    ) {
        match order {
            CutoverOrder::Start { .. } => self.start_again(actor, reason, at),
            CutoverOrder::Pause => {
                let (by, because) = (Some(actor.to_owned()), reason.to_owned());
                self.paused = Some(CutoverPause { by, because, at });
            }
            CutoverOrder::Resume => {
                self.paused = None;
                // What stands now has been looked at, and is where it goes on from.
                for route in self.routes.values_mut() {
                    (route.baking_since, route.recorded) = (None, None);
                }
            }
            CutoverOrder::Promote { route, full } => {
                for memory in self.meant(route.as_ref()) {
                    memory.promoted = true;
                    memory.promoted_full |= *full;
                }
            }
            CutoverOrder::Rollback { route } => self.roll_back(route.as_ref(), actor, reason, at),
            CutoverOrder::Abort => {
                self.aborted = true;
                self.roll_back(None, actor, reason, at);
            }
            CutoverOrder::Finalize => self.finalize_ordered = true,
            CutoverOrder::Undo => {
                let because = format!("undone by {actor}: {reason}");
                let finalized = |route: &&mut RouteMemory| route.stage == Stage::Finalized;
                for route in self.routes.values_mut().filter(finalized) {
                    route.go(Stage::Reviving, 0, &because, at);
                }
                self.finalize_ordered = false;
            }
        }
    }

    /// Routes that went back begin anew, beside those that have moved.
    fn start_again(&mut self, actor: &str, reason: &str, at: DateTime<Utc>) {
        let because = format!("started again by {actor}: {reason}");
        (self.finalize_ordered, self.aborted) = (false, false);
        let back = |route: &&mut RouteMemory| route.stage == Stage::RolledBack;
        for route in self.routes.values_mut().filter(back) {
            let history = std::mem::take(&mut route.history);
            *route = RouteMemory { history, ..RouteMemory::default() };
            route.go(Stage::Planned, 0, &because, at);
        }
    }

    fn roll_back(
        &mut self,
        route: Option<&ServiceName>,
        actor: &str,
        reason: &str,
        at: DateTime<Utc>,
    ) {
        let because = format!("ordered by {actor}: {reason}");
        self.paused = None;
        self.finalize_ordered = false;
        self.tombstoned_at = None;
        for memory in self.meant(route).filter(|memory| memory.stage.can_roll_back()) {
            memory.go(Stage::RollingBack, 0, &because, at);
        }
    }

    /// Ends every route on the side a person named. Rules of routes that went back before are
    /// removed as well.
    pub(super) fn hand_back(
        &mut self,
        side: Side,
        (actor, reason): (&str, &str),
        at: DateTime<Utc>,
    ) {
        let because = format!("handed back by {actor}: {reason}");
        let was_aborted = std::mem::replace(&mut self.aborted, true);
        (self.paused, self.finalize_ordered) = (None, false);
        for route in self.routes.values_mut() {
            match (side, route.stage) {
                (Side::Green, Stage::Shifted | Stage::Baked | Stage::Tombstoned) => {
                    route.go(Stage::Finalized, route.step, &because, at);
                }
                (_, Stage::Finalized | Stage::RollingBack) => {}
                (_, Stage::RolledBack) if was_aborted => {}
                _ => {
                    self.tombstoned_at = None;
                    route.go(Stage::RollingBack, 0, &because, at);
                }
            }
        }
    }

    fn meant(&mut self, route: Option<&ServiceName>) -> impl Iterator<Item = &mut RouteMemory> {
        let route = route.cloned();
        let routes = self.routes.iter_mut();
        let meant = move |(to, _): &(&ServiceName, _)| route.as_ref().is_none_or(|r| r == *to);
        routes.filter(meant).map(|(_, memory)| memory)
    }
}

impl RouteMemory {
    /// The rule says this, and is about to be written; only what stood before the route was begun
    /// is its original.
    pub fn before_first_write(&mut self, image: &RuleImage) {
        if self.stage == Stage::Planned {
            self.original = Some(image.clone());
        }
    }

    /// Our rule says this now, by our own write.
    pub fn written(&mut self, image: &RuleImage, at: DateTime<Utc>) {
        self.recorded = Some(image.clone());
        self.written_at = Some(at);
        self.baking_since = None;
    }

    /// Takes the route to a stage and step.
    pub fn go(&mut self, stage: Stage, step: usize, because: &str, at: DateTime<Utc>) {
        let moved = Move { at, stage, step, because: because.to_owned() };
        self.stage = stage;
        self.step = step;
        self.since = Some(at);
        self.baking_since = None;
        self.answered = 0;
        // A promotion is for the wait it answered.
        self.promoted = false;
        if matches!(stage, Stage::RollingBack | Stage::Reviving) {
            self.because = Some(because.to_owned());
        }
        self.history.push_back(moved);
        while self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }
}

/// What a person may order of a cutover; of one route where `route` is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "cutover_order")]
pub enum CutoverOrder {
    /// Begin. `token` is random; the probe's header carries it.
    Start {
        token: String,
        routes: Vec<ServiceName>,
    },
    Pause,
    Resume,
    /// Let the next step pass; `full`: all that are left. Gates are still asked.
    Promote {
        route: Option<ServiceName>,
        full: bool,
    },
    /// Blue gets everything back, and the cutover is over.
    Rollback {
        route: Option<ServiceName>,
    },
    /// As a rollback, and our rules are removed.
    Abort,
    /// Blue is given up now.
    Finalize,
    /// After finalize: provide blue again and shift back.
    Undo,
}

/// One edge in a cutover, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "edge")]
pub enum CutoverEdge {
    /// The route is at this stage now.
    Moved { to: ServiceName, stage: Stage, step: usize, because: String },
    /// Watching of the present step begins, or begins anew.
    Baking { to: ServiceName },
    /// What was watched no longer counts: a deployment, a pause, a foreign write.
    Disturbed { to: ServiceName },
    /// The probe was answered so many times in a row; 0: it was not.
    Answered { to: ServiceName, times: u32 },
    /// A write of ours whose answer was lost has been found to stand.
    Adopted { to: ServiceName, image: RuleImage },
    /// Counts seen before step one.
    Floor { service: ServiceName, count: u64 },
    /// Tidegate stopped it by itself: a person has to look.
    Stopped { because: String },
}

impl fmt::Display for CutoverOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { .. } => f.write_str("start"),
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::Promote { full: false, .. } => f.write_str("promote"),
            Self::Promote { full: true, .. } => f.write_str("promote all steps"),
            Self::Rollback { .. } => f.write_str("rollback"),
            Self::Abort => f.write_str("abort"),
            Self::Finalize => f.write_str("finalize"),
            Self::Undo => f.write_str("undo"),
        }
    }
}

//! A cutover as people see it: each route's weight, stage, gates and what it waits for.
//!
//! Rule: these types are all that API, command line and dashboard know of a cutover; they only show
//! them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    CutoverName, CutoverPause, Hold, Known, ListenerArn, Move, Planned, Reason, Said, ServiceName,
    Stage, Subject,
};

use super::listener::Severity;

/// One cutover of the configuration, started or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CutoverTold {
    pub name: CutoverName,
    pub listener: ListenerArn,
    pub from: ServiceName,
    pub started_at: Option<DateTime<Utc>>,
    pub started_by: Option<String>,
    pub open: bool,
    pub paused: Option<CutoverPause>,
    /// Nothing moves before a person has given an order or changed something.
    pub asks: bool,
    /// Steps from this percentage on wait for a promote.
    pub approve_before_percent: Option<u32>,
    /// From green going wrong until the slowest gate can say so.
    pub lag_seconds: i64,
    /// The shortest bake that the gates can judge.
    pub bake_min_seconds: i64,
    /// All bakes one after the other, if nothing holds it up.
    pub shift_min_seconds: i64,
    pub keep_warm_seconds: i64,
    /// Until then blue is kept for all of its old traffic.
    pub warm_until: Option<DateTime<Utc>>,
    /// What the listener's analysis says of it.
    pub findings: Vec<FindingTold>,
    /// What is written next, and what keeps it back.
    pub next: Vec<NextTold>,
    pub routes: Vec<RouteTold>,
    /// Moves of all routes, newest first, as far as they are remembered.
    pub history: Vec<MoveTold>,
}

/// One route of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RouteTold {
    pub to: ServiceName,
    pub paths: Vec<String>,
    pub hosts: Vec<String>,
    /// The rule that serves it before it moves.
    pub base: Option<String>,
    pub stage: Stage,
    /// What this stage waits for, in words.
    pub waits_for: String,
    pub since: Option<DateTime<Utc>>,
    /// Green's share by the live rule; `None`: no rule of its own was seen.
    pub percent: Option<u32>,
    pub steps: Vec<StepTold>,
    /// Which of the steps it is at, from 0.
    pub step: usize,
    pub baking_since: Option<DateTime<Utc>>,
    /// The end of the present bake.
    pub bakes_until: Option<DateTime<Utc>>,
    /// A person has let its next step pass.
    pub promoted: bool,
    pub gates: Vec<GateTold>,
    /// Why it does not move on.
    pub held: Vec<HeldTold>,
    /// Why it goes back, or went.
    pub because: Option<String>,
}

/// One weight on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepTold {
    pub percent: u32,
    pub bake_seconds: i64,
    /// Requests hurt if green is wholly broken at this step; `None`: no load was seen.
    pub exposed: Option<u64>,
    /// The same as a sentence.
    pub worst_case: String,
}

/// A gate with its lag; without a verdict before green has traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateTold {
    pub name: String,
    pub verdict: Option<Said>,
    pub value: String,
    pub limit: String,
    pub lag_seconds: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeldTold {
    /// Stable; programs decide by it.
    pub code: String,
    pub why: String,
    /// It lasts until a person does something.
    pub asks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NextTold {
    pub text: String,
    pub why: String,
    pub held: Option<HeldTold>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindingTold {
    pub severity: Severity,
    pub kind: String,
    /// A rule's priority or a pattern.
    pub at: Option<String>,
    pub explanation: String,
    pub remedy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveTold {
    pub to: ServiceName,
    #[serde(flatten)]
    pub moved: Move,
}

impl CutoverTold {
    /// What decides which orders make sense.
    pub fn known(&self) -> Known {
        let stages = self.routes.iter().map(|route| (route.to.clone(), route.stage)).collect();
        Known {
            name: self.name.clone(),
            stages: self.started_at.map(|_| stages),
            paused: self.paused.is_some(),
        }
    }

    pub fn route(&self, to: &ServiceName) -> Option<&RouteTold> {
        self.routes.iter().find(|route| route.to == *to)
    }

    /// Puts beside it what a tick planned and held.
    pub fn join(&mut self, planned: &[(Planned, Result<(), Hold>)], holds: &[Hold]) {
        for route in &mut self.routes {
            let of = |hold: &&Hold| {
                matches!(&hold.subject, Subject::Route(id)
                    if id.cutover == self.name && id.to == route.to)
            };
            route.held = holds.iter().filter(of).map(|hold| HeldTold::of(&hold.reason)).collect();
        }
        self.next = planned.iter().map(NextTold::of).collect();
        let next = self.next.iter().filter_map(|next| next.held.as_ref());
        let mut held = self.routes.iter().flat_map(|route| &route.held).chain(next);
        self.asks = self.open && (self.paused.is_some() || held.any(|held| held.asks));
    }
}

impl HeldTold {
    fn of(reason: &Reason) -> Self {
        Self { code: reason.code().to_owned(), why: reason.to_string(), asks: asks(reason) }
    }
}

impl NextTold {
    fn of((planned, verdict): &(Planned, Result<(), Hold>)) -> Self {
        let held = verdict.as_ref().err().map(|hold| HeldTold::of(&hold.reason));
        Self { text: planned.action.to_string(), why: planned.why.to_string(), held }
    }
}

/// Whether time alone does not release it.
fn asks(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NewerRecord
            | Reason::ModeTooLow { .. }
            | Reason::NotAllowed
            | Reason::Paused { .. }
            | Reason::ListenerUnfit { .. }
            | Reason::NoTargetGroup { .. }
            | Reason::OtherTargetGroup { .. }
            | Reason::NoService { .. }
            | Reason::NoRule { .. }
            | Reason::NoPriority { .. }
            | Reason::AlreadySends { .. }
            | Reason::NativeDeployment { .. }
            | Reason::RuleChanged { .. }
            | Reason::AwaitsPromotion { .. }
            | Reason::RouteRolledBack { .. }
            | Reason::CutoverPaused { .. }
            | Reason::TooFewRequests { .. }
            | Reason::GateSilent { .. }
            | Reason::StillServes { .. }
    )
}

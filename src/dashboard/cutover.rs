//! Cutovers as cards: weights as bars, stages as a strip, and the orders that make sense now.

use chrono::{DateTime, Utc};

use super::view::{clock, lasting, words};
use crate::control::status::ClusterStatus;
use crate::cutover::listener::Severity;
use crate::cutover::told::{CutoverTold, FindingTold, GateTold, HeldTold, MoveTold, RouteTold};
use crate::model::orders::check;
use crate::model::{CutoverOrder, Said, Stage};

/// Moves shown; the API has all that are remembered.
const MOVES_SHOWN: usize = 20;
/// The way forward, one field of the strip for each.
const STRIP: [Stage; 10] = [
    Stage::Planned,
    Stage::Attached,
    Stage::Provisioned,
    Stage::Healthy,
    Stage::Probed,
    Stage::Shifting,
    Stage::Shifted,
    Stage::Baked,
    Stage::Tombstoned,
    Stage::Finalized,
];

pub(super) struct Card<'a> {
    pub(super) told: &'a CutoverTold,
    pub(super) buttons: Vec<Button>,
    pub(super) routes: Vec<Row<'a>>,
    pub(super) state: &'static str,
}

pub(super) struct Button {
    pub(super) verb: &'static str,
    pub(super) label: &'static str,
    pub(super) class: &'static str,
}

pub(super) struct Row<'a> {
    pub(super) told: &'a RouteTold,
    pub(super) green: u32,
    pub(super) blue: u32,
    /// Where the bar has a mark: the steps but for the last.
    pub(super) marks: Vec<u32>,
    pub(super) strip: Vec<Field>,
    pub(super) timer: Option<String>,
    /// The worst case of the step it is at.
    pub(super) worst_case: Option<&'a str>,
}

pub(super) struct Field {
    pub(super) word: String,
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
}

pub(super) fn cards(cluster: &ClusterStatus) -> Vec<Card<'_>> {
    cluster.cutovers.iter().map(|told| card(told, cluster.at)).collect()
}

fn card(told: &CutoverTold, now: DateTime<Utc>) -> Card<'_> {
    let state = match told.started_at {
        None => "not started",
        Some(_) if !told.open => "over",
        Some(_) if told.asks => "waits for a person",
        Some(_) => "under way",
    };
    let routes = told.routes.iter().map(|route| row(route, now)).collect();
    Card { told, buttons: buttons(told), routes, state }
}

/// What a person may order now; the most dangerous last.
fn buttons(told: &CutoverTold) -> Vec<Button> {
    let known = told.known();
    let (route, full) = (None, false);
    let start = CutoverOrder::Start { token: String::new(), routes: Vec::new() };
    let back = CutoverOrder::Rollback { route: None };
    let all = [
        (start, "start", "▶ Start", "strong"),
        (CutoverOrder::Resume, "resume", "▶ Resume", "strong"),
        (CutoverOrder::Promote { route, full }, "promote", "» Promote", "strong"),
        (CutoverOrder::Finalize, "finalize", "✓ Finalize", "plain"),
        (CutoverOrder::Undo, "undo", "↺ Undo", "plain"),
        (CutoverOrder::Pause, "pause", "❚❚ Pause", "plain"),
        (CutoverOrder::Abort, "abort", "✕ Abort", "stop"),
        (back, "rollback", "↶ Roll back", "stop"),
    ];
    let sensible = all.into_iter().filter(|(order, verb, ..)| {
        // Pausing twice only changes the reason.
        check(&known, order).is_ok() && !(*verb == "pause" && told.paused.is_some())
    });
    sensible.map(|(_, verb, label, class)| Button { verb, label, class }).collect()
}

fn row(told: &RouteTold, now: DateTime<Utc>) -> Row<'_> {
    let green = told.percent.unwrap_or_default().min(100);
    let watched = matches!(told.stage, Stage::Shifting | Stage::Shifted);
    let step = told.steps.get(told.step).filter(|_| watched);
    let timer = told
        .bakes_until
        .filter(|_| watched)
        .map(|until| format!("watched until {} UTC, {} left", clock(&until), lasting(until - now)));
    Row {
        told,
        green,
        blue: 100 - green,
        marks: told.steps.iter().map(|step| step.percent).filter(|p| *p < 100).collect(),
        strip: STRIP.iter().map(|stage| field(told, *stage)).collect(),
        timer,
        worst_case: step.map(|step| step.worst_case.as_str()),
    }
}

fn field(told: &RouteTold, stage: Stage) -> Field {
    let (class, sign) = match told.stage {
        // The way back has left the strip.
        now if now > Stage::Finalized => ("left", "·"),
        now if now == stage && now.is_final() => ("done", "✓"),
        now if now == stage => ("now", "▶"),
        now if now > stage => ("done", "✓"),
        _ => ("ahead", "·"),
    };
    Field { word: stage.to_string(), class, sign }
}

impl Row<'_> {
    /// `shifting, step 2 of 3`; the way back by name.
    pub(super) fn stage(&self) -> String {
        let word = words(&self.told.stage);
        match self.told.stage {
            Stage::Shifting => {
                format!("{word}, step {} of {}", self.told.step + 1, self.told.steps.len())
            }
            _ => word,
        }
    }

    pub(super) fn stage_class(&self) -> &'static str {
        match self.told.stage {
            Stage::RollingBack | Stage::Reviving => "warn",
            Stage::RolledBack => "calm",
            Stage::Finalized => "good",
            _ => "",
        }
    }

    /// What holds it, but for the bake that the timer tells.
    pub(super) fn held(&self) -> Vec<&HeldTold> {
        let told = |held: &&HeldTold| held.code == "baking" && self.timer.is_some();
        self.told.held.iter().filter(|held| !told(held)).collect()
    }

    /// Gates that judge something by now.
    pub(super) fn gates(&self) -> Vec<&GateTold> {
        self.told.gates.iter().filter(|gate| gate.verdict.is_some()).collect()
    }
}

impl Card<'_> {
    /// What would misroute requests or cannot be done: always in sight.
    pub(super) fn warnings(&self) -> Vec<&FindingTold> {
        self.findings(|severity| severity != Severity::Advice)
    }

    pub(super) fn advice(&self) -> Vec<&FindingTold> {
        self.findings(|severity| severity == Severity::Advice)
    }

    fn findings(&self, of: impl Fn(Severity) -> bool) -> Vec<&FindingTold> {
        self.told.findings.iter().filter(|finding| of(finding.severity)).collect()
    }

    pub(super) fn moves(&self) -> impl Iterator<Item = &MoveTold> {
        self.told.history.iter().take(MOVES_SHOWN)
    }

    pub(super) fn greens(&self) -> String {
        let names: Vec<_> = self.told.routes.iter().map(|route| route.to.as_str()).collect();
        names.join(", ")
    }
}

/// The stage of a move, and the step where there are several.
pub(super) fn arrived(told: &MoveTold) -> String {
    let word = words(&told.moved.stage);
    match told.moved.stage {
        Stage::Shifting => format!("{word} step {}", told.moved.step + 1),
        _ => word,
    }
}

/// Sign, class and word of a verdict.
pub(super) fn verdict(gate: &GateTold) -> (&'static str, &'static str, &'static str) {
    match gate.verdict {
        Some(Said::Pass) => ("✓", "good", "pass"),
        Some(Said::Fail) => ("✕", "bad", "fail"),
        Some(Said::Inconclusive) => ("◌", "calm", "undecided"),
        Some(Said::Nothing) | None => ("?", "warn", "silent"),
    }
}

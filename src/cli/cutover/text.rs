//! Cutovers as people read them at a terminal.
//!
//! Rule: pure; a line says the thing first and then why.

use std::fmt::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};

use crate::cli::text::clock;
use crate::cutover::told::{CutoverTold, GateTold, MoveTold, NextTold, RouteTold};
use crate::model::{Said, Stage};

/// What it would do, with the worst that each step can cost.
pub(super) fn plan(told: &CutoverTold) -> String {
    written(|to| {
        head(to, told)?;
        let [shift, warm, lag, bake] = [
            told.shift_min_seconds,
            told.keep_warm_seconds,
            told.lag_seconds,
            told.bake_min_seconds,
        ]
        .map(lasting);
        writeln!(to, "duration   at least {shift} of steps and bakes, then {warm} kept warm")?;
        writeln!(to, "gates      lag up to {lag}, so a bake is never shorter than {bake}")?;
        if let Some(percent) = told.approve_before_percent {
            writeln!(to, "approval   {percent} % and more wait for `tidegate cutover promote`")?;
        }
        for finding in &told.findings {
            let at = finding.at.as_deref().unwrap_or_default();
            writeln!(to, " ! {} {} {at}", finding.severity, finding.kind)?;
            writeln!(to, "      {}\n      remedy: {}", finding.explanation, finding.remedy)?;
        }
        for route in &told.routes {
            planned_route(to, route)?;
        }
        next(to, &told.next)?;
        let mut steps = told.routes.iter().flat_map(|route| &route.steps);
        if steps.any(|step| step.exposed.is_none()) {
            writeln!(
                to,
                "\nThe load is not read before a cutover is started: --direct with --config reads it once."
            )?;
        }
        if told.started_at.is_none() {
            writeln!(
                to,
                "\nNothing was changed. `tidegate cutover start {}` begins it.",
                told.name
            )?;
        }
        Ok(())
    })
}

/// Whether a person has to act before it can begin.
pub(super) fn asks(told: &CutoverTold) -> bool {
    told.routes.iter().flat_map(|route| &route.held).any(|held| held.asks)
}

fn planned_route(to: &mut String, route: &RouteTold) -> fmt::Result {
    writeln!(to, "\n{}   {}", route.to, route.paths.join(" "))?;
    if !route.hosts.is_empty() {
        writeln!(to, "  hosts    {}", route.hosts.join(" "))?;
    }
    let base = route.base.as_deref().unwrap_or("no rule leads its paths to the old service");
    writeln!(to, "  today    {base}")?;
    for (n, step) in route.steps.iter().enumerate() {
        let title = if n == 0 { "steps" } else { "" };
        let bake = lasting(step.bake_seconds);
        writeln!(to, "  {title:<8} {:>3} %   bake {bake}   {}", step.percent, step.worst_case)?;
    }
    for (n, gate) in route.gates.iter().enumerate() {
        let title = if n == 0 { "gates" } else { "" };
        let lag = lasting(gate.lag_seconds);
        writeln!(to, "  {title:<8} {}: {}   lag {lag}", gate.name, gate.limit)?;
    }
    held(to, route)
}

/// Where each route stands.
pub(super) fn status(told: &CutoverTold, now: DateTime<Utc>) -> String {
    written(|to| {
        head(to, told)?;
        if let Some(pause) = &told.paused {
            let by =
                pause.by.as_deref().map_or("STOPPED".to_owned(), |by| format!("PAUSED by {by}"));
            writeln!(to, "{by} since {}: {}", clock(pause.at), pause.because)?;
        }
        if let Some(until) = told.warm_until.filter(|_| told.open) {
            writeln!(to, "{} is kept warm until {}", told.from, clock(until))?;
        }
        for route in &told.routes {
            let percent = route.percent.map_or("  -".to_owned(), |percent| format!("{percent:>3}"));
            writeln!(to, "\n{:<16} {} {percent} %   {}", route.to, bar(route), at_stage(route))?;
            if let Some(until) = route.bakes_until.filter(|_| is_watched(route)) {
                let left = lasting((until - now).num_seconds().max(0));
                writeln!(to, "  bakes    until {}, {left} left", clock(until))?;
            }
            if let Some(step) = route.steps.get(route.step).filter(|_| is_watched(route)) {
                writeln!(to, "  worst    {}", step.worst_case)?;
            }
            for gate in route.gates.iter().filter(|gate| gate.verdict.is_some()) {
                writeln!(to, "  {}", gate_line(gate))?;
            }
            held(to, route)?;
            if let Some(because) = &route.because {
                writeln!(to, "  because  {because}")?;
            }
        }
        next(to, &told.next)
    })
}

fn head(to: &mut String, told: &CutoverTold) -> fmt::Result {
    let routes: Vec<_> = told.routes.iter().map(|route| route.to.as_str()).collect();
    write!(to, "{}   {} -> {}   ", told.name, told.from, routes.join(", "))?;
    match (&told.started_at, &told.started_by) {
        (Some(at), Some(by)) => {
            let open = if told.open { "under way" } else { "over" };
            writeln!(to, "{open}, started {} by {by}", clock(*at))?;
        }
        _ => writeln!(to, "not started")?,
    }
    writeln!(to, "listener   {}", told.listener)
}

fn held(to: &mut String, route: &RouteTold) -> fmt::Result {
    for held in &route.held {
        let who = if held.asks { "ASKS" } else { "held" };
        writeln!(to, "  {who:<8} {}", held.why)?;
    }
    Ok(())
}

fn next(to: &mut String, all: &[NextTold]) -> fmt::Result {
    if !all.is_empty() {
        writeln!(to, "\nNext ({})", all.len())?;
    }
    for next in all {
        writeln!(to, " + {}\n      {}", next.text, next.why)?;
        if let Some(held) = &next.held {
            writeln!(to, "      held: {}", held.why)?;
        }
    }
    Ok(())
}

/// One cutover in a line.
pub(in crate::cli) fn line(told: &CutoverTold) -> String {
    let routes: Vec<_> = told
        .routes
        .iter()
        .map(|route| match route.percent {
            Some(percent) => format!("{} {percent} % {}", route.to, words(route.stage)),
            None => format!("{} {}", route.to, words(route.stage)),
        })
        .collect();
    let state = match (told.started_at, told.open) {
        (None, _) => "not started",
        (Some(_), false) => "over",
        (Some(_), true) if told.asks => "waits for a person",
        (Some(_), true) => "under way",
    };
    format!("{:<20} {state:<18} {}\n", told.name, routes.join(", "))
}

/// One move in a line.
pub(super) fn moved(told: &MoveTold) -> String {
    let MoveTold { to, moved } = told;
    let stage = words(moved.stage);
    let step = match moved.stage {
        Stage::Shifting => format!(" step {}", moved.step + 1),
        _ => String::new(),
    };
    format!("{}  {to}  {stage}{step}: {}\n", clock(moved.at), moved.because)
}

/// A route in a line without its weight: stage, and what it waits for.
pub(super) fn standing(told: &CutoverTold, route: &RouteTold) -> String {
    let held = route.held.first().map(|held| held.why.as_str());
    let pause = told.paused.as_ref().map(|pause| pause.because.as_str());
    let waits = held.or(pause).unwrap_or(match route.stage.is_final() {
        true => "nothing more happens",
        false => &route.waits_for,
    });
    format!("{}; {waits}", at_stage(route))
}

fn at_stage(route: &RouteTold) -> String {
    let stage = words(route.stage);
    match route.stage {
        Stage::Shifting => format!("{stage}, step {} of {}", route.step + 1, route.steps.len()),
        _ => stage,
    }
}

fn is_watched(route: &RouteTold) -> bool {
    matches!(route.stage, Stage::Shifting | Stage::Shifted)
}

fn gate_line(gate: &GateTold) -> String {
    let sign = match gate.verdict {
        Some(Said::Pass) => "ok",
        Some(Said::Fail) => "FAIL",
        Some(Said::Inconclusive) => "open",
        Some(Said::Nothing) | None => "silent",
    };
    format!("{sign:<8} {}: {}, limit {}", gate.name, gate.value, gate.limit)
}

/// Twenty characters for a hundred percent.
fn bar(route: &RouteTold) -> String {
    let filled =
        usize::try_from(route.percent.unwrap_or_default().div_ceil(5)).unwrap_or(20).min(20);
    format!("{}{}", "#".repeat(filled), ".".repeat(20 - filled))
}

fn words(stage: Stage) -> String {
    stage.to_string().replace('_', " ")
}

/// `45 s`, `10 min`, `10 min 30 s`, `24 h`.
fn lasting(seconds: i64) -> String {
    let time = TimeDelta::seconds(seconds);
    let parts =
        [(time.num_hours(), "h"), (time.num_minutes() % 60, "min"), (time.num_seconds() % 60, "s")];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = write(&mut text);
    text
}

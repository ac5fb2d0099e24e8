//! Statuses, plans and decisions as people read them.
//!
//! Rule: pure; a line says the thing first and then why.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};

use crate::control::status::{ActionView, ClusterStatus, Decision, Fate};
use crate::model::{ActionKind, Outcome, why::usd};

/// The plan of a cluster: what would be done, what is not allowed, what is held, who else writes.
pub(super) fn plan(status: &ClusterStatus) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = write_plan(&mut text, status);
    text
}

fn write_plan(to: &mut String, status: &ClusterStatus) -> fmt::Result {
    head(to, status)?;
    let plan = &status.plan;
    section(to, "Would do", plan.would_do.len())?;
    for action in &plan.would_do {
        line(to, action)?;
    }
    section(to, "Would do, not allowed yet", plan.not_allowed.len())?;
    for action in &plan.not_allowed {
        line(to, action)?;
    }
    section(to, "Held", plan.held.len())?;
    for held in &plan.held {
        writeln!(to, " ! {} {}", held.wants, held.subject)?;
        write!(to, "      {}", held.why)?;
        match held.since {
            Some(since) => writeln!(to, " (since {})", clock(since))?,
            None => writeln!(to)?,
        }
    }
    section(to, "Others who write here", status.others_writing.len())?;
    for other in &status.others_writing {
        let mark = if other.harmless { " " } else { "!" };
        writeln!(to, " {mark} {}", other.text)?;
    }
    writeln!(
        to,
        "{} to do, {} not allowed, {} held.",
        plan.would_do.len(),
        plan.not_allowed.len(),
        plan.held.len()
    )
}

/// The state of a cluster in a few lines, and its plan in short.
pub(super) fn status(status: &ClusterStatus) -> String {
    let mut text = String::new();
    let _written = write_status(&mut text, status);
    text
}

fn write_status(to: &mut String, status: &ClusterStatus) -> fmt::Result {
    head(to, status)?;
    for pool in &status.pools {
        let max = pool.max.map_or_else(|| "-".to_owned(), |max| max.to_string());
        let (hosts, usable) = (pool.hosts, pool.usable_hosts);
        write!(to, "pool         {}   desired {} ({} to {max})", pool.id, pool.desired, pool.min)?;
        write!(to, "   {hosts} hosts, {usable} usable")?;
        match &pool.demoted {
            Some(why) => writeln!(to, "   lowered to recommend: {why}")?,
            None => writeln!(to)?,
        }
    }
    for cutover in &status.cutovers {
        write!(to, "cutover      {}", super::cutover::text::line(cutover))?;
    }
    let plan = &status.plan;
    let (todo, barred, held) = (plan.would_do.len(), plan.not_allowed.len(), plan.held.len());
    writeln!(to, "plan         {todo} to do, {barred} not allowed, {held} held")?;
    for decision in status.decisions.iter().take(3) {
        write!(to, "{}", self::decision(decision))?;
    }
    Ok(())
}

fn head(to: &mut String, status: &ClusterStatus) -> fmt::Result {
    let region = status.region.as_deref().unwrap_or("");
    let seen = &status.seen;
    let whole = if seen.complete { "complete" } else { "INCOMPLETE" };
    let allow: Vec<_> = status.allow.iter().map(ActionKind::to_string).collect();
    write!(to, "{} {region}   observed {} s ago, {whole}", status.name, seen.age_seconds)?;
    writeln!(to, "   mode {}, allowed: {}", status.mode.effective, allow.join(" "))?;
    for gap in &seen.gaps {
        writeln!(to, "  not seen   {gap}")?;
    }
    if let Some(pause) = &status.pause {
        writeln!(to, "  PAUSED     by {} since {}: {}", pause.by, clock(pause.at), pause.reason)?;
    }
    if let Some(leader) = &status.journal.leader {
        let (owner, since) = (&leader.owner, clock(leader.since));
        writeln!(to, "  STANDS BY  {owner} leads since {since}, epoch {}", leader.epoch.0)?;
    }
    let hosts = status.host_counts;
    write!(to, "hosts        {} now ({} usable", hosts.all, hosts.usable)?;
    let others = [
        (hosts.launching, "launching"),
        (hosts.draining, "draining"),
        (hosts.agent_lost, "agent lost"),
        (hosts.other, "other"),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        write!(to, ", {count} {what}")?;
    }
    writeln!(to, ")")?;
    let tasks = status.tasks;
    write!(to, "tasks        {} running of {}", tasks.running, tasks.desired)?;
    writeln!(to, ", {} starting, {} without a host", tasks.pending, tasks.unplaced)?;
    reservation(to, status)?;
    let cost = status.cost;
    write!(to, "cost         {}", usd(cost.now_micro_usd_per_hour))?;
    write!(to, " -> {}", usd(cost.after_micro_usd_per_hour))?;
    writeln!(
        to,
        "   if everything were allowed {}   list prices",
        usd(cost.if_allowed_micro_usd_per_hour)
    )
}

fn reservation(to: &mut String, status: &ClusterStatus) -> fmt::Result {
    let of = &status.reservation;
    let percent =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |p| format!("{p:.1} %"));
    write!(to, "reservation  cpu {} of {}", percent(of.cpu_percent), of.cpu_ceiling_percent)?;
    write!(to, "   memory {} of {}", percent(of.memory_percent), of.memory_ceiling_percent)?;
    match of.largest_hole {
        Some(hole) => writeln!(to, "   largest hole {hole}"),
        None => writeln!(to),
    }
}

fn section(to: &mut String, title: &str, count: usize) -> fmt::Result {
    if count > 0 { writeln!(to, "\n{title} ({count})") } else { Ok(()) }
}

fn line(to: &mut String, action: &ActionView) -> fmt::Result {
    let sign = if action.planned.action.removes() { '-' } else { '+' };
    writeln!(to, " {sign} {}: {}", action.kind, action.text)?;
    write!(to, "      {}", action.why)?;
    match &action.needs {
        Some(needs) => writeln!(to, "   needs: {needs}"),
        None => writeln!(to),
    }
}

/// One decision in a line for each action.
pub(super) fn decision(decision: &Decision) -> String {
    let mut text = String::new();
    let at = clock(decision.at);
    for decided in &decision.actions {
        let fate = fate(&decided.fate);
        let _written = writeln!(text, "{at}  {}  {}  {fate}", decision.id, decided.text);
    }
    if decision.actions.is_empty() {
        let held = decision.holds.len();
        let _written = writeln!(text, "{at}  {}  nothing to do, {held} held", decision.id);
    }
    text
}

/// One decision with everything it rests on, ready to paste into an incident channel.
pub(super) fn explained(decision: &Decision) -> String {
    let mut text = String::new();
    let _written = write_explained(&mut text, decision);
    text
}

fn write_explained(to: &mut String, decision: &Decision) -> fmt::Result {
    writeln!(
        to,
        "{}  {} {}  mode {}",
        decision.id,
        decision.cluster,
        decision.at.to_rfc3339(),
        decision.mode
    )?;
    let saw = decision.saw;
    let whole = if saw.complete { "complete" } else { "incomplete" };
    writeln!(
        to,
        "Saw        {} hosts ({} usable), {} tasks without a host, age {} s, {whole}",
        saw.hosts, saw.usable_hosts, saw.unplaced_tasks, saw.age_seconds
    )?;
    for decided in &decision.actions {
        writeln!(to, "Action     {}  {}", decided.text, fate(&decided.fate))?;
        writeln!(to, "  because  {}", decided.why)?;
        if let Fate::Held { hold } = &decided.fate {
            writeln!(to, "  held     {}", hold.reason)?;
        }
    }
    for held in &decision.holds {
        writeln!(to, "Held       {} {}: {}", held.wants, held.subject, held.why)?;
    }
    Ok(())
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Outcome { outcome: Outcome::Done { failed, .. } } if failed.is_empty() => {
            "DONE".to_owned()
        }
        Fate::Outcome { outcome: Outcome::Done { failed, .. } } => {
            format!("DONE, {} failed", failed.len())
        }
        Fate::Outcome { outcome: Outcome::Moved { expected, found } } => {
            format!("NOT SENT: expected {expected}, found {found}")
        }
        Fate::Outcome { outcome: Outcome::Refused { failure } } => format!("REFUSED: {failure}"),
        Fate::Outcome { outcome: Outcome::InDoubt { message } } => format!("IN DOUBT: {message}"),
        Fate::Held { .. } => "HELD".to_owned(),
        Fate::NotReached => "NOT REACHED".to_owned(),
    }
}

pub(super) fn clock(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

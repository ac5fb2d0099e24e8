//! Releases as people read them at a terminal.
//!
//! Rule: pure; a line says the thing first and then why.

use std::fmt::{self, Write};

use crate::cli::text::clock;
use crate::model::{Digest, ReleaseStage};
use crate::release::told::{ReleaseTold, RevisionTold};

/// `web  deploying: 2 of 4 tasks run web:8`.
pub(super) fn standing(told: &ReleaseTold) -> String {
    let stage = told.stage.to_string().replace('_', " ");
    let tail = match (&told.verdict, told.held.first(), &told.tasks) {
        (Some(verdict), _, _) => format!(": {}", verdict.text),
        (None, Some(held), _) => format!(": {}", held.why),
        (None, None, Some(tasks)) if told.stage == ReleaseStage::Deploying => {
            format!(": {} of {} tasks run it", tasks.running, tasks.desired)
        }
        _ if told.open => format!(": waits for {}", told.waits_for),
        _ => told.history.first().map_or(String::new(), |last| format!(": {}", last.because)),
    };
    format!("{:<16} {stage}{tail}", told.service)
}

/// All of it, as far as it is remembered.
pub(super) fn status(told: &ReleaseTold) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _infallible = write_status(&mut text, told);
    text
}

fn write_status(to: &mut String, told: &ReleaseTold) -> fmt::Result {
    writeln!(to, "{}", standing(told))?;
    writeln!(to, "ordered    {} by {}: {}", clock(told.ordered_at), told.by, told.reason)?;
    writeln!(to, "image      {}", told.image)?;
    for (word, side) in [("from", &told.from), ("to", &told.to)] {
        if let Some(side) = side {
            writeln!(to, "{word:<10} {}", revision(side))?;
        }
    }
    if let Some(booked) = &told.booked {
        let there = if booked.there { "there" } else { "not there yet" };
        writeln!(to, "room       for {} more tasks, {there}", booked.tasks)?;
    }
    if let Some(tasks) = &told.tasks {
        writeln!(
            to,
            "tasks      {} of {} run the new revision, {} start, {} failed; {} run the old one",
            tasks.running, tasks.desired, tasks.pending, tasks.failed, tasks.running_before
        )?;
    }
    for next in &told.next {
        writeln!(to, "next       {}", next.text)?;
        if let Some(held) = &next.held {
            writeln!(to, "           held: {}", held.why)?;
        }
    }
    for held in &told.held {
        writeln!(to, "held       {}", held.why)?;
    }
    for moved in &told.history {
        let stage = moved.stage.to_string().replace('_', " ");
        writeln!(to, "{}   {stage}: {}", clock(moved.at), moved.because)?;
    }
    Ok(())
}

fn revision(side: &RevisionTold) -> String {
    let revision = side.revision.as_ref().map_or("a revision to come", |arn| arn.short());
    let digest = side.digest.as_ref().map_or("digest not known", Digest::short);
    format!("{revision}  {}  {digest}", side.image.repository())
}

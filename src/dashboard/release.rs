//! Releases as cards: stages as a strip, from which digest to which, counts, and the verdict.

use chrono::TimeDelta;

use super::cutover::Field;
use crate::control::status::ClusterStatus;
use crate::model::{Digest, ReleaseOrder, ReleaseStage};
use crate::release::orders::check;
use crate::release::told::{ReleaseTold, RevisionTold};

/// How long a release that is over keeps its card.
const SHOWN_FOR: TimeDelta = TimeDelta::hours(1);
/// The way forward, one field of the strip for each.
const STRIP: [ReleaseStage; 6] = [
    ReleaseStage::Ordered,
    ReleaseStage::Resolved,
    ReleaseStage::Registered,
    ReleaseStage::Booked,
    ReleaseStage::Deploying,
    ReleaseStage::Released,
];

pub(super) struct Card<'a> {
    pub(super) told: &'a ReleaseTold,
    pub(super) state: String,
    pub(super) strip: Vec<Field>,
    /// Of the tasks, those that run the new revision.
    pub(super) percent: u64,
    /// From what to what.
    pub(super) sides: Vec<String>,
    pub(super) may_abort: bool,
}

pub(super) fn cards(cluster: &ClusterStatus) -> Vec<Card<'_>> {
    let recent = |told: &&ReleaseTold| told.open || cluster.at - told.since < SHOWN_FOR;
    cluster.releases.iter().filter(recent).map(|told| card(cluster, told)).collect()
}

fn card<'a>(cluster: &ClusterStatus, told: &'a ReleaseTold) -> Card<'a> {
    let sides = [("From", &told.from), ("To", &told.to)];
    let sides = sides.into_iter().filter_map(|(word, side)| Some(revision(word, side.as_ref()?)));
    let share = |tasks: &crate::release::told::TasksTold| {
        (tasks.running * 100).checked_div(tasks.desired).unwrap_or(0).min(100)
    };
    Card {
        state: match told.asks {
            true => "waits for a person".to_owned(),
            false => super::view::words(&told.stage),
        },
        strip: strip(told),
        percent: told.tasks.as_ref().map_or(0, share),
        sides: sides.collect(),
        may_abort: check(&cluster.known_of(&told.service), &ReleaseOrder::Abort).is_ok(),
        told,
    }
}

fn revision(word: &str, side: &RevisionTold) -> String {
    let revision = side.revision.as_ref().map_or("a revision to come", |arn| arn.short());
    let digest = side.digest.as_ref().map_or("a digest not known", Digest::short);
    format!("{word} {revision} with {digest}")
}

/// The stages that were reached; one that was left for another end is marked where it stood.
fn strip(told: &ReleaseTold) -> Vec<Field> {
    let left = !STRIP.contains(&told.stage);
    let reached = told.history.iter().map(|moved| moved.stage).filter(|s| STRIP.contains(s)).max();
    let reached = reached.unwrap_or_default();
    let field = |stage: &ReleaseStage| {
        let (class, sign) = match (stage.cmp(&reached), left) {
            (std::cmp::Ordering::Less, _) => ("done", "✓"),
            (std::cmp::Ordering::Equal, true) => ("left", "✕"),
            (std::cmp::Ordering::Equal, false) if reached.is_final() => ("done", "✓"),
            (std::cmp::Ordering::Equal, false) => ("now", "▶"),
            (std::cmp::Ordering::Greater, true) => ("left", "·"),
            (std::cmp::Ordering::Greater, false) => ("ahead", "·"),
        };
        Field { word: stage.to_string(), class, sign }
    };
    STRIP.iter().map(field).collect()
}

impl Card<'_> {
    pub(super) fn verdict_class(&self) -> &'static str {
        if self.told.open { "warn" } else { "calm" }
    }
}

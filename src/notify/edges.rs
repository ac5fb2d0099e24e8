//! The edges of one cluster's status that are news, one function for each kind.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::events::{Event, Notice};
use crate::control::status::{ClusterStatus, Fate, HoldView};
use crate::cutover::told::{CutoverTold, RouteTold};
use crate::model::{Outcome, Reason, ReleaseStage, Stage};

/// How long something may be held before people hear of it.
const HELD_LONG: TimeDelta = TimeDelta::hours(1);
/// Subjects that one line names.
const NAMED_MAX: usize = 3;

pub(super) fn of_cluster(before: &ClusterStatus, now: &ClusterStatus) -> Vec<Notice> {
    let edge = |of: fn(&ClusterStatus, &ClusterStatus) -> Vec<News>| {
        let news = of(before, now).into_iter();
        news.map(|news| Notice::new(now.at, news.event, Some(&now.name), &news.about, news.text))
    };
    edge(lease)
        .chain(edge(mode))
        .chain(edge(failures))
        .chain(edge(routes))
        .chain(edge(releases))
        .chain(edge(writers))
        .chain(edge(holds))
        .collect()
}

struct News {
    event: Event,
    /// What makes a second one the same.
    about: String,
    text: String,
}

fn news(event: Event, about: impl Into<String>, text: impl Into<String>) -> News {
    News { event, about: about.into(), text: text.into() }
}

fn lease(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let (Some(was), None) = (&before.journal.leader, &now.journal.leader) else {
        return Vec::new();
    };
    let text = format!(
        "this replica leads now, in epoch {}; {} led before",
        now.journal.epoch.0, was.owner
    );
    vec![news(Event::LeaseTaken, now.journal.epoch.0.to_string(), text)]
}

fn mode(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let (was, is) = (before.mode.effective, now.mode.effective);
    if was == is {
        return Vec::new();
    }
    let text = format!(
        "{was} -> {is} (set to {}, the configuration allows {})",
        now.mode.stored, now.mode.ceiling
    );
    // Each change counts, however soon it comes after another.
    vec![news(Event::ModeChanged, now.at.to_string(), text)]
}

fn failures(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let known: BTreeSet<_> = before.decisions.iter().map(|decision| &decision.id).collect();
    let fresh = now.decisions.iter().filter(|decision| !known.contains(&decision.id));
    let decided = fresh.flat_map(|decision| &decision.actions);
    decided
        .filter_map(|decided| {
            let Fate::Outcome { outcome } = &decided.fate else { return None };
            let why = failed(outcome)?;
            let about = format!("{} {}", decided.planned.action.name(), decided.planned.subject());
            Some(news(Event::ActionFailed, about, format!("{}: {why}", decided.text)))
        })
        .collect()
}

fn failed(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Done { failed, .. } => {
            let first = failed.first()?;
            let more = failed.len() - 1;
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            Some(format!("{}: {}{rest}", first.subject, first.failure))
        }
        Outcome::Moved { .. } => None,
        Outcome::Refused { failure } => Some(failure.to_string()),
        Outcome::InDoubt { message } => Some(format!("no answer, its fate is open: {message}")),
    }
}

fn routes(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let mut all = Vec::new();
    for cutover in &now.cutovers {
        let earlier = before.cutover(&cutover.name);
        let paused = |cutover: &CutoverTold| cutover.paused.clone().filter(|it| it.by.is_none());
        if let (Some(pause), None) = (paused(cutover), earlier.and_then(paused)) {
            let text = format!("{}: {}", cutover.name, pause.because);
            all.push(news(Event::CutoverStopped, cutover.name.to_string(), text));
        }
        for route in &cutover.routes {
            let was = earlier.and_then(|cutover| cutover.route(&route.to));
            all.extend(route_news(cutover, was, route));
        }
    }
    all
}

fn route_news(cutover: &CutoverTold, was: Option<&RouteTold>, now: &RouteTold) -> Vec<News> {
    let name = format!("{}/{}", cutover.name, now.to);
    let goes_back = |stage| matches!(stage, Stage::RollingBack | Stage::RolledBack);
    let mut all = Vec::new();
    if goes_back(now.stage) && !was.is_some_and(|was| goes_back(was.stage)) {
        let because = now.because.as_deref().unwrap_or("a person ordered it");
        let text = format!("{name} goes back to {}: {because}", cutover.from);
        all.push(news(Event::RolledBack, name.clone(), text));
    }
    let promotion = |route: &RouteTold| {
        route.held.iter().find(|held| held.code == "awaits_promotion").map(|held| held.why.clone())
    };
    if let (Some(why), None) = (promotion(now), was.and_then(promotion)) {
        // Each step asks anew.
        let about = format!("{name} {}", now.step);
        all.push(news(Event::ApprovalWanted, about, format!("{name}: {why}")));
    }
    all
}

fn releases(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let goes_back = |stage| matches!(stage, ReleaseStage::RollingBack | ReleaseStage::RolledBack);
    let gone = now.releases.iter().filter(|release| {
        let was = before.release(&release.service);
        let same = was.filter(|was| was.ordered_at == release.ordered_at);
        goes_back(release.stage) && !same.is_some_and(|was| goes_back(was.stage))
    });
    gone.map(|release| {
        let why = release.verdict.as_ref().map_or("a person ordered it", |it| it.text.as_str());
        let about = format!("{} {}", release.service, release.ordered_at);
        let text = format!("{} with {}: {why}", release.service, release.image);
        news(Event::ReleaseGoneBack, about, text)
    })
    .collect()
}

fn writers(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let known = foreign(before);
    let fresh = foreign(now).into_iter().filter(|(about, _)| !known.contains_key(about));
    fresh.map(|(about, text)| news(Event::ForeignWriter, about, text)).collect()
}

/// Who else writes, with harm.
fn foreign(status: &ClusterStatus) -> BTreeMap<String, String> {
    let rivals = status.others_writing.iter();
    let harmless: BTreeSet<_> =
        rivals.clone().filter(|it| it.harmless).map(|it| &it.text).collect();
    let of_pools = status.pools.iter().flat_map(|pool| &pool.others_writing);
    let texts = of_pools.filter(|text| !harmless.contains(text));
    let texts = texts.chain(rivals.filter(|it| !it.harmless).map(|it| &it.text));
    let demoted = status.pools.iter().filter_map(|pool| {
        let because = pool.demoted.as_ref()?;
        let text = format!("{} is only watched from now on: {because}", pool.id);
        Some((format!("{} demoted", pool.id), text))
    });
    texts.map(|text| (text.clone(), text.clone())).chain(demoted).collect()
}

/// One line for all that are held for the same reason.
fn holds(before: &ClusterStatus, now: &ClusterStatus) -> Vec<News> {
    let mut long = BTreeMap::<_, Vec<&HoldView>>::new();
    for view in &now.plan.held {
        let Some(due) = view.since.map(|since| since + HELD_LONG) else { continue };
        if before.at < due && due <= now.at && !ends_by_itself(&view.hold.reason) {
            long.entry((view.wants, view.hold.reason.code())).or_default().push(view);
        }
    }
    long.into_iter()
        .map(|((wants, code), views)| {
            let named: Vec<_> =
                views.iter().take(NAMED_MAX).map(|view| view.subject.as_str()).collect();
            let more = views.len() - named.len();
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let why = views.first().map_or("", |view| view.why.as_str());
            let text = format!("{wants} of {}{rest}: {why}", named.join(", "));
            news(Event::HeldLong, format!("{wants} {code}"), text)
        })
        .collect()
}

/// Whether it is over at a known time, was ordered, or is told as something else.
fn ends_by_itself(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::ModeTooLow { .. }
            | Reason::NotAllowed
            | Reason::Window { .. }
            | Reason::Paused { .. }
            | Reason::StandsBy { .. }
            | Reason::Stabilizing { .. }
            | Reason::AfterRoute { .. }
            | Reason::AwaitsPromotion { .. }
            | Reason::CutoverPaused { .. }
            | Reason::Settling { .. }
            | Reason::Baking { .. }
            | Reason::KeptWarm { .. }
            | Reason::Retained { .. }
            | Reason::RoomBooked
            | Reason::Outranked { .. }
    )
}

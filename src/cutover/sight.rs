//! What a route does while it cannot see: nothing but going back.
//!
//! Rule: a rule read before our last write, or with something missing, says nothing of who changed
//! it and lets nothing pass. The way back does not need to be seen to be taken, only to be called
//! done.

use crate::model::{Draft, Reason, Stage, Why};

use super::Verdict;
use super::view::Route;

/// Why what was seen of load balancers cannot be relied on, if so.
pub fn blind(route: Route<'_>) -> Option<Reason> {
    let part = &route.saga.snapshot.traffic;
    let before_write = route.memory.written_at.is_some_and(|written| part.as_of <= written);
    if route.stage().is_final() || (part.gaps.is_empty() && !before_write) {
        return None;
    }
    Some(Reason::Blind {
        part: "load balancers".to_owned(),
        age_seconds: part.age(route.saga.now).num_seconds(),
        gap: part.gaps.first().map(|gap| gap.failure.clone()),
    })
}

/// Waits; or goes back, where that is the order of the day or the silence has lasted too long.
pub fn unseen(route: Route<'_>, reason: Reason, draft: &mut Draft) -> Verdict {
    if route.stage() == Stage::RollingBack {
        write_back(route, draft);
    } else if let Some(because) = silent_for_too_long(route) {
        return Verdict::Back(because);
    }
    route.hold(draft, reason);
    Verdict::Stay
}

/// Once, on what was last known: the write itself reads the rule again.
fn write_back(route: Route<'_>, draft: &mut Draft) {
    let Some((rule, wanted)) = route.rule().and_then(|r| Some((r, route.image_at(r, 0)?))) else {
        return;
    };
    let written = route.memory.written_at >= route.memory.since;
    let recorded = route.memory.recorded.as_ref();
    if written && (recorded == Some(&wanted) || recorded == route.original()) {
        return;
    }
    let because = route.memory.because.clone().unwrap_or_default();
    let why = Why::RollsBack { route: route.id(), because };
    route.saga.act(draft, route.write(rule, None, wanted), why);
}

fn silent_for_too_long(route: Route<'_>) -> Option<String> {
    let limit = route.saga.config.gates.no_data? + route.saga.config.lag() * 2;
    let judged = matches!(route.stage(), Stage::Shifting | Stage::Shifted);
    let age = route.saga.snapshot.traffic.age(route.saga.now);
    (judged && age > limit)
        .then(|| format!("load balancers were not seen for {} s", age.num_seconds()))
}

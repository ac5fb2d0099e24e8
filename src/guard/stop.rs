//! The guard's check on the stop switch in AWS.
//!
//! Rule: a switch that is set stops at once; one that has not answered for long stops what is
//! voluntary. The way back of what was begun is never voluntary.

use chrono::TimeDelta;

use super::Case;
use crate::config::Window;
use crate::model::{Action, ActionKind, HostStatus, Planned, Rank, Reason, StopMode};

/// How long a silent switch counts as one that says nothing new.
const SILENCE_MAX: TimeDelta = TimeDelta::minutes(2);

pub(super) fn switch(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    case.config.stop_parameter.as_ref()?;
    if let Some(stop) = &case.switch.stop {
        let held = stop.mode == StopMode::Observe || is_voluntary(planned);
        let (mode, because) = (stop.mode, stop.because.clone());
        return held.then_some(Reason::Stopped { mode, because });
    }
    let since = case.switch.answered_at;
    let silent = since.is_none_or(|at| case.now - at > SILENCE_MAX);
    let failure = case.switch.failure.clone();
    (silent && is_voluntary(planned)).then_some(Reason::SwitchUnread { since, failure })
}

/// Whether nothing is lost by waiting.
fn is_voluntary(planned: &Planned) -> bool {
    let gives_back = matches!(
        planned.action,
        Action::MarkHosts { mark: None, .. }
            | Action::SetHostStatus { now: HostStatus::Active, .. }
    );
    let urgent = matches!(planned.rank(), Rank::Rollback | Rank::CountUp);
    let binds = Window::binds(planned.kind) || planned.kind == ActionKind::Handover;
    binds && !gives_back && !urgent
}

//! The guard's check on what a handback writes.
//!
//! Rule: only what the handback under way still wants, as things are seen now.

use super::Case;
use crate::decide::View;
use crate::handback;
use crate::model::{ActionKind, Planned, Reason};

pub(super) fn wanted(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Case { config, snapshot, memory, now, .. } = case;
    let unwanted = planned.kind == ActionKind::Handback
        && !handback::wants(View { config, snapshot, memory, now }, planned);
    let what = || format!("no handback asks for it: {}", planned.action);
    unwanted.then(|| Reason::Outdated { what: what() })
}

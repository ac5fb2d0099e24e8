//! Hosts that EC2 takes back, or says that it might: Spot interruptions.
//!
//! Rule: from the tick that hears of it such a host is no capacity. Its tasks are demand, so its
//! replacement is ordered in the same plan as its drain. It drains at once and is marked after
//! that, the other way round than elsewhere: of two minutes none is to be lost.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::drain::batches;
use super::view::{Draft, View};
use crate::model::{
    Action, ActionKind, DrainCause, DrainMark, Fact, Host, HostStatus, InstanceId, Lifecycle,
    Origin, Planned, Subject, Warned, Warning, Why,
};

/// From the interruption notice to the end of the instance (EC2 User Guide, Spot interruption
/// notices).
const NOTICE: TimeDelta = TimeDelta::minutes(2);

/// Drains what EC2 has warned about, and remembers the warning as long as the host is there.
pub fn interruptions(view: View<'_>, draft: &mut Draft) {
    let mut drain: BTreeMap<Warned, BTreeSet<InstanceId>> = BTreeMap::new();
    let mut mark: BTreeMap<Warned, BTreeSet<InstanceId>> = BTreeMap::new();
    for (host, warned) in view.hosts().filter_map(|host| Some((host, host.warned?))) {
        if host.lifecycle == Lifecycle::Terminating {
            continue;
        }
        let fact = Fact::Warned { warning: warned.warning };
        draft.fact(Subject::Host(host.instance.clone()), fact);
        match next(host) {
            Next::Drain => _ = drain.entry(warned).or_default().insert(host.instance.clone()),
            Next::Mark => _ = mark.entry(warned).or_default().insert(host.instance.clone()),
            Next::Nothing => {}
        }
    }
    for (warned, hosts) in &drain {
        for hosts in batches(hosts, Action::DRAIN_MAX) {
            let (was, now) = (HostStatus::Active, HostStatus::Draining);
            draft.actions.push(planned(Action::SetHostStatus { hosts, was, now }, *warned));
        }
    }
    for (warned, hosts) in &mark {
        let deadline = deadline(view, *warned);
        let mark = Some(DrainMark { cause: DrainCause::Spot, deadline });
        for hosts in batches(hosts, Action::DRAIN_MAX) {
            draft.actions.push(planned(Action::MarkHosts { hosts, mark }, *warned));
        }
    }
}

enum Next {
    Drain,
    Mark,
    Nothing,
}

fn next(host: &Host) -> Next {
    match host.status {
        HostStatus::Active => Next::Drain,
        HostStatus::Draining if host.mark.is_none() => Next::Mark,
        _ => Next::Nothing,
    }
}

/// A host that is only at risk may take as long as any other drain.
fn deadline(view: View<'_>, warned: Warned) -> DateTime<Utc> {
    match warned.warning {
        Warning::Ends => warned.at + NOTICE,
        Warning::AtRisk => view.now + view.config.scale_in.drain_deadline,
    }
}

fn planned(action: Action, warned: Warned) -> Planned {
    let why = Why::Warned { warning: warned.warning, since: warned.at };
    Planned { action, kind: ActionKind::Spot, why, by: Origin::Capacity }
}

//! Attributes as they were before the first write, one request after the other for each subject.
//!
//! Rule: what is neither the first value nor one that Tidegate asked for is somebody else's: it is
//! shown and left. What was not seen is waited for, and what is gone is forgotten.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decide::View;
use crate::decide::drain::batches;
use crate::model::{
    Action, ActionKind, Attribute, GroupSettings, Handback, HealthCheck, Hold, Host, HostStatus,
    InstanceId, Lifecycle, Note, Owner, PoolId, PoolState, Reason, Rival, RuleArn, RuleImage,
    ServiceName, Subject, Suspension, Warning, Written,
};

/// What a handback still has to do, apart from cutovers, releases and what is kept for services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub actions: Vec<Action>,
    pub holds: Vec<Hold>,
    pub notes: Vec<Note>,
    /// Something could not be seen, or something else comes first.
    pub waits: bool,
}

/// Where one attribute stands.
enum Stands {
    /// As it was, or what had it is gone.
    Restored,
    Writes(Action),
    Changed {
        before: String,
        found: String,
    },
    Waits,
}

/// Everything of this handback that is not as it was.
pub fn restore(view: View<'_>, handback: &Handback) -> Left {
    let mut left = Left::default();
    hosts(view, handback, &mut left);
    let pools = view.snapshot.pools.value.keys().filter(|pool| handback.covers_pool(pool));
    let mut busy: BTreeSet<Subject> = BTreeSet::new();
    for pool in pools {
        if protection(view, pool, &mut left) {
            // Its flag goes first: a host that is launched in between would be protected again.
            busy.insert(Subject::Pool(pool.clone()));
        }
    }
    for ((subject, attribute), before) in &view.memory.originals {
        if !covers(view, handback, subject) || *attribute == Attribute::HostProtection {
            continue;
        }
        let is_flag = *attribute == Attribute::NewHostProtection;
        match stands(view, subject, *attribute, before) {
            Stands::Restored if is_flag && busy.contains(subject) => left.waits = true,
            Stands::Restored => {
                let (subject, attribute) = (subject.clone(), *attribute);
                left.notes.push(Note::Restored { subject, attribute });
            }
            Stands::Writes(action) if busy.insert(subject.clone()) || is_flag => {
                left.actions.push(action);
            }
            Stands::Writes(_) | Stands::Waits => left.waits = true,
            Stands::Changed { before, found } => {
                let what = format!("{} of {subject}", words(*attribute));
                let reason = Reason::ChangedSince { what, before, found };
                left.holds.push(Hold::new(subject.clone(), ActionKind::Handback, reason));
            }
        }
    }
    left
}

fn covers(view: View<'_>, handback: &Handback, subject: &Subject) -> bool {
    let of_cutover = |service: &ServiceName| {
        view.config.cutovers.iter().any(|cutover| {
            let mut routes = cutover.routes.iter();
            let names = cutover.from == *service || routes.any(|route| route.to == *service);
            names && handback.covers_cutover(&cutover.name)
        })
    };
    match subject {
        _ if handback.covers_cluster() => true,
        Subject::Pool(pool) => handback.covers_pool(pool),
        // One that is gone is of no pool.
        Subject::Host(host) => view.host(host).is_none_or(|host| is_in(handback, host)),
        Subject::ScalingOf(service) => of_cutover(service),
        _ => false,
    }
}

fn is_in(handback: &Handback, host: &Host) -> bool {
    match &host.pool {
        Some(pool) => handback.covers_pool(pool),
        None => handback.covers_cluster(),
    }
}

/// Hosts of ours that drain take tasks again; one that EC2 takes goes its way.
fn hosts(view: View<'_>, handback: &Handback, left: &mut Left) {
    let (mut draining, mut marked) = (BTreeSet::new(), BTreeSet::new());
    for host in view.hosts().filter(|host| is_in(handback, host)) {
        let ours = host.mark.is_some() || view.memory.drains.contains_key(&host.instance);
        let ends = host.warned.is_some_and(|warned| warned.warning == Warning::Ends);
        if !ours || ends || host.lifecycle == Lifecycle::Terminating {
            continue;
        }
        if host.status == HostStatus::Draining {
            draining.insert(host.instance.clone());
        } else if host.mark.is_some() {
            marked.insert(host.instance.clone());
        }
    }
    // Status first: while the mark stands, the host is known to be ours to reactivate.
    for hosts in batches(&draining, Action::DRAIN_MAX) {
        let (was, now) = (HostStatus::Draining, HostStatus::Active);
        left.actions.push(Action::SetHostStatus { hosts, was, now });
    }
    for hosts in batches(&marked, Action::DRAIN_MAX) {
        left.actions.push(Action::MarkHosts { hosts, mark: None });
    }
    left.waits |= !view.snapshot.hosts.gaps.is_empty();
}

/// Hosts whose protection Tidegate set, or that were launched under its flag; whether any is left.
fn protection(view: View<'_>, pool: &PoolId, left: &mut Left) -> bool {
    let flag = (Subject::Pool(pool.clone()), Attribute::NewHostProtection);
    let by_flag = view.memory.originals.get(&flag).and_then(Value::as_bool);
    let flagged_since = view.memory.written.get(&flag).map(|written| written.since);
    let mut wrong = [BTreeSet::new(), BTreeSet::new()];
    for host in view.snapshot.hosts_of(pool) {
        let key = (Subject::Host(host.instance.clone()), Attribute::HostProtection);
        let since = flagged_since.is_some_and(|since| host.launched_at >= since);
        let own = view.memory.originals.get(&key).map(|before| before.as_bool());
        let before = own.unwrap_or(by_flag.filter(|_| since));
        let settled = matches!(host.lifecycle, Lifecycle::Pending | Lifecycle::InService);
        match before.filter(|before| settled && *before != host.protected) {
            // Protection of an instance that is not in service cannot be written.
            Some(_) if host.lifecycle == Lifecycle::Pending => left.waits = true,
            Some(before) => {
                wrong[usize::from(before)].insert(host.instance.clone());
            }
            None if own.is_some() => left.notes.push(restored(&host.instance)),
            None => {}
        }
    }
    let any = wrong.iter().any(|hosts| !hosts.is_empty());
    for (hosts, now) in wrong.iter().zip([false, true]) {
        for hosts in batches(hosts, Action::PROTECT_MAX) {
            left.actions.push(Action::ProtectHosts { pool: pool.clone(), hosts, now });
        }
    }
    any || left.waits
}

fn restored(host: &InstanceId) -> Note {
    let subject = Subject::Host(host.clone());
    Note::Restored { subject, attribute: Attribute::HostProtection }
}

fn stands(view: View<'_>, subject: &Subject, attribute: Attribute, before: &Value) -> Stands {
    let written = view.memory.written.get(&(subject.clone(), attribute));
    match (attribute, subject) {
        (Attribute::NewHostProtection, Subject::Pool(pool)) => flag(view, pool, before),
        (Attribute::SuspendedProcesses, Subject::Pool(pool)) => {
            processes(view, pool, before, written)
        }
        (Attribute::Scaling, Subject::ScalingOf(service)) => {
            scaling(view, service, before, written)
        }
        (Attribute::HealthCheck | Attribute::GroupAttributes, Subject::TargetGroup(name)) => {
            group(view, name, attribute, before, written)
        }
        (Attribute::RuleActions, Subject::Rule(rule)) => rule_actions(view, rule, before, written),
        // Capacities and counts follow the load, and drains are ended beside this.
        _ => Stands::Restored,
    }
}

fn flag(view: View<'_>, id: &PoolId, before: &Value) -> Stands {
    let Some(pool) = view.snapshot.pools.value.get(id) else {
        return gone_or_unseen(view.snapshot.pools.gaps.is_empty());
    };
    let hosts = view.snapshot.hosts_of(id).filter(|host| host.lifecycle != Lifecycle::Terminating);
    let units: Vec<u32> = hosts.map(|host| pool.weight_of(&host.instance_type)).collect();
    let (sum, lightest) = (units.iter().sum::<u32>(), units.iter().min().copied());
    // A fleet that could do without a host would end it at once. A target that is no multiple of
    // the weights is passed by less than one, and that one stays.
    let fits = sum <= pool.desired.0 || sum - lightest.unwrap_or_default() < pool.desired.0;
    let seen = view.snapshot.pools.gaps.is_empty() && view.snapshot.hosts.gaps.is_empty();
    let may = pool.state == PoolState::Active && fits && seen;
    match before.as_bool() {
        // It launches and ends nothing any more.
        _ if id.is_fleet() && pool.state == PoolState::Closed => Stands::Restored,
        Some(false) if id.is_fleet() && pool.protects_new_hosts && !may => Stands::Waits,
        Some(now) if now != pool.protects_new_hosts => {
            Stands::Writes(Action::SetNewHostProtection { pool: id.clone(), was: !now, now })
        }
        _ => Stands::Restored,
    }
}

/// Each process by itself: one that somebody else suspended or resumed stays so.
fn processes(view: View<'_>, id: &PoolId, before: &Value, written: Option<&Written>) -> Stands {
    let Some(pool) = view.snapshot.pools.value.get(id) else {
        return gone_or_unseen(view.snapshot.pools.gaps.is_empty());
    };
    let before: BTreeSet<String> = read(before).unwrap_or_default();
    let ours = |name: &&String| {
        written.is_some_and(|written| written.has(&Value::from(name.as_str())))
            && !before.contains(*name)
    };
    let processes: BTreeSet<_> = pool.suspended.iter().filter(ours).cloned().collect();
    if !processes.is_empty() {
        let pool = id.clone();
        return Stands::Writes(Action::SetProcesses { pool, processes, suspended: false });
    }
    if pool.suspended == before {
        return Stands::Restored;
    }
    Stands::Changed { before: list(&before), found: list(&pool.suspended) }
}

fn scaling(
    view: View<'_>,
    service: &ServiceName,
    before: &Value,
    written: Option<&Written>,
) -> Stands {
    let rivals = &view.snapshot.rivals;
    let found = rivals.value.iter().find_map(|rival| match rival {
        Rival::ScalableTarget { service: of, suspended, .. } if of == service => Some(*suspended),
        _ => None,
    });
    let (Some(found), Some(now)) = (found, read::<Suspension>(before)) else {
        return gone_or_unseen(rivals.gaps.is_empty());
    };
    let needed = view.config.cutovers.iter().any(|cutover| {
        let open = view.memory.cutovers.get(&cutover.name).is_some_and(|memory| memory.is_open());
        open && (cutover.from == *service || cutover.routes.iter().any(|r| r.to == *service))
    });
    let action = Action::SuspendScaling { service: service.clone(), was: found, now };
    match compare(&found, &now, written, action) {
        Stands::Writes(_) if needed => Stands::Waits,
        stands => stands,
    }
}

/// One that Tidegate made is deleted with what is kept for its service.
fn group(
    view: View<'_>,
    name: &str,
    attribute: Attribute,
    before: &Value,
    written: Option<&Written>,
) -> Stands {
    let traffic = &view.snapshot.traffic;
    let mut groups = traffic.value.groups.values();
    let Some(group) = groups.find(|group| group.name == name || group.arn.short() == name) else {
        return gone_or_unseen(traffic.gaps.is_empty());
    };
    // Of a group whose attributes were not read, defaults are shown.
    if !traffic.gaps.is_empty() {
        return Stands::Waits;
    }
    let (arn, was) = (group.arn.clone(), group.settings.clone());
    match attribute {
        _ if group.owner != Owner::Other => Stands::Restored,
        Attribute::HealthCheck => {
            let Some(health_check) = read::<HealthCheck>(before) else {
                return Stands::Restored;
            };
            let found = was.health_check.clone();
            let now = GroupSettings { health_check: health_check.clone(), ..was.clone() };
            let action = Action::SetHealthCheck { group: arn, was, now };
            compare(&found, &health_check, written, action)
        }
        _ => {
            let Some(settings) = read::<GroupSettings>(before) else {
                return Stands::Restored;
            };
            // The health check is an attribute of its own.
            let with_check = |settings: GroupSettings| GroupSettings {
                health_check: was.health_check.clone(),
                ..settings
            };
            let values = written.into_iter().flat_map(|written| &written.values);
            let values = values.filter_map(|value| Some(json(&with_check(read(value)?))));
            let written =
                written.map(|known| Written { since: known.since, values: values.collect() });
            let now = with_check(settings);
            let action =
                Action::SetGroupAttributes { group: arn, was: was.clone(), now: now.clone() };
            compare(&was, &now, written.as_ref(), action)
        }
    }
}

/// An adopted rule is led back by its cutover; what is left after that is shown.
fn rule_actions(
    view: View<'_>,
    arn: &RuleArn,
    before: &Value,
    written: Option<&Written>,
) -> Stands {
    let traffic = &view.snapshot.traffic;
    let mut rules = traffic.value.listeners.values().flat_map(|listener| &listener.rules);
    let (Some(rule), Some(before)) =
        (rules.find(|rule| rule.arn == *arn), read::<RuleImage>(before))
    else {
        return gone_or_unseen(traffic.gaps.is_empty());
    };
    let ours = written.is_some_and(|written| written.has(&json(&rule.image)));
    let open = view.memory.cutovers.values().any(crate::model::CutoverMemory::is_open);
    match (rule.image == before, ours) {
        (true, _) => Stands::Restored,
        _ if open => Stands::Waits,
        // Its cutover has ended on green.
        (false, true) => Stands::Restored,
        (false, false) => {
            Stands::Changed { before: before.to_string(), found: rule.image.to_string() }
        }
    }
}

/// What is not there any more needs no restoring; what was not seen may be there.
fn gone_or_unseen(whole: bool) -> Stands {
    if whole { Stands::Restored } else { Stands::Waits }
}

fn compare<T: PartialEq + Serialize + std::fmt::Display>(
    found: &T,
    before: &T,
    written: Option<&Written>,
    action: Action,
) -> Stands {
    if found == before {
        return Stands::Restored;
    }
    if written.is_some_and(|written| written.has(&json(found))) {
        return Stands::Writes(action);
    }
    Stands::Changed { before: before.to_string(), found: found.to_string() }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn list(names: &BTreeSet<String>) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

fn words(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::DesiredCapacity => "the desired capacity",
        Attribute::NewHostProtection => "the protection of new instances",
        Attribute::HostProtection => "the protection",
        Attribute::SuspendedProcesses => "the suspended processes",
        Attribute::HostStatus => "the status",
        Attribute::DrainMark => "the drain mark",
        Attribute::DesiredCount => "the desired count",
        Attribute::Scaling => "the suspension",
        Attribute::HealthCheck => "the health check",
        Attribute::GroupAttributes => "the attributes",
        Attribute::RuleActions => "the actions",
    }
}

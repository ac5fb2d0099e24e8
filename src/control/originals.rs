//! What an attribute was before Tidegate first wrote it, so that it can be handed back.

use crate::model::{
    Action, Attribute, InstanceId, ListenerArn, Memory, Note, Owner, PoolId, RuleArn, Snapshot,
    Subject,
};

/// Notes of the values an action is the first to overwrite.
pub fn originals(snapshot: &Snapshot, memory: &Memory, action: &Action) -> Vec<Note> {
    let unknown = |(subject, attribute, _): &(Subject, Attribute, serde_json::Value)| {
        !memory.originals.contains_key(&(subject.clone(), *attribute))
    };
    let note = |(subject, attribute, value)| Note::Original { subject, attribute, value };
    written(snapshot, action).into_iter().filter(unknown).map(note).collect()
}

fn written(snapshot: &Snapshot, action: &Action) -> Vec<(Subject, Attribute, serde_json::Value)> {
    let pool = |id: &PoolId| Subject::Pool(id.clone());
    let each = |hosts: &std::collections::BTreeSet<InstanceId>,
                attribute,
                value: &dyn Fn(&InstanceId) -> serde_json::Value| {
        hosts.iter().map(|host| (Subject::Host(host.clone()), attribute, value(host))).collect()
    };
    match action {
        Action::SetPoolCapacity { pool: id, was, .. } if id.is_fleet() => {
            let seen = snapshot.pools.value.get(id);
            let keeps = seen.map(|pool| pool.protects_new_hosts);
            vec![
                (pool(id), Attribute::DesiredCapacity, was.0.into()),
                (pool(id), Attribute::NewHostProtection, keeps.into()),
            ]
        }
        Action::SetPoolCapacity { pool: id, was, .. }
        | Action::TerminateHost { pool: id, desired_was: was, .. } => {
            vec![(pool(id), Attribute::DesiredCapacity, was.0.into())]
        }
        Action::SetNewHostProtection { pool: id, was, .. } => {
            vec![(pool(id), Attribute::NewHostProtection, (*was).into())]
        }
        Action::SetProcesses { pool: id, .. } => {
            let seen = snapshot.pools.value.get(id);
            let suspended = seen.map(|pool| pool.suspended.iter().cloned().collect::<Vec<_>>());
            vec![(pool(id), Attribute::SuspendedProcesses, suspended.into())]
        }
        Action::ProtectHosts { hosts, .. } => each(hosts, Attribute::HostProtection, &|host| {
            snapshot.hosts.value.get(host).map(|host| host.protected).into()
        }),
        Action::MarkHosts { hosts, .. } => each(hosts, Attribute::DrainMark, &|host| {
            let mark = snapshot.hosts.value.get(host).and_then(|host| host.mark);
            mark.map(|mark| mark.to_string()).into()
        }),
        Action::SetHostStatus { hosts, was, .. } => {
            each(hosts, Attribute::HostStatus, &|_| format!("{was:?}").to_uppercase().into())
        }
        Action::SetServiceCount { service, was, .. } => {
            vec![(Subject::Service(service.clone()), Attribute::DesiredCount, (*was).into())]
        }
        Action::SuspendScaling { service, was, .. } => {
            let was = serde_json::json!({
                "scale_in": was.scale_in, "scale_out": was.scale_out, "scheduled": was.scheduled,
            });
            vec![(Subject::ScalingOf(service.clone()), Attribute::Scaling, was)]
        }
        Action::SetHealthCheck { group, was, .. } => {
            let subject = Subject::TargetGroup(group.short().to_owned());
            vec![(subject, Attribute::HealthCheck, as_json(&was.health_check))]
        }
        Action::SetGroupAttributes { group, was, .. } => {
            let subject = Subject::TargetGroup(group.short().to_owned());
            vec![(subject, Attribute::GroupAttributes, as_json(was))]
        }
        // Only a rule of somebody else has a state from before us.
        Action::WriteRule { rule, listener, was: Some(was), .. }
            if is_foreign(snapshot, listener, rule) =>
        {
            let subject = Subject::Rule(rule.clone());
            vec![(subject, Attribute::RuleActions, as_json(was))]
        }
        // What Tidegate itself makes has no state from before it.
        _ => Vec::new(),
    }
}

fn as_json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn is_foreign(snapshot: &Snapshot, listener: &ListenerArn, rule: &RuleArn) -> bool {
    let listener = snapshot.traffic.value.listeners.get(listener);
    let rule = listener.and_then(|l| l.rules.iter().find(|seen| seen.arn == *rule));
    rule.is_some_and(|rule| rule.owner == Owner::Other)
}

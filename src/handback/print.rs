//! A handback as commands of the AWS CLI, for the day on which no Tidegate runs.
//!
//! Rule: from the journal alone. What only AWS knows (ids of rules and container instances) is
//! looked up by the commands themselves, and every command may be given twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::{
    Attribute, ClusterName, CutoverMemory, CutoverName, DrainMark, GroupSettings, HealthCheck,
    InstanceId, Memory, PoolId, Purpose, RouteId, RuleAction, RuleImage, Scope, Side, Stage,
    Subject, Suspension, Written,
};

/// The commands, each with a comment before it, in the order in which they should be given.
pub fn commands(cluster: &ClusterName, memory: &Memory, scope: &Scope, side: Side) -> Vec<String> {
    let printer = Printer { cluster, memory };
    let mut lines = Vec::new();
    for (name, cutover) in &memory.cutovers {
        if *scope == Scope::Cluster || *scope == Scope::Cutover(name.clone()) {
            printer.cutover(name, cutover, side, &mut lines);
        }
    }
    printer.drains(scope, &mut lines);
    printer.hosts(scope, &mut lines);
    for ((subject, attribute), before) in &memory.originals {
        let of_pool =
            matches!((subject, scope), (Subject::Pool(id), Scope::Pool(pool)) if id == pool);
        if *scope == Scope::Cluster || of_pool {
            printer.attribute(subject, *attribute, before, side, &mut lines);
        }
    }
    if *scope == Scope::Cluster {
        printer.kept(&mut lines);
    }
    lines
}

#[derive(Clone, Copy)]
struct Printer<'a> {
    cluster: &'a ClusterName,
    memory: &'a Memory,
}

impl Printer<'_> {
    /// A rule of our own stands above those of others: without it they lead to blue at once.
    fn cutover(
        self,
        name: &CutoverName,
        cutover: &CutoverMemory,
        side: Side,
        lines: &mut Vec<String>,
    ) {
        let stays = |stage: Stage| {
            stage == Stage::Finalized
                || side == Side::Green && (Stage::Shifted..=Stage::Tombstoned).contains(&stage)
        };
        let back: Vec<_> = cutover.routes.iter().filter(|(_, route)| !stays(route.stage)).collect();
        if !back.is_empty() && cutover.tombstoned_at.is_some() {
            lines.push(format!("# {name}: what stands in front of the old service goes first"));
            lines.push(self.delete_rules(&format!("starts_with(Value, 'tombstone/{name}/')")));
        }
        for (to, route) in back {
            let id = RouteId { cutover: name.clone(), to: to.clone() };
            lines.push(format!("# {name}/{to} is {}: back to the old service", route.stage));
            // An adopted rule is somebody else's: its first actions are written again below.
            if route.original.is_none() {
                lines.push(self.delete_rule(&Purpose::Route(id.clone())));
            }
            lines.push(self.delete_rule(&Purpose::Probe(id)));
        }
    }

    fn drains(self, scope: &Scope, lines: &mut Vec<String>) {
        for (host, drain) in &self.memory.drains {
            if !covers(scope, &drain.pool) {
                continue;
            }
            let (cluster, arn) = (quoted(self.cluster.as_str()), self.container_instance(host));
            lines.push(format!("# {host} drains ({}): it takes tasks again", drain.mark.cause));
            lines.push(format!(
                "aws ecs update-container-instances-state --cluster {cluster} \
                 --container-instances {arn} --status ACTIVE"
            ));
            lines.push(format!(
                "aws ecs delete-attributes --cluster {cluster} --attributes \
                 name={},targetType=container-instance,targetId={arn}",
                DrainMark::ATTRIBUTE
            ));
        }
    }

    /// The journal knows hosts and not their groups: the command asks for them.
    fn hosts(self, scope: &Scope, lines: &mut Vec<String>) {
        if !matches!(scope, Scope::Cluster) {
            return;
        }
        let protection = |(key, before): (&(Subject, Attribute), &Value)| match key {
            (Subject::Host(host), Attribute::HostProtection) => {
                Some((host.clone(), before.as_bool()?))
            }
            _ => None,
        };
        for (host, before) in self.memory.originals.iter().filter_map(protection) {
            let flag = if before { "--protected" } else { "--no-protected" };
            let group = format!(
                "$(aws autoscaling describe-auto-scaling-instances --instance-ids {host} \
                 --query 'AutoScalingInstances[0].AutoScalingGroupName' --output text)"
            );
            lines
                .push(format!("# {host}: protection from scale-in as before; fails if it is gone"));
            lines.push(format!(
                "aws autoscaling set-instance-protection --auto-scaling-group-name \"{group}\" \
                 --instance-ids {host} {flag}-from-scale-in"
            ));
        }
    }

    fn attribute(
        self,
        subject: &Subject,
        attribute: Attribute,
        before: &Value,
        side: Side,
        lines: &mut Vec<String>,
    ) {
        let written = self.memory.written.get(&(subject.clone(), attribute));
        let said = match (attribute, subject) {
            (Attribute::NewHostProtection, Subject::Pool(pool)) => {
                lines.extend(launched_since(pool, before, written));
                new_hosts(pool, before)
            }
            (Attribute::SuspendedProcesses, Subject::Pool(pool)) => {
                processes(pool, before, written)
            }
            (Attribute::Scaling, Subject::ScalingOf(service)) => {
                read::<Suspension>(before).map(|before| {
                    let id = quoted(&format!("service/{}/{service}", self.cluster));
                    format!(
                        "aws application-autoscaling register-scalable-target \
                         --service-namespace ecs --resource-id {id} \
                         --scalable-dimension ecs:service:DesiredCount --suspended-state \
                         DynamicScalingInSuspended={},DynamicScalingOutSuspended={},\
                         ScheduledScalingSuspended={}",
                        before.scale_in, before.scale_out, before.scheduled
                    )
                })
            }
            (Attribute::HealthCheck, Subject::TargetGroup(name)) => health_check(name, before),
            (Attribute::GroupAttributes, Subject::TargetGroup(name)) => attributes(name, before),
            (Attribute::RuleActions, Subject::Rule(rule)) if side == Side::Blue => {
                read::<RuleImage>(before).map(|image| {
                    let actions = quoted(&actions(&image).to_string());
                    format!("aws elbv2 modify-rule --rule-arn {rule} --actions {actions}")
                })
            }
            _ => None,
        };
        if let Some(command) = said {
            lines.push(format!("# {subject}: as before the first write"));
            lines.push(command);
        }
    }

    /// Nobody is asked whether it is still used: AWS refuses to delete a group that a rule names.
    fn kept(self, lines: &mut Vec<String>) {
        for kept in self.memory.kept.keys() {
            lines.push(format!(
                "# {}: only if nothing but Tidegate leads requests to it by these",
                kept.service
            ));
            for purpose in
                [Purpose::Park(kept.service.clone()), Purpose::Service(kept.service.clone())]
            {
                lines.push(format!("# {}", self.delete_rule(&purpose)));
            }
            let group = group_arn(&kept.group);
            lines.push(format!("# aws elbv2 delete-target-group --target-group-arn {group}"));
        }
    }

    fn delete_rule(self, purpose: &Purpose) -> String {
        self.delete_rules(&format!("Value == '{purpose}'"))
    }

    /// `purposes` says in JMESPath which values of the tag are meant.
    fn delete_rules(self, purposes: &str) -> String {
        let cluster = quoted(&format!("Key={},Values={}", Purpose::CLUSTER_TAG, self.cluster));
        let tag = Purpose::TAG;
        format!(
            "aws resourcegroupstaggingapi get-resources --resource-type-filters \
             elasticloadbalancing:listener-rule/app --tag-filters {cluster} --query \
             \"ResourceTagMappingList[?Tags[?Key == '{tag}' && {purposes}]].ResourceARN\" \
             --output text | tr '\\t' '\\n' | xargs -r -n 1 aws elbv2 delete-rule --rule-arn"
        )
    }

    fn container_instance(self, host: &InstanceId) -> String {
        format!(
            "\"$(aws ecs list-container-instances --cluster {} \
             --filter 'ec2InstanceId == {host}' --query 'containerInstanceArns[0]' \
             --output text)\"",
            quoted(self.cluster.as_str())
        )
    }
}

fn covers(scope: &Scope, pool: &PoolId) -> bool {
    match scope {
        Scope::Cluster => true,
        Scope::Pool(only) => only == pool,
        Scope::Cutover(_) => false,
    }
}

fn new_hosts(pool: &PoolId, before: &Value) -> Option<String> {
    let flag = if before.as_bool()? { "--new" } else { "--no-new" };
    let group = quoted(pool.name());
    Some(format!(
        "aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group} \
         {flag}-instances-protected-from-scale-in"
    ))
}

/// Hosts that began protected because of the flag.
fn launched_since(pool: &PoolId, before: &Value, written: Option<&Written>) -> Vec<String> {
    let (Some(false), Some(written)) = (before.as_bool(), written) else {
        return Vec::new();
    };
    let (group, since) = (quoted(pool.name()), written.since.format("%Y-%m-%dT%H:%M:%S"));
    vec![
        format!("# {pool}: hosts launched since {since}Z began protected"),
        format!(
            "aws ec2 describe-instances --filters \
             Name=tag:aws:autoscaling:groupName,Values={group} \
             Name=instance-state-name,Values=running --query \
             \"Reservations[].Instances[?LaunchTime >= '{since}'][].InstanceId\" --output text \
             | tr '\\t' '\\n' | xargs -r -n 50 aws autoscaling set-instance-protection \
             --auto-scaling-group-name {group} --no-protected-from-scale-in --instance-ids"
        ),
    ]
}

fn processes(pool: &PoolId, before: &Value, written: Option<&Written>) -> Option<String> {
    let before: BTreeSet<String> = read(before).unwrap_or_default();
    let ours = written?.values.iter().filter_map(Value::as_str);
    let ours: Vec<_> = ours.filter(|name| !before.contains(*name)).collect();
    let (group, ours) = (quoted(pool.name()), (!ours.is_empty()).then(|| ours.join(" "))?);
    Some(format!(
        "aws autoscaling resume-processes --auto-scaling-group-name {group} \
         --scaling-processes {ours}"
    ))
}

fn health_check(name: &str, before: &Value) -> Option<String> {
    let check: HealthCheck = read(before)?;
    Some(format!(
        "aws elbv2 modify-target-group --target-group-arn {} --health-check-path {} \
         --matcher HttpCode={} --health-check-interval-seconds {} \
         --health-check-timeout-seconds {} --healthy-threshold-count {} \
         --unhealthy-threshold-count {}",
        group_arn(name),
        quoted(&check.path),
        quoted(&check.expect),
        check.interval_seconds,
        check.timeout_seconds,
        check.healthy_after,
        check.unhealthy_after
    ))
}

fn attributes(name: &str, before: &Value) -> Option<String> {
    let settings: GroupSettings = read(before)?;
    let mut pairs = vec![
        ("deregistration_delay.timeout_seconds", settings.deregistration_delay_seconds.to_string()),
        ("slow_start.duration_seconds", settings.slow_start_seconds.to_string()),
        ("stickiness.enabled", settings.stickiness_seconds.is_some().to_string()),
    ];
    if let Some(seconds) = settings.stickiness_seconds {
        pairs.push(("stickiness.lb_cookie.duration_seconds", seconds.to_string()));
    }
    let pairs: Vec<_> =
        pairs.iter().map(|(key, value)| format!("Key={key},Value={value}")).collect();
    let group = group_arn(name);
    Some(format!(
        "aws elbv2 modify-target-group-attributes --target-group-arn {group} --attributes {}",
        pairs.join(" ")
    ))
}

fn group_arn(name: &str) -> String {
    format!(
        "\"$(aws elbv2 describe-target-groups --names {} \
         --query 'TargetGroups[0].TargetGroupArn' --output text)\"",
        quoted(name)
    )
}

/// A rule's actions as ELB takes them (API reference, `Action`).
fn actions(image: &RuleImage) -> Value {
    let one = |(order, action): (usize, &RuleAction)| {
        let mut said = match action {
            RuleAction::Forward { weights, stickiness_seconds } => {
                forward(weights, *stickiness_seconds)
            }
            RuleAction::FixedResponse { status, content_type, body } => json!({
                "Type": "fixed-response",
                "FixedResponseConfig": {
                    "StatusCode": status.to_string(), "ContentType": content_type,
                    "MessageBody": body,
                },
            }),
            RuleAction::Redirect { status, location } => redirect(*status, location),
            RuleAction::Other { kind, json } => {
                serde_json::from_str(json).unwrap_or_else(|_| json!({ "Type": kind }))
            }
        };
        said["Order"] = (order + 1).into();
        said
    };
    image.actions.iter().enumerate().map(one).collect()
}

fn forward(
    weights: &BTreeMap<crate::model::TargetGroupArn, u32>,
    stickiness_seconds: Option<u32>,
) -> Value {
    let groups: Vec<_> = weights
        .iter()
        .map(|(group, weight)| json!({ "TargetGroupArn": group, "Weight": weight }))
        .collect();
    let mut config = json!({ "TargetGroups": groups });
    if let Some(seconds) = stickiness_seconds {
        config["TargetGroupStickinessConfig"] =
            json!({ "Enabled": true, "DurationSeconds": seconds });
    }
    json!({ "Type": "forward", "ForwardConfig": config })
}

/// `#{protocol}://#{host}:#{port}/#{path}?#{query}`.
fn redirect(status: u16, location: &str) -> Value {
    let (protocol, rest) = location.split_once("://").unwrap_or(("#{protocol}", location));
    let (authority, rest) = rest.split_once('/').unwrap_or((rest, "#{path}"));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "#{port}"));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    json!({
        "Type": "redirect",
        "RedirectConfig": {
            "Protocol": protocol, "Host": host, "Port": port, "Path": format!("/{path}"),
            "Query": query, "StatusCode": format!("HTTP_{status}"),
        },
    })
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

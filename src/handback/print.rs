//! A handback as commands of the AWS CLI, for the day on which no Tidegate runs.
//!
//! Rule: from the journal alone. What only AWS knows (ids of rules and container instances) is
//! looked up by the commands themselves, and every command may be given twice.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::actions::actions;
use crate::model::{
    Attribute, ClusterName, CutoverMemory, CutoverName, DrainMark, GroupSettings, HealthCheck,
    InstanceId, Memory, PoolId, Purpose, RouteId, RuleImage, Scope, Side, Stage, Subject,
    Suspension, Written,
};

const RULE: &str = "elasticloadbalancing:listener-rule/app";
const DELETE_RULE: &str = "aws elbv2 delete-rule --rule-arn";

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
        printer.made(&mut lines);
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
        for (to, _) in cutover.routes.iter().filter(|(_, route)| route.stage == Stage::Finalized) {
            let rule = Purpose::Route(RouteId { cutover: name.clone(), to: to.clone() });
            lines.push(format!(
                "# {name}/{to} is finalized: without its rule the old service is asked again"
            ));
            lines.push(format!("# {}", self.delete_rule(&rule)));
        }
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
            let (cluster, arns) = (quoted(self.cluster.as_str()), self.container_instance(host));
            lines.push(format!("# {host} drains ({}): it takes tasks again", drain.mark.cause));
            lines.push(format!(
                "{arns} aws ecs update-container-instances-state --cluster {cluster} \
                 --container-instances {{}} --status ACTIVE"
            ));
            lines.push(format!(
                "{arns} aws ecs delete-attributes --cluster {cluster} --attributes \
                 name={},targetType=container-instance,targetId={{}}",
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
            lines.push(format!("# {host}: protection from scale-in as before, if it is there"));
            lines.push(format!(
                "aws autoscaling describe-auto-scaling-instances --instance-ids {host} \
                 --query 'AutoScalingInstances[].AutoScalingGroupName' --output text \
                 | xargs -r -I {{}} aws autoscaling set-instance-protection \
                 --auto-scaling-group-name {{}} --instance-ids {host} {flag}-from-scale-in"
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
                lines.extend(before_flag(pool, before, written));
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

    /// Nothing goes while the group has a target, or where it is somebody else's.
    fn kept(self, lines: &mut Vec<String>) {
        for kept in self.memory.kept.keys() {
            let (group, service) = (group_arn(&kept.group), &kept.service);
            lines.push(format!(
                "# {service}: what Tidegate made for it goes, if {} has no targets",
                kept.group
            ));
            // Without an answer nothing is deleted.
            let used = format!(
                "test \"$(aws elbv2 describe-target-health --target-group-arn {group} --query \
                 'length(TargetHealthDescriptions)' --output text)\" != 0"
            );
            let rules = kept.listener.as_str().replace(":listener/", ":listener-rule/");
            let there = format!(" && starts_with(ResourceARN, '{rules}/')");
            for purpose in [Purpose::Park(service.clone()), Purpose::Service(service.clone())] {
                let delete = self.of_ours(RULE, &is(&purpose), &there, DELETE_RULE);
                lines.push(format!("{used} || {delete}"));
            }
            let purpose = is(&Purpose::Group(service.clone()));
            let there = format!(" && contains(ResourceARN, ':targetgroup/{}/')", kept.group);
            let delete = "aws elbv2 delete-target-group --target-group-arn";
            let delete = self.of_ours("elasticloadbalancing:targetgroup", &purpose, &there, delete);
            lines.push(format!("{used} || {delete}"));
        }
    }

    /// They may serve requests: only a person can say that nobody needs them.
    fn made(self, lines: &mut Vec<String>) {
        for service in self.memory.registered.keys() {
            let of = format!("--cluster {} --service {service}", quoted(self.cluster.as_str()));
            lines.push(format!("# {service} was made by Tidegate: only if nobody needs it"));
            lines.push(format!("# aws ecs update-service {of} --desired-count 0"));
            lines.push(format!("# aws ecs delete-service {of}"));
        }
    }

    fn delete_rule(self, purpose: &Purpose) -> String {
        self.delete_rules(&is(purpose))
    }

    fn delete_rules(self, purposes: &str) -> String {
        self.of_ours(RULE, purposes, "", DELETE_RULE)
    }

    /// A command for each resource of a type by its tags. `purposes` says in JMESPath which values
    /// are meant, `there` which ARNs.
    fn of_ours(self, kind: &str, purposes: &str, there: &str, command: &str) -> String {
        let cluster = quoted(&format!("Key={},Values={}", Purpose::CLUSTER_TAG, self.cluster));
        let tag = Purpose::TAG;
        format!(
            "aws resourcegroupstaggingapi get-resources --resource-type-filters {kind} \
             --tag-filters {cluster} --query \
             \"ResourceTagMappingList[?Tags[?Key == '{tag}' && {purposes}]{there}].ResourceARN\" \
             --output text | tr '\\t' '\\n' | xargs -r -n 1 {command}"
        )
    }

    /// Gives the ARN of a host to the command after it, as `{}`; nothing is done if it is gone.
    fn container_instance(self, host: &InstanceId) -> String {
        format!(
            "aws ecs list-container-instances --cluster {} --filter 'ec2InstanceId == {host}' \
             --query 'containerInstanceArns[]' --output text | xargs -r -I {{}}",
            quoted(self.cluster.as_str())
        )
    }
}

/// In JMESPath: the value of a tag is this purpose.
fn is(purpose: &Purpose) -> String {
    format!("Value == '{purpose}'")
}

fn covers(scope: &Scope, pool: &PoolId) -> bool {
    match scope {
        Scope::Cluster => true,
        Scope::Pool(only) => only == pool,
        Scope::Cutover(_) => false,
    }
}

fn new_hosts(pool: &PoolId, before: &Value) -> Option<String> {
    let before = before.as_bool()?;
    if pool.is_fleet() {
        let id = quoted(pool.name());
        let modify = "aws ec2 modify-spot-fleet-request --excess-capacity-termination-policy";
        if before {
            return Some(format!("{modify} noTermination --spot-fleet-request-id {id}"));
        }
        let none_to_end = "SpotFleetRequestConfigs[?SpotFleetRequestConfig.FulfilledCapacity <= \
                           SpotFleetRequestConfig.TargetCapacity].SpotFleetRequestId";
        return Some(format!(
            "aws ec2 describe-spot-fleet-requests --spot-fleet-request-ids {id} --query \
             '{none_to_end}' --output text | xargs -r {modify} default --spot-fleet-request-id"
        ));
    }
    let flag = if before { "--new" } else { "--no-new" };
    let group = quoted(pool.name());
    Some(format!(
        "aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group} \
         {flag}-instances-protected-from-scale-in"
    ))
}

/// What to know, and to do, before the flag: hosts that began protected because of it.
fn before_flag(pool: &PoolId, before: &Value, written: Option<&Written>) -> Vec<String> {
    let (Some(false), Some(written)) = (before.as_bool(), written) else {
        return Vec::new();
    };
    if pool.is_fleet() {
        return vec![format!(
            "# {pool}: does nothing while it has more hosts than its target, or it would end some"
        )];
    }
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

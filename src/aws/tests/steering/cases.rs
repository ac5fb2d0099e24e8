//! Each action on traffic and services, with what AWS says before, after, and when somebody was
//! there first.

use std::collections::BTreeSet;

use super::super::acting::Case;
use super::super::balancer::*;
use super::super::fake::Reply;
use super::super::*;
use crate::model::*;

pub(super) const RULES: &str = "elasticloadbalancing:DescribeRules";
pub(in crate::aws::tests) const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
pub(super) const GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";
pub(super) const SERVICES: &str = "ecs:DescribeServices";
pub(super) const TASKS: &str = "ecs:DescribeTaskDefinition";

pub(super) fn image(blue: u32, green: u32) -> RuleImage {
    let weight = |name: &str, weight| (group_arn(name).into(), weight);
    RuleImage::split([weight("blue", blue), weight("green", green)])
}

pub(super) fn route() -> Purpose {
    Purpose::Route("split/users".parse().unwrap())
}

pub(super) fn accepted() -> Reply {
    Reply::Xml(String::new())
}

/// The one service, with one field changed.
pub(super) fn services(field: &str, value: Value) -> Reply {
    Reply::Json(json!({ "services": [with(service("shop"), field, value)] }))
}

pub(super) fn gone() -> Reply {
    Reply::Json(json!({ "services": [], "failures": [{ "arn": "shop", "reason": "MISSING" }] }))
}

pub(super) fn set_count() -> Case {
    Case {
        action: Action::SetServiceCount { service: "shop".into(), was: 2, now: 5 },
        write: "ecs:UpdateService",
        accepted: Reply::Json(json!({})),
        read: SERVICES,
        before: services("desiredCount", json!(2)),
        after: services("desiredCount", json!(5)),
        moved: services("desiredCount", json!(3)),
    }
}

pub(super) fn suspend_scaling() -> Case {
    let target = |scale_in: bool, scheduled: bool| {
        let suspended = json!({
            "DynamicScalingInSuspended": scale_in, "DynamicScalingOutSuspended": false,
            "ScheduledScalingSuspended": scheduled,
        });
        Reply::Json(json!({ "ScalableTargets": [{
            "ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/web/shop", "MinCapacity": 1, "MaxCapacity": 9,
            "RoleARN": "arn:aws:iam::1:role/r", "CreationTime": 0, "SuspendedState": suspended,
        }]}))
    };
    let now = Suspension { scale_in: true, ..Suspension::default() };
    let was = Suspension::default();
    Case {
        action: Action::SuspendScaling { service: "shop".into(), was, now },
        write: "application-autoscaling:RegisterScalableTarget",
        accepted: Reply::Json(json!({})),
        read: "application-autoscaling:DescribeScalableTargets",
        before: target(false, false),
        after: target(true, false),
        moved: target(false, true),
    }
}

pub(super) const USERS_2: &str = "arn:aws:ecs:eu-west-1:1:task-definition/users:2";

pub(super) fn revision(image: &str) -> Reply {
    Reply::Json(json!({ "taskDefinition": {
        "taskDefinitionArn": USERS_2,
        "family": "users", "networkMode": "bridge", "containerDefinitions": [{
            "name": "users", "image": image, "cpu": 256, "memory": 512,
            "portMappings": [{ "containerPort": 8080, "hostPort": 0 }],
            "environment": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }],
        }],
    }}))
}

pub(super) fn register_task() -> Case {
    let task = TaskSpec::Described(TaskDescription {
        image: "users:2".to_owned(),
        cpu_units: 256,
        memory_mib: 512,
        port: 8080,
        environment: [("A", "1"), ("B", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    });
    Case {
        action: Action::RegisterTask { service: "users".into(), task },
        write: "ecs:RegisterTaskDefinition",
        accepted: Reply::Json(json!({ "taskDefinition": { "taskDefinitionArn": USERS_2 } })),
        read: TASKS,
        before: Reply::Error(400, "ClientException", "Unable to describe task definition."),
        after: revision("users:2"),
        moved: revision("users:2"),
    }
}

pub(super) fn create_service() -> Case {
    let spec = NewService {
        service: "shop".into(),
        family: "shop".to_owned(),
        count: 2,
        group: group_arn("green").into(),
        container: "shop".to_owned(),
        port: 8080,
    };
    Case {
        action: Action::CreateService { spec },
        write: "ecs:CreateService",
        accepted: Reply::Json(json!({})),
        read: SERVICES,
        before: gone(),
        after: services("desiredCount", json!(2)),
        moved: services("desiredCount", json!(2)),
    }
}

pub(super) fn attach() -> Case {
    let entry = |group: &str| json!({ "targetGroupArn": group_arn(group), "containerName": "shop", "containerPort": 80 });
    Case {
        action: Action::AttachGroup {
            service: "shop".into(),
            group: group_arn("green").into(),
            container: "shop".to_owned(),
            port: 80,
        },
        write: "ecs:UpdateService",
        accepted: Reply::Json(json!({})),
        read: SERVICES,
        before: services("loadBalancers", json!([entry("blue")])),
        after: services("loadBalancers", json!([entry("blue"), entry("green")])),
        moved: gone(),
    }
}

pub(super) fn deploy() -> Case {
    let definition = |n: u32| format!("arn:aws:ecs:eu-west-1:1:task-definition/shop:{n}");
    let of = |n| services("taskDefinition", json!(definition(n)));
    Case {
        action: Action::Deploy {
            service: "shop".into(),
            was: definition(1).into(),
            now: definition(2).into(),
            alarms: ["shop-errors".to_owned()].into(),
            back: false,
        },
        write: "ecs:UpdateService",
        accepted: Reply::Json(json!({})),
        read: SERVICES,
        before: of(1),
        after: of(2),
        moved: of(7),
    }
}

pub(super) fn settings(path: &str, delay: u32) -> GroupSettings {
    let mut settings = GroupSettings::default();
    settings.health_check.path = path.to_owned();
    settings.health_check.interval_seconds = 6;
    settings.health_check.healthy_after = 2;
    settings.deregistration_delay_seconds = delay;
    settings
}

pub(super) fn create_group() -> Case {
    let spec = TargetGroupSpec {
        name: "users".to_owned(),
        service: "users".into(),
        listener: LISTENER.into(),
        target_type: TargetType::Instance,
        settings: settings("/health", 20),
    };
    Case {
        action: Action::CreateTargetGroup { spec },
        write: "elasticloadbalancing:CreateTargetGroup",
        accepted: accepted(),
        read: GROUPS,
        before: not_found("TargetGroupNotFound"),
        after: target_groups([target_group("users", false)]),
        moved: target_groups([target_group("users", false)]),
    }
}

pub(super) fn set_health_check() -> Case {
    let at = |path: &str| target_groups([target_group("green", true).replace("/health", path)]);
    Case {
        action: Action::SetHealthCheck {
            group: group_arn("green").into(),
            was: settings("/health", 20),
            now: settings("/ready", 20),
        },
        write: "elasticloadbalancing:ModifyTargetGroup",
        accepted: accepted(),
        read: GROUPS,
        before: at("/health"),
        after: at("/ready"),
        moved: at("/"),
    }
}

pub(super) fn set_attributes() -> Case {
    Case {
        action: Action::SetGroupAttributes {
            group: group_arn("green").into(),
            was: settings("/", 300),
            now: settings("/", 20),
        },
        write: "elasticloadbalancing:ModifyTargetGroupAttributes",
        accepted: accepted(),
        read: "elasticloadbalancing:DescribeTargetGroupAttributes",
        before: attributes(300),
        after: attributes(20),
        moved: attributes(60),
    }
}

pub(super) fn create_rule() -> Case {
    let values = ["token".to_owned()].into();
    let new = rule("arn:new", "1", &forward(&[("green", 1)]));
    let taken = rule("arn:other", "1", &forward(&[("blue", 1)]));
    Case {
        action: Action::CreateRule {
            listener: LISTENER.into(),
            purpose: Purpose::Probe("split/users".parse().unwrap()),
            priority: 1,
            conditions: [Condition::Header { name: "x-probe".to_owned(), values }].into(),
            image: RuleImage::forward_to(&group_arn("green").into()),
        },
        write: "elasticloadbalancing:CreateRule",
        accepted: accepted(),
        read: RULES,
        before: rules([ours(100, 0), theirs()]),
        after: rules([new, ours(100, 0), theirs()]),
        moved: rules([taken, ours(100, 0)]),
    }
}

pub(super) fn write_rule() -> Case {
    Case {
        action: Action::WriteRule {
            listener: LISTENER.into(),
            rule: RULE.into(),
            purpose: route(),
            was: Some(image(75, 25)),
            now: image(50, 50),
        },
        write: "elasticloadbalancing:ModifyRule",
        accepted: accepted(),
        read: RULES,
        before: rules([ours(75, 25)]),
        after: rules([ours(50, 50)]),
        moved: rules([ours(90, 10)]),
    }
}

pub(super) fn roll_back() -> Case {
    Case {
        action: Action::WriteRule {
            listener: LISTENER.into(),
            rule: RULE.into(),
            purpose: route(),
            was: None,
            now: image(100, 0),
        },
        before: rules([ours(13, 87)]),
        after: rules([ours(100, 0)]),
        moved: not_found("RuleNotFound"),
        ..write_rule()
    }
}

pub(super) fn set_conditions() -> Case {
    let path = |value: &str| {
        let values = [value.to_owned()].into();
        BTreeSet::from([Condition::Path { values }])
    };
    Case {
        action: Action::SetRuleConditions {
            listener: LISTENER.into(),
            rule: RULE.into(),
            purpose: route(),
            was: path("/api/users*"),
            now: path("/api/users/*"),
        },
        write: "elasticloadbalancing:ModifyRule",
        accepted: accepted(),
        read: RULES,
        before: rules([ours_at("10", "/api/users*")]),
        after: rules([ours_at("10", "/api/users/*")]),
        moved: rules([ours_at("10", "/")]),
    }
}

pub(super) fn set_priority() -> Case {
    Case {
        action: Action::SetRulePriority {
            listener: LISTENER.into(),
            rule: RULE.into(),
            purpose: route(),
            was: 10,
            now: 7,
        },
        write: "elasticloadbalancing:SetRulePriorities",
        accepted: accepted(),
        read: RULES,
        before: rules([ours_at("10", "/"), theirs()]),
        after: rules([ours_at("7", "/"), theirs()]),
        moved: rules([ours_at("11", "/"), theirs()]),
    }
}

pub(super) fn delete_rule() -> Case {
    Case {
        action: Action::DeleteRule {
            listener: LISTENER.into(),
            rule: RULE.into(),
            purpose: route(),
            was: image(75, 25),
        },
        write: "elasticloadbalancing:DeleteRule",
        accepted: accepted(),
        read: RULES,
        before: rules([ours(75, 25)]),
        after: not_found("RuleNotFound"),
        moved: rules([ours(0, 100)]),
    }
}

pub(super) fn delete_group() -> Case {
    Case {
        action: Action::DeleteTargetGroup {
            group: group_arn("green").into(),
            service: "users".into(),
        },
        write: "elasticloadbalancing:DeleteTargetGroup",
        accepted: accepted(),
        read: GROUPS,
        before: target_groups([target_group("green", false)]),
        after: not_found("TargetGroupNotFound"),
        moved: target_groups([target_group("green", true)]),
    }
}

/// All of them. A task that is registered already is done rather than moved, and stands apart.
pub(in crate::aws::tests) fn cases() -> Vec<Case> {
    vec![
        set_count(),
        suspend_scaling(),
        create_service(),
        attach(),
        deploy(),
        create_group(),
        set_health_check(),
        set_attributes(),
        create_rule(),
        write_rule(),
        roll_back(),
        set_conditions(),
        set_priority(),
        delete_rule(),
        delete_group(),
    ]
}

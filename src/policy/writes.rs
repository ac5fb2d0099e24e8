//! What is written, on what, and why: for each action the kinds of document that hold it.

use super::scope::Part::{self, Handover, Release, RemoveHosts, ScaleOut, Traffic};
use super::table::{Asked, Grant, On, Only, Permission};

const fn write(
    action: &'static str,
    file: &'static str,
    parts: &'static [Part],
    writes: &'static str,
    why: &'static str,
) -> Permission {
    Permission { action, asked: Asked::By(file), parts, writes, why }
}

const fn with(
    action: &'static str,
    other: &'static str,
    parts: &'static [Part],
    writes: &'static str,
    why: &'static str,
) -> Permission {
    Permission { action, asked: Asked::With(other), parts, writes, why }
}

pub(super) const WRITES: &[Grant] = &[
    Grant {
        sid: "SizeGroups",
        on: &[On::Groups],
        only: &[Only::Tagged],
        actions: &[
            write(
                "autoscaling:SetDesiredCapacity",
                "aws/act_pools",
                &[ScaleOut],
                "desired capacity of the group",
                "A task fits on no host.",
            ),
            write(
                "autoscaling:SetInstanceProtection",
                "aws/act_pools",
                &[RemoveHosts, Handover],
                "scale-in protection of instances",
                "Nobody else may choose which host ends.",
            ),
            write(
                "autoscaling:TerminateInstanceInAutoScalingGroup",
                "aws/act_hosts",
                &[RemoveHosts],
                "desired capacity of the group, minus one; the instance ends",
                "A host is empty, or lost.",
            ),
            write(
                "autoscaling:SuspendProcesses",
                "aws/act_pools",
                &[Handover],
                "suspended processes of the group",
                "Alarms of managed scaling no longer act.",
            ),
            write(
                "autoscaling:ResumeProcesses",
                "aws/act_pools",
                &[Handover],
                "suspended processes of the group",
                "The way back of a handover.",
            ),
        ],
    },
    Grant {
        sid: "ProtectNewHosts",
        on: &[On::Groups],
        only: &[Only::Tagged, Only::SizesKept],
        actions: &[write(
            "autoscaling:UpdateAutoScalingGroup",
            "aws/act_pools",
            &[RemoveHosts, Handover],
            "the group's flag that new instances start protected",
            "Nobody else may choose which host ends.",
        )],
    },
    Grant {
        sid: "SizeFleets",
        on: &[On::Fleets],
        only: &[Only::Tagged],
        actions: &[write(
            "ec2:ModifySpotFleetRequest",
            "aws/act_pools",
            &[ScaleOut, RemoveHosts, Handover],
            "target capacity and excess capacity termination policy of the fleet",
            "A task fits on no host; a host of the fleet has been emptied; or it is handed back.",
        )],
    },
    Grant {
        sid: "EndFleetHosts",
        on: &[On::FleetHosts],
        only: &[Only::OfFleet],
        actions: &[write(
            "ec2:TerminateInstances",
            "aws/act_hosts",
            &[RemoveHosts],
            "the instance ends",
            "A host of a fleet is empty, or lost, and its target is lowered.",
        )],
    },
    Grant {
        sid: "DrainHosts",
        on: &[On::Hosts],
        only: &[Only::InCluster],
        actions: &[
            write(
                "ecs:PutAttributes",
                "aws/act_hosts",
                &[RemoveHosts],
                "attribute `tidegate.drain` of the container instance",
                "A drain is marked with its cause and deadline before it begins.",
            ),
            write(
                "ecs:DeleteAttributes",
                "aws/act_hosts",
                &[RemoveHosts],
                "attribute `tidegate.drain` of the container instance",
                "A drain is given up.",
            ),
            write(
                "ecs:UpdateContainerInstancesState",
                "aws/act_hosts",
                &[RemoveHosts],
                "status of the container instance, DRAINING or ACTIVE",
                "ECS moves the tasks of a host that leaves.",
            ),
        ],
    },
    Grant {
        sid: "WriteServices",
        on: &[On::Services],
        only: &[Only::InCluster],
        actions: &[
            write(
                "ecs:UpdateService",
                "aws/act_services",
                &[Traffic, Release],
                "desired count, load balancers, task definition and deployment configuration of \
                 the service",
                "A route needs more tasks or its target group; or a release brings a revision out.",
            ),
            write(
                "ecs:CreateService",
                "aws/act_services",
                &[Traffic],
                "the service",
                "A service is declared with `create` and does not exist.",
            ),
        ],
    },
    Grant {
        sid: "RegisterTasks",
        on: &[On::TaskDefinitions],
        only: &[],
        actions: &[write(
            "ecs:RegisterTaskDefinition",
            "aws/act_tasks",
            &[Traffic, Release],
            "a new revision of the task definition",
            "A revision with the image that is released, or as `create` describes it.",
        )],
    },
    Grant {
        sid: "TagTasks",
        on: &[On::TaskDefinitions],
        only: &[Only::Making("ecs:CreateAction", &["RegisterTaskDefinition"])],
        actions: &[with(
            "ecs:TagResource",
            "ecs:RegisterTaskDefinition",
            &[Release],
            "tags of a new revision",
            "A new revision has the tags of the one before.",
        )],
    },
    Grant {
        sid: "PassRoles",
        on: &[On::PassedRoles],
        only: &[Only::ToTasks],
        actions: &[with(
            "iam:PassRole",
            "ecs:RegisterTaskDefinition",
            &[Release],
            "task role and execution role of a new revision",
            "A new revision has the roles of the one before.",
        )],
    },
    Grant {
        sid: "LookAtImages",
        on: &[On::Repositories],
        only: &[],
        actions: &[write(
            "ecr:DescribeImages",
            "aws/ecr",
            &[Release],
            "",
            "What a tag means, and that the way back still has its image.",
        )],
    },
    Grant {
        sid: "SuspendScaling",
        on: &[On::ScalableTargets],
        only: &[Only::CountsOfServices],
        actions: &[write(
            "application-autoscaling:RegisterScalableTarget",
            "aws/act_services",
            &[Traffic],
            "suspended scaling in of the service's scalable target",
            "Nobody may take tasks from either side while a route moves.",
        )],
    },
    Grant {
        sid: "MakeRules",
        on: &[On::Listeners],
        only: &[Only::Tagged, Only::Labelled],
        actions: &[write(
            "elasticloadbalancing:CreateRule",
            "aws/act_rules",
            &[Traffic],
            "a rule of its own, with the tags `tidegate:purpose` and `tidegate:cluster`",
            "Routes, probes, tombstones and services have rules of their own.",
        )],
    },
    Grant {
        sid: "MakeTargetGroups",
        on: &[On::TargetGroups],
        only: &[Only::Labelled],
        actions: &[write(
            "elasticloadbalancing:CreateTargetGroup",
            "aws/act_groups",
            &[Traffic],
            "a target group, with the tags `tidegate:purpose` and `tidegate:cluster`",
            "A service has a target group of its own.",
        )],
    },
    Grant {
        sid: "LabelWhatIsMade",
        on: &[On::Rules, On::TargetGroups],
        only: &[
            Only::Making("elasticloadbalancing:CreateAction", &["CreateRule", "CreateTargetGroup"]),
            Only::Labelled,
        ],
        actions: &[with(
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateRule",
            &[Traffic],
            "tags `tidegate:purpose` and `tidegate:cluster` of what is made",
            "What is made is never there without a purpose.",
        )],
    },
    Grant {
        sid: "WriteRules",
        on: &[On::Rules],
        only: &[Only::Ours],
        actions: &[
            write(
                "elasticloadbalancing:ModifyRule",
                "aws/act_rules",
                &[Traffic],
                "actions and conditions of a rule of its own",
                "A route takes a step, or goes back.",
            ),
            write(
                "elasticloadbalancing:DeleteRule",
                "aws/act_rules",
                &[Traffic],
                "a rule of its own is gone",
                "A route has gone back, or is no longer declared.",
            ),
        ],
    },
    Grant {
        sid: "OrderRules",
        on: &[On::Rules],
        only: &[],
        actions: &[write(
            "elasticloadbalancing:SetRulePriorities",
            "aws/act_rules",
            &[Traffic],
            "priority of a rule of its own",
            "The priority of a service's rule is declared. AWS gives no tags to go by here.",
        )],
    },
    Grant {
        sid: "WriteAdoptedRules",
        on: &[On::AdoptedRules],
        only: &[],
        actions: &[write(
            "elasticloadbalancing:ModifyRule",
            "aws/act_rules",
            &[Traffic],
            "actions of the rule that `rules: { adopt: ARN }` names",
            "A cutover edits one rule in place.",
        )],
    },
    Grant {
        sid: "WriteTargetGroups",
        on: &[On::TargetGroups],
        only: &[Only::Ours],
        actions: &[
            write(
                "elasticloadbalancing:ModifyTargetGroup",
                "aws/act_groups",
                &[Traffic],
                "health check of a target group of its own",
                "It is kept as declared.",
            ),
            write(
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "aws/act_groups",
                &[Traffic],
                "deregistration delay, slow start and stickiness of a target group of its own",
                "They are kept as declared.",
            ),
            write(
                "elasticloadbalancing:DeleteTargetGroup",
                "aws/act_groups",
                &[Traffic],
                "a target group of its own is gone",
                "Its service is no longer declared.",
            ),
        ],
    },
    Grant {
        sid: "WriteDeclaredTargetGroups",
        on: &[On::DeclaredTargetGroups],
        only: &[],
        actions: &[
            write(
                "elasticloadbalancing:ModifyTargetGroup",
                "aws/act_groups",
                &[Traffic],
                "health check of a target group that `target_group` names",
                "It is kept as declared.",
            ),
            write(
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "aws/act_groups",
                &[Traffic],
                "deregistration delay, slow start and stickiness of a target group that \
                 `target_group` names",
                "They are kept as declared.",
            ),
        ],
    },
];

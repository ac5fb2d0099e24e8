//! What is read, on what, and why; and Tidegate's own state. All of it belongs to every role.

use super::scope::Part;
use super::table::{Asked, Grant, On, Only, Permission};

const fn read(action: &'static str, file: &'static str, why: &'static str) -> Permission {
    Permission { action, asked: Asked::By(file), parts: &[Part::Observe], writes: "", why }
}

const ITEMS: &str = "items of the table of journals";

/// Of what is Tidegate's own, and so never another's.
const fn own(
    action: &'static str,
    asked: Asked,
    writes: &'static str,
    why: &'static str,
) -> Permission {
    Permission { action, asked, parts: &[Part::State], writes, why }
}

pub(super) const READS: &[Grant] = &[
    Grant {
        sid: "LookAnywhere",
        on: &[On::Anything],
        only: &[],
        actions: &[
            read(
                "application-autoscaling:DescribeScalableTargets",
                "aws/scaling_targets",
                "Who else sets the counts of services.",
            ),
            read(
                "autoscaling:DescribeAutoScalingGroups",
                "aws/autoscaling",
                "Capacity, members and protection of groups.",
            ),
            read(
                "autoscaling:DescribeAutoScalingInstances",
                "aws/autoscaling",
                "Which group a host belongs to, for a first configuration.",
            ),
            read(
                "autoscaling:DescribeInstanceRefreshes",
                "aws/autoscaling",
                "Whether somebody replaces hosts of a group.",
            ),
            read(
                "autoscaling:DescribeLaunchConfigurations",
                "aws/autoscaling",
                "What a group launches.",
            ),
            read(
                "autoscaling:DescribeLifecycleHooks",
                "aws/autoscaling",
                "What waits when a host of a group ends.",
            ),
            read("autoscaling:DescribePolicies", "aws/autoscaling", "Who else scales a group."),
            read(
                "autoscaling:DescribeScheduledActions",
                "aws/autoscaling",
                "Who else scales a group.",
            ),
            read(
                "cloudwatch:GetMetricData",
                "aws/cloudwatch",
                "Errors and latency of target groups.",
            ),
            read(
                "ec2:DescribeInstanceTypes",
                "aws/ec2",
                "Sizes of types the catalogue does not know.",
            ),
            read("ec2:DescribeInstances", "aws/ec2", "Type, zone and launch time of hosts."),
            read("ec2:DescribeLaunchTemplateVersions", "aws/ec2", "What a pool launches."),
            read("ec2:DescribeSpotFleetRequests", "aws/spot_fleet", "Target and state of fleets."),
            read("ecs:DescribeTaskDefinition", "aws/ecs_tasks", "What a task needs of a host."),
            read(
                "elasticloadbalancing:DescribeListeners",
                "aws/elbv2",
                "Default action and load balancer of a listener.",
            ),
            read(
                "elasticloadbalancing:DescribeLoadBalancers",
                "aws/elbv2",
                "Where probes go, and the VPC of a new target group.",
            ),
            read(
                "elasticloadbalancing:DescribeRules",
                "aws/elbv2",
                "What a listener does with requests.",
            ),
            read("elasticloadbalancing:DescribeTags", "aws/elbv2", "Whose rules and groups are."),
            read(
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "aws/elbv2",
                "Deregistration delay, slow start and stickiness.",
            ),
            read(
                "elasticloadbalancing:DescribeTargetGroups",
                "aws/elbv2",
                "Health checks, and who uses a group.",
            ),
            read(
                "elasticloadbalancing:DescribeTargetHealth",
                "aws/elbv2",
                "How many targets are healthy.",
            ),
        ],
    },
    Grant {
        sid: "LookAtCluster",
        on: &[On::Cluster],
        only: &[],
        actions: &[
            read("ecs:DescribeClusters", "aws/ecs", "That the cluster exists, and its providers."),
            read("ecs:ListContainerInstances", "aws/ecs", "The hosts of the cluster."),
        ],
    },
    Grant {
        sid: "LookInCluster",
        on: &[On::Services, On::Tasks, On::Hosts],
        only: &[Only::InCluster],
        actions: &[
            read("ecs:DescribeContainerInstances", "aws/ecs", "What a host has and what is taken."),
            read("ecs:DescribeServices", "aws/ecs_services", "How many tasks there should be."),
            read("ecs:DescribeTasks", "aws/ecs_tasks", "Where tasks run, and why they stopped."),
            read("ecs:GetTaskProtection", "aws/ecs_tasks", "Which tasks must not be moved now."),
            read(
                "ecs:ListTasks",
                "aws/ecs_tasks",
                "The tasks of a host, and those that wait for one.",
            ),
        ],
    },
    Grant {
        sid: "LookForServices",
        on: &[On::Anything],
        only: &[Only::InCluster],
        actions: &[read("ecs:ListServices", "aws/ecs_services", "The services of the cluster.")],
    },
    Grant {
        sid: "LookAtProviders",
        on: &[On::CapacityProviders],
        only: &[],
        actions: &[read(
            "ecs:DescribeCapacityProviders",
            "aws/ecs",
            "Which groups managed scaling sizes.",
        )],
    },
    Grant {
        sid: "LookAtFleets",
        on: &[On::Fleets],
        only: &[],
        actions: &[read(
            "ec2:DescribeSpotFleetInstances",
            "aws/spot_fleet",
            "The hosts of a fleet.",
        )],
    },
    Grant {
        sid: "LookAtAlarms",
        on: &[On::Alarms],
        only: &[],
        actions: &[read("cloudwatch:DescribeAlarms", "aws/cloudwatch", "Gates that are alarms.")],
    },
    Grant {
        sid: "HearOfChanges",
        on: &[On::Queues],
        only: &[],
        actions: &[
            own(
                "sqs:ReceiveMessage",
                Asked::By("aws/queue"),
                "",
                "What EventBridge tells of the cluster.",
            ),
            own(
                "sqs:DeleteMessage",
                Asked::By("aws/queue"),
                "messages of the queue",
                "What was heard is not told again.",
            ),
        ],
    },
    Grant {
        sid: "KeepJournals",
        on: &[On::Tables],
        only: &[],
        actions: &[
            own("dynamodb:GetItem", Asked::By("aws/table"), "", "Who leads."),
            own("dynamodb:Query", Asked::By("aws/table"), "", "What was recorded."),
            own("dynamodb:PutItem", Asked::By("aws/table"), ITEMS, "The lease and records."),
            own(
                "dynamodb:ConditionCheckItem",
                Asked::With("dynamodb:PutItem"),
                "",
                "Only who leads records anything.",
            ),
            own(
                "dynamodb:DeleteItem",
                Asked::With("dynamodb:PutItem"),
                ITEMS,
                "Records before the last checkpoints.",
            ),
        ],
    },
    Grant {
        sid: "LookAtSwitch",
        on: &[On::Switches],
        only: &[],
        actions: &[read(
            "ssm:GetParameter",
            "aws/parameter",
            "Whether somebody stops it; a configuration that lies there.",
        )],
    },
    Grant {
        sid: "ReadConfiguration",
        on: &[On::Objects],
        only: &[],
        actions: &[own(
            "s3:GetObject",
            Asked::By("aws/object"),
            "",
            "A configuration that lies there.",
        )],
    },
    Grant {
        sid: "TellPeople",
        on: &[On::Topics],
        only: &[],
        actions: &[own(
            "sns:Publish",
            Asked::By("aws/topic"),
            "messages of the topic",
            "Whoever has subscribed is told of what happens.",
        )],
    },
    Grant {
        sid: "EnterScopes",
        on: &[On::AssumedRoles],
        only: &[],
        actions: &[Permission {
            action: "sts:AssumeRole",
            asked: Asked::By("aws/clients"),
            parts: &[],
            writes: "",
            why: "Clusters that have a `role_arn` are looked at and changed with that role.",
        }],
    },
];

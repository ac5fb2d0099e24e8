//! What is read, on what, and why. All of it belongs to every role.

use super::scope::Part;
use super::table::{Asked, Grant, On, Only, Permission};

const fn read(action: &'static str, file: &'static str, why: &'static str) -> Permission {
    Permission { action, asked: Asked::By(file), parts: &[Part::Observe], writes: "", why }
}

pub(super) const READS: &[Grant] = &[
    Grant {
        sid: "LookAnywhere",
        on: &[On::Anything],
        only: &[],
        actions: &[
            read(
                "application-autoscaling:DescribeScalableTargets",
                "scaling_targets",
                "Who else sets the counts of services.",
            ),
            read(
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling",
                "Capacity, members and protection of groups.",
            ),
            read(
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling",
                "Which group a host belongs to, for a first configuration.",
            ),
            read(
                "autoscaling:DescribeInstanceRefreshes",
                "autoscaling",
                "Whether somebody replaces hosts of a group.",
            ),
            read(
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling",
                "What a group launches.",
            ),
            read(
                "autoscaling:DescribeLifecycleHooks",
                "autoscaling",
                "What waits when a host of a group ends.",
            ),
            read("autoscaling:DescribePolicies", "autoscaling", "Who else scales a group."),
            read("autoscaling:DescribeScheduledActions", "autoscaling", "Who else scales a group."),
            read("cloudwatch:GetMetricData", "cloudwatch", "Errors and latency of target groups."),
            read("ec2:DescribeInstanceTypes", "ec2", "Sizes of types the catalogue does not know."),
            read("ec2:DescribeInstances", "ec2", "Type, zone and launch time of hosts."),
            read("ec2:DescribeLaunchTemplateVersions", "ec2", "What a pool launches."),
            read("ec2:DescribeSpotFleetRequests", "spot_fleet", "Target and state of fleets."),
            read("ecs:DescribeTaskDefinition", "ecs_tasks", "What a task needs of a host."),
            read(
                "elasticloadbalancing:DescribeListeners",
                "elbv2",
                "Default action and load balancer of a listener.",
            ),
            read(
                "elasticloadbalancing:DescribeLoadBalancers",
                "elbv2",
                "Where probes go, and the VPC of a new target group.",
            ),
            read(
                "elasticloadbalancing:DescribeRules",
                "elbv2",
                "What a listener does with requests.",
            ),
            read("elasticloadbalancing:DescribeTags", "elbv2", "Whose rules and groups are."),
            read(
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elbv2",
                "Deregistration delay, slow start and stickiness.",
            ),
            read(
                "elasticloadbalancing:DescribeTargetGroups",
                "elbv2",
                "Health checks, and who uses a group.",
            ),
            read(
                "elasticloadbalancing:DescribeTargetHealth",
                "elbv2",
                "How many targets are healthy.",
            ),
        ],
    },
    Grant {
        sid: "LookAtCluster",
        on: &[On::Cluster],
        only: &[],
        actions: &[
            read("ecs:DescribeClusters", "ecs", "That the cluster exists, and its providers."),
            read("ecs:ListContainerInstances", "ecs", "The hosts of the cluster."),
        ],
    },
    Grant {
        sid: "LookInCluster",
        on: &[On::Services, On::Tasks, On::Hosts],
        only: &[Only::InCluster],
        actions: &[
            read("ecs:DescribeContainerInstances", "ecs", "What a host has and what is taken."),
            read("ecs:DescribeServices", "ecs_services", "How many tasks there should be."),
            read("ecs:DescribeTasks", "ecs_tasks", "Where tasks run, and why they stopped."),
            read("ecs:GetTaskProtection", "ecs_tasks", "Which tasks must not be moved now."),
            read("ecs:ListTasks", "ecs_tasks", "The tasks of a host, and those that wait for one."),
        ],
    },
    Grant {
        sid: "LookForServices",
        on: &[On::Anything],
        only: &[Only::InCluster],
        actions: &[read("ecs:ListServices", "ecs_services", "The services of the cluster.")],
    },
    Grant {
        sid: "LookAtProviders",
        on: &[On::CapacityProviders],
        only: &[],
        actions: &[read(
            "ecs:DescribeCapacityProviders",
            "ecs",
            "Which groups managed scaling sizes.",
        )],
    },
    Grant {
        sid: "LookAtFleets",
        on: &[On::Fleets],
        only: &[],
        actions: &[read("ec2:DescribeSpotFleetInstances", "spot_fleet", "The hosts of a fleet.")],
    },
    Grant {
        sid: "LookAtAlarms",
        on: &[On::Alarms],
        only: &[],
        actions: &[read("cloudwatch:DescribeAlarms", "cloudwatch", "Gates that are alarms.")],
    },
    Grant {
        sid: "EnterScopes",
        on: &[On::AssumedRoles],
        only: &[],
        actions: &[Permission {
            action: "sts:AssumeRole",
            asked: Asked::By("clients"),
            parts: &[],
            writes: "",
            why: "Clusters that have a `role_arn` are looked at and changed with that role.",
        }],
    },
];

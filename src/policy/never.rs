//! What no role may do, whatever else it is given: every document that writes says so, and so does
//! the permissions boundary.

use super::table::{Never, Only};

pub const NEVER: &[Never] = &[
    Never {
        sid: "NeverRelabel",
        why: "The tags that say what is its own cannot be given, changed or taken away later.",
        actions: &[
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteTags",
            "ec2:CreateTags",
            "ec2:DeleteTags",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags",
        ],
        only: &[Only::OurTags, Only::Later],
    },
    Never {
        sid: "NeverDelete",
        why: "What holds everything else is never deleted.",
        actions: &[
            "autoscaling:DeleteAutoScalingGroup",
            "ec2:CancelSpotFleetRequests",
            "ecs:DeleteCluster",
            "ecs:DeleteService",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer",
        ],
        only: &[],
    },
    Never {
        sid: "NeverEndOthers",
        why: "Only instances of Spot Fleets are ended by EC2; those of groups by their group.",
        actions: &["ec2:TerminateInstances"],
        only: &[Only::OfNoFleet],
    },
];

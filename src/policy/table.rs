//! The table: every permission, what it is for, on what, and where the call is made.
//!
//! Resource types and condition keys are those of the AWS Service Authorization Reference.

use std::collections::BTreeSet;

use super::reads::READS;
use super::scope::{Part, Place};
use super::writes::WRITES;
use crate::model::Purpose;

/// Permissions on the same things under the same conditions: one statement.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    pub sid: &'static str,
    pub on: &'static [On],
    pub only: &'static [Only],
    pub actions: &'static [Permission],
}

#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// As IAM writes it: `ecs:UpdateService`.
    pub action: &'static str,
    pub asked: Asked,
    /// The documents it belongs to; none: it is of no cluster.
    pub parts: &'static [Part],
    /// The attributes it writes; empty for one that reads.
    pub writes: &'static str,
    pub why: &'static str,
}

/// What makes AWS ask for a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A call, in this file of `src`.
    By(&'static str),
    /// Another action, which AWS lets pass only with this one.
    With(&'static str),
}

/// What a permission is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// AWS knows no resources for it.
    Anything,
    Cluster,
    Services,
    Tasks,
    Hosts,
    CapacityProviders,
    TaskDefinitions,
    Groups,
    Fleets,
    FleetHosts,
    Alarms,
    /// Of events; in the configuration by URL.
    Queues,
    /// Of journals.
    Tables,
    /// Parameters that stop or configure Tidegate.
    Switches,
    /// Objects that configure it.
    Objects,
    /// That notices are published to.
    Topics,
    /// Images are also kept in other accounts and Regions.
    Repositories,
    ScalableTargets,
    Listeners,
    Rules,
    /// Rules that the configuration names to be edited in place.
    AdoptedRules,
    TargetGroups,
    /// Target groups that the configuration names, and the settings they are kept at.
    DeclaredTargetGroups,
    PassedRoles,
    AssumedRoles,
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// In this ECS cluster.
    InCluster,
    /// Made by Tidegate for this cluster.
    Ours,
    /// Tagged for this cluster by its owner. Where a configuration names things it need not be.
    Tagged,
    /// With the tags of Tidegate for this cluster, and no others.
    Labelled,
    /// As part of making it by one of these.
    Making(&'static str, &'static [&'static str]),
    /// Without a word on sizes, launching and subnets.
    SizesKept,
    /// Instances of a Spot Fleet; where a configuration names fleets, of these.
    OfFleet,
    OfNoFleet,
    CountsOfServices,
    ToTasks,
    /// On the tags that Tidegate knows things by.
    OurTags,
    /// Not as part of making something.
    Later,
}

/// What the configuration of a cluster names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub groups: BTreeSet<String>,
    pub fleets: BTreeSet<String>,
    /// ARNs.
    pub listeners: BTreeSet<String>,
    /// ARNs.
    pub adopted: BTreeSet<String>,
    pub target_groups: BTreeSet<String>,
    pub alarms: BTreeSet<String>,
    pub queues: BTreeSet<String>,
    /// By Region, where the configuration tells it.
    pub tables: BTreeSet<(Option<String>, String)>,
    /// Names of parameters.
    pub switches: BTreeSet<String>,
    /// `BUCKET/KEY`.
    pub objects: BTreeSet<String>,
    /// ARNs.
    pub topics: BTreeSet<String>,
}

/// What no role of Tidegate may do, whatever else it is given.
#[derive(Clone, Copy, Debug)]
pub struct Never {
    pub sid: &'static str,
    pub why: &'static str,
    pub actions: &'static [&'static str],
    pub only: &'static [Only],
}

/// The tag EC2 puts on the instances of a Spot Fleet.
const FLEET_TAG: &str = "aws:ResourceTag/aws:ec2spot:fleet-request-id";
/// Which request a tag is given in; absent for tags given later.
const MADE_BY: &str = "elasticloadbalancing:CreateAction";

type Condition = (&'static str, String, Vec<String>);

impl Only {
    /// Operator, key and values; a value for each of the places.
    pub(super) fn conditions(self, here: &[&Place]) -> Vec<Condition> {
        let one =
            |operator, key: &str, values: Vec<String>| vec![(operator, key.to_owned(), values)];
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let clusters = || here.iter().map(|place| place.cluster.clone()).collect();
        let cluster_tag = |of: &str| format!("aws:{of}/{}", Purpose::CLUSTER_TAG);
        match self {
            Self::InCluster => {
                let arns = here.iter();
                let arns =
                    arns.map(|place| place.arn("ecs", &format!("cluster/{}", place.cluster)));
                one("ArnEquals", "ecs:cluster", arns.collect())
            }
            Self::Tagged if here.iter().all(|place| place.named.is_some()) => Vec::new(),
            Self::Ours | Self::Tagged => {
                one("StringEquals", &cluster_tag("ResourceTag"), clusters())
            }
            Self::Labelled => {
                let keys = words(&[Purpose::TAG, Purpose::CLUSTER_TAG]);
                vec![
                    ("StringEquals", cluster_tag("RequestTag"), clusters()),
                    ("Null", format!("aws:RequestTag/{}", Purpose::TAG), words(&["false"])),
                    ("ForAllValues:StringEquals", "aws:TagKeys".to_owned(), keys),
                ]
            }
            Self::Making(key, by) => one("StringEquals", key, words(by)),
            Self::SizesKept => {
                let keys = SIZES.iter().map(|key| format!("autoscaling:{key}"));
                keys.map(|key| ("Null", key, words(&["true"]))).collect()
            }
            Self::OfFleet => {
                let fleets = here.iter().flat_map(|place| match &place.named {
                    Some(named) => named.fleets.iter().cloned().collect(),
                    None => vec!["sfr-*".to_owned()],
                });
                one("StringLike", FLEET_TAG, fleets.collect())
            }
            Self::OfNoFleet => one("Null", FLEET_TAG, words(&["true"])),
            Self::CountsOfServices => {
                [("service-namespace", "ecs"), ("scalable-dimension", "ecs:service:DesiredCount")]
                    .map(|(key, value)| {
                        ("StringEquals", format!("application-autoscaling:{key}"), words(&[value]))
                    })
                    .to_vec()
            }
            Self::ToTasks => {
                one("StringEquals", "iam:PassedToService", words(&["ecs-tasks.amazonaws.com"]))
            }
            Self::OurTags => one("ForAnyValue:StringLike", "aws:TagKeys", words(&["tidegate:*"])),
            Self::Later => one("Null", MADE_BY, words(&["true"])),
        }
    }
}

/// What else `UpdateAutoScalingGroup` could set, as far as IAM can tell.
const SIZES: [&str; 8] = [
    "CapacityReservationIds",
    "ImageId",
    "InstanceTypes",
    "LaunchConfigurationName",
    "LaunchTemplateVersionSpecified",
    "MaxSize",
    "MinSize",
    "VPCZoneIdentifiers",
];

/// All of it, reads first.
pub fn grants() -> impl Iterator<Item = &'static Grant> {
    READS.iter().chain(WRITES)
}

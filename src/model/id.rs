//! Names of things in AWS, each its own type, so that a service can never be passed for a cluster.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize, JsonSchema, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// Wraps the name as AWS spells it.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as AWS spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name)
            }
        }
    )*};
}

ids! {
    /// An ECS cluster's name (not its ARN).
    ClusterName
    /// An EC2 instance id, `i-…`. A host is known by it before it registers in ECS.
    InstanceId
    /// The ARN of an ECS container instance.
    ContainerInstanceArn
    /// An ECS service's name, unique within its cluster.
    ServiceName
    /// An ECS task's ARN.
    TaskArn
    /// An ECS task definition's ARN with its revision.
    TaskDefinitionArn
    /// An EC2 instance type such as `m6i.large`.
    InstanceType
    /// An Availability Zone's name such as `eu-west-1b`.
    Zone
    /// An ECS deployment's id.
    DeploymentId
    /// The ARN of an Application Load Balancer.
    LoadBalancerArn
    /// The ARN of one of its listeners.
    ListenerArn
    /// The ARN of a listener rule.
    RuleArn
    /// The ARN of a target group.
    TargetGroupArn
    /// A cutover's name in the configuration, unique within its cluster.
    CutoverName
    /// A container image as a container names it: repository with a tag or a digest.
    ImageName
    /// What one image is known by forever: `sha256:…`.
    Digest
}

impl TargetGroupArn {
    /// The group's name: `…:targetgroup/NAME/ID`.
    pub fn short(&self) -> &str {
        self.0.rsplit('/').nth(1).unwrap_or(&self.0)
    }
}

/// One route of a cutover: what moves to one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RouteId {
    pub cutover: CutoverName,
    /// The service that shall serve it; a cutover has one route for each.
    pub to: ServiceName,
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.cutover.as_str(), self.to.as_str()))
    }
}

impl FromStr for RouteId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((cutover, to)) if !cutover.is_empty() && !to.is_empty() => {
                Ok(Self { cutover: cutover.into(), to: to.into() })
            }
            _ => Err(format!("`{text}` is no route; write CUTOVER/SERVICE")),
        }
    }
}

impl TryFrom<String> for RouteId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RouteId> for String {
    fn from(route: RouteId) -> Self {
        route.to_string()
    }
}

impl utoipa::PartialSchema for RouteId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for RouteId {}

impl ContainerInstanceArn {
    /// The last part of the ARN, which the ECS API accepts as well.
    pub fn short(&self) -> &str {
        last_segment(&self.0)
    }
}

impl TaskArn {
    /// The last part of the ARN.
    pub fn short(&self) -> &str {
        last_segment(&self.0)
    }
}

impl TaskDefinitionArn {
    /// `family:revision`.
    pub fn short(&self) -> &str {
        last_segment(&self.0)
    }
}

fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A group of hosts that AWS keeps at a size we set: an Auto Scaling group or a Spot Fleet request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum PoolId {
    /// By the group's name.
    AutoScalingGroup(String),
    /// By the request's id, `sfr-…`.
    SpotFleet(String),
}

impl PoolId {
    /// A group of this name.
    pub fn group(name: impl Into<String>) -> Self {
        Self::AutoScalingGroup(name.into())
    }

    /// The name or id AWS knows it by.
    pub fn name(&self) -> &str {
        match self {
            Self::AutoScalingGroup(name) | Self::SpotFleet(name) => name,
        }
    }

    /// Whether it is a Spot Fleet request.
    pub fn is_fleet(&self) -> bool {
        matches!(self, Self::SpotFleet(_))
    }
}

/// `NAME` of a group, `spot-fleet/ID` of a fleet; a group's name may hold no `spot-fleet/` prefix.
impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoScalingGroup(name) => f.pad(name),
            Self::SpotFleet(id) => f.pad(&format!("spot-fleet/{id}")),
        }
    }
}

impl utoipa::PartialSchema for PoolId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for PoolId {}

impl From<PoolId> for String {
    fn from(id: PoolId) -> Self {
        id.to_string()
    }
}

impl FromStr for PoolId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("spot-fleet/") {
            Some("") => Err("a spot fleet request id is missing after `spot-fleet/`".to_owned()),
            Some(id) => Ok(Self::SpotFleet(id.to_owned())),
            None if text.is_empty() => Err("a pool's name is empty".to_owned()),
            None => Ok(Self::AutoScalingGroup(text.to_owned())),
        }
    }
}

impl TryFrom<String> for PoolId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

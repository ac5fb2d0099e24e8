//! What is to be made in AWS: target groups, task definitions and services as the operator describes
//! them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{ListenerArn, ServiceName, TargetGroupArn, TaskDefinitionArn};
use super::traffic::{GroupSettings, HealthCheck};

/// A target group to create. Its VPC is that of the listener's load balancer.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct TargetGroupSpec {
    /// At most 32 letters, digits and hyphens.
    pub name: String,
    pub service: ServiceName,
    pub listener: ListenerArn,
    /// `instance` for bridge and host networks.
    pub target_type: TargetType,
    pub settings: GroupSettings,
}

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    utoipa::ToSchema,
    strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TargetType {
    /// Bridge and host networks: the host and a port of it.
    #[default]
    Instance,
    /// `awsvpc`: the task's own address.
    Ip,
}

/// A task definition to register.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "task")]
pub enum TaskSpec {
    /// From the operator's description.
    Described(TaskDescription),
    /// An existing revision with another image in one container.
    Revised {
        of: TaskDefinitionArn,
        container: String,
        /// With its digest: a tag may move.
        image: String,
    },
}

/// One container on the bridge network with a dynamic host port.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct TaskDescription {
    pub image: String,
    pub cpu_units: u64,
    pub memory_mib: u64,
    /// The port the container listens on.
    pub port: u16,
    #[serde(default)]
    pub environment: std::collections::BTreeMap<String, String>,
}

/// A service to create.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct NewService {
    pub service: ServiceName,
    /// Family of the task definition; its latest revision is used.
    pub family: String,
    pub count: u64,
    pub group: TargetGroupArn,
    pub container: String,
    pub port: u16,
}

impl fmt::Display for TaskSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Described(task) => write!(
                f,
                "{}, {} cpu, {} MiB, port {}",
                task.image, task.cpu_units, task.memory_mib, task.port
            ),
            Self::Revised { of, image, .. } => write!(f, "{} with image {image}", of.short()),
        }
    }
}

/// `GET /health = 200 every 6 s, healthy after 2, unhealthy after 2`.
impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "GET {} = {} every {} s, healthy after {}, unhealthy after {}",
            self.path, self.expect, self.interval_seconds, self.healthy_after, self.unhealthy_after
        )
    }
}

/// What of a group is not its health check.
impl fmt::Display for GroupSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "deregistration delay {} s, slow start {} s",
            self.deregistration_delay_seconds, self.slow_start_seconds
        )?;
        match self.stickiness_seconds {
            Some(seconds) => write!(f, ", stickiness {seconds} s"),
            None => Ok(()),
        }
    }
}

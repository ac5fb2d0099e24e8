//! What one task of a task definition asks of the host it runs on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::constraint::Constraint;
use super::id::{TaskArn, TaskDefinitionArn};
use super::resources::Resources;

/// Tasks of equal shape are interchangeable for placement, so deciding works per shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskShape {
    pub needs: Resources,
    /// Fixed host ports; dynamic ones (`hostPort` 0) never collide and are left out.
    #[serde(default)]
    pub host_ports: BTreeSet<u16>,
    /// Of the task definition and, once merged by demand, of the service.
    #[serde(default)]
    pub constraints: BTreeSet<Constraint>,
}

impl TaskShape {
    /// A shape without fixed ports or constraints.
    pub fn plain(cpu_units: u64, memory_mib: u64) -> Self {
        Self { needs: Resources::new(cpu_units, memory_mib), ..Self::default() }
    }
}

/// One task on a host, as far as moving it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub arn: TaskArn,
    pub definition: TaskDefinitionArn,
    pub owner: TaskOwner,
    pub status: TaskStatus,
    /// Protected from scale-in and deployments by the task itself (`UpdateTaskProtection`).
    #[serde(default)]
    pub protected: bool,
}

/// Who starts the task again when its host goes.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskOwner {
    /// A service: its scheduler replaces the task elsewhere.
    Service(super::id::ServiceName),
    /// `RunTask` or `StartTask`: nobody replaces it. Holds the `group` AWS shows.
    Standalone(String),
}

/// The life of a task, folded to what matters for capacity and drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// `PROVISIONING` without a host: waits for capacity (managed scaling only).
    Waiting,
    /// `PROVISIONING` on a host, `PENDING` or `ACTIVATING`.
    Starting,
    Running,
    /// `DEACTIVATING`, `STOPPING`, `DEPROVISIONING`, or told to stop. Still answers requests:
    /// a host is not empty before these are gone (aws-cdk#13506).
    Stopping,
    Stopped,
}

/// Tasks of one shape that ECS holds `PROVISIONING` until a host has room (managed scaling only).
///
/// Whether a service's waiting tasks are part of its `pendingCount` is not documented, so demand
/// takes the larger of what is missing and what waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingTasks {
    pub definition: TaskDefinitionArn,
    /// The `group` AWS shows: `service:NAME` or `family:NAME`.
    pub group: String,
    pub count: u64,
    /// The Auto Scaling group of the capacity provider the task was started with.
    pub pool: Option<super::id::PoolId>,
}

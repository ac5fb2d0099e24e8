//! Edges in what was observed, written once each: they are how timers survive a crash.

use serde::{Deserialize, Serialize};

use super::action::Subject;
use super::drain::{DrainMark, DrainVerdict};
use super::id::{CutoverName, InstanceId, InstanceType, PoolId, ServiceName};
use super::kept::{KeptAt, KeptEdge};
use super::plan::HoldKey;
use super::release::ReleaseEdge;
use super::resources::Resources;
use super::route::CutoverEdge;
use super::snapshot::{Units, Warning};

/// Something that lasts and whose beginning matters.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub enum Fact {
    /// The host's tasks must be listed: it drains, is lost, or might be removable.
    Watched,
    /// The host's tasks provably fit elsewhere.
    Unneeded,
    /// The host's agent is disconnected.
    AgentLost,
    /// The host was given up: lost or unregistered for too long.
    GivenUp,
    /// EC2 has warned that it will take the host, or might.
    Warned { warning: Warning },
    /// AWS has not launched all of the pool's capacity.
    Undelivered,
    /// Tasks of the service, or of the group named, fit on no host.
    Unplaced { of: String },
    /// This intent has been observed once since it fell in doubt.
    ReadBack { intent: super::record::Seq },
    /// What is booked for the service fits on hosts that are there.
    RoomThere,
    /// A hold stands.
    Held { key: HoldKey },
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    Began {
        subject: Subject,
        what: Fact,
    },
    Ended {
        subject: Subject,
        what: Fact,
    },
    /// A pool's capacity was seen for the first time, or followed a change of ours.
    CapacitySeen {
        pool: PoolId,
        units: Units,
    },
    /// A pool's capacity is not what we or AWS left it at.
    ForeignWrite {
        pool: PoolId,
        expected: Units,
        found: Units,
    },
    /// Nothing is left to do of a handover a person ordered.
    HandedOver {
        pool: PoolId,
    },
    /// The pool may be sized but no longer written to, until a person resumes it.
    Demoted {
        pool: PoolId,
        because: String,
    },
    DrainBegan {
        host: InstanceId,
        pool: PoolId,
        mark: DrainMark,
    },
    DrainEnded {
        host: InstanceId,
        verdict: DrainVerdict,
    },
    /// What a host of this type registers.
    ShapeLearnt {
        instance_type: InstanceType,
        registers: Resources,
    },
    /// A host that never registered or lost its agent was given up.
    HostFailed {
        pool: PoolId,
        host: InstanceId,
    },
    /// A fresh host took up work: launches of this pool succeed again.
    HostServes {
        pool: PoolId,
    },
    /// The value of an attribute before Tidegate first wrote it, for `handback`.
    Original {
        subject: Subject,
        attribute: Attribute,
        value: serde_json::Value,
    },
    /// An attribute is as it was before Tidegate, or what had it is gone.
    Restored {
        subject: Subject,
        attribute: Attribute,
    },
    /// Nothing is left to write of a handback a person ordered.
    HandedBack,
    /// Two ticks were further apart on the wall clock than the interval explains.
    ClockJumped {
        by_seconds: i64,
    },
    /// An intent without outcome has been observed twice and is settled.
    DoubtSettled {
        intent: super::record::Seq,
    },
    /// What Tidegate keeps for a service on a listener began, ended or changed.
    Kept {
        #[serde(flatten)]
        at: KeptAt,
        #[serde(flatten)]
        edge: KeptEdge,
    },
    /// Something moved in a release.
    Release {
        service: ServiceName,
        #[serde(flatten)]
        edge: ReleaseEdge,
    },
    /// Something moved in a cutover.
    Cutover {
        cutover: CutoverName,
        #[serde(flatten)]
        edge: CutoverEdge,
    },
}

/// What of a resource Tidegate may change and must be able to restore.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    DesiredCapacity,
    NewHostProtection,
    HostProtection,
    SuspendedProcesses,
    HostStatus,
    DrainMark,
    DesiredCount,
    Scaling,
    HealthCheck,
    GroupAttributes,
    RuleActions,
}

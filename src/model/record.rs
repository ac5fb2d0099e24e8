//! What the journal holds: commands, notes, intents and their outcomes, and checkpoints of memory.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::action::Subject;
use super::failure::Failure;
use super::handback::{Scope, Side};
use super::id::{CutoverName, PoolId, ServiceName, TaskDefinitionArn};
use super::memory::Memory;
use super::mode::Mode;
use super::note::Note;
use super::plan::Planned;
use super::release::ReleaseOrder;
use super::route::CutoverOrder;

/// Position in the journal, from 1, without holes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// Counts the writers a cluster has had; every intent carries its writer's.
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
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A record with its place and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: Seq,
    pub epoch: Epoch,
    pub at: DateTime<Utc>,
    pub record: Record,
}

/// One fact worth surviving a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    Intent {
        planned: Planned,
    },
    Outcome {
        of: Seq,
        outcome: Outcome,
    },
    Noted {
        note: Note,
    },
    Command {
        command: Command,
    },
    Checkpoint {
        memory: Box<Memory>,
    },
    /// Written by a newer version; the cluster falls to observe until a person looks.
    #[serde(other)]
    Unknown,
}

/// What became of one AWS request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Sent, accepted and read back; some subjects of a batch may have failed.
    Done {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<SubjectFailure>,
        /// The revision that the request made, or found made already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<TaskDefinitionArn>,
    },
    /// An assumption no longer held; nothing was sent.
    Moved { expected: String, found: String },
    /// AWS answered no, or it never left; no effect.
    Refused { failure: Failure },
    /// Sent, no answer: observe before anything else on this subject.
    InDoubt { message: String },
}

/// Why an order is not taken, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub detail: String,
    pub remedy: String,
}

/// One subject of a batch that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SubjectFailure {
    pub subject: Subject,
    pub failure: Failure,
}

/// What a person ordered, with name and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Command {
    pub actor: String,
    pub reason: String,
    #[serde(flatten)]
    pub order: Order,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "order")]
pub enum Order {
    SetMode {
        mode: Mode,
    },
    Pause,
    /// Ends a pause, closes breakers and lifts the demotion of pools; of one pool where given.
    Resume {
        pool: Option<PoolId>,
    },
    /// Take these pools over from managed scaling.
    Handover {
        pools: Vec<PoolId>,
    },
    /// Let everything be as it was before Tidegate, without it from then on.
    Handback {
        scope: Scope,
        /// Where open cutovers end.
        side: Option<Side>,
    },
    /// Steer a cutover.
    Cutover {
        cutover: CutoverName,
        #[serde(flatten)]
        steer: CutoverOrder,
    },
    /// Bring a new image of a service out, or lead that back.
    Release {
        service: ServiceName,
        #[serde(flatten)]
        steer: ReleaseOrder,
    },
}

impl Outcome {
    /// All of it took effect.
    pub fn done() -> Self {
        Self::Done { failed: Vec::new(), made: None }
    }
}

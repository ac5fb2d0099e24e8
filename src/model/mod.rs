//! The nouns: plain data without I/O, clock or randomness, understood by every other room.

pub mod action;
pub mod build;
pub mod catalog;
pub mod change;
pub mod constraint;
pub mod drain;
pub mod failure;
pub mod id;
pub mod memory;
pub mod mode;
pub mod need;
pub mod note;
pub mod plan;
pub mod reason;
pub mod record;
pub mod resources;
pub mod snapshot;
pub mod task;
pub mod why;

pub use action::{Action, ActionKind, Rank, Subject};
pub use change::{Applied, Change};
pub use constraint::{Attributes, Constraint};
pub use drain::{Drain, DrainCause, DrainMark, DrainVerdict};
pub use failure::Failure;
pub use id::*;
pub use memory::{Breaker, Doubt, Memory, Pause, PoolMemory};
pub use mode::Mode;
pub use need::Need;
pub use note::{Attribute, Fact, Note};
pub use plan::{Hold, HoldKey, Origin, Plan, Planned};
pub use reason::Reason;
pub use record::{Command, Entry, Epoch, Order, Outcome, Record, Seq, SubjectFailure};
pub use resources::Resources;
pub use snapshot::*;
pub use task::{Task, TaskOwner, TaskShape, TaskStatus, WaitingTasks};
pub use why::{Rejected, Shortfall, Why};

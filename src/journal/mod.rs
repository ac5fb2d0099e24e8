//! The journal's port: intent before act, outcome after, and memory as their fold.
//!
//! Rule: only a journal makes an [`Intent`], and only of what the guard admitted.

use std::future::Future;

use crate::guard::{Admitted, Lease};
use crate::model::{Entry, Epoch, Memory, Planned, Record, Seq};

pub mod keeper;
pub mod lease;
pub mod replicated;
pub mod sqlite;
pub mod table;

pub use keeper::Keeper;
pub use lease::Holder;
pub use replicated::Replicated;
pub use sqlite::Sqlite;

/// An admitted action whose record is durable. The only thing that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    seq: Seq,
    epoch: Epoch,
    planned: Planned,
}

impl Intent {
    pub(in crate::journal) fn new(entry: &Entry, admitted: Admitted) -> Self {
        Self { seq: entry.seq, epoch: entry.epoch, planned: admitted.into_planned() }
    }

    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Of the writer that recorded it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn planned(&self) -> &Planned {
        &self.planned
    }
}

/// Why the journal cannot be used; nothing is written to AWS while it cannot.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes it.
    #[error("the journal is in use by another process ({0})")]
    InUse(String),
    /// Another replica has taken it over.
    #[error("another replica has taken the lease ({0})")]
    Deposed(String),
    /// Written by a newer version than this one.
    #[error("the journal has schema version {found}, this program knows up to {known}")]
    Newer { found: i64, known: i64 },
    /// It failed its integrity check, or a record inside it cannot be read.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The table it should be in does not exist.
    #[error("there is no DynamoDB table `{0}`")]
    NoTable(String),
    /// The disk is full, busy or failing, or the table does not answer: tried again on the next
    /// tick.
    #[error("the journal cannot be written or read: {0}")]
    Storage(String),
}

/// Whether a process may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Leads,
    /// Another replica leads, and this one waits to follow it.
    StandsBy(Holder),
}

impl Standing {
    /// Who leads instead.
    pub fn leader(&self) -> Option<&Holder> {
        match self {
            Self::Leads => None,
            Self::StandsBy(leader) => Some(leader),
        }
    }
}

/// Durable, ordered, one writer.
///
/// A write that failed may or may not have happened: `recover` must be called before the next one.
pub trait Journal: Send {
    /// Folds everything recorded into a memory. Where this process may write, that is under a new
    /// epoch, which the memory carries.
    fn recover(&mut self) -> impl Future<Output = Result<(Memory, Standing), JournalError>> + Send;

    /// Records intents in one transaction, all or none. `epoch` and time come with the call.
    fn intend(
        &mut self,
        admitted: Vec<Admitted>,
        at: chrono::DateTime<chrono::Utc>,
    ) -> impl Future<Output = Result<Vec<(Intent, Entry)>, JournalError>> + Send;

    /// Records anything but intents, in order, in one transaction. The journal may add a checkpoint
    /// of its own; it is among the entries returned.
    fn append(
        &mut self,
        records: Vec<Record>,
        at: chrono::DateTime<chrono::Utc>,
    ) -> impl Future<Output = Result<Vec<Entry>, JournalError>> + Send;

    /// The epoch this writer records under, and until when it surely is the only one.
    fn lease(&self) -> Lease;

    /// What must run beside whatever uses the journal.
    fn keeper(&self) -> Keeper;

    /// Lets another process follow at once. To be called when no request is under way any more.
    fn release(&mut self) -> impl Future<Output = ()> + Send;

    /// Keeps a decision for operators in a bounded ring beside the journal. It may be lost: a
    /// failure is logged and nothing else.
    fn keep_decision(
        &mut self,
        id: &str,
        at: chrono::DateTime<chrono::Utc>,
        decision: &serde_json::Value,
    ) -> impl Future<Output = ()> + Send;

    /// The last kept decisions, newest first.
    fn decisions(&mut self, limit: usize) -> impl Future<Output = Vec<serde_json::Value>> + Send;
}

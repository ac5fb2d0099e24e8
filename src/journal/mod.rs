//! The journal's port: intent before act, outcome after, and memory as their fold.
//!
//! Rule: only a journal makes an [`Intent`], and only of what the guard admitted.

use std::future::Future;

use crate::guard::Admitted;
use crate::model::{Entry, Epoch, Memory, Planned, Record, Seq};

pub mod lease;
pub mod sqlite;

pub use sqlite::Sqlite;

/// An admitted action whose record is durable. The only thing that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    seq: Seq,
    planned: Planned,
}

impl Intent {
    pub(in crate::journal) fn new(seq: Seq, admitted: Admitted) -> Self {
        Self { seq, planned: admitted.into_planned() }
    }

    pub fn seq(&self) -> Seq {
        self.seq
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
    /// Written by a newer version than this one.
    #[error("the journal has schema version {found}, this program knows up to {known}")]
    Newer { found: i64, known: i64 },
    /// It failed its integrity check, or a record inside it cannot be read.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The disk is full, busy or failing: tried again on the next tick.
    #[error("the journal cannot be written or read: {0}")]
    Storage(String),
}

/// Durable, ordered, one writer.
///
/// A write that failed may or may not be on disk: `recover` must be called before the next one.
pub trait Journal: Send {
    /// Folds everything recorded into a memory, under a new epoch, which the memory carries.
    fn recover(&mut self) -> impl Future<Output = Result<Memory, JournalError>> + Send;

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

    /// The epoch this writer records under.
    fn epoch(&self) -> Epoch;

    /// Keeps a decision for operators in a bounded ring beside the journal. It may be lost: a
    /// failure is logged and nothing else.
    fn keep_decision(
        &mut self,
        id: &str,
        at: chrono::DateTime<chrono::Utc>,
        decision: &serde_json::Value,
    );

    /// The last kept decisions, newest first.
    fn decisions(&self, limit: usize) -> Vec<serde_json::Value>;
}

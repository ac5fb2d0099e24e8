//! What the record asks of whatever keeps its rows: a file of one process, or a table that
//! replicas share.
//!
//! Rule: a row is added behind the one its writer knew as the last, or not at all.

use std::fmt;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::{Head, LedgerError, Sealed, TokenName};

/// What became of a row that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Row and head are there, durably.
    Added,
    /// Another one was added before it; nothing was written.
    Behind,
}

/// The answer of a store.
pub(super) type Told<'a, T> = BoxFuture<'a, Result<T, LedgerError>>;

/// Rows, which of them is the last, and when tokens were last used.
pub(super) trait Store: fmt::Debug + Send {
    /// Adds the row and makes it the head, all or none, if `last` is the head until then.
    fn put<'a>(&'a mut self, row: &'a Sealed, last: Head) -> Told<'a, Put>;

    /// Rows after this one in order, and the head they lead to.
    fn since(&mut self, seq: u64) -> Told<'_, (Vec<Sealed>, Head)>;

    fn head(&mut self) -> Told<'_, Head>;

    /// Rows before `before`, newest first.
    fn newest(&mut self, before: Option<u64>, limit: usize) -> Told<'_, Vec<Sealed>>;

    /// When a token was last used; not part of the record.
    fn used<'a>(&'a mut self, name: &'a TokenName) -> Told<'a, Option<DateTime<Utc>>>;

    fn note_use<'a>(&'a mut self, name: &'a TokenName, at: DateTime<Utc>) -> Told<'a, ()>;
}

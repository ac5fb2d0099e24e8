//! The port to a table with conditional writes: what a journal needs of DynamoDB, and no more.
//! `aws` and `sim` stand behind it.
//!
//! Rule: reads see every write that was answered; a write happens as a whole or not at all.

use std::collections::BTreeMap;
use std::future::Future;

use super::JournalError;

/// Largest number that is read, as in a SQLite file: there is always one after it.
const NUMBER_MAX: u64 = i64::MAX.cast_unsigned();

/// Where an item stands: partitions are apart, and ordered within by the bytes of `sort`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub partition: String,
    pub sort: String,
}

/// A key and what is kept under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub key: Key,
    pub fields: BTreeMap<String, Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Text(String),
    Number(u64),
    Flag(bool),
}

/// One part of a write; the others happen only if its condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replaces the whole item.
    Put {
        item: Item,
        only_if: Option<Condition>,
    },
    /// Writes nothing.
    Check {
        key: Key,
        only_if: Condition,
    },
    Delete {
        key: Key,
    },
}

/// What must be so of the item that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Absent,
    Is { field: &'static str, value: Field },
}

/// Some of the items asked for, from the first on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub items: Vec<Item>,
    /// More follow after the last of these.
    pub more: bool,
}

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A condition did not hold, and nothing was written. The item of the first such condition.
    #[error("an item of the table was not as expected")]
    Refused(Option<Item>),
    /// Nothing was written, and the same may be tried at once.
    #[error("the table is busy: {0}")]
    Busy(String),
    /// It may have happened, or may still.
    #[error("no answer from the table: {0}")]
    NoAnswer(String),
    #[error("there is no table `{0}`")]
    Missing(String),
    /// Nothing was written.
    #[error("the table cannot be used: {0}")]
    Failed(String),
}

/// A table. Calls end within a few seconds, answered or not.
pub trait Table: Send + Sync + 'static {
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, TableError>> + Send;

    /// Items of a partition with a sort key from `from` to `to`, both included, in order.
    fn page(
        &self,
        partition: &str,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Result<Page, TableError>> + Send;

    /// All of it or nothing. At most 100 parts with 4 MB together, 400 kB each, on different keys.
    /// What is sent again with the same token, of at most 36 characters, happens once, for ten
    /// minutes (`TransactWriteItems`, API reference).
    fn write(
        &self,
        token: &str,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<(), TableError>> + Send;
}

impl Item {
    pub fn new(key: Key, fields: impl IntoIterator<Item = (&'static str, Field)>) -> Self {
        let fields = fields.into_iter().map(|(name, field)| (name.to_owned(), field));
        Self { key, fields: fields.collect() }
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, JournalError> {
        match self.fields.get(name) {
            Some(Field::Text(text)) => Ok(text),
            _ => Err(self.lacks(name)),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, JournalError> {
        match self.fields.get(name) {
            Some(Field::Number(number)) if *number <= NUMBER_MAX => Ok(*number),
            _ => Err(self.lacks(name)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, JournalError> {
        match self.fields.get(name) {
            Some(Field::Flag(flag)) => Ok(*flag),
            _ => Err(self.lacks(name)),
        }
    }

    fn lacks(&self, name: &str) -> JournalError {
        JournalError::Damaged(format!("item `{}` has no good `{name}`", self.key.sort))
    }
}

impl From<TableError> for JournalError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Missing(table) => Self::NoTable(table),
            other => Self::Storage(other.to_string()),
        }
    }
}

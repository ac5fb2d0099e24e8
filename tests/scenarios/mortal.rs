//! A journal whose process dies once so many records are in it.
//!
//! Rule: cutting at a record covers both sides of every request: an intent that did not become
//! durable was never sent; an outcome that did not become durable leaves a request in doubt.

use chrono::{DateTime, Utc};
use tidegate::guard::{Admitted, Lease};
use tidegate::journal::{Intent, Journal, JournalError, Keeper, Sqlite, Standing};
use tidegate::model::{ClusterName, Entry, Memory, Record};

/// A journal whose process dies once so many records are in it.
pub(crate) struct Mortal {
    inner: Sqlite,
    records_left: usize,
}

impl Mortal {
    /// A new journal in memory, of a process that lives on.
    pub(crate) fn new(cluster: &ClusterName) -> Self {
        Self::over(Sqlite::in_memory(cluster).expect("memory is there"))
    }

    /// The same, kept elsewhere.
    pub(crate) fn over(inner: Sqlite) -> Self {
        Self { inner, records_left: usize::MAX }
    }

    /// The process dies instead of the record after so many more; the one after it lives on.
    pub(crate) fn dies_after(&mut self, records: usize) {
        self.records_left = records;
    }

    fn spend(&mut self, records: usize) -> Result<(), JournalError> {
        if records > self.records_left {
            self.records_left = 0;
            return Err(JournalError::Storage("the process died".to_owned()));
        }
        self.records_left -= records;
        Ok(())
    }
}

impl Journal for Mortal {
    async fn recover(&mut self) -> Result<(Memory, Standing), JournalError> {
        self.inner.recover().await
    }

    async fn intend(
        &mut self,
        admitted: Vec<Admitted>,
        at: DateTime<Utc>,
    ) -> Result<Vec<(Intent, Entry)>, JournalError> {
        self.spend(admitted.len())?;
        self.inner.intend(admitted, at).await
    }

    async fn append(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Entry>, JournalError> {
        self.spend(records.len())?;
        self.inner.append(records, at).await
    }

    fn lease(&self) -> Lease {
        self.inner.lease()
    }

    fn keeper(&self) -> Keeper {
        self.inner.keeper()
    }

    async fn release(&mut self) {
        self.inner.release().await;
    }

    async fn keep_decision(&mut self, id: &str, at: DateTime<Utc>, decision: &serde_json::Value) {
        self.inner.keep_decision(id, at, decision).await;
    }

    async fn decisions(&mut self, limit: usize) -> Vec<serde_json::Value> {
        self.inner.decisions(limit).await
    }
}

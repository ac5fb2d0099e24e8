//! A journal whose process dies once so many records are in it.
//!
//! Rule: cutting at a record covers both sides of every request: an intent that did not become
//! durable was never sent; an outcome that did not become durable leaves a request in doubt.

use chrono::{DateTime, Utc};
use tidegate::guard::{Admitted, Lease};
use tidegate::journal::{Intent, Journal, JournalError, Keeper, Sqlite, Standing};
use tidegate::model::{ClusterName, Entry, Memory, Record};

/// What the previous release does not read.
const LATER: &str = include_str!("../previous/later.txt");

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
        let written = self.inner.intend(admitted, at).await?;
        written.iter().for_each(|(_, entry)| is_read_by_the_previous_release(&entry.record));
        Ok(written)
    }

    async fn append(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Entry>, JournalError> {
        self.spend(records.len())?;
        let written = self.inner.append(records, at).await?;
        written.iter().for_each(|entry| is_read_by_the_previous_release(&entry.record));
        Ok(written)
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

/// Nothing is written that is only listed for later; `tests/program/previous.rs` holds the rest.
fn is_read_by_the_previous_release(record: &Record) {
    let lines = LATER.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let text = serde_json::to_string(record).expect("plain data");
        assert!(!text.contains(&written(line)), "{line}: {text}");
    }
}

/// How a line of the list looks in a record: a word, a variant by its tag, or a field.
fn written(line: &str) -> String {
    if let Some((_, word)) = line.split_once(" = ") {
        return word.to_owned();
    }
    match line.split_once(": ") {
        Some((field, _)) => {
            let name = field.rsplit('.').next().unwrap_or_default();
            format!("\"{}\":", name.trim_end_matches('?'))
        }
        None => {
            let variant = line.rsplit(' ').next().unwrap_or_default();
            format!("\"{}\"", variant.replace('=', "\":\""))
        }
    }
}

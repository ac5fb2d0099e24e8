//! Where a journal stands: the fold of all of it, and what is still there of it.
//!
//! Rule: what is read is whole: without holes, each item with its checksum, epochs that only grow.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::item::{self, Kept};
use crate::journal::JournalError;
use crate::journal::table::{Item, Key, Table};
use crate::model::{ClusterName, Entry, Epoch, Memory, Record, Seq};

/// Where the journal stands: the fold of all of it, and what is still there of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) memory: Memory,
    pub(super) checkpoint: Seq,
    pub(super) kept: VecDeque<Kept>,
}

/// Records before this one are not there.
pub(super) struct Hole(pub(super) Seq);

impl Head {
    /// Folds what was written after what is known.
    pub(super) async fn read_on(
        mut self,
        table: &impl Table,
        cluster: &ClusterName,
    ) -> Result<Result<Self, Hole>, JournalError> {
        let end = item::entry_sort(Seq(u64::MAX));
        let mut is_grounded = self.memory.seq > Seq(0);
        loop {
            let next = Seq(self.memory.seq.0 + 1);
            let page = table.page(cluster.as_str(), &item::entry_sort(next), &end).await?;
            for item in &page.items {
                let (first, next) = (item::first(item)?, Seq(self.memory.seq.0 + 1));
                is_grounded |= first == Seq(1);
                let text = text(table, cluster, item).await?;
                if (first != next && !self.kept.is_empty()) || text.is_err() {
                    return Ok(Err(Hole(first)));
                }
                for entry in item::entries(item, text.unwrap_or_default().as_deref())? {
                    is_grounded |= matches!(entry.record, Record::Checkpoint { .. });
                    self.fold(&entry)?;
                }
                self.keep(cluster, item)?;
            }
            if !page.more {
                break;
            }
        }
        if is_grounded || self.kept.is_empty() {
            return Ok(Ok(self));
        }
        Err(JournalError::Damaged(
            "the first records were pruned and no checkpoint of them can be read".to_owned(),
        ))
    }

    /// The record as the next entry, folded in.
    pub(super) fn next(
        &mut self,
        epoch: Epoch,
        at: DateTime<Utc>,
        record: Record,
    ) -> Result<Entry, JournalError> {
        let entry = Entry { seq: Seq(self.memory.seq.0 + 1), epoch, at, record };
        self.fold(&entry)?;
        Ok(entry)
    }

    fn fold(&mut self, entry: &Entry) -> Result<(), JournalError> {
        if entry.epoch < self.memory.epoch {
            let what = "written by an older writer than the one before it";
            return Err(JournalError::Damaged(format!("record {}: {what}", entry.seq.0)));
        }
        if let Record::Checkpoint { .. } = entry.record {
            self.checkpoint = entry.seq;
        }
        self.memory = std::mem::take(&mut self.memory).fold(entry);
        Ok(())
    }

    pub(super) fn keep(&mut self, cluster: &ClusterName, item: &Item) -> Result<(), JournalError> {
        let mut keys: Vec<_> = item::part_keys(cluster, item)?.collect();
        keys.push(item.key.clone());
        self.kept.push_back(Kept { last: self.memory.seq, keys });
        Ok(())
    }
}

/// The text of an item that lies in parts, or which of them is missing.
async fn text(
    table: &impl Table,
    cluster: &ClusterName,
    item: &Item,
) -> Result<Result<Option<String>, Key>, JournalError> {
    let mut text = None;
    for key in item::part_keys(cluster, item)? {
        match table.get(&key).await? {
            Some(part) => text.get_or_insert_with(String::new).push_str(item::text(&part)?),
            None => return Ok(Err(key)),
        }
    }
    Ok(Ok(text))
}

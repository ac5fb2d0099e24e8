//! The journal in a table that several replicas share: one of them leads, by the lease, and the
//! others follow what it writes.
//!
//! Rule: every transaction holds only if the lease still has our epoch, so a replica that was
//! deposed records nothing, and so acts on nothing. A reply that was lost is settled by writing the
//! same again and reading what is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::lease::Tenure;
use super::table::{Table, Write};
use super::{Intent, Journal, JournalError, Keeper, Standing};
use crate::guard::{Admitted, Lease};
use crate::model::{ClusterName, Command, Entry, Epoch, Memory, Mode, Moment, Order, Record, Seq};

mod head;
mod item;
mod line;

use head::{Head, Hole};
use item::Batch;
use line::Line;

/// Attempts of one write before its fate is left open, and of taking the lease.
const ATTEMPTS: u32 = 3;
/// Items deleted in one transaction.
const DELETES_AT_ONCE: usize = 50;

/// How often memory is written down whole, and how much of the past stays readable.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Records between two checkpoints: so many are folded by whoever takes over.
    checkpoint_every: u64,
    /// Records kept before the last checkpoint; at least `checkpoint_every`, so that the
    /// checkpoint before the last one is still there.
    keep: u64,
    /// Decisions kept in the ring.
    decisions: u64,
}

const LIMITS: Limits = Limits { checkpoint_every: 500, keep: 2_000, decisions: 200 };

/// How the journal is told the time.
pub type Now = Arc<dyn Fn() -> Moment + Send + Sync>;

/// One cluster's journal in its own partition of a table.
pub struct Replicated<T> {
    line: Arc<Line<T>>,
    limits: Limits,
    /// Everything folded so far; begun anew after a write whose fate is unknown.
    head: Head,
    /// Ours since the last `recover`; `None`: nothing may be written.
    epoch: Option<Epoch>,
    /// Number of the next decision; `None`: the ring was not read yet.
    next_decision: Option<u64>,
}

impl<T: Table> Replicated<T> {
    /// The journal of a cluster in this table. `owner` must be of this process alone; `now` tells
    /// the time. Makes no call yet.
    pub fn new(table: T, cluster: ClusterName, owner: &str, lease: Duration, now: Now) -> Self {
        let line = Line::new(table, cluster, Tenure::new(owner, lease), now);
        let (line, head) = (Arc::new(line), Head::default());
        Self { line, limits: LIMITS, head, epoch: None, next_decision: None }
    }

    /// The same, reached by others at this address.
    #[must_use]
    pub fn reached_at(self, address: Option<String>) -> Self {
        self.line.tenure().reached_at(address);
        self
    }

    /// What a journal remembers, read beside whoever writes it; `None`: there is none.
    ///
    /// # Errors
    /// As of `recover`.
    pub async fn peek(table: &T, cluster: &ClusterName) -> Result<Option<Memory>, JournalError> {
        let mut found = Head::default().read_on(table, cluster).await?;
        if found.is_err() {
            // Pruned meanwhile.
            found = Head::default().read_on(table, cluster).await?;
        }
        let head = found.map_err(missing)?;
        Ok(Some(head.memory).filter(|memory| memory.seq > Seq(0)))
    }

    /// Takes the lease under an epoch higher than all known ones.
    async fn take(&mut self) -> Result<Standing, JournalError> {
        let held = self.line.tenure().epoch().unwrap_or_default();
        let mut above = held.max(self.head.memory.epoch);
        self.epoch = None;
        for _ in 0..ATTEMPTS {
            match self.line.acquire(above).await? {
                Err(holder) => {
                    self.follow().await?;
                    return Ok(Standing::StandsBy(holder));
                }
                Ok(Some((epoch, _))) if epoch <= above => {}
                Ok(Some((epoch, noted))) => {
                    self.follow().await?;
                    // The item was lost and its epochs began anew: above all that wrote here.
                    if self.head.memory.epoch < epoch {
                        self.epoch = Some(epoch);
                        self.doubt_what_is_missing(noted).await?;
                        return Ok(Standing::Leads);
                    }
                    above = self.head.memory.epoch;
                }
                Ok(None) => {}
            }
        }
        Err(JournalError::Storage("its lease could not be taken".to_owned()))
    }

    /// Folds what was written since the last time; all of it anew, where records are missing: the
    /// replica that leads may have pruned them meanwhile.
    async fn follow(&mut self) -> Result<(), JournalError> {
        let Line { table, cluster, .. } = &*self.line;
        let mut found = self.head.clone().read_on(table, cluster).await?;
        if found.is_err() {
            found = Head::default().read_on(table, cluster).await?;
        }
        self.head = found.map_err(missing)?;
        self.line.seq.store(self.head.memory.seq.0, Ordering::Relaxed);
        Ok(())
    }

    /// A table that was put back to an earlier state, or that somebody deleted from: what is left
    /// may permit what was long forbidden. Only a person may raise the mode again.
    async fn doubt_what_is_missing(&mut self, noted: Seq) -> Result<(), JournalError> {
        let found = self.head.memory.seq;
        if found >= noted {
            return Ok(());
        }
        let reason = format!("records {} to {} of the journal are missing", found.0 + 1, noted.0);
        tracing::error!(cluster = %self.line.cluster, reason, "the mode is lowered to observe");
        let order = Order::SetMode { mode: Mode::Observe };
        let command = Command { actor: "tidegate".to_owned(), reason, order };
        let at = (self.line.now)().wall;
        self.write(vec![Record::Command { command }], at, Checkpoint::Later).await.map(|_| ())
    }

    /// Nothing can be written after it failed, until `recover` has found out how it ended.
    async fn write(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
        checkpoint: Checkpoint,
    ) -> Result<Vec<Entry>, JournalError> {
        let unread = || JournalError::Storage("it must be recovered before it is written".into());
        let epoch = self.epoch.take().ok_or_else(unread)?;
        let mut head = std::mem::take(&mut self.head);
        let mut entries = Vec::with_capacity(records.len() + 1);
        for record in records {
            entries.push(head.next(epoch, at, record)?);
        }
        let due = head.memory.seq.0 - head.checkpoint.0 >= self.limits.checkpoint_every
            && head.memory.is_whole();
        let is_due = checkpoint == Checkpoint::WhenDue && due;
        if is_due {
            let memory = Box::new(head.memory.clone());
            entries.push(head.next(epoch, at, Record::Checkpoint { memory })?);
        }
        let batch = Batch::new(&self.line.cluster, &entries)?;
        for parts in &batch.parts {
            self.line.send(epoch, parts).await?;
        }
        if let Err(error) = self.line.send(epoch, &[batch.put()]).await
            && !self.line.is_there(&batch).await?
        {
            return Err(error);
        }
        head.keep(&self.line.cluster, &batch.item)?;
        self.line.seq.store(head.memory.seq.0, Ordering::Relaxed);
        (self.head, self.epoch) = (head, Some(epoch));
        if is_due {
            self.prune(epoch).await;
        }
        Ok(entries)
    }

    /// Deletes what is old, the oldest first. What is not deleted now is with the next checkpoint.
    async fn prune(&mut self, epoch: Epoch) {
        let before = self.head.checkpoint.0.saturating_sub(self.limits.keep);
        let old = self.head.kept.partition_point(|kept| kept.last.0 < before);
        let keys = self.head.kept.range(..old).flat_map(|kept| kept.keys.iter().rev());
        let deletes: Vec<_> = keys.map(|key| Write::Delete { key: key.clone() }).collect();
        for some in deletes.chunks(DELETES_AT_ONCE) {
            if let Err(error) = self.line.send(epoch, some).await {
                tracing::warn!(cluster = %self.line.cluster, %error, "old records not deleted");
                return;
            }
        }
        self.head.kept.drain(..old);
    }

    /// The ring, newest first.
    async fn ring(&self) -> Result<Vec<(u64, String)>, JournalError> {
        let Line { table, cluster, .. } = &*self.line;
        let mut from = item::decision_sort(0);
        let end = item::decision_sort(self.limits.decisions);
        let mut ring = Vec::new();
        loop {
            let page = table.page(cluster.as_str(), &from, &end).await?;
            for item in &page.items {
                let (number, decision) = item::decision(item)?;
                // Behind this one, whatever it says.
                from = format!("{} ", item.key.sort);
                ring.push((number, decision.to_owned()));
            }
            if !page.more {
                ring.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
                return Ok(ring);
            }
        }
    }

    async fn keep(&mut self, id: &str, decision: &serde_json::Value) -> Result<(), JournalError> {
        let number = match self.next_decision {
            Some(number) => number,
            None => self.ring().await?.first().map_or(0, |(number, _)| number + 1),
        };
        let slot = number % self.limits.decisions;
        let item = item::of_decision(&self.line.cluster, slot, number, id, decision);
        let writes = vec![Write::Put { item, only_if: None }];
        self.line.table.write(&self.line.token(), writes).await?;
        self.next_decision = Some(number + 1);
        Ok(())
    }
}

fn missing(Hole(next): Hole) -> JournalError {
    JournalError::Damaged(format!("records before {} are missing", next.0))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Checkpoint {
    WhenDue,
    Later,
}

impl<T: Table> Journal for Replicated<T> {
    async fn recover(&mut self) -> Result<(Memory, Standing), JournalError> {
        let standing = self.take().await?;
        let mut memory = self.head.memory.clone();
        if let Some(epoch) = self.epoch {
            memory.epoch = epoch;
        }
        Ok((memory, standing))
    }

    async fn intend(
        &mut self,
        admitted: Vec<Admitted>,
        at: DateTime<Utc>,
    ) -> Result<Vec<(Intent, Entry)>, JournalError> {
        let records =
            admitted.iter().map(|admitted| Record::Intent { planned: admitted.planned().clone() });
        let entries = self.write(records.collect(), at, Checkpoint::Later).await?;
        let intents = admitted.into_iter().zip(entries);
        Ok(intents.map(|(admitted, entry)| (Intent::new(&entry, admitted), entry)).collect())
    }

    async fn append(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Entry>, JournalError> {
        self.write(records, at, Checkpoint::WhenDue).await
    }

    fn lease(&self) -> Lease {
        let now = (self.line.now)();
        let tenure = self.line.tenure();
        let is_ours = self.epoch.is_some() && tenure.epoch() == self.epoch;
        let left = if is_ours { tenure.valid_for(now) } else { Duration::ZERO };
        Lease {
            epoch: self.epoch.unwrap_or_default(),
            valid_until: Some(now.wall + TimeDelta::from_std(left).unwrap_or_default()),
            write_time: tenure.write_time(),
        }
    }

    fn keeper(&self) -> Keeper {
        let (line, changed) = (self.line.clone(), self.line.changed.clone());
        let step = move || -> futures::future::BoxFuture<'static, Duration> {
            let line = line.clone();
            Box::pin(async move { line.keep().await })
        };
        Keeper::new(Box::new(step), changed)
    }

    async fn release(&mut self) {
        self.epoch = None;
        self.line.release().await;
    }

    async fn keep_decision(&mut self, id: &str, _at: DateTime<Utc>, decision: &serde_json::Value) {
        if let Err(error) = self.keep(id, decision).await {
            tracing::warn!(%error, id, "decision not kept");
        }
    }

    async fn decisions(&mut self, limit: usize) -> Vec<serde_json::Value> {
        let ring = self.ring().await.inspect_err(|e| tracing::warn!(error = %e, "decisions"));
        let ring = ring.unwrap_or_default().into_iter().take(limit);
        ring.filter_map(|(_, decision)| serde_json::from_str(&decision).ok()).collect()
    }
}

#[cfg(test)]
mod tests;

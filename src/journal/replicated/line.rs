//! One replica's line to the table: the lease, and what may only be written under it.
//!
//! Rule: one call about the lease or under it at a time, so that the table never refuses one of two
//! of ours as a conflict.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::item::{self, Batch};
use super::{ATTEMPTS, Now};
use crate::journal::lease::{Answer, Attempt, Tenure};
use crate::journal::table::{Condition, Field, Table, TableError, Write};
use crate::journal::{Holder, JournalError};
use crate::model::{ClusterName, Epoch, Seq};

/// What journal and keeper share.
pub(super) struct Line<T> {
    pub(super) table: T,
    pub(super) cluster: ClusterName,
    pub(super) now: Now,
    tenure: Mutex<Tenure>,
    turn: tokio::sync::Mutex<()>,
    /// The last record that is surely there.
    pub(super) seq: AtomicU64,
    /// Writes sent so far, counting those that are repeated once.
    sent: AtomicU64,
    pub(super) changed: Arc<Notify>,
}

impl<T: Table> Line<T> {
    pub(super) fn new(table: T, cluster: ClusterName, tenure: Tenure, now: Now) -> Self {
        Self {
            table,
            cluster,
            now,
            tenure: Mutex::new(tenure),
            turn: tokio::sync::Mutex::default(),
            seq: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            changed: Arc::default(),
        }
    }

    pub(super) fn tenure(&self) -> MutexGuard<'_, Tenure> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What names one write among all of this table, whatever process or cluster they are of.
    pub(super) fn token(&self) -> String {
        let owner = crc32fast::hash(self.tenure().owner().as_bytes());
        let cluster = crc32fast::hash(self.cluster.as_str().as_bytes());
        format!("{owner:08x}-{cluster:08x}-{}", self.sent.fetch_add(1, Ordering::Relaxed))
    }

    /// Looks who holds the lease.
    async fn look(&self) -> Result<(), JournalError> {
        let found = self.table.get(&item::lease_key(&self.cluster)).await?;
        let lease = found.as_ref().map(item::lease).transpose()?;
        self.tenure().observe(lease, (self.now)());
        Ok(())
    }

    /// Tries to write the lease, and tells the tenure what came of it.
    async fn attempt(&self, attempt: Attempt) -> Result<(), JournalError> {
        let item = item::of_lease(&self.cluster, &attempt.item);
        let only_if = attempt.replaces.clone().map_or(Condition::Absent, |rvn| Condition::Is {
            field: "rvn",
            value: Field::Text(rvn),
        });
        let writes = vec![Write::Put { item, only_if: Some(only_if) }];
        let written = self.table.write(&self.token(), writes).await;
        let (answer, result) = match written {
            Ok(()) => (Answer::Written, Ok(())),
            Err(TableError::Refused(found)) => {
                let found = found.as_ref().map(item::lease).transpose()?;
                (Answer::Refused(found), Ok(()))
            }
            // Nothing was written, but to try the same again is as good as anything.
            Err(error) => (Answer::Unknown, Err(error.into())),
        };
        self.tenure().answered(attempt, answer, (self.now)());
        result
    }

    /// Takes the lease: our epoch and the last record known to its holder before, or who has it.
    /// Nothing where somebody else was faster.
    pub(super) async fn acquire(
        &self,
        above: Epoch,
    ) -> Result<Result<Option<(Epoch, Seq)>, Holder>, JournalError> {
        let _turn = self.turn.lock().await;
        self.look().await?;
        let attempt = match self.tenure().acquire(above, (self.now)()) {
            Ok(attempt) => attempt,
            Err(holder) => return Ok(Err(holder)),
        };
        let noted = attempt.item.seq;
        self.attempt(attempt).await?;
        Ok(Ok(self.tenure().epoch().map(|epoch| (epoch, noted))))
    }

    /// One transaction that holds only under this epoch.
    pub(super) async fn send(&self, epoch: Epoch, writes: &[Write]) -> Result<(), JournalError> {
        let only_if = Condition::Is { field: "epoch", value: Field::Number(epoch.0) };
        let mut all = vec![Write::Check { key: item::lease_key(&self.cluster), only_if }];
        all.extend_from_slice(writes);
        let mut last = JournalError::Storage("nothing was tried".to_owned());
        let token = self.token();
        for _ in 0..ATTEMPTS {
            let _turn = self.turn.lock().await;
            match self.table.write(&token, all.clone()).await {
                Ok(()) => return Ok(()),
                Err(TableError::Refused(_)) => {
                    self.look().await?;
                    let tenure = self.tenure();
                    if tenure.epoch() == Some(epoch) {
                        return Err(JournalError::Storage("a record is there already".to_owned()));
                    }
                    self.changed.notify_one();
                    return Err(JournalError::Deposed(tenure.holder()));
                }
                Err(error @ (TableError::Busy(_) | TableError::NoAnswer(_))) => {
                    last = error.into();
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last)
    }

    /// Whether this very batch was written, although nothing was heard of it.
    pub(super) async fn is_there(&self, batch: &Batch) -> Result<bool, JournalError> {
        Ok(self.table.get(&batch.item.key).await?.as_ref() == Some(&batch.item))
    }

    /// What is due of the lease, and the pause until more is.
    pub(super) async fn keep(&self) -> Duration {
        let _turn = self.turn.lock().await;
        let seq = Seq(self.seq.load(Ordering::Relaxed));
        let renewal = self.tenure().renew(seq, (self.now)());
        let was_ours = renewal.is_some();
        let done = match renewal {
            Some(attempt) => self.attempt(attempt).await,
            None => self.look().await,
        };
        if let Err(error) = done {
            tracing::warn!(cluster = %self.cluster, %error, "lease");
        }
        let (tenure, now) = (self.tenure(), (self.now)());
        let lost = was_ours && !tenure.holds();
        if lost || (!tenure.holds() && tenure.is_free(now)) {
            self.changed.notify_one();
        }
        tenure.pause(now)
    }

    pub(super) async fn release(&self) {
        let _turn = self.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let Some(attempt) = self.tenure().release((self.now)()) else { return };
            if let Err(error) = self.attempt(attempt).await {
                tracing::warn!(cluster = %self.cluster, %error, "lease not released");
            }
        }
    }
}

//! The journal in a SQLite file, one file for each cluster.
//!
//! Rule: what a write returned is on disk, in order, all or none. After a write that failed nobody
//! knows what is on disk, so the next one is refused until `recover` has read it again.
//!
//! A lock file beside the database is held for the life of the value, so a second process learns
//! at once who holds the journal and can ask that server instead. Calls block their thread for the
//! length of one `fsync`. The file must not be on a network file system: WAL does not work there.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::{Intent, Journal, JournalError, Keeper, Standing};
use crate::guard::{Admitted, Lease};
use crate::model::{ClusterName, Entry, Epoch, Memory, Record, Seq};

mod lock;
mod row;

use lock::Lock;

/// Version n of the schema is the first n of these; `PRAGMA user_version` holds n.
const SCHEMA: &[&str] = &["CREATE TABLE journal (
        cluster TEXT NOT NULL,
        epoch INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        at TEXT NOT NULL,
        record TEXT NOT NULL,
        crc INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE decisions (
        nr INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL,
        decision TEXT NOT NULL
    ) STRICT;"];

/// How often memory is written down whole, and how much of the past stays readable.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Records between two checkpoints.
    checkpoint_every: u64,
    /// Records kept before the last checkpoint; at least `checkpoint_every`, so that the
    /// checkpoint before the last one is still there.
    keep: u64,
    /// Decisions kept in the ring.
    decisions: u64,
}

const LIMITS: Limits = Limits { checkpoint_every: 1_000, keep: 10_000, decisions: 1_000 };

/// One cluster's journal and the ring of its last decisions.
#[derive(Debug)]
pub struct Sqlite {
    db: Connection,
    limits: Limits,
    /// `None` before `recover`, and after a write whose fate is unknown.
    head: Option<Head>,
    _lock: Option<Lock>,
}

/// Where the journal stands: the fold of all of it, and the last checkpoint.
#[derive(Clone, Debug, Default)]
struct Head {
    memory: Memory,
    epoch: Epoch,
    checkpoint: Seq,
}

impl Sqlite {
    /// Opens, or creates, `<dir>/<cluster>.journal`.
    ///
    /// # Errors
    /// `InUse` while another process has it open, `Newer` when a later version wrote it, `Damaged`
    /// when SQLite's own check fails.
    pub fn open(dir: &Path, cluster: &ClusterName) -> Result<Self, JournalError> {
        let name = cluster.as_str();
        if name.is_empty() || name.contains(['/', '\\', '\0']) {
            return Err(JournalError::Storage(format!("`{name}` cannot be a file's name")));
        }
        std::fs::create_dir_all(dir)
            .map_err(|e| JournalError::Storage(format!("{}: {e}", dir.display())))?;
        let lock = Lock::take(&dir.join(format!("{name}.lock")))?;
        let db = Connection::open(dir.join(format!("{name}.journal"))).map_err(sql)?;
        Self::set_up(db, Some(lock), cluster)
    }

    /// What the cluster's journal knows, if there is one; whoever writes it goes on undisturbed.
    ///
    /// # Errors
    /// As of `open`, but never `InUse`.
    pub fn peek(dir: &Path, cluster: &ClusterName) -> Result<Option<Memory>, JournalError> {
        let file = dir.join(format!("{cluster}.journal"));
        if !file.exists() {
            return Ok(None);
        }
        let db =
            Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sql)?;
        db.busy_timeout(Duration::from_secs(5)).map_err(sql)?;
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
        let known = i64::try_from(SCHEMA.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(JournalError::Newer { found, known });
        }
        Ok(Some(fold(&row::all(&db)?)?.memory))
    }

    /// A journal that lives as long as the value.
    pub fn in_memory(cluster: &ClusterName) -> Result<Self, JournalError> {
        Self::set_up(Connection::open_in_memory().map_err(sql)?, None, cluster)
    }

    fn set_up(
        mut db: Connection,
        lock: Option<Lock>,
        cluster: &ClusterName,
    ) -> Result<Self, JournalError> {
        db.busy_timeout(Duration::from_secs(5)).map_err(sql)?;
        let check: String =
            db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
        if check != "ok" {
            return Err(JournalError::Damaged(check));
        }
        migrate(&mut db, cluster)?;
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(sql)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
        Ok(Self { db, limits: LIMITS, head: None, _lock: lock })
    }

    /// The ring's decision of this id.
    pub fn decision(&self, id: &str) -> Option<serde_json::Value> {
        let found = self
            .db
            .query_row("SELECT decision FROM decisions WHERE id = ?1", [id], text)
            .optional();
        let found = found.inspect_err(|e| tracing::warn!(error = %e, "decision not read"));
        serde_json::from_str(&found.ok()??).ok()
    }

    fn read(&mut self) -> Result<Head, JournalError> {
        let transaction = begin(&mut self.db)?;
        let entries = row::all(&transaction)?;
        let written = transaction
            .query_row("SELECT epoch FROM journal", [], |row| row.get(0))
            .map_err(sql)?;
        let last = entries.last().map_or(Epoch(0), |entry| entry.epoch);
        let epoch = Epoch(row::unsigned(written)?.max(last.0) + 1);
        transaction
            .execute("UPDATE journal SET epoch = ?1", [row::signed(epoch.0)?])
            .map_err(sql)?;
        let mut head = fold(&entries)?;
        transaction.commit().map_err(sql)?;
        head.epoch = epoch;
        head.memory.epoch = epoch;
        Ok(head)
    }

    fn write(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
        checkpoint: Checkpoint,
    ) -> Result<Vec<Entry>, JournalError> {
        let unread = || JournalError::Storage("it must be recovered before it is written".into());
        let mut head = self.head.take().ok_or_else(unread)?;
        let transaction = begin(&mut self.db)?;
        let mut entries = Vec::with_capacity(records.len() + 1);
        for record in records {
            entries.push(head.write(&transaction, record, at)?);
        }
        let due = head.memory.seq.0 - head.checkpoint.0 >= self.limits.checkpoint_every
            && head.memory.is_whole();
        if checkpoint == Checkpoint::WhenDue && due {
            let memory = Box::new(head.memory.clone());
            entries.push(head.write(&transaction, Record::Checkpoint { memory }, at)?);
            head.checkpoint = head.memory.seq;
            let before = head.checkpoint.0.saturating_sub(self.limits.keep);
            transaction
                .execute("DELETE FROM entries WHERE seq < ?1", [row::signed(before)?])
                .map_err(sql)?;
        }
        transaction.commit().map_err(sql)?;
        self.head = Some(head);
        Ok(entries)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Checkpoint {
    WhenDue,
    Later,
}

impl Head {
    fn write(
        &mut self,
        transaction: &Transaction<'_>,
        record: Record,
        at: DateTime<Utc>,
    ) -> Result<Entry, JournalError> {
        let entry = Entry { seq: Seq(self.memory.seq.0 + 1), epoch: self.epoch, at, record };
        row::insert(transaction, &entry)?;
        self.memory = std::mem::take(&mut self.memory).fold(&entry);
        Ok(entry)
    }
}

impl Journal for Sqlite {
    async fn recover(&mut self) -> Result<(Memory, Standing), JournalError> {
        self.head = None;
        let head = self.read()?;
        let memory = head.memory.clone();
        self.head = Some(head);
        Ok((memory, Standing::Leads))
    }

    async fn intend(
        &mut self,
        admitted: Vec<Admitted>,
        at: DateTime<Utc>,
    ) -> Result<Vec<(Intent, Entry)>, JournalError> {
        let records =
            admitted.iter().map(|admitted| Record::Intent { planned: admitted.planned().clone() });
        let entries = self.write(records.collect(), at, Checkpoint::Later)?;
        let intents = admitted.into_iter().zip(entries);
        Ok(intents.map(|(admitted, entry)| (Intent::new(&entry, admitted), entry)).collect())
    }

    async fn append(
        &mut self,
        records: Vec<Record>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Entry>, JournalError> {
        self.write(records, at, Checkpoint::WhenDue)
    }

    /// The lock is held as long as the value lives.
    fn lease(&self) -> Lease {
        Lease::exclusive(self.head.as_ref().map_or(Epoch(0), |head| head.epoch))
    }

    fn keeper(&self) -> Keeper {
        Keeper::idle()
    }

    async fn release(&mut self) {}

    async fn keep_decision(&mut self, id: &str, at: DateTime<Utc>, decision: &serde_json::Value) {
        let kept = self.db.execute(
            "INSERT OR REPLACE INTO decisions (id, at, decision) VALUES (?1, ?2, ?3)",
            params![id, row::time(at), decision.to_string()],
        );
        let pruned = kept.and_then(|_| {
            let newest = "SELECT nr FROM decisions ORDER BY nr DESC LIMIT ?1";
            self.db.execute(
                &format!("DELETE FROM decisions WHERE nr NOT IN ({newest})"),
                [i64::try_from(self.limits.decisions).unwrap_or(i64::MAX)],
            )
        });
        if let Err(error) = pruned {
            tracing::warn!(%error, id, "decision not kept");
        }
    }

    async fn decisions(&mut self, limit: usize) -> Vec<serde_json::Value> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT decision FROM decisions ORDER BY nr DESC LIMIT ?1";
            self.db.prepare(sql)?.query_map([limit], text)?.collect()
        };
        let found = read().inspect_err(|e| tracing::warn!(error = %e, "decisions not read"));
        let found = found.unwrap_or_default();
        found.iter().filter_map(|d| serde_json::from_str(d).ok()).collect()
    }
}

/// The memory of these entries: from the last checkpoint that can be read, else from the first.
fn fold(entries: &[Entry]) -> Result<Head, JournalError> {
    let is_checkpoint = |entry: &Entry| matches!(entry.record, Record::Checkpoint { .. });
    let start = entries.iter().rposition(is_checkpoint);
    let first = entries.first().map_or(Seq(1), |entry| entry.seq);
    if start.is_none() && first != Seq(1) {
        return Err(JournalError::Damaged(format!(
            "records before {} were pruned and no checkpoint of them can be read",
            first.0
        )));
    }
    let rest = entries.get(start.unwrap_or(0)..).unwrap_or_default();
    Ok(Head {
        memory: rest.iter().fold(Memory::default(), Memory::fold),
        epoch: Epoch(0),
        checkpoint: start.and_then(|at| entries.get(at)).map_or(Seq(0), |entry| entry.seq),
    })
}

/// Brings the schema up to date, step by step in one transaction.
fn migrate(db: &mut Connection, cluster: &ClusterName) -> Result<(), JournalError> {
    let known = SCHEMA.len();
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > known {
        let known = i64::try_from(known).unwrap_or(i64::MAX);
        return Err(JournalError::Newer { found, known });
    }
    let transaction = begin(db)?;
    for step in SCHEMA.iter().skip(done) {
        transaction.execute_batch(step).map_err(sql)?;
    }
    transaction
        .pragma_update(None, "user_version", i64::try_from(known).unwrap_or(i64::MAX))
        .map_err(sql)?;
    let owner: Option<String> =
        transaction.query_row("SELECT cluster FROM journal", [], text).optional().map_err(sql)?;
    match owner {
        Some(owner) if owner != cluster.as_str() => {
            return Err(JournalError::Damaged(format!(
                "it is the journal of cluster `{owner}`, not of `{cluster}`"
            )));
        }
        Some(_) => {}
        None => {
            let insert = "INSERT INTO journal (cluster, epoch) VALUES (?1, 0)";
            transaction.execute(insert, [cluster.as_str()]).map_err(sql)?;
        }
    }
    transaction.commit().map_err(sql)
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, JournalError> {
    db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)
}

fn text(row: &rusqlite::Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

/// Damage is a person's to mend; everything else is tried again.
fn sql(error: rusqlite::Error) -> JournalError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => JournalError::Damaged(error.to_string()),
        _ => JournalError::Storage(error.to_string()),
    }
}

#[cfg(test)]
mod tests;

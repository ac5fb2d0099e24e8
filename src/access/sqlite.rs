//! Rows of the record in a SQLite file, one for each state directory.
//!
//! Rule: what `put` returned is on disk, row and head together. The file is held for the life of
//! the value, so that nobody else can add a row in between.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::ready;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::store::{Put, Store, Told};
use super::{Broken, Digest, Head, LedgerError, Sealed, TokenName};

/// `PRAGMA user_version` of what this program writes.
pub(super) const VERSION: i64 = 1;
const SCHEMA: &str = "CREATE TABLE rows (
        seq INTEGER PRIMARY KEY,
        text TEXT NOT NULL,
        digest TEXT NOT NULL
    ) STRICT;
    CREATE TABLE head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        seq INTEGER NOT NULL,
        digest TEXT NOT NULL
    ) STRICT;
    CREATE TABLE used (
        name TEXT PRIMARY KEY,
        at TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 1;";

/// The rows, and which of them is the last.
#[derive(Debug)]
pub(super) struct Sqlite {
    db: Connection,
}

impl Sqlite {
    /// Opens, or creates, `<dir>/access.record`.
    pub(super) fn open(dir: &Path) -> Result<Self, LedgerError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| LedgerError::Storage(format!("{}: {error}", dir.display())))?;
        Self::set_up(Connection::open(dir.join("access.record"))?)
    }

    pub(super) fn in_memory() -> Result<Self, LedgerError> {
        Self::set_up(Connection::open_in_memory()?)
    }

    fn set_up(mut db: Connection) -> Result<Self, LedgerError> {
        // A command beside this one is done in a moment; a server is not.
        db.busy_timeout(Duration::from_secs(2))?;
        db.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            0 => transaction.execute_batch(SCHEMA)?,
            VERSION => {}
            found => return Err(LedgerError::Newer { found }),
        }
        transaction.commit()?;
        Ok(Self { db })
    }

    fn put(&mut self, row: &Sealed, last: Head) -> Result<Put, LedgerError> {
        // After a write that failed nobody knows whether it is there.
        if Self::head(self)? != last {
            return Ok(Put::Behind);
        }
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (seq, digest) = (signed(row.seq), row.digest.to_string());
        transaction.execute(
            "INSERT INTO rows (seq, text, digest) VALUES (?1, ?2, ?3)",
            params![seq, row.text, digest],
        )?;
        transaction.execute(
            "INSERT OR REPLACE INTO head (one, seq, digest) VALUES (1, ?1, ?2)",
            params![seq, digest],
        )?;
        transaction.commit()?;
        Ok(Put::Added)
    }

    fn head(&self) -> Result<Head, LedgerError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let found = self.db.query_row("SELECT seq, digest FROM head", [], read).optional()?;
        let Some((seq, digest)) = found else { return Ok(Head::default()) };
        Ok(Head { seq: seq.cast_unsigned(), digest: stored(seq, &digest)? })
    }

    fn since(&self, seq: u64) -> Result<(Vec<Sealed>, Head), LedgerError> {
        let sql = "SELECT seq, text, digest FROM rows WHERE seq > ?1 ORDER BY seq";
        Ok((self.select(sql, [signed(seq)])?, self.head()?))
    }

    fn newest(&self, before: Option<u64>, limit: usize) -> Result<Vec<Sealed>, LedgerError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let before = before.map_or(i64::MAX, signed);
        let sql = "SELECT seq, text, digest FROM rows WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
        self.select(sql, params![before, limit])
    }

    fn used(&self, name: &TokenName) -> Result<Option<DateTime<Utc>>, LedgerError> {
        let sql = "SELECT at FROM used WHERE name = ?1";
        let found: Option<String> =
            self.db.query_row(sql, [name.as_str()], |row| row.get(0)).optional()?;
        let parsed = found.and_then(|at| DateTime::parse_from_rfc3339(&at).ok());
        Ok(parsed.map(|at| at.to_utc()))
    }

    fn note_use(&self, name: &TokenName, at: DateTime<Utc>) -> Result<(), LedgerError> {
        let sql = "INSERT OR REPLACE INTO used (name, at) VALUES (?1, ?2)";
        self.db.execute(sql, params![name.as_str(), at.to_rfc3339()])?;
        Ok(())
    }

    fn select(&self, sql: &str, by: impl rusqlite::Params) -> Result<Vec<Sealed>, LedgerError> {
        let mut select = self.db.prepare(sql)?;
        let rows = select.query_map(by, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        let mut all = Vec::new();
        for row in rows {
            let (seq, text, digest) = row?;
            all.push(Sealed { seq: seq.cast_unsigned(), text, digest: stored(seq, &digest)? });
        }
        Ok(all)
    }
}

impl Store for Sqlite {
    fn put<'a>(&'a mut self, row: &'a Sealed, last: Head) -> Told<'a, Put> {
        ready(Self::put(self, row, last)).boxed()
    }

    fn since(&mut self, seq: u64) -> Told<'_, (Vec<Sealed>, Head)> {
        ready(Self::since(self, seq)).boxed()
    }

    fn head(&mut self) -> Told<'_, Head> {
        ready(Self::head(self)).boxed()
    }

    fn newest(&mut self, before: Option<u64>, limit: usize) -> Told<'_, Vec<Sealed>> {
        ready(Self::newest(self, before, limit)).boxed()
    }

    fn used<'a>(&'a mut self, name: &'a TokenName) -> Told<'a, Option<DateTime<Utc>>> {
        ready(Self::used(self, name)).boxed()
    }

    fn note_use<'a>(&'a mut self, name: &'a TokenName, at: DateTime<Utc>) -> Told<'a, ()> {
        ready(Self::note_use(self, name, at)).boxed()
    }
}

fn stored(seq: i64, digest: &str) -> Result<Digest, Broken> {
    digest.parse().map_err(|_| Broken {
        seq: seq.cast_unsigned(),
        what: "has no digest that can be read".to_owned(),
    })
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => Self::InUse,
            _ => Self::Storage(error.to_string()),
        }
    }
}

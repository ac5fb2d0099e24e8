//! The record of changes in a SQLite file, one for each state directory.
//!
//! Rule: rows are added and never touched again; what `append` returned is on disk. The file is
//! held for the life of the value, so that nobody else can add a row in between.
//!
//! It is narrow on purpose: rows by number, the last of them, and when a token was used. Another
//! store needs no more than a write that fails if the row's number is taken.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    Broken, Deed, Digest, Head, KnownToken, Row, Sealed, TokenEdge, TokenName, TokenRefused,
    Tokens, Verdict, verify,
};

/// `PRAGMA user_version` of what this program writes.
const VERSION: i64 = 1;
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

/// How exactly it is known when a token was last used.
const USED_WITHIN: TimeDelta = TimeDelta::minutes(1);

/// Why the record cannot be used; nothing is begun while it cannot, but stopping is never refused.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds it.
    #[error("the record of changes is in use by another process")]
    InUse,
    /// Written by a newer version than this one.
    #[error("the record of changes has version {found}, this program knows up to {VERSION}")]
    Newer { found: i64 },
    /// It is not what was written.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// The disk is full, busy or failing.
    #[error("the record of changes cannot be written or read: {0}")]
    Storage(String),
}

/// The record, and the tokens that are its fold.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
    tokens: Tokens,
}

impl Ledger {
    /// Opens, or creates, `<dir>/access.record` and checks all of it.
    ///
    /// # Errors
    /// `InUse` while another process has it open, `Newer` when a later version wrote it, `Broken`
    /// when it is not what was written.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let mut this = Self::open_unchecked(dir)?;
        let rows = this.verify()??;
        rows.iter().for_each(|row| this.tokens.fold(row));
        Ok(this)
    }

    /// As it is, to look for what is wrong with it; it knows no token.
    ///
    /// # Errors
    /// As of `open`, but never `Broken`.
    pub fn open_unchecked(dir: &Path) -> Result<Self, LedgerError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| LedgerError::Storage(format!("{}: {error}", dir.display())))?;
        Self::set_up(Connection::open(dir.join("access.record"))?)
    }

    /// A record that lives as long as the value.
    ///
    /// # Errors
    /// `Storage` only.
    pub fn in_memory() -> Result<Self, LedgerError> {
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
        Ok(Self { db, tokens: Tokens::default() })
    }

    /// Adds a row behind the last one.
    ///
    /// # Errors
    /// `Storage`: nothing was added, or nobody knows.
    pub fn append(
        &mut self,
        deed: &Deed,
        result: Verdict,
        detail: Option<String>,
        token: Option<TokenEdge>,
        at: DateTime<Utc>,
    ) -> Result<Row, LedgerError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = head(&transaction)?;
        let deed = deed.clone();
        let (seq, previous) = (last.seq + 1, last.digest);
        let row = Row { seq, at, deed, result, detail, token, previous };
        let Sealed { seq: _, text, digest } = row.seal();
        let (number, digest) = (signed(seq), digest.to_string());
        transaction.execute(
            "INSERT INTO rows (seq, text, digest) VALUES (?1, ?2, ?3)",
            params![number, text, digest],
        )?;
        transaction.execute(
            "INSERT OR REPLACE INTO head (one, seq, digest) VALUES (1, ?1, ?2)",
            params![number, digest],
        )?;
        transaction.commit()?;
        // Whoever keeps the log elsewhere can tell from it whether the record was cut.
        tracing::info!(seq, digest, actor = row.deed.actor, action = row.deed.action,
            scope = row.deed.scope, result = %row.result, "change recorded");
        self.tokens.fold(&row);
        Ok(row)
    }

    /// Rows before `before`, newest first.
    ///
    /// # Errors
    /// `Storage`, or `Broken` where one of them cannot be read.
    pub fn rows(&self, before: Option<u64>, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let before = before.map_or(i64::MAX, signed);
        let sql = "SELECT seq, text, digest FROM rows WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
        let read = |sealed: Sealed| {
            serde_json::from_str(&sealed.text).map_err(|error| {
                let what = format!("cannot be read: {error}");
                LedgerError::Broken(Broken { seq: sealed.seq, what })
            })
        };
        self.sealed(sql, params![before, limit])?.into_iter().map(read).collect()
    }

    /// The last row's number and digest.
    ///
    /// # Errors
    /// `Storage`, or `Broken` where it cannot be read.
    pub fn head(&self) -> Result<Head, LedgerError> {
        head(&self.db)
    }

    /// Reads all rows and checks each.
    ///
    /// # Errors
    /// `Storage` outside, the first row that is wrong inside.
    pub fn verify(&self) -> Result<Result<Vec<Row>, Broken>, LedgerError> {
        let rows = self.sealed("SELECT seq, text, digest FROM rows ORDER BY seq", [])?;
        Ok(match self.head() {
            Ok(head) => verify(&rows, head),
            Err(LedgerError::Broken(broken)) => Err(broken),
            Err(error) => return Err(error),
        })
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Whose token this is; notes that it was used.
    ///
    /// # Errors
    /// When it is nobody's, or no longer.
    pub fn check(&self, given: &str, now: DateTime<Utc>) -> Result<&KnownToken, TokenRefused> {
        let known = self.tokens.check(given, now)?;
        let seen = self.last_used(&known.name);
        if seen.is_none_or(|at| now - at >= USED_WITHIN) {
            let noted = self.db.execute(
                "INSERT OR REPLACE INTO used (name, at) VALUES (?1, ?2)",
                params![known.name.as_str(), now.to_rfc3339()],
            );
            if let Err(error) = noted {
                tracing::warn!(%error, token = %known.name, "use of a token not noted");
            }
        }
        Ok(known)
    }

    /// To the minute; may be lost.
    pub fn last_used(&self, name: &TokenName) -> Option<DateTime<Utc>> {
        let sql = "SELECT at FROM used WHERE name = ?1";
        let found: Option<String> =
            self.db.query_row(sql, [name.as_str()], |row| row.get(0)).optional().ok()?;
        Some(DateTime::parse_from_rfc3339(&found?).ok()?.to_utc())
    }

    fn sealed(&self, sql: &str, by: impl rusqlite::Params) -> Result<Vec<Sealed>, LedgerError> {
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

fn head(db: &Connection) -> Result<Head, LedgerError> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let found = db.query_row("SELECT seq, digest FROM head", [], read).optional()?;
    let Some((seq, digest)) = found else { return Ok(Head::default()) };
    Ok(Head { seq: seq.cast_unsigned(), digest: stored(seq, &digest)? })
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

//! The record of changes, and the tokens that are its fold.
//!
//! Rule: rows are added and never touched again; what `append` returned is on disk. Nothing is
//! taken from a record that is not what was written.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::sqlite::{Sqlite, VERSION};
use super::{
    Broken, Deed, Head, KnownToken, Row, TokenEdge, TokenName, TokenRefused, Tokens, Verdict,
    verify,
};

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
    store: Sqlite,
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
        Ok(Self { store: Sqlite::open(dir)?, tokens: Tokens::default() })
    }

    /// A record that lives as long as the value.
    ///
    /// # Errors
    /// `Storage` only.
    pub fn in_memory() -> Result<Self, LedgerError> {
        Ok(Self { store: Sqlite::in_memory()?, tokens: Tokens::default() })
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
        let last = self.store.head()?;
        let deed = deed.clone();
        let (seq, previous) = (last.seq + 1, last.digest);
        let row = Row { seq, at, deed, result, detail, token, previous };
        let sealed = row.seal();
        self.store.put(&sealed)?;
        // Whoever keeps the log elsewhere can tell from it whether the record was cut.
        let (digest, Deed { actor, action, scope, .. }) = (sealed.digest, &row.deed);
        tracing::info!(seq, %digest, actor, action, scope, %result, "change recorded");
        self.tokens.fold(&row);
        Ok(row)
    }

    /// Rows before `before`, newest first.
    ///
    /// # Errors
    /// `Storage`, or `Broken` where one of them cannot be read.
    pub fn rows(&self, before: Option<u64>, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let rows = self.store.newest(before, limit)?;
        Ok(rows.iter().map(super::Sealed::read).collect::<Result<_, _>>()?)
    }

    /// The last row's number and digest.
    ///
    /// # Errors
    /// `Storage`, or `Broken` where it cannot be read.
    pub fn head(&self) -> Result<Head, LedgerError> {
        self.store.head()
    }

    /// Reads all rows and checks each.
    ///
    /// # Errors
    /// `Storage` outside, the first row that is wrong inside.
    pub fn verify(&self) -> Result<Result<Vec<Row>, Broken>, LedgerError> {
        let all = self.store.all().and_then(|rows| Ok((rows, self.store.head()?)));
        match all {
            Ok((rows, head)) => Ok(verify(&rows, head)),
            Err(LedgerError::Broken(broken)) => Ok(Err(broken)),
            Err(error) => Err(error),
        }
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
        if seen.is_none_or(|at| now - at >= USED_WITHIN)
            && let Err(error) = self.store.note_use(&known.name, now)
        {
            tracing::warn!(%error, token = %known.name, "use of a token not noted");
        }
        Ok(known)
    }

    /// To the minute; may be lost.
    pub fn last_used(&self, name: &TokenName) -> Option<DateTime<Utc>> {
        self.store.used(name).ok().flatten()
    }
}

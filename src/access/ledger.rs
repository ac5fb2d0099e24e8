//! The record of changes, and the tokens that are its fold.
//!
//! Rule: rows are added and never touched again; what `append` returned is on disk. Nothing is
//! taken from a record that is not what was written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::shared::Shared;
use super::sqlite::{Sqlite, VERSION};
use super::store::{Put, Store};
use super::{
    Broken, Deed, Head, KnownToken, Row, TokenEdge, TokenName, TokenRefused, TokenTaken, Tokens,
    Verdict, verify,
};
use crate::journal::table::Table;

/// How exactly it is known when a token was last used.
const USED_WITHIN: TimeDelta = TimeDelta::minutes(1);
/// Time after which what another replica has recorded counts here.
const FRESH: TimeDelta = TimeDelta::seconds(1);
/// Time until a store that did not answer is asked again; what was known counts until then.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// Times that others may be faster before a row is given up.
const ATTEMPTS: u32 = 10;

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
    /// The row would give a name away twice.
    #[error("{0}")]
    Taken(#[from] TokenTaken),
    /// The table it should be in does not exist.
    #[error("there is no DynamoDB table `{0}`")]
    NoTable(String),
    /// The disk is full, busy or failing, or the table does not answer.
    #[error("the record of changes cannot be written or read: {0}")]
    Storage(String),
}

/// The record, and the tokens that are its fold.
#[derive(Debug)]
pub struct Ledger {
    store: Box<dyn Store>,
    tokens: Tokens,
    /// The last row that was folded.
    last: Head,
    /// Until when nobody need ask what others have added.
    fresh_until: DateTime<Utc>,
    /// When uses of tokens were noted from here.
    noted: BTreeMap<TokenName, DateTime<Utc>>,
}

impl Ledger {
    /// Opens, or creates, `<dir>/access.record` and checks all of it.
    ///
    /// # Errors
    /// `InUse` while another process has it open, `Newer` when a later version wrote it, `Broken`
    /// when it is not what was written.
    pub async fn open(dir: &Path) -> Result<Self, LedgerError> {
        Self::open_unchecked(dir)?.read().await
    }

    /// As it is, to look for what is wrong with it; it knows no token until it is read.
    ///
    /// # Errors
    /// As of `open`, but never `Broken`.
    pub fn open_unchecked(dir: &Path) -> Result<Self, LedgerError> {
        Ok(Self::new(Sqlite::open(dir)?))
    }

    /// The one that replicas share in a table; it knows no token until it is read.
    pub fn shared(table: impl Table + fmt::Debug) -> Self {
        Self::new(Shared(table))
    }

    /// A record that lives as long as the value.
    ///
    /// # Errors
    /// `Storage` only.
    pub fn in_memory() -> Result<Self, LedgerError> {
        Ok(Self::new(Sqlite::in_memory()?))
    }

    fn new(store: impl Store + 'static) -> Self {
        Self {
            store: Box::new(store),
            tokens: Tokens::default(),
            last: Head::default(),
            fresh_until: DateTime::UNIX_EPOCH,
            noted: BTreeMap::new(),
        }
    }

    /// Reads and checks all of it.
    ///
    /// # Errors
    /// `Storage`, or `Broken` when it is not what was written.
    pub async fn read(mut self) -> Result<Self, LedgerError> {
        self.follow().await?;
        Ok(self)
    }

    /// Adds a row behind the last one, whoever wrote that.
    ///
    /// # Errors
    /// `Storage`: nothing was added, or nobody knows. `Taken` for a token whose name has one that
    /// is good, `Broken` where what others added does not follow what was there.
    pub async fn append(
        &mut self,
        deed: &Deed,
        result: Verdict,
        detail: Option<String>,
        token: Option<TokenEdge>,
        at: DateTime<Utc>,
    ) -> Result<Row, LedgerError> {
        for _ in 0..ATTEMPTS {
            if let Some(TokenEdge::Created { token }) = &token {
                self.tokens.must_be_free(&token.name, at)?;
            }
            let (seq, previous) = (self.last.seq + 1, self.last.digest);
            let (deed, detail, token) = (deed.clone(), detail.clone(), token.clone());
            let row = Row { seq, at, deed, result, detail, token, previous };
            let sealed = row.seal();
            if self.store.put(&sealed, self.last).await? == Put::Behind {
                self.follow().await?;
                continue;
            }
            // Whoever keeps the log elsewhere can tell from it whether the record was cut.
            let (digest, Deed { actor, action, scope, .. }) = (sealed.digest, &row.deed);
            tracing::info!(seq, %digest, actor, action, scope, %result, "change recorded");
            self.last = Head { seq, digest };
            self.tokens.fold(&row);
            return Ok(row);
        }
        Err(LedgerError::Storage("others were faster each time".to_owned()))
    }

    /// Takes up what was added since.
    async fn follow(&mut self) -> Result<(), LedgerError> {
        let (rows, head) = self.store.since(self.last.seq).await?;
        verify(self.last, &rows, head)?.iter().for_each(|row| self.tokens.fold(row));
        self.last = head;
        Ok(())
    }

    /// Takes up what others have added, if that was not done just now. Without an answer what was
    /// known counts: where the record cannot be read nothing can be ordered either.
    pub async fn freshen(&mut self, now: DateTime<Utc>) {
        if now < self.fresh_until && self.fresh_until - now <= AGAIN {
            return;
        }
        let again = match self.follow().await {
            Ok(()) => FRESH,
            Err(error) => {
                tracing::error!(%error, "the record of changes was not read on");
                AGAIN
            }
        };
        self.fresh_until = now + again;
    }

    /// Rows before `before`, newest first.
    ///
    /// # Errors
    /// `Storage`, or `Broken` where one of them cannot be read.
    pub async fn rows(
        &mut self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        let rows = self.store.newest(before, limit).await?;
        Ok(rows.iter().map(super::Sealed::read).collect::<Result<_, _>>()?)
    }

    /// The last row's number and digest.
    ///
    /// # Errors
    /// `Storage`, or `Broken` where it cannot be read.
    pub async fn head(&mut self) -> Result<Head, LedgerError> {
        self.store.head().await
    }

    /// Reads all rows and checks each.
    ///
    /// # Errors
    /// `Storage` outside, the first row that is wrong inside.
    pub async fn verify(&mut self) -> Result<Result<Vec<Row>, Broken>, LedgerError> {
        match self.store.since(0).await {
            Ok((rows, head)) => Ok(verify(Head::default(), &rows, head)),
            Err(LedgerError::Broken(broken)) => Ok(Err(broken)),
            Err(error) => Err(error),
        }
    }

    /// As of the last time that it was read or written.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Whose token this is; notes that it was used.
    ///
    /// # Errors
    /// When it is nobody's, or no longer.
    pub async fn check(
        &mut self,
        given: &str,
        now: DateTime<Utc>,
    ) -> Result<KnownToken, TokenRefused> {
        self.freshen(now).await;
        let known = self.tokens.check(given, now)?.clone();
        let noted = self.noted.get(&known.name);
        if noted.is_none_or(|at| now - at >= USED_WITHIN) {
            self.noted.insert(known.name.clone(), now);
            if let Err(error) = self.store.note_use(&known.name, now).await {
                tracing::warn!(%error, token = %known.name, "use of a token not noted");
            }
        }
        Ok(known)
    }

    /// To the minute; may be lost.
    pub async fn last_used(&mut self, name: &TokenName) -> Option<DateTime<Utc>> {
        self.store.used(name).await.ok().flatten()
    }
}

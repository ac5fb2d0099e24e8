//! Rows of the record in the table that replicas share, in a partition beside those of the
//! clusters.
//!
//! Rule: row and head are written in one transaction that holds only while the head is the one the
//! writer knew, so that two replicas never add different rows behind the same one.

use std::fmt;

use chrono::{DateTime, Utc};
use futures::FutureExt;

use super::store::{Put, Store, Told};
use super::{Broken, Digest, Head, LedgerError, Sealed, TokenName, nonce};
use crate::journal::table::{Condition, Field, Item, Key, Table, TableError, Write};

/// No cluster is called so.
const PARTITION: &str = "#access";
/// Attempts of one write before its fate is left open.
const ATTEMPTS: u32 = 3;

/// The rows in a table.
#[derive(Debug)]
pub(super) struct Shared<T>(pub(super) T);

impl<T: Table> Shared<T> {
    async fn put(&self, row: &Sealed, last: Head) -> Result<Put, LedgerError> {
        let only_if = match last.seq {
            0 => Condition::Absent,
            _ => Condition::Is { field: "digest", value: Field::Text(last.digest.to_string()) },
        };
        let head = Head { seq: row.seq, digest: row.digest };
        let writes = vec![
            Write::Put { item: of_head(head), only_if: Some(only_if) },
            Write::Put { item: of_row(row), only_if: Some(Condition::Absent) },
        ];
        let token = nonce().map_err(LedgerError::Storage)?;
        let mut failed = LedgerError::Storage("nothing was tried".to_owned());
        for _ in 0..ATTEMPTS {
            match self.0.write(&token, writes.clone()).await {
                Ok(()) => return Ok(Put::Added),
                // Or an earlier reply was lost, and what was written is found.
                Err(TableError::Refused(_)) => {
                    let added = self.is_there(row).await?;
                    return Ok(if added { Put::Added } else { Put::Behind });
                }
                Err(error @ (TableError::Busy(_) | TableError::NoAnswer(_))) => {
                    failed = error.into();
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.is_there(row).await? { Ok(Put::Added) } else { Err(failed) }
    }

    async fn is_there(&self, row: &Sealed) -> Result<bool, LedgerError> {
        Ok(self.0.get(&row_key(row.seq)).await? == Some(of_row(row)))
    }

    async fn since(&self, seq: u64) -> Result<(Vec<Sealed>, Head), LedgerError> {
        let (mut rows, mut due) = (Vec::<Sealed>::new(), 0);
        loop {
            let known = rows.last().map_or(seq, |last| last.seq);
            rows.extend(self.range(known.saturating_add(1), u64::MAX).await?);
            let reached = rows.last().map_or(seq, |last| last.seq);
            let head = self.head().await?;
            // What was added between the two reads is read as well; what is missing is not awaited.
            if reached >= head.seq || reached < due {
                return Ok((rows, head));
            }
            due = head.seq;
        }
    }

    /// Rows with these numbers, both included, in order.
    async fn range(&self, mut from: u64, to: u64) -> Result<Vec<Sealed>, LedgerError> {
        let mut rows = Vec::new();
        loop {
            let page = self.0.page(PARTITION, &row_sort(from), &row_sort(to)).await?;
            for item in &page.items {
                let row = row(item)?;
                from = row.seq.saturating_add(1);
                rows.push(row);
            }
            if !page.more || from == u64::MAX {
                return Ok(rows);
            }
        }
    }

    async fn head(&self) -> Result<Head, LedgerError> {
        let found = self.0.get(&key("head".to_owned())).await?;
        Ok(match found {
            None => Head::default(),
            Some(item) => Head { seq: number(&item)?, digest: digest(&item)? },
        })
    }
}

impl<T: Table + fmt::Debug> Store for Shared<T> {
    fn put<'a>(&'a mut self, row: &'a Sealed, last: Head) -> Told<'a, Put> {
        let this = &*self;
        async move { this.put(row, last).await }.boxed()
    }

    fn since(&mut self, seq: u64) -> Told<'_, (Vec<Sealed>, Head)> {
        let this = &*self;
        async move { this.since(seq).await }.boxed()
    }

    fn head(&mut self) -> Told<'_, Head> {
        let this = &*self;
        async move { this.head().await }.boxed()
    }

    fn newest(&mut self, before: Option<u64>, limit: usize) -> Told<'_, Vec<Sealed>> {
        let this = &*self;
        async move {
            let end = this.head().await?.seq.saturating_add(1);
            let end = before.map_or(end, |before| before.min(end));
            let first = end.saturating_sub(limit as u64).max(1);
            if first >= end {
                return Ok(Vec::new());
            }
            let mut rows = this.range(first, end - 1).await?;
            rows.reverse();
            Ok(rows)
        }
        .boxed()
    }

    fn used<'a>(&'a mut self, name: &'a TokenName) -> Told<'a, Option<DateTime<Utc>>> {
        let this = &*self;
        async move {
            let found = this.0.get(&used_key(name)).await?;
            let at = found.as_ref().and_then(|item| text(item, "at"));
            let parsed = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
            Ok(parsed.map(|at| at.to_utc()))
        }
        .boxed()
    }

    fn note_use<'a>(&'a mut self, name: &'a TokenName, at: DateTime<Utc>) -> Told<'a, ()> {
        let this = &*self;
        async move {
            let item = Item::new(used_key(name), [("at", Field::Text(at.to_rfc3339()))]);
            let token = nonce().map_err(LedgerError::Storage)?;
            Ok(this.0.write(&token, vec![Write::Put { item, only_if: None }]).await?)
        }
        .boxed()
    }
}

fn key(sort: String) -> Key {
    Key { partition: PARTITION.to_owned(), sort }
}

fn row_sort(seq: u64) -> String {
    format!("row#{seq:020}")
}

fn row_key(seq: u64) -> Key {
    key(row_sort(seq))
}

fn used_key(name: &TokenName) -> Key {
    key(format!("used#{name}"))
}

fn of_head(Head { seq, digest }: Head) -> Item {
    let fields = [("seq", Field::Number(seq)), ("digest", Field::Text(digest.to_string()))];
    Item::new(key("head".to_owned()), fields)
}

fn of_row(row: &Sealed) -> Item {
    let digest = Field::Text(row.digest.to_string());
    let fields = [
        ("seq", Field::Number(row.seq)),
        ("text", Field::Text(row.text.clone())),
        ("digest", digest),
    ];
    Item::new(row_key(row.seq), fields)
}

fn row(item: &Item) -> Result<Sealed, LedgerError> {
    let seq = number(item)?;
    if item.key != row_key(seq) {
        return Err(Broken {
            seq,
            what: format!("is numbered otherwise than `{}`", item.key.sort),
        }
        .into());
    }
    let missing = || Broken { seq, what: "has no text".to_owned() };
    let text = text(item, "text").ok_or_else(missing)?.to_owned();
    Ok(Sealed { seq, text, digest: digest(item)? })
}

fn number(item: &Item) -> Result<u64, Broken> {
    match item.fields.get("seq") {
        Some(Field::Number(seq)) => Ok(*seq),
        _ => Err(Broken { seq: 0, what: format!("`{}` has no number", item.key.sort) }),
    }
}

fn digest(item: &Item) -> Result<Digest, Broken> {
    let parsed = text(item, "digest").and_then(|digest| digest.parse().ok());
    parsed.ok_or_else(|| Broken {
        seq: number(item).unwrap_or_default(),
        what: "has no digest that can be read".to_owned(),
    })
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    match item.fields.get(name) {
        Some(Field::Text(text)) => Some(text),
        _ => None,
    }
}

impl From<TableError> for LedgerError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Missing(table) => Self::NoTable(table),
            other => Self::Storage(other.to_string()),
        }
    }
}

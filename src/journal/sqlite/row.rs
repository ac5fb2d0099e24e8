//! An entry as a row, with a checksum over all of it.
//!
//! Rule: a row whose checksum fails is damage and stops everything; one that is whole but not
//! understood was written by a newer version and becomes [`Record::Unknown`].

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, params};

use super::sql;
use crate::journal::JournalError;
use crate::model::{Entry, Epoch, Record, Seq};

pub(super) fn insert(db: &Connection, entry: &Entry) -> Result<(), JournalError> {
    let record = serde_json::to_string(&entry.record)
        .map_err(|e| JournalError::Storage(format!("a record cannot be written: {e}")))?;
    insert_text(db, entry, &record)
}

pub(super) fn insert_text(
    db: &Connection,
    entry: &Entry,
    record: &str,
) -> Result<(), JournalError> {
    let (seq, epoch) = (signed(entry.seq.0)?, signed(entry.epoch.0)?);
    let at = time(entry.at);
    let crc = checksum(seq, epoch, &at, record);
    let statement = "INSERT INTO entries (seq, epoch, at, record, crc) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = db.prepare_cached(statement).map_err(sql)?;
    insert.execute(params![seq, epoch, at, record, crc]).map_err(sql)?;
    Ok(())
}

/// Every entry, in order and without holes.
pub(super) fn all(db: &Connection) -> Result<Vec<Entry>, JournalError> {
    let statement = "SELECT seq, epoch, at, record, crc FROM entries ORDER BY seq";
    let mut select = db.prepare(statement).map_err(sql)?;
    let mut rows = select.query([]).map_err(sql)?;
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(row) = rows.next().map_err(sql)? {
        let entry = read(row)?;
        let after = entries.last().map(|last| last.seq.0 + 1);
        if after.is_some_and(|after| after != entry.seq.0) {
            return Err(JournalError::Damaged(format!(
                "records before {} are missing",
                entry.seq.0
            )));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn read(row: &rusqlite::Row<'_>) -> Result<Entry, JournalError> {
    let seq: i64 = row.get(0).map_err(sql)?;
    let damaged = |what: String| JournalError::Damaged(format!("record {seq}: {what}"));
    let column = |e: rusqlite::Error| damaged(e.to_string());
    let epoch: i64 = row.get(1).map_err(column)?;
    let at: String = row.get(2).map_err(column)?;
    let record: String = row.get(3).map_err(column)?;
    let crc: i64 = row.get(4).map_err(column)?;
    if crc != checksum(seq, epoch, &at, &record) {
        return Err(damaged("its checksum does not match".to_owned()));
    }
    let when = DateTime::parse_from_rfc3339(&at).map_err(|e| damaged(e.to_string()))?;
    Ok(Entry {
        seq: Seq(unsigned(seq)?),
        epoch: Epoch(unsigned(epoch)?),
        at: when.to_utc(),
        record: serde_json::from_str(&record).unwrap_or(Record::Unknown),
    })
}

fn checksum(seq: i64, epoch: i64, at: &str, record: &str) -> i64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seq.to_le_bytes());
    crc.update(&epoch.to_le_bytes());
    crc.update(at.as_bytes());
    crc.update(record.as_bytes());
    i64::from(crc.finalize())
}

/// To the last nanosecond: a memory that is read back must equal the one that was written.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub(super) fn signed(n: u64) -> Result<i64, JournalError> {
    i64::try_from(n).map_err(|_| JournalError::Damaged(format!("{n} is too large")))
}

pub(super) fn unsigned(n: i64) -> Result<u64, JournalError> {
    u64::try_from(n).map_err(|_| JournalError::Damaged(format!("{n} is negative")))
}

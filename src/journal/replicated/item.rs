//! Records as items of a table, with a checksum over all of them.
//!
//! Rule: what one transaction recorded is one item, named by its first record, so that it is there
//! as a whole or not at all; a text too long for one item lies beside it in parts, written before
//! it. An item whose checksum fails is damage; a record that is whole but not understood was
//! written by a newer version and becomes [`Record::Unknown`].

use chrono::{DateTime, SecondsFormat, Utc};

use crate::journal::JournalError;
use crate::journal::lease::LeaseItem;
use crate::journal::table::{Condition, Field, Item, Key, Write};
use crate::model::{ClusterName, Entry, Epoch, Record, Seq};

/// Version of everything below; it stands in the lease's item.
pub(super) const SCHEMA: u64 = 1;
/// Longest text of one item, in bytes: an item may have 400 kB, its other fields included.
const TEXT_MAX: usize = 300_000;
/// Parts written at one time: a transaction may have 4 MB.
const PARTS_AT_ONCE: usize = 10;

pub(super) fn lease_key(cluster: &ClusterName) -> Key {
    key(cluster, "lease".to_owned())
}

pub(super) fn entry_sort(seq: Seq) -> String {
    format!("entry#{:020}", seq.0)
}

/// A slot of the ring of decisions.
pub(super) fn decision_sort(slot: u64) -> String {
    format!("decision#{slot:04}")
}

pub(super) fn key(cluster: &ClusterName, sort: String) -> Key {
    Key { partition: cluster.as_str().to_owned(), sort }
}

pub(super) fn of_lease(cluster: &ClusterName, lease: &LeaseItem) -> Item {
    let millis = u64::try_from(lease.lease.as_millis()).unwrap_or(u64::MAX);
    let address = lease.address.clone().map(|address| ("address", Field::Text(address)));
    Item::new(
        lease_key(cluster),
        [
            ("schema", Field::Number(SCHEMA)),
            ("owner", Field::Text(lease.owner.clone())),
            ("epoch", Field::Number(lease.epoch.0)),
            ("rvn", Field::Text(lease.rvn.clone())),
            ("lease_ms", Field::Number(millis)),
            ("released", Field::Flag(lease.released)),
            ("since", Field::Text(time(lease.since))),
            ("seq", Field::Number(lease.seq.0)),
        ]
        .into_iter()
        .chain(address),
    )
}

/// # Errors
/// `Newer` when a later version wrote it.
pub(super) fn lease(item: &Item) -> Result<LeaseItem, JournalError> {
    let found = item.number("schema")?;
    if found > SCHEMA {
        let version = |version| i64::try_from(version).unwrap_or(i64::MAX);
        return Err(JournalError::Newer { found: version(found), known: version(SCHEMA) });
    }
    Ok(LeaseItem {
        owner: item.text("owner")?.to_owned(),
        epoch: Epoch(item.number("epoch")?),
        rvn: item.text("rvn")?.to_owned(),
        lease: std::time::Duration::from_millis(item.number("lease_ms")?),
        released: item.flag("released")?,
        since: moment(item.text("since")?)?,
        seq: Seq(item.number("seq")?),
        address: item.text("address").ok().map(str::to_owned),
    })
}

/// Entries of one transaction, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Where the item stands and what is in it.
    pub(super) item: Item,
    /// Parts of a text that is too long, in the groups in which they are written.
    pub(super) parts: Vec<Vec<Write>>,
}

/// What of a batch is remembered to prune it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) last: Seq,
    /// All its items, parts first.
    pub(super) keys: Vec<Key>,
}

impl Batch {
    /// `entries` are consecutive, of one epoch and one moment; at least one.
    pub(super) fn new(cluster: &ClusterName, entries: &[Entry]) -> Result<Self, JournalError> {
        let Some(first) = entries.first() else {
            return Err(JournalError::Storage("nothing to write".to_owned()));
        };
        let mut lines = Vec::with_capacity(entries.len());
        for entry in entries {
            let line = serde_json::to_string(&entry.record).map_err(|error| {
                JournalError::Storage(format!("a record cannot be written: {error}"))
            })?;
            lines.push(line);
        }
        let (at, text) = (time(first.at), lines.join("\n"));
        let mut fields = vec![
            ("first", Field::Number(first.seq.0)),
            ("count", Field::Number(entries.len() as u64)),
            ("epoch", Field::Number(first.epoch.0)),
            ("crc", Field::Number(checksum(first.seq, first.epoch, &at, &text))),
            ("at", Field::Text(at)),
        ];
        let mut parts = Vec::new();
        if text.len() <= TEXT_MAX {
            fields.push(("records", Field::Text(text)));
        } else {
            for (number, part) in pieces(&text).into_iter().enumerate() {
                let key = part_key(cluster, first.seq, first.epoch, number as u64);
                let item = Item::new(key, [("records", Field::Text(part.to_owned()))]);
                parts.push(Write::Put { item, only_if: None });
            }
            fields.push(("parts", Field::Number(parts.len() as u64)));
        }
        let item = Item::new(key(cluster, entry_sort(first.seq)), fields);
        let parts = parts.chunks(PARTS_AT_ONCE).map(<[Write]>::to_vec).collect();
        Ok(Self { item, parts })
    }

    /// Written only where nothing of this name is there.
    pub(super) fn put(&self) -> Write {
        Write::Put { item: self.item.clone(), only_if: Some(Condition::Absent) }
    }
}

/// Keys of the parts of an item; none where its text lies in itself. How many there are is only
/// what the item says: whoever looks for them stops at the first that is missing.
pub(super) fn part_keys<'a>(
    cluster: &'a ClusterName,
    item: &Item,
) -> Result<impl Iterator<Item = Key> + use<'a>, JournalError> {
    let (seq, epoch) = (Seq(item.number("first")?), Epoch(item.number("epoch")?));
    let has_parts = item.fields.contains_key("parts");
    let parts = if has_parts { item.number("parts")? } else { 0 };
    Ok((0..parts).map(move |number| part_key(cluster, seq, epoch, number)))
}

/// The first record of an item.
pub(super) fn first(item: &Item) -> Result<Seq, JournalError> {
    item.number("first").map(Seq)
}

/// The text of a part.
pub(super) fn text(part: &Item) -> Result<&str, JournalError> {
    part.text("records")
}

/// The entries of an item; `text` is that of its parts, where it has any.
pub(super) fn entries(item: &Item, text: Option<&str>) -> Result<Vec<Entry>, JournalError> {
    let (first, epoch) = (Seq(item.number("first")?), Epoch(item.number("epoch")?));
    let damaged = |what: &str| JournalError::Damaged(format!("record {}: {what}", first.0));
    let at = item.text("at")?;
    let text = match text {
        Some(text) => text,
        None => item.text("records")?,
    };
    let lines: Vec<_> = text.split('\n').collect();
    let is_whole = item.number("crc")? == checksum(first, epoch, at, text)
        && item.number("count")? == lines.len() as u64
        && item.key.sort == entry_sort(first);
    if !is_whole {
        return Err(damaged("its checksum does not match"));
    }
    let at = moment(at)?;
    let entries = (first.0..).zip(lines).map(|(seq, line)| Entry {
        seq: Seq(seq),
        epoch,
        at,
        record: serde_json::from_str(line).unwrap_or(Record::Unknown),
    });
    Ok(entries.collect())
}

/// A decision in its slot of the ring.
pub(super) fn of_decision(
    cluster: &ClusterName,
    slot: u64,
    number: u64,
    id: &str,
    decision: &serde_json::Value,
) -> Item {
    Item::new(
        key(cluster, decision_sort(slot)),
        [
            ("number", Field::Number(number)),
            ("id", Field::Text(id.to_owned())),
            ("decision", Field::Text(decision.to_string())),
        ],
    )
}

/// Its number, which grows, and its text.
pub(super) fn decision(item: &Item) -> Result<(u64, &str), JournalError> {
    Ok((item.number("number")?, item.text("decision")?))
}

/// Parts are of one epoch: those of a writer that died before the item itself are never read.
fn part_key(cluster: &ClusterName, seq: Seq, epoch: Epoch, number: u64) -> Key {
    key(cluster, format!("part#{:020}#{:020}#{number:04}", seq.0, epoch.0))
}

/// Cut between two characters.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while rest.len() > TEXT_MAX {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(TEXT_MAX));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn checksum(first: Seq, epoch: Epoch, at: &str, text: &str) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&first.0.to_le_bytes());
    crc.update(&epoch.0.to_le_bytes());
    crc.update(at.as_bytes());
    crc.update(text.as_bytes());
    u64::from(crc.finalize())
}

/// To the last nanosecond: a memory that is read back must equal the one that was written.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn moment(text: &str) -> Result<DateTime<Utc>, JournalError> {
    let parsed = DateTime::parse_from_rfc3339(text);
    parsed.map(|at| at.to_utc()).map_err(|error| JournalError::Damaged(format!("{text}: {error}")))
}

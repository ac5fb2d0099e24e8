//! Records of a journal as they lie in a file and in a table.
//!
//! The text is records, one a line, stored as their writer would have done it. A list of JSON
//! instead is items of a table as they are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate::journal::table::{Condition, Field, Item, Key, Page, Table, TableError, Write};
use tidegate::journal::{Journal, JournalError, Replicated, Sqlite};
use tidegate::model::{ClusterName, Entry, Epoch, Memory, Moment, Record, Seq};

const CLUSTER: &str = "web";
/// Records of one journal here.
const LINES_MAX: usize = 40;
/// Items of one page, few enough that there is more than one.
const PAGE: usize = 3;

pub(super) fn law(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if text.starts_with('[') {
        let items: Value = serde_json::from_str(text).unwrap_or_default();
        let items = items.as_array().into_iter().flatten().filter_map(item);
        let _any = recovered(items.collect());
        return;
    }
    let lines: Vec<&str> = text.lines().take(LINES_MAX).collect();
    let memory = folded(&lines);
    memory_comes_back(&memory);
    let of_table = recovered(items(&lines));
    assert_eq!(of_table.unwrap_or_else(|error| panic!("{error}")), memory);
    let of_file = FILE.with_borrow_mut(|file| file.get_or_insert_with(File::new).holds(&lines));
    assert_eq!(of_file.unwrap_or_else(|error| panic!("{error}")), memory);
    damage_is_told(&lines);
    what_is_written_is_read(&lines);
}

/// What a reader makes of the lines: one that is not understood is of a newer version.
fn folded(lines: &[&str]) -> Memory {
    let entries = lines.iter().zip(1..).map(|(line, seq)| {
        let record: Record = serde_json::from_str(line).unwrap_or(Record::Unknown);
        if let Ok(printed) = serde_json::to_string(&record)
            && super::is_plain(&json!(record), super::DEPTH_MAX)
        {
            let again: Record = serde_json::from_str(&printed).unwrap_or(Record::Unknown);
            assert_eq!(again, record, "{printed}");
        }
        Entry { seq: Seq(seq), epoch: Epoch(1), at: super::at(0), record }
    });
    entries.fold(Memory::default(), |memory, entry| memory.fold(&entry))
}

/// A checkpoint is what memory is, no less.
fn memory_comes_back(memory: &Memory) {
    let _any = (memory.launched_units(super::at(1)), memory.removed_hosts(super::at(1)));
    if !super::is_plain(&json!(memory), super::DEPTH_MAX) {
        return;
    }
    let written = Record::Checkpoint { memory: Box::new(memory.clone()) };
    let written = serde_json::to_string(&written).unwrap_or_else(|error| panic!("{error}"));
    match serde_json::from_str(&written) {
        Ok(Record::Checkpoint { memory: read }) => assert_eq!(*read, *memory),
        other => panic!("{other:?} was read from {written}"),
    }
}

/// One line, another with each text.
fn damage_is_told(lines: &[&str]) {
    let mut items = items(lines);
    let length: usize = lines.iter().map(|line| line.len()).sum();
    let Some(place) = length.checked_rem(lines.len()) else { return };
    if let Some(Field::Text(text)) = items[place].fields.get_mut("records") {
        text.push('!');
    }
    assert!(matches!(recovered(items), Err(JournalError::Damaged(_))), "line {place}");
}

/// Through the writers of both, as one transaction.
fn what_is_written_is_read(lines: &[&str]) {
    let records: Vec<Record> =
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let printed: Vec<String> =
        records.iter().filter_map(|r| serde_json::to_string(r).ok()).collect();
    let plain = records.iter().all(|record| super::is_plain(&json!(record), super::DEPTH_MAX));
    if records.is_empty() || printed.len() < records.len() || !plain {
        return;
    }
    let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
    let wanted = folded(&printed);
    let table = Given::default();
    let now = Arc::new(|| Moment { wall: super::at(1), steady: Duration::from_secs(1) });
    let lease = Duration::from_secs(30);
    let mut journal = Replicated::new(table.clone(), CLUSTER.into(), "me", lease, now);
    written(&mut journal, &records);
    let kept = table.items().clone().into_values();
    let items = kept.filter(|item| item.key.sort.starts_with("entry")).collect();
    assert_eq!(recovered(items).unwrap_or_else(|error| panic!("{error}")), wanted);
    let mut file = Sqlite::in_memory(&CLUSTER.into()).unwrap_or_else(|error| panic!("{error}"));
    written(&mut file, &records);
    let (memory, _) = now_or_never(file.recover()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Memory { epoch: wanted.epoch, ..memory }, wanted);
}

fn written(journal: &mut impl Journal, records: &[Record]) {
    now_or_never(journal.recover()).unwrap_or_else(|error| panic!("{error}"));
    now_or_never(journal.append(records.to_vec(), super::at(0)))
        .unwrap_or_else(|error| panic!("{error}"));
    let decision = json!({ "records": records.len() });
    now_or_never(journal.keep_decision("d-1", super::at(0), &decision));
    assert_eq!(now_or_never(journal.decisions(1)), [decision]);
}

fn checksum(seq: u64, at: &str, text: &str) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seq.to_le_bytes());
    crc.update(&1_u64.to_le_bytes());
    crc.update(at.as_bytes());
    crc.update(text.as_bytes());
    crc.finalize()
}

fn time() -> String {
    super::at(0).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// Each line as a transaction of its own.
fn items(lines: &[&str]) -> Vec<Item> {
    let item = |(line, seq): (&&str, u64)| {
        let (at, text) = (time(), (*line).to_owned());
        let crc = checksum(seq, &at, &text);
        let key = Key { partition: CLUSTER.to_owned(), sort: format!("entry#{seq:020}") };
        let fields = [
            ("first", Field::Number(seq)),
            ("count", Field::Number(1)),
            ("epoch", Field::Number(1)),
            ("crc", Field::Number(crc.into())),
            ("at", Field::Text(at)),
            ("records", Field::Text(text)),
        ];
        Item::new(key, fields)
    };
    lines.iter().zip(1..).map(item).collect()
}

/// `{"sort": "lease", "schema": 1, …}`: texts, numbers and flags.
fn item(json: &Value) -> Option<Item> {
    let sort = json.get("sort")?.as_str()?.to_owned();
    let fields = json.as_object()?.iter().filter_map(|(name, value)| {
        let field = match value {
            Value::String(text) => Field::Text(text.clone()),
            Value::Number(number) => Field::Number(number.as_u64()?),
            Value::Bool(flag) => Field::Flag(*flag),
            _ => return None,
        };
        Some((name.clone(), field))
    });
    let key = Key { partition: CLUSTER.to_owned(), sort };
    Some(Item { key, fields: fields.collect() })
}

/// The memory of whoever takes over a table with these items, but for the epoch that begins.
fn recovered(items: Vec<Item>) -> Result<Memory, JournalError> {
    let table = Given(Arc::new(Mutex::new(
        items.into_iter().map(|item| (item.key.clone(), item)).collect(),
    )));
    let now = Arc::new(|| Moment { wall: super::at(1), steady: Duration::from_secs(1) });
    let lease = Duration::from_secs(30);
    let mut journal = Replicated::new(table, CLUSTER.into(), "me", lease, now);
    let (mut memory, standing) = now_or_never(journal.recover())?;
    if standing.leader().is_none() {
        assert!(memory.epoch > Epoch(0));
    }
    let _any = now_or_never(journal.decisions(10));
    if memory.seq > Seq(0) {
        memory.epoch = Epoch(1);
    } else {
        memory.epoch = Epoch(0);
    }
    Ok(memory)
}

/// The table here answers at once.
fn now_or_never<T>(asked: impl Future<Output = T>) -> T {
    asked.now_or_never().unwrap_or_else(|| panic!("somebody waits"))
}

/// A table as it was found. Writes are as they should be and their conditions hold.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<BTreeMap<Key, Item>>>);

impl Given {
    fn items(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Item>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Table for Given {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        Ok(self.items().get(key).cloned())
    }

    async fn page(&self, partition: &str, from: &str, to: &str) -> Result<Page, TableError> {
        let key = |sort: &str| Key { partition: partition.to_owned(), sort: sort.to_owned() };
        if from > to {
            return Ok(Page::default());
        }
        let items = self.items();
        let mut found = items.range(key(from)..=key(to)).map(|(_, item)| item.clone());
        let page = found.by_ref().take(PAGE).collect();
        Ok(Page { items: page, more: found.next().is_some() })
    }

    async fn write(&self, _token: &str, writes: Vec<Write>) -> Result<(), TableError> {
        let mut items = self.items();
        for write in writes {
            match write {
                Write::Put { item, only_if: Some(Condition::Absent) }
                    if items.contains_key(&item.key) =>
                {
                    return Err(TableError::Refused(items.get(&item.key).cloned()));
                }
                Write::Put { item, .. } => _ = items.insert(item.key.clone(), item),
                Write::Delete { key } => _ = items.remove(&key),
                Write::Check { .. } => {}
            }
        }
        Ok(())
    }
}

thread_local! {
    static FILE: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// A journal's file, and a second way into it.
struct File {
    dir: TempDir,
    db: Connection,
}

impl File {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let journal = Sqlite::open(dir.path(), &Self::cluster());
        drop(journal.unwrap_or_else(|error| panic!("{error}")));
        let db = Connection::open(dir.path().join(format!("{CLUSTER}.journal")));
        let db = db.unwrap_or_else(|error| panic!("{error}"));
        db.pragma_update(None, "synchronous", "off").unwrap_or_else(|error| panic!("{error}"));
        Self { dir, db }
    }

    fn cluster() -> ClusterName {
        CLUSTER.into()
    }

    /// What is read from the file once it holds these lines and no others.
    fn holds(&mut self, lines: &[&str]) -> Result<Memory, JournalError> {
        self.write(lines).unwrap_or_else(|error| panic!("{error}"));
        let found = Sqlite::peek(self.dir.path(), &Self::cluster())?;
        Ok(found.unwrap_or_else(|| panic!("the file is gone")))
    }

    fn write(&mut self, lines: &[&str]) -> rusqlite::Result<()> {
        let change = self.db.transaction()?;
        change.execute("DELETE FROM entries", [])?;
        let insert = "INSERT INTO entries (seq, epoch, at, record, crc) VALUES (?1, 1, ?2, ?3, ?4)";
        for (line, seq) in lines.iter().zip(1_u64..) {
            let at = time();
            let crc = checksum(seq, &at, line);
            change.execute(insert, params![seq.cast_signed(), at, line, crc])?;
        }
        change.commit()
    }
}

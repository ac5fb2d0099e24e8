use futures::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::model::{
    Action, ActionKind, Command, Fact, Failure, InstanceId, Mode, Note, Order, Origin, Outcome,
    Planned, Subject, Units, Why, build,
};

fn cluster() -> ClusterName {
    "web".into()
}

fn minute(n: usize) -> DateTime<Utc> {
    build::now() + chrono::TimeDelta::minutes(i64::try_from(n).unwrap())
}

fn command(order: Order) -> Record {
    Record::Command { command: Command { actor: "ada".into(), reason: "because".into(), order } }
}

fn intent(host: &str) -> Record {
    Record::Intent {
        planned: Planned {
            action: Action::TerminateHost {
                pool: build::workers(),
                host: host.into(),
                desired_was: Units(3),
                replace: false,
                forced: false,
            },
            kind: ActionKind::ScaleIn,
            why: Why::Unprotected,
            by: Origin::Capacity,
        },
    }
}

fn outcome(of: u64, outcome: Outcome) -> Record {
    Record::Outcome { of: Seq(of), outcome }
}

fn began(host: InstanceId) -> Record {
    Record::Noted { note: Note::Began { subject: Subject::Host(host), what: Fact::Unneeded } }
}

fn record() -> impl Strategy<Value = Record> {
    let host = prop_oneof![Just("i-1"), Just("i-2"), Just("i-3")];
    let orders = prop_oneof![
        Just(Order::SetMode { mode: Mode::Act }),
        Just(Order::Pause),
        Just(Order::Resume { pool: None }),
        Just(Order::Handover { pools: vec![build::workers()] }),
    ];
    let throttled = Outcome::Refused { failure: Failure::Throttled };
    let outcomes = prop_oneof![
        Just(Outcome::done()),
        Just(throttled),
        Just(Outcome::InDoubt { message: "no answer".into() }),
    ];
    prop_oneof![
        orders.prop_map(command),
        host.clone().prop_map(intent),
        (1..12_u64, outcomes).prop_map(|(of, what)| outcome(of, what)),
        host.clone().prop_map(|host| began(host.into())),
        host.prop_map(|host| Record::Noted {
            note: Note::Ended { subject: Subject::Host(host.into()), what: Fact::Unneeded }
        }),
        (0..9_u32).prop_map(|units| Record::Noted {
            note: Note::CapacitySeen { pool: build::workers(), units: Units(units) }
        }),
        Just(Record::Unknown),
    ]
}

/// What the process that wrote it knew, told from the entries alone.
fn live(entries: &[Entry], epoch: u64) -> Memory {
    let mut memory = entries.iter().fold(Memory::default(), Memory::fold);
    memory.epoch = Epoch(epoch);
    memory
}

fn write_all(journal: &mut Sqlite, records: &[Record]) -> Vec<Entry> {
    let batches = records.iter().enumerate();
    batches
        .flat_map(|(n, record)| {
            journal.write(vec![record.clone()], minute(n), Checkpoint::WhenDue).unwrap()
        })
        .collect()
}

fn recover(journal: &mut Sqlite) -> Result<Memory, JournalError> {
    journal.recover().now_or_never().unwrap().map(|(memory, _)| memory)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reading_the_journal_gives_the_memory_of_the_process_that_wrote_it(
        records in prop::collection::vec(record(), 0..24),
        checkpoint_every in 1..8_u64,
        keep in 8..16_u64,
    ) {
        let mut journal = Sqlite::in_memory(&cluster()).unwrap();
        journal.limits = Limits { checkpoint_every, keep, decisions: 1 };
        recover(&mut journal).unwrap();
        let entries = write_all(&mut journal, &records);
        prop_assert_eq!(recover(&mut journal).unwrap(), live(&entries, 2));
        let kept: u64 = journal.db
            .query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0))
            .unwrap().try_into().unwrap();
        // Nothing is pruned behind a record that was not understood.
        let whole = !records.contains(&Record::Unknown);
        prop_assert!(!whole || kept <= keep + checkpoint_every + 1);
    }
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let first = Sqlite::open(dir.path(), &cluster()).unwrap();
    let refused = Sqlite::open(dir.path(), &cluster()).unwrap_err();
    let holder = format!("process {}", std::process::id());
    assert!(matches!(&refused, JournalError::InUse(who) if *who == holder), "{refused}");
    Sqlite::open(dir.path(), &"other".into()).unwrap();
    drop(first);
    Sqlite::open(dir.path(), &cluster()).unwrap();
}

#[test]
fn whoever_peeks_sees_what_the_writer_knows_and_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Sqlite::peek(dir.path(), &cluster()).unwrap(), None);
    let mut journal = Sqlite::open(dir.path(), &cluster()).unwrap();
    recover(&mut journal).unwrap();
    write_all(&mut journal, &[began("i-1".into())]);
    let peeked = Sqlite::peek(dir.path(), &cluster()).unwrap();
    let written = write_all(&mut journal, &[began("i-2".into())]);
    assert_eq!(written[0].seq, Seq(2));
    let known = journal.head.as_ref().unwrap().memory.clone();
    assert_ne!(peeked, Some(known.clone()));
    assert_eq!(Sqlite::peek(dir.path(), &cluster()).unwrap(), Some(known));
}

#[test]
fn each_recovery_is_a_new_epoch_even_when_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for epoch in 1..=3 {
        let mut journal = Sqlite::open(dir.path(), &cluster()).unwrap();
        assert_eq!(journal.lease().epoch, Epoch(0));
        assert_eq!(recover(&mut journal).unwrap().epoch, Epoch(epoch));
        assert_eq!(journal.lease().epoch, Epoch(epoch));
    }
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Sqlite::open(dir.path(), &cluster()).unwrap();
    journal.db.pragma_update(None, "user_version", 7).unwrap();
    drop(journal);
    let refused = Sqlite::open(dir.path(), &cluster()).unwrap_err();
    assert_eq!(refused.to_string(), "the journal has schema version 7, this program knows up to 1");
}

#[track_caller]
fn check_damage(statement: &str, told: &str) {
    let mut journal = Sqlite::in_memory(&cluster()).unwrap();
    recover(&mut journal).unwrap();
    write_all(&mut journal, &[command(Order::Pause), intent("i-1"), intent("i-2")]);
    journal.db.execute_batch(statement).unwrap();
    let damage = recover(&mut journal).unwrap_err().to_string();
    assert_eq!(damage, format!("the journal is damaged: {told}"));
}

#[test]
fn damage_inside_is_found() {
    check_damage(
        "UPDATE entries SET record = replace(record, 'i-1', 'i-9') WHERE seq = 2",
        "record 2: its checksum does not match",
    );
    check_damage(
        "UPDATE entries SET epoch = 5 WHERE seq = 3",
        "record 3: its checksum does not match",
    );
    check_damage("DELETE FROM entries WHERE seq = 2", "records before 3 are missing");
    check_damage(
        "DELETE FROM entries WHERE seq = 1",
        "records before 2 were pruned and no checkpoint of them can be read",
    );
}

#[test]
fn a_file_that_is_not_a_journal_is_damaged_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.journal");
    std::fs::write(&path, "not a database, whatever its name says".repeat(40)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Sqlite::open(dir.path(), &cluster()).unwrap_err();
    assert!(matches!(refused, JournalError::Damaged(_)), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn the_journal_of_another_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Sqlite::open(dir.path(), &cluster()).unwrap());
    let renamed = dir.path().join("other.journal");
    std::fs::rename(dir.path().join("web.journal"), renamed).unwrap();
    let refused = Sqlite::open(dir.path(), &"other".into()).unwrap_err();
    assert!(refused.to_string().contains("cluster `web`"), "{refused}");
}

/// Cuts the write-ahead log at many places, as a crash in the middle of a write would.
#[test]
fn a_crash_at_any_byte_leaves_the_memory_of_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Sqlite::open(dir.path(), &cluster()).unwrap();
    journal.limits.checkpoint_every = 4;
    recover(&mut journal).unwrap();
    // What is before the cuts: everything so far moves from the log into the database.
    journal.db.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(())).unwrap();
    let records: Vec<_> = ["i-1", "i-2", "i-3"]
        .iter()
        .flat_map(|host| [intent(host), began((*host).into()), command(Order::Pause)])
        .collect();
    let entries = write_all(&mut journal, &records);
    let database = std::fs::read(dir.path().join("web.journal")).unwrap();
    let log = std::fs::read(dir.path().join("web.journal-wal")).unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    for cut in (0..=log.len()).step_by(1_373).chain([log.len()]) {
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join("web.journal"), &database).unwrap();
        std::fs::write(copy.path().join("web.journal-wal"), &log[..cut]).unwrap();
        let mut after = Sqlite::open(copy.path(), &cluster()).unwrap();
        let memory = recover(&mut after).unwrap();
        let length = usize::try_from(memory.seq.0).unwrap();
        assert_eq!(memory, live(&entries[..length], 2), "cut at {cut}");
        lengths.insert(length);
    }
    // A checkpoint shares the transaction of the record before it: entries 5 and 10.
    assert_eq!(Vec::from_iter(lengths), [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]);
}

#[test]
fn a_full_disk_is_an_error_after_which_the_journal_is_read_again() {
    let mut journal = Sqlite::in_memory(&cluster()).unwrap();
    recover(&mut journal).unwrap();
    write_all(&mut journal, &[command(Order::Pause)]);
    let pages: i64 = journal.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit = |journal: &Sqlite, pages: i64| {
        journal.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    };
    limit(&journal, pages);
    let many = vec![intent("i-1"); 100];
    let full = journal.write(many.clone(), minute(1), Checkpoint::Later).unwrap_err();
    assert!(matches!(&full, JournalError::Storage(_)), "{full}");
    limit(&journal, 1_000_000);
    let unread = journal.write(many.clone(), minute(1), Checkpoint::Later);
    assert!(unread.unwrap_err().to_string().contains("must be recovered"));
    assert_eq!(recover(&mut journal).unwrap().seq, Seq(1));
    journal.write(many, minute(1), Checkpoint::Later).unwrap();
}

#[test]
fn a_journal_that_may_not_be_written_says_so() {
    let mut journal = Sqlite::in_memory(&cluster()).unwrap();
    journal.db.pragma_update(None, "query_only", true).unwrap();
    let refused = recover(&mut journal).unwrap_err();
    assert!(matches!(refused, JournalError::Storage(_)), "{refused}");
}

#[test]
fn a_record_of_a_newer_version_puts_the_cluster_into_observe() {
    for newer in [
        r#"{"record":"blessed","by":"somebody","fields":{"deep":[1]}}"#,
        r#"{"record":"noted","note":{"note":"a_new_kind_of_note","host":"i-1"}}"#,
    ] {
        let mut journal = Sqlite::in_memory(&cluster()).unwrap();
        recover(&mut journal).unwrap();
        let mut entries = write_all(
            &mut journal,
            &[command(Order::SetMode { mode: Mode::Act }), Record::Unknown],
        );
        // The row as that version would have written it, checksum and all.
        let entry = entries.pop().unwrap();
        journal.db.execute("DELETE FROM entries WHERE seq = 2", []).unwrap();
        row::insert_text(&journal.db, &entry, newer).unwrap();
        let memory = recover(&mut journal).unwrap();
        assert!(memory.unknown_record);
        assert_eq!(memory.mode, Mode::Observe);
    }
}

#[test]
fn no_checkpoint_takes_the_place_of_a_record_that_was_not_understood() {
    let mut journal = Sqlite::in_memory(&cluster()).unwrap();
    journal.limits.checkpoint_every = 2;
    recover(&mut journal).unwrap();
    let records = [Record::Unknown, command(Order::Pause), command(Order::Pause)];
    let is_checkpoint = |entry: &Entry| matches!(entry.record, Record::Checkpoint { .. });
    assert!(!write_all(&mut journal, &records).iter().any(is_checkpoint));
    let mode = command(Order::SetMode { mode: Mode::Act });
    assert!(
        write_all(&mut journal, &[mode]).iter().any(is_checkpoint),
        "a person goes on without it"
    );
}

#[test]
fn the_ring_keeps_the_last_decisions_newest_first() {
    let mut journal = Sqlite::in_memory(&cluster()).unwrap();
    journal.limits.decisions = 2;
    for n in 1..=3 {
        let decision = serde_json::json!({ "nr": n });
        journal.keep_decision(&format!("d-{n}"), minute(n), &decision).now_or_never().unwrap();
    }
    let mut last = |limit| journal.decisions(limit).now_or_never().unwrap();
    let kept: Vec<_> = last(10).iter().map(|d| d["nr"].clone()).collect();
    assert_eq!(kept, [3, 2]);
    assert_eq!(last(1).len(), 1);
    assert_eq!(journal.decision("d-3").unwrap()["nr"], 3);
    assert_eq!(journal.decision("d-1"), None);
}

//! Replicas on one simulated table, on a clock that jumps.

use proptest::prelude::*;

use super::*;
use crate::control::Clock;
use crate::journal::table::{Field, Item, Key};
use crate::model::{Action, ActionKind, Fact, Note, Origin, Planned, Subject, Units, Why, build};
use crate::sim::{LineFaults, SimClock, SimTable};

const LEASE: Duration = Duration::from_secs(15);

fn cluster() -> ClusterName {
    "web".into()
}

fn clock() -> SimClock {
    SimClock::driven(build::now())
}

fn table(clock: &SimClock) -> SimTable {
    SimTable::new(clock.clone(), 1)
}

fn replica(clock: &SimClock, table: &SimTable, owner: &str) -> Replicated<SimTable> {
    let (told, line) = (clock.clone(), table.line(owner.len() as u64));
    Replicated::new(line, cluster(), owner, LEASE, Arc::new(move || told.moment()))
}

/// Runs a story to its end.
fn play(clock: &SimClock, story: impl Future<Output = ()>) {
    clock.drive(story).expect("nothing waits for ever");
}

fn began(host: &str) -> Record {
    let (subject, what) = (Subject::Host(host.into()), Fact::Unneeded);
    Record::Noted { note: Note::Began { subject, what } }
}

fn mode(mode: Mode) -> Record {
    let order = Order::SetMode { mode };
    Record::Command { command: Command { actor: "ada".into(), reason: "because".into(), order } }
}

fn intent() -> Record {
    let (pool, was, now) = (build::workers(), Units(1), Units(2));
    let action = Action::SetPoolCapacity { pool, was, now };
    let (kind, why, by) = (ActionKind::ScaleOut, Why::Unprotected, Origin::Capacity);
    Record::Intent { planned: Planned { action, kind, why, by } }
}

async fn lead(journal: &mut Replicated<SimTable>) -> Memory {
    let (memory, standing) = journal.recover().await.unwrap();
    assert_eq!(standing, Standing::Leads);
    memory
}

async fn append(journal: &mut Replicated<SimTable>, records: Vec<Record>) -> Vec<Entry> {
    journal.append(records, build::now()).await.unwrap()
}

fn leader(standing: &Standing) -> &str {
    standing.leader().map_or("nobody", |holder| &holder.owner)
}

#[test]
fn an_empty_table_begins_in_observe_and_keeps_what_is_written() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut first = replica(&clock, &table, "a");
        let memory = lead(&mut first).await;
        assert_eq!((memory.mode, memory.seq, memory.epoch), (Mode::Observe, Seq(0), Epoch(1)));
        append(&mut first, vec![mode(Mode::Act), intent()]).await;
        first.release().await;
        let memory = lead(&mut replica(&clock, &table, "b")).await;
        assert_eq!((memory.mode, memory.seq, memory.epoch), (Mode::Act, Seq(2), Epoch(2)));
        assert_eq!(memory.in_doubt.len(), 1);
    });
}

#[test]
fn a_replica_that_stands_by_follows_and_takes_over_when_the_leader_is_gone() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let (mut a, mut b) = (replica(&clock, &table, "a"), replica(&clock, &table, "b"));
        lead(&mut a).await;
        append(&mut a, vec![mode(Mode::Act)]).await;
        let (memory, standing) = b.recover().await.unwrap();
        assert_eq!((leader(&standing), memory.mode), ("a", Mode::Act));
        append(&mut a, vec![began("i-1")]).await;
        assert_eq!(b.recover().await.unwrap().0.since.len(), 1);
        assert!(b.append(vec![began("i-2")], build::now()).await.is_err(), "it only follows");

        clock.sleep(LEASE).await;
        let memory = lead(&mut b).await;
        assert_eq!((memory.seq, memory.epoch), (Seq(2), Epoch(2)));
        // The first one was only slow. It writes no record any more, and so nothing to AWS.
        let refused = a.append(vec![intent()], build::now()).await.unwrap_err();
        assert!(matches!(&refused, JournalError::Deposed(by) if by == "b"), "{refused}");
        assert_eq!(leader(&a.recover().await.unwrap().1), "b");
        let written = append(&mut b, vec![began("i-3")]).await;
        assert_eq!((written[0].seq, written[0].epoch), (Seq(3), Epoch(2)));
    });
}

#[test]
fn two_clusters_of_one_process_share_a_table_and_nothing_else() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let open = |name: &str| {
            let told = clock.clone();
            let now: Now = Arc::new(move || told.moment());
            Replicated::new(table.line(3), name.into(), "a", LEASE, now)
        };
        let (mut web, mut batch) = (open("web"), open("batch"));
        for (journal, host) in [(&mut web, "i-1"), (&mut batch, "i-2")] {
            lead(journal).await;
            append(journal, vec![began(host), mode(Mode::Act)]).await;
        }
        for (mut journal, host) in [(web, "i-1"), (batch, "i-2")] {
            let memory = lead(&mut journal).await;
            let hosts: Vec<_> = memory.since.keys().map(|(host, _)| host.to_string()).collect();
            assert_eq!((hosts, memory.seq), (vec![host.to_owned()], Seq(2)));
        }
    });
}

#[test]
fn the_keeper_renews_and_tells_when_the_lease_is_lost_or_free() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let (mut a, mut b) = (replica(&clock, &table, "a"), replica(&clock, &table, "b"));
        lead(&mut a).await;
        b.recover().await.unwrap();
        let (keep_a, keep_b) = (a.keeper(), b.keeper());
        for _ in 0..20 {
            let pause = keep_a.step().await;
            clock.sleep(pause).await;
            keep_b.step().await;
        }
        assert!(a.lease().time_limit(clock.now(), LEASE).is_some());
        assert_eq!(leader(&b.recover().await.unwrap().1), "a");
        let lost = clock.now();
        let watching = async {
            loop {
                let pause = keep_b.step().await;
                clock.sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = keep_b.changed() => {}
            () = watching => {}
        }
        assert!(clock.now() - lost < TimeDelta::from_std(LEASE * 3 / 2).unwrap());
        lead(&mut b).await;
        keep_a.step().await;
        keep_a.changed().await;
        assert_eq!(a.lease().time_limit(clock.now(), LEASE), None);
    });
}

#[test]
fn nothing_is_begun_on_a_lease_too_short_for_a_request() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut a = replica(&clock, &table, "a");
        lead(&mut a).await;
        let limit = |a: &Replicated<_>| a.lease().time_limit(clock.now(), LEASE);
        assert!(limit(&a).unwrap() > LEASE / 2);
        clock.sleep(LEASE / 2).await;
        assert_eq!(limit(&a), None, "half a lease is left, less a margin");
        a.keeper().step().await;
        assert!(limit(&a).is_some());
        clock.sleep(LEASE).await;
        let lease = a.lease();
        assert_eq!(lease.valid_until, Some(clock.now()));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_replies_are_lost_each_record_is_there_once_and_in_order(
        seed in any::<u64>(),
        lost_per_mille in 0..300_u32,
        sizes in prop::collection::vec(1..4_usize, 1..30),
        checkpoint_every in 1..8_u64,
        keep in 8..16_u64,
    ) {
        let clock = clock();
        let table = SimTable::new(clock.clone(), seed);
        play(&clock, async {
            let told = clock.clone();
            let now: Now = Arc::new(move || told.moment());
            let line = table.line(seed);
            let mut a = Replicated::new(line.clone(), cluster(), "a", LEASE, now);
            a.limits = Limits { checkpoint_every, keep, decisions: 3 };
            lead(&mut a).await;
            line.fail(LineFaults { lost_per_mille, busy_per_mille: 50, cut: false });
            let mut live = Memory::default();
            for (n, size) in sizes.into_iter().enumerate() {
                let records: Vec<_> = (0..size).map(|k| began(&format!("i-{n}-{k}"))).collect();
                while let Err(error) = match a.append(records.clone(), build::now()).await {
                    Ok(entries) => {
                        live = entries.iter().fold(std::mem::take(&mut live), Memory::fold);
                        Ok(())
                    }
                    Err(error) => Err(error),
                } {
                    assert!(matches!(error, JournalError::Storage(_)), "{error}");
                    // Its fate is open until it is read.
                    while let Err(error) = a.recover().await {
                        assert!(matches!(error, JournalError::Storage(_)), "{error}");
                    }
                    live = a.head.memory.clone();
                    if live.since.keys().any(|(s, _)| s.to_string().contains(&format!("i-{n}-"))) {
                        break;
                    }
                }
            }
            line.fail(LineFaults::default());
            a.release().await;
            clock.sleep(LEASE * 2).await;
            let mut found = lead(&mut replica(&clock, &table, "b")).await;
            found.epoch = live.epoch;
            assert_eq!(found, live);
            let entries = table.tamper(|items| {
                items.keys().filter(|key| key.sort.starts_with("entry")).count() as u64
            });
            assert!(entries <= keep + checkpoint_every + 1, "{entries}");
        });
    }
}

#[test]
fn a_memory_too_large_for_one_item_lies_in_parts() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut a = replica(&clock, &table, "a");
        a.limits = Limits { checkpoint_every: 3_999, keep: 4_000, decisions: 1 };
        lead(&mut a).await;
        let name = "ü".repeat(120);
        for n in 0..40 {
            let records = (0..100).map(|k| began(&format!("i-{name}-{n}-{k}"))).collect();
            append(&mut a, records).await;
        }
        let sizes = table.tamper(|items| {
            let parts = items.values().filter(|item| item.key.sort.starts_with("part"));
            parts.map(|part| part.text("records").unwrap().len()).collect::<Vec<_>>()
        });
        assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= 300_000), "{sizes:?}");
        a.release().await;
        let found = lead(&mut replica(&clock, &table, "b")).await;
        assert_eq!(found.since.len(), 4_000);
        // A part that is gone is damage, not a shorter memory.
        table.tamper(|items| items.retain(|key, _| !key.sort.ends_with("#0001")));
        let damage = replica(&clock, &table, "c").recover().await.unwrap_err();
        assert!(matches!(damage, JournalError::Damaged(_)), "{damage}");
    });
}

#[track_caller]
fn check_damage(told: &str, change: impl FnOnce(&mut std::collections::BTreeMap<Key, Item>)) {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut a = replica(&clock, &table, "a");
        lead(&mut a).await;
        for host in ["i-1", "i-2", "i-3"] {
            append(&mut a, vec![began(host), mode(Mode::Act)]).await;
        }
        a.release().await;
        table.tamper(change);
        let damage = replica(&clock, &table, "b").recover().await.unwrap_err().to_string();
        assert_eq!(damage, told);
    });
}

fn entry(seq: u64) -> Key {
    item::key(&cluster(), item::entry_sort(Seq(seq)))
}

#[test]
fn damage_inside_is_found() {
    check_damage("the journal is damaged: records before 5 are missing", |items| {
        items.remove(&entry(3));
    });
    check_damage(
        "the journal is damaged: the first records were pruned and no checkpoint of them can be \
         read",
        |items| {
            items.remove(&entry(1));
        },
    );
    check_damage("the journal is damaged: record 3: its checksum does not match", |items| {
        let fields = &mut items.get_mut(&entry(3)).unwrap().fields;
        fields.insert("epoch".to_owned(), Field::Number(7));
    });
    check_damage("the journal is damaged: item `lease` has no good `owner`", |items| {
        let lease = items.get_mut(&item::lease_key(&cluster())).unwrap();
        lease.fields.remove("owner");
    });
    // There is no epoch after the last number.
    check_damage("the journal is damaged: item `lease` has no good `epoch`", |items| {
        let lease = items.get_mut(&item::lease_key(&cluster())).unwrap();
        lease.fields.insert("epoch".to_owned(), Field::Number(u64::MAX));
    });
    // Nor memory for as many parts as a number can say.
    check_damage("the journal is damaged: records before 3 are missing", |items| {
        let fields = &mut items.get_mut(&entry(3)).unwrap().fields;
        fields.insert("parts".to_owned(), Field::Number(i64::MAX.cast_unsigned()));
    });
    check_damage("the journal has schema version 9, this program knows up to 1", |items| {
        let lease = items.get_mut(&item::lease_key(&cluster())).unwrap();
        lease.fields.insert("schema".to_owned(), Field::Number(9));
    });
}

#[test]
fn a_table_that_lost_its_last_records_falls_back_to_observe_for_good() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut a = replica(&clock, &table, "a");
        lead(&mut a).await;
        for _ in 0..3 {
            append(&mut a, vec![mode(Mode::Act)]).await;
        }
        a.keeper().step().await;
        a.release().await;
        table.tamper(|items| items.remove(&entry(3)));
        for owner in ["b", "c"] {
            let mut next = replica(&clock, &table, owner);
            let memory = lead(&mut next).await;
            assert_eq!((memory.mode, memory.seq), (Mode::Observe, Seq(3)));
            next.release().await;
        }
    });
}

#[test]
fn epochs_grow_although_somebody_deleted_the_lease() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        for owner in ["a", "b", "c"] {
            let mut journal = replica(&clock, &table, owner);
            lead(&mut journal).await;
            append(&mut journal, vec![began(owner)]).await;
            journal.release().await;
        }
        table.tamper(|items| items.remove(&item::lease_key(&cluster())));
        let memory = lead(&mut replica(&clock, &table, "d")).await;
        assert_eq!((memory.epoch, memory.seq), (Epoch(4), Seq(3)));
    });
}

#[test]
fn a_record_of_a_newer_version_puts_the_cluster_into_observe() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut a = replica(&clock, &table, "a");
        lead(&mut a).await;
        append(&mut a, vec![mode(Mode::Act), Record::Unknown]).await;
        a.release().await;
        let memory = lead(&mut replica(&clock, &table, "b")).await;
        assert_eq!((memory.mode, memory.unknown_record), (Mode::Observe, true));
    });
}

#[test]
fn the_ring_keeps_the_last_decisions_newest_first_across_replicas() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        for n in 0..7 {
            let mut journal = replica(&clock, &table, &n.to_string());
            journal.limits.decisions = 3;
            let decision = serde_json::json!({ "nr": n });
            journal.keep_decision(&format!("d-{n}"), build::now(), &decision).await;
            let kept: Vec<_> = journal.decisions(2).await.iter().map(|d| d["nr"].clone()).collect();
            assert_eq!(kept[0], n);
            assert!(kept.len() == if n == 0 { 1 } else { 2 });
        }
    });
}

#[test]
fn a_ring_whose_numbers_lie_is_still_read_to_its_end() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let mut journal = replica(&clock, &table, "a");
        for n in 0..120 {
            let decision = serde_json::json!({ "nr": n });
            journal.keep_decision(&format!("d-{n}"), build::now(), &decision).await;
        }
        table.tamper(|items| {
            let decisions = items.values_mut().filter(|i| i.key.sort.starts_with("decision"));
            for item in decisions {
                item.fields.insert("number".to_owned(), Field::Number(0));
            }
        });
        assert_eq!(journal.decisions(200).await.len(), 120);
    });
}

#[test]
fn a_line_that_is_cut_is_told_and_nothing_is_written() {
    let clock = clock();
    let table = table(&clock);
    play(&clock, async {
        let told = clock.clone();
        let line = table.line(9);
        let now: Now = Arc::new(move || told.moment());
        let mut a = Replicated::new(line.clone(), cluster(), "a", LEASE, now);
        lead(&mut a).await;
        line.fail(LineFaults { cut: true, ..LineFaults::default() });
        let error = a.append(vec![intent()], build::now()).await.unwrap_err();
        assert!(matches!(error, JournalError::Storage(_)), "{error}");
        assert!(a.recover().await.is_err());
        clock.sleep(LEASE).await;
        assert_eq!(a.lease().time_limit(clock.now(), LEASE), None);
        line.fail(LineFaults::default());
        assert_eq!(lead(&mut a).await.seq, Seq(0));
    });
}

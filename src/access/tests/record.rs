//! The record: what orders look like in it, and that no row can be touched unnoticed.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::model::{CutoverOrder, Mode, Order};

/// Rows one after the other, as they are stored.
fn chain(actions: &[String]) -> (Vec<Sealed>, Head) {
    let mut last = Head::default();
    let mut rows = Vec::new();
    for action in actions {
        let row = Row {
            seq: last.seq + 1,
            at: noon(),
            deed: deed(action),
            result: Verdict::Begun,
            detail: None,
            token: None,
            previous: last.digest,
        };
        let sealed = row.seal();
        last = Head { seq: sealed.seq, digest: sealed.digest };
        rows.push(sealed);
    }
    (rows, last)
}

#[tokio::test]
async fn a_row_says_who_did_what_to_what_and_why() {
    let mut ledger = Ledger::in_memory().unwrap();
    let web = "web".into();
    for (order, verdict) in [
        (Order::SetMode { mode: Mode::Act }, Verdict::Refused),
        (
            Order::Cutover {
                cutover: "break".into(),
                steer: CutoverOrder::Start { token: "secret".into(), routes: vec!["users".into()] },
            },
            Verdict::Begun,
        ),
    ] {
        let deed = deed("").of(&order, &web, Mode::Observe, "week 3");
        ledger.append(&deed, verdict, None, None, noon()).await.unwrap();
    }
    let rows = ledger.rows(None, 9).await.unwrap();
    let mut text = String::new();
    for row in rows.iter().rev() {
        text += &serde_json::to_string(row).unwrap();
        text += "\n";
    }
    expect![[r#"
        {"seq":1,"at":"2026-11-21T12:00:00Z","actor":"ada","method":"token","role":"admin","request":"r1","action":"set_mode","scope":"web","reason":"week 3","before":{"mode":"observe"},"after":{"mode":"act"},"result":"refused","previous":"0000000000000000000000000000000000000000000000000000000000000000"}
        {"seq":2,"at":"2026-11-21T12:00:00Z","actor":"ada","method":"token","role":"admin","request":"r1","action":"cutover_start","scope":"web/cutovers/break","reason":"week 3","after":{"routes":["users"]},"result":"begun","previous":"7351ed0d02b37674b0c2d4be6938fb5461bb36963dee810d123d22117bd75225"}
    "#]].assert_eq(&text);
    assert_eq!(ledger.verify().await.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn the_record_outlives_the_process_and_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).await.unwrap();
    ledger.append(&deed("pause"), Verdict::Done, None, None, noon()).await.unwrap();
    assert!(matches!(Ledger::open(dir.path()).await, Err(LedgerError::InUse)));
    drop(ledger);
    let mut ledger = Ledger::open(dir.path()).await.unwrap();
    assert_eq!(ledger.rows(None, 9).await.unwrap()[0].deed.action, "pause");
    assert_eq!(ledger.rows(Some(1), 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_record_that_somebody_wrote_to_is_not_opened_but_can_be_looked_at() {
    for (what, sql) in [
        ("was changed", "UPDATE rows SET text = replace(text, 'pause', 'start') WHERE seq = 2"),
        ("is missing", "DELETE FROM rows WHERE seq = 2"),
        ("is not the last one", "DELETE FROM rows WHERE seq = 3"),
        ("has no digest", "UPDATE rows SET digest = 'none' WHERE seq = 1"),
        ("has no digest", "UPDATE head SET digest = 'none'"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).await.unwrap();
        for _ in 0..3 {
            ledger.append(&deed("pause"), Verdict::Done, None, None, noon()).await.unwrap();
        }
        drop(ledger);
        let db = rusqlite::Connection::open(dir.path().join("access.record")).unwrap();
        db.execute(sql, []).unwrap();
        drop(db);
        let error = Ledger::open(dir.path()).await.unwrap_err().to_string();
        assert!(error.contains(what), "{sql}: {error}");
        assert!(Ledger::open_unchecked(dir.path()).is_ok());
    }
}

proptest! {
    #[test]
    fn any_change_removal_or_swap_of_rows_is_noticed(
        actions in prop::collection::vec("[a-z]{1,6}", 1..8),
        at in any::<prop::sample::Index>(),
        with in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
    ) {
        let (rows, head) = chain(&actions);
        prop_assert_eq!(verify(Head::default(), &rows, head).unwrap().len(), rows.len());
        let (at, with) = (at.index(rows.len()), with.index(rows.len()));

        let mut changed = rows.clone();
        let byte = byte.index(changed[at].text.len());
        let other = if &changed[at].text[byte..=byte] == "x" { "y" } else { "x" };
        changed[at].text.replace_range(byte..=byte, other);
        prop_assert!(verify(Head::default(), &changed, head).is_err());
        // Also by somebody who knows how digests are made.
        changed[at].digest = Digest::of(changed[at].text.as_bytes());
        prop_assert!(verify(Head::default(), &changed, head).is_err());

        let mut removed = rows.clone();
        removed.remove(at);
        prop_assert!(verify(Head::default(), &removed, head).is_err());

        let mut doubled = rows.clone();
        doubled.insert(at, rows[at].clone());
        prop_assert!(verify(Head::default(), &doubled, head).is_err());

        if at != with {
            let mut swapped = rows.clone();
            swapped.swap(at, with);
            prop_assert!(verify(Head::default(), &swapped, head).is_err());
            let (one, other) = (swapped[at].seq, swapped[with].seq);
            (swapped[at].seq, swapped[with].seq) = (other, one);
            prop_assert!(verify(Head::default(), &swapped, head).is_err());
        }
    }
}

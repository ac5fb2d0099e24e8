//! One record in a table that two replicas share.

use crate::control::Clock;
use crate::sim::{LineFaults, SimClock, SimTable};

use super::*;

const ROWS: usize = 30;

fn table() -> (SimClock, SimTable) {
    let clock = SimClock::driven(noon());
    (clock.clone(), SimTable::new(clock, 7))
}

/// What the record says was done, in order.
async fn actions(table: &SimTable) -> Vec<String> {
    let rows = Ledger::shared(table.line(99)).verify().await.unwrap().unwrap();
    rows.into_iter().map(|row| row.deed.action).collect()
}

#[test]
fn two_that_add_rows_at_once_make_one_chain() {
    let (clock, table) = table();
    let played = clock.drive(async {
        let one = async |name: &str, line: u64| {
            let mut ledger = Ledger::shared(table.line(line)).read().await.unwrap();
            for number in 0..ROWS {
                let deed = deed(&format!("{name}{number:02}"));
                ledger.append(&deed, Verdict::Done, None, None, clock.now()).await.unwrap();
            }
        };
        tokio::join!(one("a", 1), one("b", 2));
        let told = actions(&table).await;
        assert_eq!(told.len(), 2 * ROWS, "each once");
        for name in ["a", "b"] {
            let of: Vec<_> = told.iter().filter(|action| action.starts_with(name)).collect();
            assert!(of.is_sorted() && of.len() == ROWS, "{of:?}");
        }
        assert_ne!(told[..ROWS].iter().filter(|action| action.starts_with('a')).count(), ROWS);
    });
    played.expect("it ends");
}

/// Replies are lost, and what was sent arrives at once, late or never.
#[test]
fn on_bad_lines_what_was_answered_stands_once_and_the_chain_is_whole() {
    for seed in 0..8 {
        let (clock, table) = table();
        let played = clock.drive(async {
            let one = async |name: &str, line: u64| {
                let line = table.line(seed * 2 + line);
                line.fail(LineFaults { cut: false, lost_per_mille: 300, busy_per_mille: 200 });
                let mut ledger = Ledger::shared(line).read().await.unwrap();
                let mut done = Vec::new();
                for number in 0..ROWS {
                    let action = format!("{name}{number:02}");
                    let at = clock.now();
                    let added = ledger.append(&deed(&action), Verdict::Done, None, None, at).await;
                    done.extend(added.is_ok().then_some(action));
                }
                done
            };
            let (a, b) = tokio::join!(one("a", 1), one("b", 2));
            clock.sleep(std::time::Duration::from_secs(10)).await;
            let told = actions(&table).await;
            let count = |action: &String| told.iter().filter(|known| *known == action).count();
            assert!(a.iter().chain(&b).all(|action| count(action) == 1), "seed {seed}");
            assert!(told.iter().all(|action| count(action) == 1), "seed {seed}");
            assert!(a.len() + b.len() > ROWS, "most of it gets through");
        });
        played.expect("it ends");
    }
}

#[test]
fn a_token_made_at_one_replica_counts_at_the_other_until_it_is_revoked() {
    let (clock, table) = table();
    let played = clock.drive(async {
        let mut one = Ledger::shared(table.line(1)).read().await.unwrap();
        let mut other = Ledger::shared(table.line(2)).read().await.unwrap();
        let name: TokenName = "ci".parse().unwrap();
        let created = |ledger: &Ledger, secret: &Token| {
            let (tokens, now) = (ledger.tokens(), clock.now());
            let token = tokens.new_token(name.clone(), Role::Operator, None, secret, now);
            Some(TokenEdge::Created { token: token.unwrap() })
        };
        let (secret, late) = (Token::random().unwrap(), Token::random().unwrap());
        let (first, second) = (created(&one, &secret), created(&other, &late));
        let add = async |ledger: &mut Ledger, edge| {
            ledger.append(&deed("token"), Verdict::Done, None, edge, clock.now()).await
        };
        add(&mut one, first).await.unwrap();
        let twice = add(&mut other, second).await;
        assert!(matches!(twice, Err(LedgerError::Taken(_))), "{twice:?}");
        let shown = async |ledger: &mut Ledger| {
            let known = ledger.check(secret.reveal(), clock.now()).await;
            known.map(|known| known.name.to_string())
        };
        assert_eq!(shown(&mut other).await, Ok("ci".to_owned()));
        add(&mut one, Some(TokenEdge::Revoked { name: name.clone() })).await.unwrap();
        clock.sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(shown(&mut other).await, Err(TokenRefused::Revoked), "within a second");
        assert!(other.last_used(&name).await.is_some());
        assert_eq!(one.last_used(&name).await, other.last_used(&name).await);
    });
    played.expect("it ends");
}

#[test]
fn what_somebody_changed_in_the_table_is_not_continued() {
    let (clock, table) = table();
    let played = clock.drive(async {
        let mut ledger = Ledger::shared(table.line(1)).read().await.unwrap();
        for action in ["one", "two", "three"] {
            ledger.append(&deed(action), Verdict::Done, None, None, noon()).await.unwrap();
        }
        let newest: Vec<_> = ledger.rows(Some(3), 5).await.unwrap();
        assert_eq!(newest.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 1]);
        table.tamper(|items| items.retain(|key, _| !key.sort.ends_with('2')));
        let broken = Ledger::shared(table.line(2)).read().await.unwrap_err();
        assert_eq!(broken.to_string(), "row 2 of the record is missing");
        table.tamper(|items| items.retain(|key, _| key.sort != "head"));
        let added = ledger.append(&deed("four"), Verdict::Done, None, None, noon()).await;
        assert!(matches!(added, Err(LedgerError::Broken(_))), "{added:?}");
    });
    played.expect("it ends");
}

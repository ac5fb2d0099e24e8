//! Two replicas and one item, told second by second.

use chrono::TimeDelta;

use super::*;
use crate::model::build;

const LEASE: Duration = Duration::from_secs(15);

/// Both clocks agree.
fn at(seconds: i64) -> Moment {
    clocks(seconds, seconds)
}

fn clocks(steady: i64, wall: i64) -> Moment {
    let steady = Duration::from_secs(1_000) + Duration::from_secs(steady.unsigned_abs());
    Moment { wall: build::now() + TimeDelta::seconds(wall), steady }
}

fn replica(owner: &str) -> Tenure {
    Tenure::new(owner, LEASE)
}

/// The item as a table keeps it.
#[derive(Default)]
struct Table(Option<LeaseItem>);

impl Table {
    fn write(&mut self, attempt: &Attempt) -> Answer {
        if self.0.as_ref().map(|item| &item.rvn) != attempt.replaces.as_ref() {
            return Answer::Refused(self.0.clone());
        }
        self.0 = Some(attempt.item.clone());
        Answer::Written
    }

    /// Reads, and takes the lease if it is to be had; whoever is in the way otherwise.
    fn take(&mut self, tenure: &mut Tenure, seconds: i64) -> Result<Epoch, String> {
        tenure.observe(self.0.clone(), at(seconds));
        let attempt = tenure.acquire(Epoch(0), at(seconds)).map_err(|holder| holder.owner)?;
        let answer = self.write(&attempt);
        tenure.answered(attempt, answer, at(seconds));
        tenure.epoch().ok_or_else(|| "nobody".to_owned())
    }

    fn renew(&mut self, tenure: &mut Tenure, seconds: i64) {
        let attempt = tenure.renew(Seq(0), at(seconds)).expect("it is held");
        let answer = self.write(&attempt);
        tenure.answered(attempt, answer, at(seconds));
    }
}

#[test]
fn the_first_replica_takes_it_and_the_second_learns_from_whom() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    assert_eq!(table.take(&mut a, 0), Ok(Epoch(1)));
    assert_eq!(table.take(&mut b, 1), Err("a".to_owned()));
    assert_eq!(a.valid_for(at(0)), Duration::from_secs(14));
    assert_eq!(a.pause(at(0)), Duration::from_secs(5));
    assert_eq!(b.pause(at(1)), Duration::from_secs(2));
    assert_eq!(b.valid_for(at(1)), Duration::ZERO);
}

#[test]
fn a_replica_that_waits_sees_a_whole_lease_pass_without_a_renewal() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    table.take(&mut a, 0).unwrap();
    // Seen first at 8, long after it was written: by its own clock all of it lies ahead.
    assert_eq!(table.take(&mut b, 8), Err("a".to_owned()));
    assert_eq!(table.take(&mut b, 22), Err("a".to_owned()));
    assert_eq!(table.take(&mut b, 23), Ok(Epoch(2)));
    assert_eq!(a.valid_for(at(15)), Duration::ZERO, "its holder had stopped before");
}

#[test]
fn each_renewal_begins_the_wait_anew() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    table.take(&mut a, 0).unwrap();
    for seconds in (5..60).step_by(5) {
        table.renew(&mut a, seconds);
        assert_eq!(table.take(&mut b, seconds + 1), Err("a".to_owned()));
    }
    assert_eq!(a.epoch(), Some(Epoch(1)), "renewing begins no epoch");
}

#[test]
fn what_is_released_is_free_at_once() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    table.take(&mut a, 0).unwrap();
    let release = a.release(at(1)).unwrap();
    let answer = table.write(&release);
    a.answered(release, answer, at(1));
    assert!(!a.holds());
    assert_eq!(table.take(&mut b, 2), Ok(Epoch(2)));
}

#[test]
fn a_holder_that_finds_another_rvn_holds_nothing() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    table.take(&mut a, 0).unwrap();
    table.take(&mut b, 1).unwrap_err();
    table.take(&mut b, 16).unwrap();
    table.renew(&mut a, 17);
    assert_eq!((a.holds(), a.valid_for(at(17))), (false, Duration::ZERO));
    assert_eq!(table.take(&mut a, 18), Err("b".to_owned()));
}

#[test]
fn a_lost_reply_is_found_again_and_counts_from_when_it_was_first_sent() {
    let (mut table, mut a) = (Table::default(), replica("a"));
    table.take(&mut a, 0).unwrap();
    let renewal = a.renew(Seq(0), at(5)).unwrap();
    assert_eq!(table.write(&renewal), Answer::Written);
    a.answered(renewal.clone(), Answer::Unknown, at(8));
    assert_eq!(a.valid_for(at(8)), Duration::from_secs(6), "not believed before it is seen");
    let again = a.renew(Seq(0), at(10)).unwrap();
    assert_eq!(again, renewal);
    let answer = table.write(&again);
    assert!(matches!(answer, Answer::Refused(Some(_))));
    a.answered(again, answer, at(10));
    assert_eq!(a.epoch(), Some(Epoch(1)));
    assert_eq!(a.valid_for(at(10)), Duration::from_secs(9));
}

#[test]
fn a_lost_reply_of_taking_it_is_found_by_reading() {
    let (mut table, mut a) = (Table::default(), replica("a"));
    let attempt = a.acquire(Epoch(0), at(0)).unwrap();
    table.write(&attempt);
    a.answered(attempt, Answer::Unknown, at(2));
    assert!(!a.holds());
    a.observe(table.0.clone(), at(4));
    assert_eq!(a.epoch(), Some(Epoch(1)));
    assert_eq!(a.valid_for(at(4)), Duration::from_secs(10));
}

#[test]
fn what_lost_against_another_is_not_tried_again() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    let attempt = a.acquire(Epoch(0), at(0)).unwrap();
    a.answered(attempt.clone(), Answer::Unknown, at(2));
    table.take(&mut b, 3).unwrap();
    assert_eq!(table.take(&mut a, 4), Err("b".to_owned()));
    assert!(
        matches!(table.write(&attempt), Answer::Refused(_)),
        "it may arrive as late as it likes"
    );
}

#[test]
fn the_faster_of_two_clocks_ends_a_hold_and_the_steady_one_ends_a_wait() {
    let (mut table, mut a, mut b) = (Table::default(), replica("a"), replica("b"));
    table.take(&mut a, 0).unwrap();
    table.take(&mut b, 0).unwrap_err();
    // The machine slept: its steady clock stood still.
    assert_eq!(a.valid_for(clocks(1, 60)), Duration::ZERO);
    // Somebody set the clock back.
    assert_eq!(a.valid_for(clocks(10, -3_600)), Duration::from_secs(4));
    // Somebody set it forward: no reason to believe that the holder is gone.
    b.observe(table.0.clone(), clocks(1, 3_600));
    assert!(b.acquire(Epoch(0), clocks(1, 3_600)).is_err());
    assert!(!b.is_free(clocks(1, 3_600)));
    assert!(b.is_free(clocks(15, 15)));
}

#[test]
fn taking_ones_own_lease_anew_begins_an_epoch() {
    let (mut table, mut a) = (Table::default(), replica("a"));
    assert_eq!(table.take(&mut a, 0), Ok(Epoch(1)));
    assert_eq!(table.take(&mut a, 1), Ok(Epoch(2)));
    a.observe(None, at(2));
    assert!(!a.holds(), "somebody deleted the item");
    let attempt = a.acquire(Epoch(7), at(2)).unwrap();
    assert_eq!((attempt.item.epoch, attempt.replaces), (Epoch(8), None));
}

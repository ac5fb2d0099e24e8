//! The lease on a cluster: one replica may write, the others wait until it surely no longer does.
//!
//! Rule: pure. Nobody's clock is compared with another's: a waiting replica measures a whole lease
//! by its own clock from when it saw the lease renewed last; the holder counts from before it sent
//! what renewed it. Each holder has an epoch of its own, and the item is never deleted, so that
//! epochs only grow.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::{Epoch, Moment, Seq};

/// Shares of a lease: it is renewed after a third, tried again after two fifteenths, and ends for
/// its holder a fifteenth early, since clocks do not run equally fast.
const FIFTEENTH: u32 = 15;
const RENEW_AFTER: u32 = 5;
const RETRY_AFTER: u32 = 2;
const MARGIN: u32 = 1;

/// What the table says about the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseItem {
    /// Differs for each process, the same one started again included.
    pub owner: String,
    pub epoch: Epoch,
    /// Differs for each write of this item.
    pub rvn: String,
    /// How long it holds after each write.
    pub lease: Duration,
    /// Given up by its owner, who will not write again.
    pub released: bool,
    /// When this epoch began, by its owner's clock; shown, never compared.
    pub since: DateTime<Utc>,
    /// The last record the owner had written when it wrote this.
    pub seq: Seq,
    /// Where orders for its owner are sent; `None`: it has told none.
    pub address: Option<String>,
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Holder {
    pub owner: String,
    pub epoch: Epoch,
    /// By the owner's clock.
    pub since: DateTime<Utc>,
    /// Where its API is, such as `http://10.0.1.7:8080`; absent where it has told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A write of the lease's item that is tried, and the only state of the item it may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub item: LeaseItem,
    /// The item's `rvn`; `None`: there must be no item.
    pub replaces: Option<String>,
    sent: Moment,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Written,
    /// The item was another one: this, or none.
    Refused(Option<LeaseItem>),
    /// It may have been written, or may still be.
    Unknown,
}

/// One replica's knowledge of a lease, and its own hold of it.
#[derive(Clone, Debug)]
pub struct Tenure {
    owner: String,
    /// Where others reach it.
    address: Option<String>,
    lease: Duration,
    writes: u64,
    /// The item as last seen, and when its `rvn` was first seen. `None`: there was none.
    seen: Option<(LeaseItem, Moment)>,
    /// Our item, and the moment before it was sent.
    held: Option<(LeaseItem, Moment)>,
    /// What may still be written; nothing else is tried before that is known.
    pending: Option<Attempt>,
}

impl Tenure {
    /// Knows nothing yet. `owner` must be of this process alone.
    pub fn new(owner: impl Into<String>, lease: Duration) -> Self {
        let (owner, address, writes) = (owner.into(), None, 0);
        Self { owner, address, lease, writes, seen: None, held: None, pending: None }
    }

    /// Tells others where this process is reached, with the next epoch.
    pub fn reached_at(&mut self, address: Option<String>) {
        self.address = address;
    }

    /// The name of this process.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Takes in what was read; `at` must lie after the answer came.
    pub fn observe(&mut self, item: Option<LeaseItem>, at: Moment) {
        if let Some(attempt) =
            self.pending.take_if(|p| item.as_ref().is_some_and(|item| item.rvn == p.item.rvn))
        {
            self.hold(attempt);
        }
        let is = |rvn: &str| item.as_ref().is_some_and(|item| item.rvn == rvn);
        self.held.take_if(|(held, _)| !is(&held.rvn));
        // An `rvn` never comes back, so what waits for another one can no longer be written.
        let replaced = item.as_ref().map(|item| &item.rvn);
        self.pending.take_if(|pending| pending.replaces.as_ref() != replaced);
        self.seen = match (item, self.seen.take()) {
            (Some(item), Some((seen, since))) if item.rvn == seen.rvn => Some((item, since)),
            (item, _) => item.map(|item| (item, at)),
        };
    }

    /// What to write to begin an epoch of our own, higher than any known and than `above`; or who
    /// is in the way. What was read just before must have been observed.
    pub fn acquire(&mut self, above: Epoch, at: Moment) -> Result<Attempt, Holder> {
        if let Some(pending) = self.pending.clone() {
            return Ok(pending);
        }
        let (before, replaces) = match &self.seen {
            None => (Epoch(0), None),
            Some((seen, since)) => {
                let is_over = at.surely_since(*since) >= seen.lease;
                if !(seen.released || is_over || self.holds()) {
                    return Err(holder(seen));
                }
                (seen.epoch, Some(seen.rvn.clone()))
            }
        };
        let seq = self.seen.as_ref().map_or(Seq(0), |(seen, _)| seen.seq);
        let item = LeaseItem {
            owner: self.owner.clone(),
            epoch: Epoch(before.max(above).0 + 1),
            rvn: self.next_rvn(),
            lease: self.lease,
            released: false,
            since: at.wall,
            seq,
            address: self.address.clone(),
        };
        Ok(self.tried(Attempt { item, replaces, sent: at }))
    }

    /// What to write to hold on to it; nothing where it is not ours.
    pub fn renew(&mut self, seq: Seq, at: Moment) -> Option<Attempt> {
        self.replace(at, |item| LeaseItem { seq, ..item })
    }

    /// What to write to give it up; first what is pending, so it may take two attempts.
    pub fn release(&mut self, at: Moment) -> Option<Attempt> {
        self.replace(at, |item| LeaseItem { released: true, ..item })
    }

    fn replace(
        &mut self,
        at: Moment,
        change: impl FnOnce(LeaseItem) -> LeaseItem,
    ) -> Option<Attempt> {
        let (held, _) = self.held.clone()?;
        if let Some(pending) = self.pending.clone() {
            return Some(pending);
        }
        let (replaces, rvn) = (Some(held.rvn.clone()), self.next_rvn());
        let item = change(LeaseItem { rvn, ..held });
        Some(self.tried(Attempt { item, replaces, sent: at }))
    }

    /// From now on it may be written, whatever becomes of the caller.
    fn tried(&mut self, attempt: Attempt) -> Attempt {
        self.pending = Some(attempt.clone());
        attempt
    }

    /// Takes in what became of an attempt; `at` must lie after the answer came.
    pub fn answered(&mut self, attempt: Attempt, answer: Answer, at: Moment) {
        match answer {
            Answer::Written => {
                self.seen = Some((attempt.item.clone(), at));
                self.hold(attempt);
            }
            // Its own reply was lost before, and what it wrote is found.
            Answer::Refused(found) => {
                self.pending = Some(attempt);
                self.observe(found, at);
                self.pending = None;
            }
            Answer::Unknown => self.pending = Some(attempt),
        }
    }

    fn hold(&mut self, attempt: Attempt) {
        self.pending = None;
        self.held = Some((attempt.item, attempt.sent)).filter(|(item, _)| !item.released);
    }

    /// Whether nobody else has taken it, as far as is known.
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The epoch of our own hold.
    pub fn epoch(&self) -> Option<Epoch> {
        self.held.as_ref().map(|(item, _)| item.epoch)
    }

    /// For how long nobody else can take it; nothing where it is not ours.
    pub fn valid_for(&self, at: Moment) -> Duration {
        let Some((item, sent)) = &self.held else { return Duration::ZERO };
        let whole = item.lease - share(item.lease, MARGIN);
        whole.saturating_sub(at.perhaps_since(*sent))
    }

    /// Time that one request to AWS gets: right after a renewal that is due, more than this is
    /// left.
    pub fn write_time(&self) -> Duration {
        self.lease / 2
    }

    /// Who was seen to hold it, for people.
    pub fn holder(&self) -> String {
        self.seen.as_ref().map_or_else(|| "nobody".to_owned(), |(seen, _)| seen.owner.clone())
    }

    /// Whether nobody holds it, or surely not any more.
    pub fn is_free(&self, at: Moment) -> bool {
        self.seen
            .as_ref()
            .is_none_or(|(seen, since)| seen.released || at.surely_since(*since) >= seen.lease)
    }

    /// How long to wait before the next renewal, or look at who holds it.
    pub fn pause(&self, at: Moment) -> Duration {
        let again = share(self.lease, RETRY_AFTER);
        match (&self.held, &self.pending) {
            (Some((item, sent)), None) => {
                share(item.lease, RENEW_AFTER).saturating_sub(at.perhaps_since(*sent))
            }
            _ => again,
        }
    }

    fn next_rvn(&mut self) -> String {
        self.writes += 1;
        format!("{}#{}", self.owner, self.writes)
    }
}

fn holder(item: &LeaseItem) -> Holder {
    Holder {
        owner: item.owner.clone(),
        epoch: item.epoch,
        since: item.since,
        address: item.address.clone(),
    }
}

fn share(lease: Duration, fifteenths: u32) -> Duration {
    lease * fifteenths / FIFTEENTH
}

#[cfg(test)]
mod tests;

//! The port to a table, simulated: one table that several replicas share, each on a line of its
//! own that can be cut, lose replies and deliver late.
//!
//! Rule: what one call writes happens at one moment, whenever that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::clock::SimClock;
use super::rng::Rng;
use crate::control::Clock;
use crate::journal::table::{Condition, Item, Key, Page, Table, TableError, Write};

/// After this a call ends without an answer.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// Longest time of a write on its way after its caller gave up.
const LATE_MAX: TimeDelta = TimeDelta::seconds(5);
/// Items of one page, few enough that there is more than one.
const PAGE: usize = 50;

/// What goes wrong on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineFaults {
    /// Nothing gets through in either direction.
    pub cut: bool,
    /// Of a write: no reply comes; it happens at once, late or never.
    pub lost_per_mille: u32,
    /// Of a write: it is refused as one of two at the same time.
    pub busy_per_mille: u32,
}

/// One replica's line to a table.
#[derive(Clone, Debug)]
pub struct SimTable {
    stored: Arc<Mutex<Stored>>,
    line: Arc<Mutex<(LineFaults, Rng)>>,
    clock: SimClock,
}

#[derive(Debug, Default)]
struct Stored {
    items: BTreeMap<Key, Item>,
    /// Writes on their way whose callers have given up.
    late: Vec<(DateTime<Utc>, String, Vec<Write>)>,
    /// Tokens of transactions that have happened.
    done: BTreeSet<String>,
}

impl SimTable {
    /// An empty table, and a line to it.
    pub fn new(clock: SimClock, seed: u64) -> Self {
        let line = Arc::new(Mutex::new((LineFaults::default(), Rng::new(seed))));
        Self { stored: Arc::default(), line, clock }
    }

    /// Another line to the same table.
    #[must_use]
    pub fn line(&self, seed: u64) -> Self {
        let other = Self::new(self.clock.clone(), seed);
        Self { stored: self.stored.clone(), ..other }
    }

    pub fn fail(&self, faults: LineFaults) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).0 = faults;
    }

    /// What is kept under a key.
    pub fn item(&self, key: &Key) -> Option<Item> {
        self.stored().items.get(key).cloned()
    }

    /// Changes what is kept, as somebody with another tool might.
    pub fn tamper<R>(&self, change: impl FnOnce(&mut BTreeMap<Key, Item>) -> R) -> R {
        change(&mut self.stored().items)
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.arrive(self.clock.now());
        stored
    }

    /// Lets a call take its time; what goes wrong with it and when it arrives.
    async fn call(&self, writes: bool) -> Result<(), Trouble> {
        let (faults, time, trouble) = {
            let (faults, rng) = &mut *self.line.lock().unwrap_or_else(PoisonError::into_inner);
            let time = Duration::from_millis(rng.between(3, 60));
            let trouble = if writes && rng.chance(faults.lost_per_mille) {
                let late = rng.time_between(TimeDelta::zero(), LATE_MAX);
                Some(match rng.below(3) {
                    0 => Trouble::Lost(None),
                    1 => Trouble::Lost(Some(TimeDelta::zero())),
                    _ => Trouble::Lost(Some(late)),
                })
            } else {
                (writes && rng.chance(faults.busy_per_mille)).then_some(Trouble::Busy)
            };
            (*faults, time, trouble)
        };
        if faults.cut {
            self.clock.sleep(CALL_LIMIT).await;
            return Err(Trouble::Lost(None));
        }
        self.clock.sleep(time).await;
        trouble.map_or(Ok(()), Err)
    }
}

/// What goes wrong with one call.
enum Trouble {
    Busy,
    /// It arrives so much later, if at all.
    Lost(Option<TimeDelta>),
}

impl Trouble {
    fn error(&self) -> TableError {
        match self {
            Self::Busy => TableError::Busy("two writes at one time".to_owned()),
            Self::Lost(_) => TableError::NoAnswer("the line is bad".to_owned()),
        }
    }
}

impl Stored {
    fn arrive(&mut self, now: DateTime<Utc>) {
        let all = std::mem::take(&mut self.late).into_iter();
        let (due, late): (Vec<_>, Vec<_>) = all.partition(|(at, ..)| *at <= now);
        self.late = late;
        for (_, token, writes) in due {
            let _nobody_waits = self.write(&token, &writes);
        }
    }

    fn write(&mut self, token: &str, writes: &[Write]) -> Result<(), TableError> {
        if self.done.contains(token) {
            return Ok(());
        }
        for write in writes {
            let (key, only_if) = match write {
                Write::Put { item, only_if } => (&item.key, only_if.as_ref()),
                Write::Check { key, only_if } => (key, Some(only_if)),
                Write::Delete { key } => (key, None),
            };
            let found = self.items.get(key);
            let holds = match only_if {
                None => true,
                Some(Condition::Absent) => found.is_none(),
                Some(Condition::Is { field, value }) => {
                    found.is_some_and(|item| item.fields.get(*field) == Some(value))
                }
            };
            if !holds {
                return Err(TableError::Refused(found.cloned()));
            }
        }
        for write in writes {
            match write {
                Write::Put { item, .. } => {
                    self.items.insert(item.key.clone(), item.clone());
                }
                Write::Delete { key } => {
                    self.items.remove(key);
                }
                Write::Check { .. } => {}
            }
        }
        self.done.insert(token.to_owned());
        Ok(())
    }
}

impl Table for SimTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        self.call(false).await.map_err(|trouble| trouble.error())?;
        Ok(self.item(key))
    }

    async fn page(&self, partition: &str, from: &str, to: &str) -> Result<Page, TableError> {
        self.call(false).await.map_err(|trouble| trouble.error())?;
        let key = |sort: &str| Key { partition: partition.to_owned(), sort: sort.to_owned() };
        let stored = self.stored();
        let mut found = stored.items.range(key(from)..=key(to)).map(|(_, item)| item.clone());
        let items = found.by_ref().take(PAGE).collect();
        Ok(Page { items, more: found.next().is_some() })
    }

    async fn write(&self, token: &str, writes: Vec<Write>) -> Result<(), TableError> {
        match self.call(true).await {
            Ok(()) => self.stored().write(token, &writes),
            Err(trouble) => {
                if let Trouble::Lost(Some(late)) = trouble {
                    let at = self.clock.now() + late;
                    self.stored().late.push((at, token.to_owned(), writes));
                    let _arrived = self.stored();
                }
                Err(trouble.error())
            }
        }
    }
}

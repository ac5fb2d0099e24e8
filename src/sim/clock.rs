//! Virtual time: paced by the wall for people to watch, stepped from sleep to sleep, or driven for
//! many sleepers at once.
//!
//! Rule: it never runs backwards.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::control::{Clock, SystemClock};
use crate::model::Moment;

/// The clock of a simulated world. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct SimClock(Arc<Pace>);

#[derive(Debug)]
enum Pace {
    Stepped(Mutex<DateTime<Utc>>),
    Driven(Mutex<Sleepers>),
    Paced { start: DateTime<Utc>, wall_start: DateTime<Utc>, speed: u32 },
}

/// Who waits for what moment, in the order they will wake.
#[derive(Debug)]
struct Sleepers {
    now: DateTime<Utc>,
    slept: u64,
    waiting: BTreeMap<(DateTime<Utc>, u64), Waker>,
}

impl SimClock {
    /// Sleeping lets the time pass at once. For a single sleeper at a time, or several that begin
    /// together.
    pub fn stepped(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Pace::Stepped(Mutex::new(start))))
    }

    /// Time passes when all that [`drive`](Self::drive) runs are asleep.
    pub fn driven(start: DateTime<Utc>) -> Self {
        let sleepers = Sleepers { now: start, slept: 0, waiting: BTreeMap::new() };
        Self(Arc::new(Pace::Driven(Mutex::new(sleepers))))
    }

    /// Runs `speed` times as fast as the wall, at least as fast.
    pub fn paced(start: DateTime<Utc>, speed: u32) -> Self {
        Self(Arc::new(Pace::Paced { start, wall_start: SystemClock.now(), speed: speed.max(1) }))
    }

    /// Whether time passes by itself.
    pub fn is_paced(&self) -> bool {
        matches!(*self.0, Pace::Paced { .. })
    }

    /// Runs a future to its end on this thread; `None` where it waits for what no time brings.
    /// For a driven clock: the earliest sleeper wakes when nothing else can go on.
    pub fn drive<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
                    return Some(done);
                }
            }
            let Pace::Driven(sleepers) = &*self.0 else { return None };
            let mut sleepers = lock(sleepers);
            let ((until, _), next) = sleepers.waiting.pop_first()?;
            sleepers.now = until.max(sleepers.now);
            drop(sleepers);
            next.wake();
        }
    }
}

/// Notices that something can go on.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends a sleep of a driven clock that is not waited for any more.
struct Sleeper<'a> {
    sleepers: &'a Mutex<Sleepers>,
    key: (DateTime<Utc>, u64),
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        lock(self.sleepers).waiting.remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        match &*self.0 {
            Pace::Stepped(now) => *lock(now),
            Pace::Driven(sleepers) => lock(sleepers).now,
            Pace::Paced { start, wall_start, speed } => {
                let passed = (SystemClock.now() - wall_start).max(TimeDelta::zero());
                *start + passed * i32::try_from(*speed).unwrap_or(i32::MAX)
            }
        }
    }

    fn moment(&self) -> Moment {
        let wall = self.now();
        let steady = (wall - DateTime::<Utc>::UNIX_EPOCH).to_std().unwrap_or_default();
        Moment { wall, steady }
    }

    async fn sleep(&self, time: Duration) {
        let until = self.now() + TimeDelta::from_std(time).unwrap_or(TimeDelta::zero());
        match &*self.0 {
            Pace::Stepped(now) => {
                // Those that begin to sleep together wake at their own moments, not one after
                // the other.
                tokio::task::yield_now().await;
                let mut now = lock(now);
                *now = until.max(*now);
            }
            Pace::Driven(sleepers) => {
                let key = {
                    let mut sleepers = lock(sleepers);
                    sleepers.slept += 1;
                    (until, sleepers.slept)
                };
                let _sleeper = Sleeper { sleepers, key };
                std::future::poll_fn(|context| {
                    let mut sleepers = lock(sleepers);
                    if sleepers.now >= until {
                        return Poll::Ready(());
                    }
                    sleepers.waiting.insert(key, context.waker().clone());
                    Poll::Pending
                })
                .await;
            }
            Pace::Paced { speed, .. } => SystemClock.sleep(time / *speed).await,
        }
    }
}

//! Virtual time: paced by the wall for people to watch, or stepped from sleep to sleep.
//!
//! Rule: it never runs backwards.

use std::sync::{Arc, Mutex, PoisonError};
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
    Paced { start: DateTime<Utc>, wall_start: DateTime<Utc>, speed: u32 },
}

impl SimClock {
    /// Sleeping lets the time pass at once. For a single sleeper at a time, or several that begin
    /// together.
    pub fn stepped(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Pace::Stepped(Mutex::new(start))))
    }

    /// Runs `speed` times as fast as the wall, at least as fast.
    pub fn paced(start: DateTime<Utc>, speed: u32) -> Self {
        Self(Arc::new(Pace::Paced { start, wall_start: SystemClock.now(), speed: speed.max(1) }))
    }

    /// Whether time passes by itself.
    pub fn is_paced(&self) -> bool {
        matches!(*self.0, Pace::Paced { .. })
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        match &*self.0 {
            Pace::Stepped(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
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
        match &*self.0 {
            Pace::Stepped(now) => {
                let until = self.now() + TimeDelta::from_std(time).unwrap_or(TimeDelta::zero());
                // Those that begin to sleep together wake at their own moments, not one after
                // the other.
                tokio::task::yield_now().await;
                let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
                *now = until.max(*now);
            }
            Pace::Paced { speed, .. } => SystemClock.sleep(time / *speed).await,
        }
    }
}

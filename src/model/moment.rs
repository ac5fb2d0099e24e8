//! A moment by two clocks, for what must last although either of them may be wrong.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Now, by the wall and by a clock that only runs forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// May jump either way.
    pub wall: DateTime<Utc>,
    /// Since an arbitrary beginning in this process; may stand still while the machine sleeps.
    pub steady: Duration,
}

impl Moment {
    /// At least this much has passed since `earlier`, whatever was done to the wall clock.
    pub fn surely_since(self, earlier: Self) -> Duration {
        self.steady.saturating_sub(earlier.steady)
    }

    /// At most this much has passed since `earlier`, unless both clocks stood still.
    pub fn perhaps_since(self, earlier: Self) -> Duration {
        let by_wall = (self.wall - earlier.wall).max(TimeDelta::zero());
        self.surely_since(earlier).max(by_wall.to_std().unwrap_or_default())
    }
}

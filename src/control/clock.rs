//! Time as an argument: the only file that reads a clock.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::model::Moment;

/// Tells the time and lets it pass. `SystemClock` is the wall; `sim` has a virtual one.
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;

    /// The same, with a time that never runs backwards.
    fn moment(&self) -> Moment;

    /// Returns after this much of the clock's own time.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// Where the steady time of this process begins.
static BEGAN: OnceLock<Instant> = OnceLock::new();

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn moment(&self) -> Moment {
        let began = *BEGAN.get_or_init(Instant::now);
        Moment { wall: Utc::now(), steady: began.elapsed() }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

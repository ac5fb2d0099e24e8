//! What must go on while a journal is in use, so that its process stays the one writer.
//!
//! Rule: it runs beside the loop that uses the journal and ends with it, so that a process whose
//! loop is dead holds nobody up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;

/// A renewal or a look at who holds the lease, and the pause until the next.
type Step = Box<dyn Fn() -> BoxFuture<'static, Duration> + Send + Sync>;

/// Keeps the hold of a journal on its cluster.
pub struct Keeper(Option<(Step, Arc<Notify>)>);

impl Keeper {
    /// Of a journal that is locked for as long as its process lives.
    pub fn idle() -> Self {
        Self(None)
    }

    pub(super) fn new(step: Step, changed: Arc<Notify>) -> Self {
        Self(Some((step, changed)))
    }

    /// Does what is due, and says how long until more is. Never returns where nothing ever is.
    pub async fn step(&self) -> Duration {
        match &self.0 {
            Some((step, _)) => step().await,
            None => std::future::pending().await,
        }
    }

    /// Returns once the journal should be recovered: its hold was lost, or is to be had.
    pub async fn changed(&self) {
        match &self.0 {
            Some((_, changed)) => changed.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper").field(&self.0.is_some()).finish()
    }
}

//! What was told lately is not told again.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::events::Notice;

/// How long the same is no news.
const QUIET: TimeDelta = TimeDelta::hours(1);

/// What was told, and when. Bounded: it forgets what is older than [`QUIET`].
#[derive(Clone, Debug, Default)]
pub(super) struct Quiet(BTreeMap<String, DateTime<Utc>>);

impl Quiet {
    /// Whether it is news, which it is not again for an hour.
    pub(super) fn is_news(&mut self, notice: &Notice) -> bool {
        let lately = |at: &DateTime<Utc>| notice.at - *at < QUIET;
        self.0.retain(|_, at| lately(at));
        if self.0.contains_key(&notice.key) {
            return false;
        }
        self.0.insert(notice.key.clone(), notice.at);
        true
    }
}

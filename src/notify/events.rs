//! What people are told of, read from two statuses that follow each other.
//!
//! Rule: pure. What was so before the first status is not news, and a replica that stands by tells
//! nothing: the one that leads does.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::edges;
use crate::access::Digest;
use crate::control::status::{ClusterStatus, Status};
use crate::model::ClusterName;

/// Kinds of news; stable, programs decide by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    ModeChanged,
    ActionFailed,
    /// Something has been held for an hour.
    HeldLong,
    /// A route waits for a promote.
    ApprovalWanted,
    /// A cutover paused itself, because of a gate or of somebody else's write.
    CutoverStopped,
    /// Somebody else changes what Tidegate sizes or steers.
    ForeignWriter,
    /// A route goes back, or has gone.
    RolledBack,
    ReleaseGoneBack,
    /// A replica that stood by leads now.
    LeaseTaken,
    /// Another configuration is in force.
    ConfigChanged,
    /// The file is not valid; the last good configuration is in force.
    ConfigRefused,
    /// Somebody tries whether this arrives.
    Test,
}

impl Event {
    /// As a person reads it.
    fn title(self) -> &'static str {
        match self {
            Self::ModeChanged => "mode changed",
            Self::ActionFailed => "action failed",
            Self::HeldLong => "held for an hour",
            Self::ApprovalWanted => "waits for your promote",
            Self::CutoverStopped => "cutover stopped by itself",
            Self::ForeignWriter => "somebody else writes",
            Self::RolledBack => "route rolled back",
            Self::ReleaseGoneBack => "release gone back",
            Self::LeaseTaken => "lease taken over",
            Self::ConfigChanged => "configuration changed",
            Self::ConfigRefused => "configuration refused, the last good one is in force",
            Self::Test => "test",
        }
    }
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The same for each attempt, so that receivers can tell one sent twice.
    pub id: String,
    /// By the loop's clock.
    pub at: DateTime<Utc>,
    pub event: Event,
    /// `None`: about the process as a whole.
    pub cluster: Option<ClusterName>,
    /// One line.
    pub text: String,
    /// What makes a second one the same news.
    #[serde(skip)]
    pub(super) key: String,
}

impl Notice {
    pub(super) fn new(
        at: DateTime<Utc>,
        event: Event,
        cluster: Option<&ClusterName>,
        about: &str,
        text: impl Into<String>,
    ) -> Self {
        let name = cluster.map_or("", |name| name.as_str());
        let key = format!("{event} {name} {about}");
        let mut id = Digest::of(format!("{key} {at}").as_bytes()).to_string();
        id.truncate(16);
        Self { id, at, event, cluster: cluster.cloned(), text: text.into(), key }
    }

    /// What `tidegate notify test` sends.
    pub fn test(at: DateTime<Utc>) -> Self {
        Self::new(at, Event::Test, None, "", "If you read this, notifications arrive.")
    }

    /// With event and cluster, on one line.
    pub fn line(&self) -> String {
        let title = self.event.title();
        match &self.cluster {
            Some(cluster) => format!("{cluster}: {title}: {}", self.text),
            None => format!("Tidegate: {title}: {}", self.text),
        }
    }
}

/// Settings that one line names.
const NAMED_MAX: usize = 5;

/// Told by every replica, since each has a file of its own.
fn of_config(before: &Status, now: &Status) -> Vec<Notice> {
    let (was, is) = (&before.config, &now.config);
    let at = now.told_at.values().copied().max().unwrap_or(now.started_at);
    let mut notices = Vec::new();
    if let Some(taken_up_at) = is.taken_up_at.filter(|at| was.taken_up_at != Some(*at)) {
        let mut named: Vec<_> = is.changed.iter().take(NAMED_MAX).cloned().collect();
        if is.changed.len() > NAMED_MAX {
            named.push(format!("and {} more", is.changed.len() - NAMED_MAX));
        }
        let about = taken_up_at.to_string();
        let text = named.join("; ");
        notices.push(Notice::new(taken_up_at, Event::ConfigChanged, None, &about, text));
    }
    if let Some(refused) = is.refused.as_ref().filter(|_| is.refused != was.refused) {
        let first = refused.lines().next().unwrap_or_default();
        notices.push(Notice::new(at, Event::ConfigRefused, None, first, first));
    }
    notices
}

/// What happened from one status to the next, cluster by cluster.
pub fn events(before: &Status, now: &Status) -> Vec<Notice> {
    let leads = |cluster: &&ClusterStatus| cluster.journal.leader.is_none();
    let mut notices = of_config(before, now);
    for cluster in now.clusters.iter().filter(leads) {
        if let Some(before) = before.cluster(cluster.name.as_str()) {
            notices.extend(edges::of_cluster(before, cluster));
        }
    }
    notices
}

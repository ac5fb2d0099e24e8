//! One action is one AWS request: re-read what it assumed, send at most once, read back.
//!
//! Rule: each of the three phases has a third of the time limit, so the end is certain and it is
//! always known whether the request had been sent. Nothing is sent on an assumption that moved;
//! what was sent without an answer, or accepted but not seen, is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Aws;
use super::clients::WRITE_LIMIT;
use super::rows::ContainerRow;
use crate::control::Clock;
use crate::model::*;

/// Pause between two looks at whether a change shows.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// What the re-read found that the request needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    /// The container instances of the action's hosts.
    pub(super) containers: BTreeMap<InstanceId, ContainerInstanceArn>,
}

/// Container instances by the host they run on.
pub(super) type Containers = BTreeMap<InstanceId, (ContainerInstanceArn, ContainerRow)>;

impl<K: Clock> Aws<K> {
    /// Carries an action out within `limit`.
    pub(super) async fn perform(&self, action: &Action, limit: Duration) -> Outcome {
        let phase = limit / 3;
        let ready = match tokio::time::timeout(phase, self.check(action)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(outcome)) => return outcome,
            Err(_) => {
                return Outcome::Refused { failure: Failure::Timeout };
            }
        };
        let failed = match self.send(action, &ready, phase.min(WRITE_LIMIT)).await {
            Ok(failed) => failed,
            Err(outcome) => return outcome,
        };
        let seen = self.see(action, &failed);
        match tokio::time::timeout(phase, seen).await {
            Ok(()) => Outcome::Done { failed },
            Err(_) => Outcome::InDoubt {
                message: "accepted by AWS, but it did not show in time".to_owned(),
            },
        }
    }

    /// Whether what the action assumed still holds. An outcome means that nothing is to be sent.
    async fn check(&self, action: &Action) -> Result<Ready, Outcome> {
        match action {
            Action::SetPoolCapacity { pool, was, .. } => self.check_capacity(pool, *was).await,
            Action::SetNewHostProtection { pool, was, .. } => {
                self.check_new_host_protection(pool, *was).await
            }
            Action::ProtectHosts { pool, hosts, now } => {
                self.check_protection(pool, hosts, *now).await
            }
            Action::SetProcesses { pool, processes, suspended } => {
                self.check_processes(pool, processes, *suspended).await
            }
            Action::MarkHosts { hosts, mark } => self.check_marks(hosts, mark.as_ref()).await,
            Action::SetHostStatus { hosts, was, .. } => self.check_status(hosts, *was).await,
            Action::TerminateHost { pool, host, desired_was, replace, forced } => {
                self.check_pool_of(pool, host, *desired_was, *replace).await?;
                if !forced {
                    self.check_empty(host).await?;
                }
                Ok(Ready::default())
            }
            _ => Err(senseless("not carried out by this version")),
        }
    }

    /// The one request. What of a batch failed is named.
    async fn send(
        &self,
        action: &Action,
        ready: &Ready,
        limit: Duration,
    ) -> Result<Vec<SubjectFailure>, Outcome> {
        let writes = &self.writes;
        let cluster = &self.cluster;
        match action {
            Action::SetPoolCapacity { pool, now, .. } => {
                writes.set_capacity(pool, *now, limit).await?;
            }
            Action::SetNewHostProtection { pool, now, .. } => {
                writes.set_new_host_protection(pool.name(), *now, limit).await?;
            }
            Action::ProtectHosts { pool, hosts, now } => {
                writes.protect_hosts(pool.name(), hosts, *now, limit).await?;
            }
            Action::SetProcesses { pool, processes, suspended } => {
                writes.set_processes(pool.name(), processes, *suspended, limit).await?;
            }
            Action::MarkHosts { mark, .. } => {
                let containers = &ready.containers;
                writes.mark(cluster, containers, mark.as_ref(), limit).await?;
            }
            Action::SetHostStatus { now, .. } => {
                let containers = &ready.containers;
                return writes.set_status(cluster, containers, *now, limit).await;
            }
            Action::TerminateHost { pool, host, replace, .. } => {
                writes.terminate(pool, host, *replace, limit).await?
            }
            _ => return Err(senseless("not carried out by this version")),
        }
        Ok(Vec::new())
    }

    /// Returns once the change shows; a read that fails is repeated like one that is too early.
    async fn see(&self, action: &Action, failed: &[SubjectFailure]) {
        while !matches!(self.shows(action, failed).await, Ok(true)) {
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    async fn shows(&self, action: &Action, failed: &[SubjectFailure]) -> Result<bool, Outcome> {
        Ok(match action {
            Action::SetPoolCapacity { pool, now, .. } => self.capacity(pool).await? == *now,
            Action::SetNewHostProtection { pool, now, .. } => {
                self.group(pool).await?.protects_new_hosts == *now
            }
            Action::ProtectHosts { pool, hosts, now } => {
                let group = self.group(pool).await?;
                let rows = hosts.iter().filter_map(|host| group.members.get(host));
                rows.into_iter().all(|row| row.protected == *now)
            }
            Action::SetProcesses { pool, processes, suspended } => {
                let now = self.group(pool).await?.suspended;
                processes.iter().all(|p| now.contains(p) == *suspended)
            }
            Action::MarkHosts { hosts, mark } => {
                let wanted = mark.map(|mark| mark.to_string());
                let rows = self.containers_of(hosts).await?;
                let mut rows = rows.values();
                rows.all(|(_, row)| row.attributes.get(DrainMark::ATTRIBUTE) == wanted.as_ref())
            }
            Action::SetHostStatus { hosts, now, .. } => {
                let failed: BTreeSet<&Subject> = failed.iter().map(|f| &f.subject).collect();
                let rows = self.containers_of(hosts).await?;
                let mut rows = rows.iter();
                rows.all(|(host, (_, row))| {
                    row.status == *now || failed.contains(&Subject::Host(host.clone()))
                })
            }
            Action::TerminateHost { pool, host, .. } => self.is_ending(pool, host).await?,
            _ => true,
        })
    }
}

/// An assumption that no longer holds.
pub(super) fn moved(expected: impl Into<String>, found: impl Into<String>) -> Outcome {
    Outcome::Moved { expected: expected.into(), found: found.into() }
}

/// A re-read that failed: nothing is sent on what is not known.
pub(super) fn unknown(gap: Gap) -> Outcome {
    Outcome::Refused { failure: gap.failure }
}

/// It is so already: nothing is sent.
pub(super) fn done() -> Outcome {
    Outcome::Done { failed: Vec::new() }
}

/// A request that makes no sense; AWS would take some of them for more than they say.
pub(super) fn senseless(message: &str) -> Outcome {
    Outcome::Refused { failure: Failure::Refused { message: message.to_owned() } }
}

//! A release as people see it: where it stands, from what to what, counts, and how it ended.
//!
//! Rule: said once, here; API, command line and dashboard only show it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::ClusterConfig;
use crate::model::{
    Digest, Fact, Hold, ImageName, Memory, Origin, PastRelease, Planned, Reason, ReleaseMemory,
    ReleaseMove, ReleaseStage, ReleaseVerdict, ServiceName, Snapshot, Subject, TaskDefinitionArn,
};

use super::table::transition;
use super::view::Release;

/// The last release of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseTold {
    pub service: ServiceName,
    /// As ordered.
    pub image: ImageName,
    pub by: String,
    pub reason: String,
    pub ordered_at: DateTime<Utc>,
    pub open: bool,
    pub stage: ReleaseStage,
    pub since: DateTime<Utc>,
    /// What this stage waits for, in words.
    pub waits_for: String,
    pub container: Option<String>,
    /// What the service ran before.
    pub from: Option<RevisionTold>,
    /// What it shall run; its revision once it is registered.
    pub to: Option<RevisionTold>,
    /// Room for so many tasks is booked until the deployment begins; whether it is there.
    pub booked: Option<BookedTold>,
    /// Of the deployment, while ECS lists it.
    pub tasks: Option<TasksTold>,
    pub verdict: Option<VerdictTold>,
    /// What is written next, and what keeps it back.
    pub next: Vec<ReleaseNext>,
    /// Why it does not move on.
    pub held: Vec<ReleaseHeld>,
    /// Nothing moves before a person has given an order or changed something.
    pub asks: bool,
    /// Each move, newest first.
    pub history: Vec<ReleaseMove>,
    /// Earlier ones of this service, newest first.
    pub past: Vec<PastRelease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevisionTold {
    pub revision: Option<TaskDefinitionArn>,
    pub image: ImageName,
    /// `None`: a registry that is not asked.
    pub digest: Option<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BookedTold {
    pub tasks: u64,
    pub there: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TasksTold {
    pub desired: u64,
    /// Of the new revision.
    pub running: u64,
    pub pending: u64,
    pub failed: u64,
    /// Of the revision from before.
    pub running_before: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VerdictTold {
    pub text: String,
    #[serde(flatten)]
    pub verdict: ReleaseVerdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseHeld {
    /// Stable; programs decide by it.
    pub code: String,
    pub why: String,
    /// It lasts until a person does something.
    pub asks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseNext {
    pub text: String,
    pub why: String,
    pub held: Option<ReleaseHeld>,
}

/// The last release of each service, with what a tick planned and held of it.
pub fn told(
    config: &ClusterConfig,
    snapshot: &Snapshot,
    memory: &Memory,
    holds: &[Hold],
    planned: &[(Planned, Result<(), Hold>)],
    now: DateTime<Utc>,
) -> Vec<ReleaseTold> {
    let one = |(name, of): (&ServiceName, &ReleaseMemory)| {
        let release = Release { cluster: config, name, memory: of, all: memory, snapshot, now };
        let mut told = release_told(release);
        if told.open {
            told.join(holds, planned);
        }
        told
    };
    memory.releases.iter().map(one).collect()
}

fn release_told(release: Release<'_>) -> ReleaseTold {
    let memory = release.memory;
    let path = memory.path.as_ref();
    ReleaseTold {
        service: release.name.clone(),
        image: memory.image.clone(),
        by: memory.by.clone(),
        reason: memory.reason.clone(),
        ordered_at: memory.ordered_at,
        open: memory.is_open(),
        stage: memory.stage,
        since: memory.since,
        waits_for: transition(memory.stage).waits_for.to_owned(),
        container: path.map(|path| path.container.clone()).or(memory.container.clone()),
        from: path.map(|path| RevisionTold {
            revision: Some(path.was.clone()),
            image: path.previous.clone(),
            digest: path.previous_digest.clone(),
        }),
        to: path.map(|path| RevisionTold {
            revision: memory.now.clone(),
            image: path.image.clone(),
            digest: path.image.digest(),
        }),
        booked: booked(release),
        tasks: tasks(release),
        verdict: memory
            .verdict
            .clone()
            .map(|verdict| VerdictTold { text: verdict.to_string(), verdict }),
        next: Vec::new(),
        held: Vec::new(),
        asks: false,
        history: memory.history.iter().rev().cloned().collect(),
        past: memory.past.iter().rev().cloned().collect(),
    }
}

fn booked(release: Release<'_>) -> Option<BookedTold> {
    let waits = matches!(release.stage(), ReleaseStage::Registered | ReleaseStage::Booked);
    let tasks = release.service()?.surge();
    let there = release.all.since(&release.subject(), &Fact::RoomThere).is_some();
    (waits && tasks > 0).then_some(BookedTold { tasks, there })
}

fn tasks(release: Release<'_>) -> Option<TasksTold> {
    if !release.memory.is_open() {
        return None;
    }
    let (service, ours) = (release.service()?, release.deployment()?);
    let was = release.memory.path.as_ref().map(|path| &path.was);
    let before = service.deployments.iter().filter(|old| Some(&old.definition) == was);
    Some(TasksTold {
        desired: service.desired_count,
        running: ours.running_count,
        pending: ours.pending_count,
        failed: ours.failed_tasks,
        running_before: before.map(|old| old.running_count).sum(),
    })
}

impl ReleaseTold {
    fn join(&mut self, holds: &[Hold], planned: &[(Planned, Result<(), Hold>)]) {
        let by = Origin::Release(self.service.clone());
        let subject = Subject::Service(self.service.clone());
        let own = planned.iter().filter(|(planned, _)| planned.by == by);
        self.next = own
            .map(|(planned, verdict)| ReleaseNext {
                text: planned.action.to_string(),
                why: planned.why.to_string(),
                held: verdict.as_ref().err().map(|hold| ReleaseHeld::of(&hold.reason)),
            })
            .collect();
        let of = |hold: &&Hold| {
            hold.subject == subject && hold.wants == crate::model::ActionKind::Services
        };
        self.held = holds.iter().filter(of).map(|hold| ReleaseHeld::of(&hold.reason)).collect();
        let next = self.next.iter().filter_map(|next| next.held.as_ref());
        self.asks = self.held.iter().chain(next).any(|held| held.asks);
    }
}

impl ReleaseHeld {
    fn of(reason: &Reason) -> Self {
        Self { code: reason.code().to_owned(), why: reason.to_string(), asks: asks(reason) }
    }
}

/// Whether time alone does not release it.
fn asks(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NewerRecord
            | Reason::ModeTooLow { .. }
            | Reason::NotAllowed
            | Reason::Paused { .. }
    )
}

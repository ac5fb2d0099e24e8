//! What every stage looks at: one release, its service, and the questions asked of them.

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::model::{
    Action, ActionKind, Booking, CutoverName, Deployment, Draft, Hold, ImageName, ImageSeen,
    Memory, Note, Origin, Planned, Reason, ReleaseEdge, ReleaseMemory, ReleaseStage, Service,
    ServiceName, ServiceSight, Snapshot, Stage, Subject, TaskDefinitionArn, Why,
};

/// One release that is under way.
#[derive(Clone, Copy)]
pub struct Release<'a> {
    pub cluster: &'a ClusterConfig,
    pub name: &'a ServiceName,
    pub memory: &'a ReleaseMemory,
    pub all: &'a Memory,
    pub snapshot: &'a Snapshot,
    pub now: DateTime<Utc>,
}

impl<'a> Release<'a> {
    /// The releases that are under way, by service.
    pub fn open(
        cluster: &'a ClusterConfig,
        snapshot: &'a Snapshot,
        all: &'a Memory,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Self> {
        let open = all.releases.iter().filter(|(_, memory)| memory.is_open());
        open.map(move |(name, memory)| Self { cluster, name, memory, all, snapshot, now })
    }

    pub fn stage(self) -> ReleaseStage {
        self.memory.stage
    }

    pub fn subject(self) -> Subject {
        Subject::Service(self.name.clone())
    }

    pub fn service(self) -> Option<&'a Service> {
        self.snapshot.services.value.get(self.name)
    }

    pub fn sight(self) -> Option<&'a ServiceSight> {
        self.snapshot.releases.value.services.get(self.name)
    }

    pub fn image(self, name: &ImageName) -> Option<&'a ImageSeen> {
        self.snapshot.releases.value.images.get(name)
    }

    /// Services that could not be seen whole say nothing of this one.
    pub fn blind(self) -> Option<Reason> {
        let part = &self.snapshot.services;
        let gap = part.gaps.first()?;
        let age_seconds = part.age(self.now).num_seconds();
        let gap = Some(gap.failure.clone());
        Some(Reason::Blind { part: "services".to_owned(), age_seconds, gap })
    }

    /// What of images and containers could not be read, if anything.
    pub fn unseen(self) -> Option<Reason> {
        let part = &self.snapshot.releases;
        let gap = Some(part.gaps.first()?.failure.clone());
        let age_seconds = part.age(self.now).num_seconds();
        Some(Reason::Blind { part: "images".to_owned(), age_seconds, gap })
    }

    /// Its deployment, as long as ECS lists it.
    pub fn deployment(self) -> Option<&'a Deployment> {
        let now = self.memory.now.as_ref()?;
        self.service()?.deployments.iter().find(|deployment| deployment.definition == *now)
    }

    pub fn runs(self, definition: &TaskDefinitionArn) -> bool {
        self.service().is_some_and(|service| service.definition == *definition)
    }

    /// The open cutover that is moving requests of this service, if any.
    pub fn shifting(self) -> Option<&'a CutoverName> {
        shifting(self.cluster, self.all, self.name)
    }

    /// A deployment or a cutover of others that has to be over first.
    pub fn busy(self) -> Option<Reason> {
        if let Some(cutover) = self.shifting() {
            return Some(Reason::CutoverShifts { cutover: cutover.clone() });
        }
        let deploying = self.service().is_some_and(Service::is_deploying);
        deploying.then(|| Reason::Deploying { service: self.name.clone() })
    }

    pub fn hold(self, draft: &mut Draft, reason: Reason) {
        draft.holds.push(Hold::new(self.subject(), ActionKind::Services, reason));
    }

    /// Notes an edge of the release.
    pub fn note(self, draft: &mut Draft, edge: ReleaseEdge) {
        draft.notes.push(Note::Release { service: self.name.clone(), edge });
    }

    pub fn act(self, draft: &mut Draft, action: Action, why: Why) {
        let by = Origin::Release(self.name.clone());
        draft.actions.push(Planned { action, kind: ActionKind::Services, why, by });
    }

    /// Books room for what the deployment starts beside what runs.
    pub fn book(self, draft: &mut Draft, count: u64) {
        draft.bookings.push(Booking { service: self.name.clone(), count });
    }
}

/// The open cutover that is moving requests from or to this service, if any.
pub fn shifting<'a>(
    config: &'a ClusterConfig,
    memory: &Memory,
    service: &ServiceName,
) -> Option<&'a CutoverName> {
    let cutover = config.cutovers.iter().find(|cutover| {
        let routes = memory.cutovers.get(&cutover.name).map(|open| open.routes.iter());
        routes.into_iter().flatten().any(|(to, route)| {
            (*to == *service || cutover.from == *service) && is_moving(route.stage)
        })
    });
    cutover.map(|cutover| &cutover.name)
}

/// Whether requests move in this stage, or are about to.
pub fn is_moving(stage: Stage) -> bool {
    matches!(
        stage,
        Stage::Probed | Stage::Shifting | Stage::Shifted | Stage::RollingBack | Stage::Reviving
    )
}

//! Before the deployment: what the image is, whether there is a way back, the revision, the room.
//!
//! Rule: nothing that runs is touched here, and a release that cannot go back does not begin.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, Digest, Draft, Fact, ImageName, ImageSeen, Launch, Reason, ReleaseEdge, ReleasePath,
    ReleaseStage, ReleaseVerdict, Service, TaskSpec, Why,
};

use super::Step;
use super::view::Release;

/// Ordered to resolved: digests, and the way back.
pub fn resolve(release: Release<'_>, draft: &mut Draft) -> Step {
    let Some(service) = release.service() else {
        return Step::refuse(ReleaseVerdict::NoService);
    };
    if let Some(reason) = release.busy() {
        release.hold(draft, reason);
        return Step::Stay;
    }
    if !service.native_rules.is_empty() {
        let reason = Reason::NativeDeployment { service: release.name.clone() };
        return Step::refuse(ReleaseVerdict::NotRolling { what: reason.to_string() });
    }
    if let Some(verdict) = stuck(service) {
        return Step::refuse(verdict);
    }
    match path(release, service) {
        Ok(Some(path)) => {
            let because = format!("{} goes to {}", path.was.short(), path.image);
            release.note(draft, ReleaseEdge::Found { path });
            Step::Go(ReleaseStage::Resolved, because)
        }
        Ok(None) => {
            if let Some(reason) = release.unseen() {
                release.hold(draft, reason);
            }
            Step::Stay
        }
        Err(verdict) => Step::refuse(verdict),
    }
}

/// What it goes from and to; `None` while not all of it has been looked up.
fn path(release: Release<'_>, service: &Service) -> Result<Option<ReleasePath>, ReleaseVerdict> {
    let containers = release.sight().and_then(|sight| sight.containers.get(&service.definition));
    let Some(containers) = containers else {
        return Ok(None);
    };
    let container = container(release, service, containers)?;
    let wanted = &release.memory.image;
    let Some(seen) = release.image(wanted) else {
        return Ok(None);
    };
    let digest = match seen {
        ImageSeen::Missing => {
            return Err(ReleaseVerdict::ImageMissing { image: wanted.clone() });
        }
        seen => seen
            .digest_of(wanted)
            .ok_or_else(|| ReleaseVerdict::ImageUnpinned { image: wanted.clone() })?,
    };
    let image = wanted.pinned(&digest);
    let previous = &containers[&container];
    if previous.repository() == image.repository() && previous.digest().as_ref() == Some(&digest) {
        return Err(ReleaseVerdict::Same { image });
    }
    let Some(seen) = release.image(previous) else {
        return Ok(None);
    };
    let runs = release.sight().and_then(|sight| sight.running.get(&service.definition));
    let runs = runs.and_then(|runs| runs.get(&container)).cloned().unwrap_or_default();
    way_back(previous, seen, &runs, &digest)?;
    Ok(Some(ReleasePath {
        container,
        was: service.definition.clone(),
        previous: previous.clone(),
        previous_digest: seen.digest_of(previous),
        image,
    }))
}

/// The container whose image is meant.
pub fn container(
    release: Release<'_>,
    service: &Service,
    containers: &BTreeMap<String, ImageName>,
) -> Result<String, ReleaseVerdict> {
    let wanted = release.memory.container.as_ref();
    let behind = service.targets.iter().map(|target| &target.container);
    let behind: BTreeSet<_> = behind.collect();
    let chosen = match (wanted, containers.len(), behind.len()) {
        (Some(wanted), ..) => Some(wanted.as_str()),
        (None, 1, _) => containers.keys().next().map(String::as_str),
        (None, _, 1) => behind.first().map(|name| name.as_str()),
        (None, ..) => Some(release.name.as_str()),
    };
    chosen.filter(|name| containers.contains_key(*name)).map(str::to_owned).ok_or_else(|| {
        let has = containers.keys().cloned().collect();
        ReleaseVerdict::NoContainer { wanted: wanted.cloned(), has }
    })
}

/// Whether going back would bring what runs now.
///
/// By a digest it does as long as the image exists. By a tag only if the tag still means what the
/// tasks were started from: what they run is the truth. A release of the very image that runs needs
/// no other way back, and pins it.
fn way_back(
    previous: &ImageName,
    seen: &ImageSeen,
    runs: &BTreeSet<Digest>,
    next: &Digest,
) -> Result<(), ReleaseVerdict> {
    if runs.len() == 1 && runs.contains(next) {
        return Ok(());
    }
    if *seen == ImageSeen::Missing {
        return Err(ReleaseVerdict::PreviousMissing { image: previous.clone() });
    }
    if previous.digest().is_some() {
        return Ok(());
    }
    let means = seen.digest_of(previous);
    let same = |means: &Digest| runs.iter().all(|digest| digest == means);
    if means.as_ref().is_some_and(same) {
        return Ok(());
    }
    let runs = runs.iter().cloned().collect();
    Err(ReleaseVerdict::PreviousMoved { image: previous.clone(), runs, means })
}

/// Resolved to registered: a new revision with the image by its digest.
pub fn register(release: Release<'_>, draft: &mut Draft) -> Step {
    let path = match standing(release) {
        Ok(path) => path,
        Err(step) => return step,
    };
    if let Some(now) = &release.memory.now {
        return Step::Go(ReleaseStage::Registered, format!("{} has the new image", now.short()));
    }
    let task = TaskSpec::Revised {
        of: path.was.clone(),
        container: path.container.clone(),
        image: path.image.to_string(),
    };
    let action = Action::RegisterTask { service: release.name.clone(), task };
    release.act(draft, action, Why::Released { by: release.memory.by.clone() });
    Step::Stay
}

/// Whether ECS could begin a deployment at all.
fn stuck(service: &Service) -> Option<ReleaseVerdict> {
    let moves = service.desired_count == 0 || service.surge() > 0 || service.may_stop_first();
    (!moves).then_some(ReleaseVerdict::CannotRoll {
        minimum_healthy: service.minimum_healthy_percent,
        maximum: service.maximum_percent,
    })
}

/// Registered to booked: hosts that can take the surge are there.
pub fn book(release: Release<'_>, draft: &mut Draft) -> Step {
    let service = match standing(release).and_then(|_| release.service().ok_or(Step::Stay)) {
        Ok(service) => service,
        Err(step) => return step,
    };
    let go = |because: String| Step::Go(ReleaseStage::Booked, because);
    let surge = service.surge();
    if service.desired_count == 0 || service.launch == Launch::Elsewhere {
        return go("it needs no host".to_owned());
    }
    if surge == 0 && service.may_stop_first() {
        return go("at its maximum percent ECS stops tasks before it starts any".to_owned());
    }
    if let Some(verdict) = stuck(service) {
        return Step::refuse(verdict);
    }
    release.book(draft, surge);
    if release.all.since(&release.subject(), &Fact::RoomThere).is_some() {
        return go(format!("room for {surge} more tasks is there"));
    }
    let until = release.memory.since + release.cluster.releases.room_within;
    if release.now < until {
        let service = release.name.clone();
        release.hold(draft, Reason::RoomMissing { service, tasks: surge, until: Some(until) });
        return Step::Stay;
    }
    let waited_seconds = release.cluster.releases.room_within.num_seconds();
    if service.may_stop_first() {
        return go(format!(
            "no room for {surge} more tasks within {waited_seconds} s: ECS stops tasks before it \
             starts any"
        ));
    }
    Step::refuse(ReleaseVerdict::NoRoom { tasks: surge, waited_seconds })
}

/// The path, while the service still runs what it starts from.
pub fn standing<'a>(release: Release<'a>) -> Result<&'a ReleasePath, Step> {
    let Some(path) = &release.memory.path else {
        return Err(Step::Go(ReleaseStage::Ordered, "looked up anew".to_owned()));
    };
    let Some(service) = release.service() else {
        return Err(Step::refuse(ReleaseVerdict::NoService));
    };
    if service.definition != path.was {
        let (expected, found) = (path.was.clone(), service.definition.clone());
        let verdict = ReleaseVerdict::Superseded { expected, found };
        return Err(Step::Judge(ReleaseStage::Superseded, verdict));
    }
    Ok(path)
}

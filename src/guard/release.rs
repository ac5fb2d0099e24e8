//! The guard's checks on new revisions and the deployments that bring them out.
//!
//! Rule: a service is deployed only over the revision that was recorded, only to one whose image
//! was seen to exist, and not while a cutover moves its requests. The way back asks for none of
//! that but the two revisions.

use super::Case;
use crate::model::{
    Action, ImageName, ImageSeen, Origin, Planned, Reason, ReleaseStage, ServiceName, TaskSpec,
};
use crate::release::Release;

/// A revision is registered only for an image that its registry has.
pub(super) fn image(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let (Action::RegisterTask { service, task: TaskSpec::Revised { image, .. } }, true) =
        (&planned.action, is_release(planned))
    else {
        return None;
    };
    let Some(release) = find(case, service) else {
        return unordered(service);
    };
    let image = ImageName::from(image.as_str());
    let ours = release.memory.path.as_ref().is_some_and(|path| path.image == image);
    if !ours || release.stage() != ReleaseStage::Resolved {
        return Some(Reason::Outdated { what: format!("the release of {service}") });
    }
    unseen(release, &image)
}

pub(super) fn deployment(case: Case<'_>, planned: &Planned) -> Option<Reason> {
    let Action::Deploy { service, was, now, back, .. } = &planned.action else {
        return None;
    };
    let Some(release) = find(case, service) else {
        return unordered(service);
    };
    let outdated = || Some(Reason::Outdated { what: format!("the release of {service}") });
    let (Some(path), Some(made)) = (&release.memory.path, &release.memory.now) else {
        return outdated();
    };
    let (stage, from, to) = match back {
        true => (ReleaseStage::RollingBack, made, &path.was),
        false => (ReleaseStage::Booked, &path.was, made),
    };
    if release.stage() != stage || (was, now) != (from, to) || !release.runs(was) {
        return outdated();
    }
    if *back {
        return None;
    }
    release
        .busy()
        .or_else(|| unseen(release, &path.image))
        .or_else(|| unseen(release, &path.previous).filter(|_| needs_previous(release)))
}

/// What an image of the way back is worth was judged when it was resolved; here it must still be.
/// A release of what runs already has no other way back.
fn needs_previous(release: Release<'_>) -> bool {
    let path = release.memory.path.as_ref();
    path.is_some_and(|path| path.previous_digest != path.image.digest())
}

fn is_release(planned: &Planned) -> bool {
    matches!(planned.by, Origin::Release(_))
}

fn find<'a>(case: Case<'a>, service: &ServiceName) -> Option<Release<'a>> {
    let mut open = Release::open(case.config, case.snapshot, case.memory, case.now);
    open.find(|release| release.name == service)
}

fn unordered(service: &ServiceName) -> Option<Reason> {
    let what = format!("{service} has no open release");
    Some(Reason::Implausible { what })
}

/// Why an image cannot be counted on, if so. One of a registry that is not asked stands by its
/// digest.
fn unseen(release: Release<'_>, image: &ImageName) -> Option<Reason> {
    match release.image(image) {
        Some(ImageSeen::Found { .. } | ImageSeen::NotAsked) => None,
        Some(ImageSeen::Missing) => Some(Reason::ImageUnseen { image: image.clone() }),
        None => {
            let unseen = || Reason::ImageUnseen { image: image.clone() };
            Some(release.unseen().unwrap_or_else(unseen))
        }
    }
}

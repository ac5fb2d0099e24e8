//! Container images in their registries, and what is wrong with some of them.
//!
//! Rule: every image exists, with a digest that follows from its name, until an event says
//! otherwise; what is wrong with an image is wrong under each of its names.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Digest, ImageName, ImageSeen, StopCause};

use super::state::TaskNo;
use super::world::World;

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// Its tasks exit right after they start.
    Exits,
    /// Hosts cannot pull it, although the registry lists it.
    CannotPull,
    /// Its tasks run and fail their health checks.
    FailsChecks,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    gone: BTreeSet<ImageName>,
    /// Tags that were pushed anew.
    moved: BTreeMap<ImageName, Digest>,
    faults: BTreeMap<ImageName, ImageFault>,
}

impl Registry {
    pub(super) fn push(&mut self, image: &ImageName, digest: Digest) {
        self.gone.remove(image);
        self.moved.insert(image.clone(), digest);
    }

    pub(super) fn delete(&mut self, image: &ImageName) {
        let exact = self.exact(image);
        self.gone.extend([image.clone(), exact]);
    }

    pub(super) fn spoil(&mut self, image: &ImageName, fault: ImageFault) {
        let exact = self.exact(image);
        self.faults.insert(exact, fault);
    }

    pub(super) fn digest(&self, image: &ImageName) -> Digest {
        let own = image.digest().or_else(|| self.moved.get(image).cloned());
        own.unwrap_or_else(|| digest_of(image.as_str()))
    }

    /// The image by its digest.
    pub(super) fn exact(&self, image: &ImageName) -> ImageName {
        image.pinned(&self.digest(image))
    }

    pub(super) fn look_up(&self, image: &ImageName) -> ImageSeen {
        match self.has(image) {
            true => ImageSeen::Found { digest: self.digest(image) },
            false => ImageSeen::Missing,
        }
    }

    fn has(&self, image: &ImageName) -> bool {
        !self.gone.contains(image) && !self.gone.contains(&self.exact(image))
    }

    pub(super) fn fault(&self, image: &ImageName) -> Option<ImageFault> {
        match self.has(image) {
            true => self.faults.get(&self.exact(image)).copied(),
            false => Some(ImageFault::CannotPull),
        }
    }
}

/// The digest of the first image pushed under a name.
pub fn digest_of(name: &str) -> Digest {
    let part = |n: u32| format!("{:08x}", crc32fast::hash(format!("{n}{name}").as_bytes()));
    let hex: String = (0..8).map(part).collect();
    format!("sha256:{hex}").into()
}

impl World {
    fn fault_of(&self, no: TaskNo) -> Option<ImageFault> {
        let definition = self.definitions.get(&self.tasks.get(&no)?.definition)?;
        self.registry.fault(&definition.image)
    }

    /// Why a task does not come to run, if so.
    pub(super) fn fault_at_start(&self, no: TaskNo) -> Option<StopCause> {
        let definition = self.definitions.get(&self.tasks.get(&no)?.definition)?;
        match self.fault_of(no) {
            Some(ImageFault::CannotPull) => {
                let image = &definition.image;
                let message =
                    format!("CannotPullContainerError: pull image manifest: {image}: not found");
                Some(StopCause::PullFailed { message })
            }
            Some(ImageFault::Exits) => Some(exited(&definition.container)),
            Some(ImageFault::FailsChecks) | None => {
                definition.is_broken.then(|| exited(&definition.container))
            }
        }
    }

    /// A tag means for a task what it meant when the task was started.
    pub(super) fn pulled(&mut self, no: TaskNo) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let definition = self.definitions.get(&task.definition);
        task.digest = definition.map(|known| self.registry.digest(&known.image));
    }

    pub(super) fn fails_checks(&self, no: TaskNo) -> bool {
        self.fault_of(no) == Some(ImageFault::FailsChecks)
    }
}

pub(super) fn exited(container: &str) -> StopCause {
    StopCause::Exited { container: container.to_owned(), exit_code: Some(1) }
}

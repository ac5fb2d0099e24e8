//! What must be seen of releases: from memory and the last look alone.

use chrono::{DateTime, Utc};

use crate::config::ClusterConfig;
use crate::model::{ImageName, Memory, ReleaseNeed, ReleaseStage, Snapshot};

use super::prepare::container;
use super::view::Release;

/// Nothing where no release is open.
///
/// `last` is what was seen before: which image leads back is known once the containers are.
pub fn need(
    config: &ClusterConfig,
    memory: &Memory,
    last: Option<&Snapshot>,
    now: DateTime<Utc>,
) -> Option<ReleaseNeed> {
    let mut need = ReleaseNeed::default();
    for (name, release) in memory.releases.iter().filter(|(_, release)| release.is_open()) {
        need.services.insert(name.clone());
        match (&release.path, release.stage) {
            (Some(path), stage) if stage <= ReleaseStage::Booked => {
                need.images.extend([path.image.clone(), path.previous.clone()]);
            }
            (None, ReleaseStage::Ordered) => {
                need.images.insert(release.image.clone());
            }
            _ => {}
        }
    }
    if let Some(snapshot) = last {
        need.images.extend(Release::open(config, snapshot, memory, now).filter_map(previous));
    }
    (!need.services.is_empty()).then_some(need)
}

fn previous(release: Release<'_>) -> Option<ImageName> {
    let service = release.service().filter(|_| release.stage() == ReleaseStage::Ordered)?;
    let containers = release.sight()?.containers.get(&service.definition)?;
    let name = container(release, service, containers).ok()?;
    containers.get(&name).cloned()
}

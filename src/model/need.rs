//! What one tick must see: computed purely, so that a tick reads no more than it uses.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::{ClusterName, InstanceId, PoolId};

/// What `observe` must fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub cluster: ClusterName,
    pub pools: BTreeSet<PoolId>,
    /// Hosts whose tasks must be listed: draining ones, and those that look removable.
    pub tasks_of: BTreeSet<InstanceId>,
}

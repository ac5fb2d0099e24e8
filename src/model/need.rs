//! What one tick must see: computed purely, so that a tick reads no more than it uses.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{ClusterName, ImageName, InstanceId, ListenerArn, PoolId, ServiceName};

/// What `observe` must fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub cluster: ClusterName,
    pub pools: BTreeSet<PoolId>,
    /// Hosts whose tasks must be listed: draining ones, and those that look removable.
    pub tasks_of: BTreeSet<InstanceId>,
    /// What must be known of load balancers; nothing if no listener is ours to steer.
    #[serde(default)]
    pub traffic: Option<TrafficNeed>,
    /// What must be known of releases; nothing if none is open.
    #[serde(default)]
    pub releases: Option<ReleaseNeed>,
    /// Only traffic and services are wanted, quickly: everything else is left as it was.
    #[serde(default)]
    pub only_traffic: bool,
}

/// What must be known of releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseNeed {
    /// Of these: containers, digests that run, and why tasks failed.
    pub services: BTreeSet<ServiceName>,
    /// Looked up in their registries.
    pub images: BTreeSet<ImageName>,
}

/// What must be known of load balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficNeed {
    /// Read with all their rules, and every target group those name with its targets' health.
    pub listeners: BTreeSet<ListenerArn>,
    /// Read in the same way for what may be left there. One that does not exist is no gap.
    pub left: BTreeSet<ListenerArn>,
    /// Groups wanted by name, which no rule may name yet. One that does not exist is no gap.
    pub groups: BTreeSet<String>,
    /// Load of every group from then on.
    pub load_since: Option<DateTime<Utc>>,
    /// Of one datapoint; the load balancer's own metrics have 60 s.
    pub load_period_seconds: u32,
    pub asks: Vec<Ask>,
}

/// A question put to something other than the load balancer's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Under which the reading is found; unique.
    pub name: String,
    pub of: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum Asked {
    /// `OK` passes, `ALARM` fails, `INSUFFICIENT_DATA` is inconclusive.
    Alarm { alarm: String },
    /// An instant query; its one value is compared.
    Prometheus { url: String, query: String, below: Option<String>, above: Option<String> },
    /// 200 with `pass`, `fail` or `inconclusive` as its body, or in a JSON field `status`.
    Http { url: String },
    /// A request of our own through the load balancer; no redirects are followed. A `url` that
    /// begins with `/` is asked of the listener's own address.
    Probe {
        listener: ListenerArn,
        url: String,
        host: Option<String>,
        header: (String, String),
        expect_status: u16,
    },
}

//! The fleet as hosts drawn to scale: as high as they are large, filled by what is reserved.

use std::collections::BTreeMap;

use crate::control::status::{ClusterStatus, HostState, HostView};

/// Hosts beyond which they are drawn small and without labels.
const SMALL_FROM: usize = 120;
/// Hosts drawn of one zone; the rest is counted.
const DRAWN_MAX: usize = 600;
/// Height of the largest and of the smallest host.
const HEIGHT_MAX: f64 = 96.0;
const HEIGHT_MIN: f64 = 36.0;
/// Cuts drawn into a filled lane, one between two tasks.
const CUTS_MAX: u64 = 24;

pub(super) struct Zone<'a> {
    pub(super) name: &'a str,
    pub(super) hosts: Vec<Bar<'a>>,
    pub(super) count: usize,
    /// Not drawn.
    pub(super) more: usize,
}

/// One host; heights from its own top, in the drawing's units.
pub(super) struct Bar<'a> {
    pub(super) host: &'a HostView,
    pub(super) height: f64,
    pub(super) cpu: Lane,
    pub(super) memory: Lane,
    pub(super) sign: &'static str,
    pub(super) word: &'static str,
}

#[derive(Default)]
pub(super) struct Lane {
    pub(super) percent: u64,
    pub(super) top: f64,
    pub(super) filled: f64,
    /// Where one task ends and the next begins, as if all were alike.
    pub(super) cuts: Vec<f64>,
}

pub(super) fn is_small(cluster: &ClusterStatus) -> bool {
    cluster.hosts.len() > SMALL_FROM
}

pub(super) fn zones(cluster: &ClusterStatus) -> Vec<Zone<'_>> {
    let largest = cluster.hosts.iter().map(|host| host.registered.cpu_units);
    let largest = largest.max().unwrap_or(0).max(1);
    let small = is_small(cluster);
    let mut zones = BTreeMap::<&str, Vec<&HostView>>::new();
    for host in &cluster.hosts {
        zones.entry(host.zone.as_str()).or_default().push(host);
    }
    let mut drawn = Vec::new();
    for (name, hosts) in zones {
        drawn.push(Zone {
            name,
            count: hosts.len(),
            more: hosts.len().saturating_sub(DRAWN_MAX),
            hosts: (hosts.into_iter().take(DRAWN_MAX))
                .map(|host| bar(host, largest, small))
                .collect(),
        });
    }
    drawn
}

fn bar(host: &HostView, largest: u64, small: bool) -> Bar<'_> {
    // One that launches registers nothing yet: drawn as if it were of middle size.
    let share = match host.registered.cpu_units {
        0 => 0.5,
        cpu => ratio(cpu, largest).sqrt(),
    };
    let scale = if small { 0.5 } else { 1.0 };
    let height = (HEIGHT_MIN + (HEIGHT_MAX - HEIGHT_MIN) * share) * scale;
    let tasks = if small { 0 } else { host.running_tasks + host.pending_tasks };
    let lane = |reserved, registered| lane(reserved, registered, height, tasks);
    let (sign, word) = sign(host.state);
    Bar {
        height,
        cpu: lane(host.reserved.cpu_units, host.registered.cpu_units),
        memory: lane(host.reserved.memory_mib, host.registered.memory_mib),
        sign,
        word,
        host,
    }
}

fn lane(reserved: u64, registered: u64, height: f64, tasks: u64) -> Lane {
    if registered == 0 {
        return Lane::default();
    }
    let share = ratio(reserved, registered).min(1.0);
    let filled = height * share;
    let cuts =
        (1..tasks.min(CUTS_MAX)).map(|cut| height - filled * ratio(cut, tasks.min(CUTS_MAX)));
    Lane {
        percent: reserved.saturating_mul(100) / registered,
        top: height - filled,
        filled,
        cuts: cuts.collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for drawing")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// How a state is told without colour.
fn sign(state: HostState) -> (&'static str, &'static str) {
    match state {
        HostState::Usable => ("●", "usable"),
        HostState::Launching => ("+", "launching"),
        HostState::Draining => ("~", "draining"),
        HostState::AgentLost => ("!", "agent lost"),
        HostState::Other => ("?", "other"),
    }
}

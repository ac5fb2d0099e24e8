//! Whether a listener is fit for a cutover: the analysis, asked as its routes would have it.

use std::collections::BTreeSet;

use crate::config::{ClusterConfig, CutoverConfig, RuleMode};
use crate::model::{Listener, Owner, Purpose, RuleArn, Snapshot};

use super::listener::{Finding, FindingKind, Move, Question, analyse};
use super::view::group_of;

/// What the analysis says of the listener as it stands without this cutover's own rules; nothing
/// where the listener was not seen.
pub fn findings(
    cluster: &ClusterConfig,
    cutover: &CutoverConfig,
    snapshot: &Snapshot,
) -> Vec<Finding> {
    let traffic = &snapshot.traffic.value;
    let Some(listener) = traffic.listeners.get(&cutover.listener) else {
        return Vec::new();
    };
    let listener = without_own(listener, cutover);
    let group = |name| group_of(cluster, snapshot, name).map(|group| &group.arn);
    let routes = cutover.routes.iter();
    let moves: Vec<_> = routes
        .map(|route| Move {
            to: route.to.clone(),
            paths: route.paths.clone(),
            hosts: route.hosts.clone(),
            group: group(&route.to).cloned(),
        })
        .collect();
    let services = snapshot.services.value.values();
    let native_rules: BTreeSet<RuleArn> =
        services.flat_map(|service| service.native_rules.iter().cloned()).collect();
    let mut findings = analyse(&Question {
        listener: &listener,
        traffic,
        native_rules: &native_rules,
        moves: &moves,
        from: group(&cutover.from),
        known_paths: &cutover.known_paths,
    });
    if matches!(cutover.rules, RuleMode::Adopt(_)) {
        findings.retain(|finding| !only_for_own_rules(finding.kind));
    }
    findings
}

fn without_own(listener: &Listener, cutover: &CutoverConfig) -> Listener {
    let own = |owner: &Owner| match owner {
        Owner::Tidegate(Purpose::Route(route) | Purpose::Probe(route)) => {
            route.cutover == cutover.name
        }
        Owner::Tidegate(Purpose::Tombstone(name, _)) => *name == cutover.name,
        _ => false,
    };
    let mut listener = listener.clone();
    listener.rules.retain(|rule| !own(&rule.owner));
    listener
}

/// An adopted rule is edited where it stands: it needs no place and no copy.
fn only_for_own_rules(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::CannotCopy | FindingKind::NoPriority | FindingKind::Quota)
}

//! Whether a listener is fit for a cutover: the analysis, asked as its routes would have it.

use std::collections::BTreeSet;

use crate::config::{ClusterConfig, CutoverConfig, RuleMode};
use crate::model::{Listener, RuleArn, Snapshot, TargetGroupArn};

use super::listener::{self, Finding, FindingKind, Move, Placed, Question, analyse};
use super::slots;
use super::view::{Route, Saga, group_of};

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
    let from = group_of(cluster, snapshot, &cutover.from).map(|group| &group.arn);
    let moves = moves(cluster, cutover, snapshot);
    let services = snapshot.services.value.values();
    let native_rules: BTreeSet<RuleArn> =
        services.flat_map(|service| service.native_rules.iter().cloned()).collect();
    let mut findings = analyse(&Question {
        listener: &listener,
        traffic,
        native_rules: &native_rules,
        moves: &moves,
        from,
        known_paths: &cutover.known_paths,
    });
    if matches!(cutover.rules, RuleMode::Adopt(_)) {
        findings.retain(|finding| !only_for_own_rules(finding.kind));
    }
    findings
}

/// The rule a route gets; `None` if no one rule leads all it asks for to blue.
pub fn placed(route: Route<'_>, blue: &TargetGroupArn) -> Option<Placed> {
    let Saga { cluster, config, snapshot, .. } = route.saga;
    let listener = without_own(route.saga.listener()?, config);
    listener::placed(&listener, blue, &moves(cluster, config, snapshot), &route.config.to)
}

fn moves(cluster: &ClusterConfig, cutover: &CutoverConfig, snapshot: &Snapshot) -> Vec<Move> {
    let group = |name| group_of(cluster, snapshot, name).map(|group| group.arn.clone());
    let routes = cutover.routes.iter();
    let moves = routes.map(|route| Move {
        to: route.to.clone(),
        paths: route.paths.clone(),
        hosts: route.hosts.clone(),
        group: group(&route.to),
    });
    moves.collect()
}

fn without_own(listener: &Listener, cutover: &CutoverConfig) -> Listener {
    let mut listener = listener.clone();
    listener.rules.retain(|rule| !slots::is_own(&cutover.name, &rule.owner));
    listener
}

/// An adopted rule is edited where it stands: it needs no place and no copy.
fn only_for_own_rules(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::CannotCopy | FindingKind::NoPriority | FindingKind::Quota)
}

//! What AWS would tell of load balancers: listeners, rules, target groups, health and load.

use std::collections::BTreeSet;

use crate::model::{Reading, Snapshot, TargetGroup, TargetGroupArn, TrafficNeed};

use super::balancer::{SimGroup, images};
use super::observe::not_found;
use super::world::World;

impl World {
    /// The listeners asked for, and every group that they, a name or a service speaks of.
    pub(super) fn see_traffic(&self, need: &TrafficNeed, seen: &mut Snapshot) {
        let traffic = &mut seen.traffic;
        for arn in need.listeners.union(&need.left) {
            match self.listener(arn) {
                Some(listener) => {
                    traffic.value.listeners.insert(arn.clone(), listener.clone());
                }
                None if !need.listeners.contains(arn) => {}
                None => {
                    traffic.gaps.push(not_found("elasticloadbalancing:DescribeListeners", arn));
                }
            }
        }
        let listeners = traffic.value.listeners.values();
        let images = listeners.flat_map(images).filter_map(|image| image.weights());
        let by_rule = images.flat_map(|weights| weights.keys());
        let services = self.services.values();
        let targets = services.flat_map(|service| &service.spec.targets);
        let by_service = targets.map(|target| &target.group);
        let mut wanted: BTreeSet<TargetGroupArn> = by_rule.chain(by_service).cloned().collect();
        let named = |group: &&SimGroup| need.groups.contains(&group.name);
        let by_name = self.traffic.groups.values().filter(named);
        wanted.extend(by_name.map(|group| group.arn.clone()));
        for group in wanted.iter().filter_map(|arn| self.traffic.groups.get(arn)) {
            let mut told = self.describe_group(group);
            if let Some(since) = need.load_since {
                let (metrics, period) = (self.traffic.metrics, need.load_period_seconds);
                told.load = group.load(since, self.now, metrics, period);
            }
            traffic.value.groups.insert(group.arn.clone(), told);
        }
        let readings = need.asks.iter().map(|ask| (ask.name.clone(), self.ask(ask)));
        traffic.value.readings = readings.collect::<std::collections::BTreeMap<String, Reading>>();
    }

    pub(super) fn describe_group(&self, group: &SimGroup) -> TargetGroup {
        let load_balancer = self.load_balancer_of(&group.arn).cloned();
        TargetGroup {
            arn: group.arn.clone(),
            name: group.name.clone(),
            owner: group.owner.clone(),
            settings: group.settings.clone(),
            health: Some(group.health(load_balancer.is_some())),
            load_balancer,
            load: Vec::new(),
        }
    }
}

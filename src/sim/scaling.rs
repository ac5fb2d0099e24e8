//! A rival the world plays: Application Auto Scaling of a service by requests per target.
//!
//! Rule: it follows its metric whatever the reason for it: traffic that was moved away looks to it
//! like traffic that is gone. A suspended direction stands still.

use crate::model::{Rival, ServiceName, Suspension};

use super::delays;
use super::state::Due;
use super::world::World;

/// A target tracking policy on `ALBRequestCountPerTarget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    pub service: ServiceName,
    pub min: u64,
    pub max: u64,
    /// What one target shall get in a minute.
    pub requests_per_target: u64,
    /// Minutes below it until it scales in; AWS's own alarm has 15.
    pub low_minutes: u32,
}

impl ScalingPolicy {
    pub fn new(service: impl Into<ServiceName>, min: u64, max: u64, per_target: u64) -> Self {
        let low_minutes = delays::SCALING_LOW_MINUTES;
        Self { service: service.into(), min, max, requests_per_target: per_target, low_minutes }
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimScaling {
    policy: ScalingPolicy,
    suspended: Suspension,
    low: u32,
    high: u32,
}

impl World {
    /// Lets Application Auto Scaling own a service's count.
    pub fn add_scaling_policy(&mut self, policy: ScalingPolicy) {
        let service = policy.service.clone();
        self.enter(delays::ALARM, Due::Scale(service.clone()));
        let suspended = Suspension::default();
        self.traffic.scalings.insert(service, SimScaling { policy, suspended, low: 0, high: 0 });
    }

    /// What of a service's scaling is suspended, played or only declared.
    pub fn suspended(&self, name: &ServiceName) -> Option<Suspension> {
        let played = self.scalable_targets();
        played.chain(self.declared.iter().cloned()).find_map(|rival| match rival {
            Rival::ScalableTarget { service, suspended, .. } if service == *name => Some(suspended),
            _ => None,
        })
    }

    pub(super) fn suspend(&mut self, name: &ServiceName, now: Suspension) {
        if let Some(scaling) = self.traffic.scalings.get_mut(name) {
            scaling.suspended = now;
        }
        let declared = std::mem::take(&mut self.declared).into_iter();
        self.declared = declared
            .map(|mut rival| {
                if let Rival::ScalableTarget { service, suspended, .. } = &mut rival
                    && service == name
                {
                    *suspended = now;
                }
                rival
            })
            .collect();
    }

    /// One datapoint and what its two alarms make of it. No requests is no datapoint.
    pub(super) fn scale(&mut self, name: &ServiceName) {
        self.enter(delays::ALARM, Due::Scale(name.clone()));
        let Some(service) = self.services.get(name) else {
            return;
        };
        let (count, is_deploying) = (service.spec.count, service.deployments.len() > 1);
        let mut requests = 0;
        for target in &service.spec.targets {
            if let Some(group) = self.traffic.groups.get_mut(&target.group) {
                requests += std::mem::take(&mut group.since_scaled);
            }
        }
        let Some(scaling) = self.traffic.scalings.get_mut(name) else {
            return;
        };
        let policy = &scaling.policy;
        let wanted = requests.div_ceil(policy.requests_per_target.max(1));
        let wanted = wanted.clamp(policy.min, policy.max);
        let low = requests > 0 && wanted < count;
        scaling.low = if low { scaling.low + 1 } else { 0 };
        scaling.high = if wanted > count { scaling.high + 1 } else { 0 };
        let scales_in =
            scaling.low >= policy.low_minutes && !scaling.suspended.scale_in && !is_deploying;
        let scales_out =
            scaling.high >= delays::SCALING_HIGH_MINUTES && !scaling.suspended.scale_out;
        if !scales_in && !scales_out {
            return;
        }
        (scaling.low, scaling.high) = (0, 0);
        self.log(format!("{name}: Application Auto Scaling sets {count} -> {wanted}"));
        if let Some(service) = self.services.get_mut(name) {
            service.spec.count = wanted;
        }
        self.wake();
    }

    pub(super) fn scalable_targets(&self) -> impl Iterator<Item = Rival> {
        self.traffic.scalings.values().map(|scaling| Rival::ScalableTarget {
            service: scaling.policy.service.clone(),
            min: scaling.policy.min,
            max: scaling.policy.max,
            suspended: scaling.suspended,
        })
    }
}

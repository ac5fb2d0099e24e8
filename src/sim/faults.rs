//! What goes wrong on the way to AWS and back: reads throttled or cut short, answers lost.
//!
//! Rule: faults touch what is told, never the world itself, and draw from a stream of their own, so
//! that the world behaves alike with and without them until somebody acts differently.

use crate::model::{Action, Failure, Gap, Outcome, Part, Snapshot};

use super::observe::source;
use super::rng::Rng;
use super::world::World;

/// How often each fault strikes, in a thousand; the default is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub seed: u64,
    /// Of each part of an observation: the value of the last one comes with a gap.
    pub throttled_per_mille: u32,
    /// Of an observation: half of the hosts and services are missing, with a gap.
    pub partial_per_mille: u32,
    /// Of an observation: it claims that there are no hosts at all, and shows no gap.
    pub empty_per_mille: u32,
    /// Of an observation: the load of all target groups is missing, with a gap.
    pub no_metrics_per_mille: u32,
    /// Of a write: AWS refuses it as too many.
    pub refused_per_mille: u32,
    /// Of a write: no answer comes; one in two has taken effect.
    pub lost_per_mille: u32,
}

/// The way to the world, with what was last told truly.
#[derive(Debug)]
pub(super) struct Wire {
    faults: Faults,
    rng: Rng,
    last: Option<Snapshot>,
}

impl Wire {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, rng: Rng::new(faults.seed), last: None }
    }

    /// What arrives of a true snapshot.
    pub(super) fn carry(&mut self, mut seen: Snapshot) -> Snapshot {
        if self.faults.throttled_per_mille + self.faults.partial_per_mille == 0
            && self.faults.empty_per_mille + self.faults.no_metrics_per_mille == 0
        {
            return seen;
        }
        let truth = seen.clone();
        if self.strikes(self.faults.empty_per_mille) {
            seen.hosts.value.clear();
        }
        if self.strikes(self.faults.partial_per_mille) {
            let rng = &mut self.rng;
            seen.hosts.value.retain(|_, _| rng.chance(500));
            seen.services.value.retain(|_, _| rng.chance(500));
            let message = || "part of the answer did not arrive".to_owned();
            let gap = |source: &str| Gap {
                source: source.to_owned(),
                failure: Failure::Unavailable { message: message() },
            };
            let hosts = &mut seen.hosts.gaps;
            hosts.push(gap("ecs:DescribeContainerInstances"));
            seen.services.gaps.push(gap("ecs:DescribeServices"));
        }
        self.cut_metrics(&mut seen);
        self.throttle_all(&mut seen);
        self.last = Some(truth);
        seen
    }

    fn cut_metrics(&mut self, seen: &mut Snapshot) {
        if !self.strikes(self.faults.no_metrics_per_mille) {
            return;
        }
        for group in seen.traffic.value.groups.values_mut() {
            group.load.clear();
        }
        let (source, failure) = ("cloudwatch:GetMetricData".to_owned(), Failure::Throttled);
        seen.traffic.gaps.push(Gap { source, failure });
    }

    /// What arrives of a snapshot that holds load balancers and services only.
    pub(super) fn carry_traffic(&mut self, mut seen: Snapshot) -> Snapshot {
        let (services, traffic) = (seen.services.clone(), seen.traffic.clone());
        self.cut_metrics(&mut seen);
        let unknown = || Snapshot::empty(seen.cluster.clone(), seen.taken_at);
        let mut last = self.last.take().unwrap_or_else(unknown);
        let source = "ecs:DescribeServices";
        self.throttle(&mut seen.services, Some(&last.services), source);
        let source = "elasticloadbalancing:DescribeRules";
        self.throttle(&mut seen.traffic, Some(&last.traffic), source);
        (last.services, last.traffic) = (services, traffic);
        self.last = Some(last);
        seen
    }

    fn throttle_all(&mut self, seen: &mut Snapshot) {
        let pool = seen.pools.value.keys().next().map_or("autoscaling", source);
        let last = self.last.take();
        let last = last.as_ref();
        let hosts = "ecs:DescribeContainerInstances";
        self.throttle(&mut seen.hosts, last.map(|s| &s.hosts), hosts);
        let services = "ecs:DescribeServices";
        self.throttle(&mut seen.services, last.map(|s| &s.services), services);
        let tasks = "ecs:DescribeTasks";
        self.throttle(&mut seen.tasks, last.map(|s| &s.tasks), tasks);
        self.throttle(&mut seen.waiting, last.map(|s| &s.waiting), "ecs:ListTasks");
        self.throttle(&mut seen.pools, last.map(|s| &s.pools), pool);
        if !seen.releases.value.services.is_empty() {
            let images = "ecr:DescribeImages";
            self.throttle(&mut seen.releases, last.map(|s| &s.releases), images);
        }
        // Only where load balancers were asked for, so that worlds without any fail as they did.
        if !seen.traffic.value.listeners.is_empty() {
            let rules = "elasticloadbalancing:DescribeRules";
            self.throttle(&mut seen.traffic, last.map(|s| &s.traffic), rules);
        }
    }

    fn throttle<T: Clone + Default>(
        &mut self,
        part: &mut Part<T>,
        last: Option<&Part<T>>,
        source: &str,
    ) {
        if !self.strikes(self.faults.throttled_per_mille) {
            return;
        }
        part.value = last.map(|part| part.value.clone()).unwrap_or_default();
        part.as_of = last.map_or(part.as_of, |part| part.as_of);
        part.gaps.push(Gap { source: source.to_owned(), failure: Failure::Throttled });
    }

    /// What becomes of a write, and what is heard of it.
    pub(super) fn send(&mut self, world: &mut World, action: &Action) -> Outcome {
        if self.strikes(self.faults.refused_per_mille) {
            return Outcome::Refused { failure: Failure::Throttled };
        }
        if self.strikes(self.faults.lost_per_mille) {
            if self.rng.chance(500) {
                world.apply(action);
            }
            let message = "no answer within the time limit".to_owned();
            return Outcome::InDoubt { message };
        }
        world.apply(action)
    }

    fn strikes(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.chance(per_mille)
    }
}

//! What each AWS call tells, as plain rows: where SDK types end and joining begins.
//!
//! Rule: a row holds what one service said, nothing it would have to ask another for.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::model::*;

/// A container instance, as ECS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerRow {
    pub(super) instance: InstanceId,
    pub(super) status: HostStatus,
    pub(super) agent_connected: bool,
    /// CPU, memory and GPUs; ECS does not book network interfaces.
    pub(super) registered: Resources,
    pub(super) remaining: Resources,
    /// Interfaces attached for tasks.
    pub(super) enis_used: u64,
    pub(super) ports_used: BTreeSet<u16>,
    pub(super) running_tasks: u64,
    pub(super) pending_tasks: u64,
    pub(super) attributes: Attributes,
    pub(super) registered_at: Option<DateTime<Utc>>,
    pub(super) version: u64,
}

/// The cluster itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClusterRow {
    pub(super) pending_tasks: u64,
    pub(super) providers: BTreeSet<String>,
    /// Services that say nothing are placed by a default capacity provider strategy.
    pub(super) has_strategy: bool,
}

/// A capacity provider that stands on an Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProviderRow {
    pub(super) pool: PoolId,
    pub(super) provider: CapacityProvider,
}

/// A service, with the names of its capacity providers still unresolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceRow {
    /// `launch` is filled in by the join.
    pub(super) service: Service,
    /// Of the strategy; empty where a launch type is set.
    pub(super) providers: BTreeSet<String>,
}

/// What Application Auto Scaling may do to a service's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScalableTarget {
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) suspended: Suspension,
}

/// A listener, without its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListenerRow {
    pub(super) load_balancer: LoadBalancerArn,
    pub(super) protocol: String,
    pub(super) port: u16,
    pub(super) default: RuleImage,
}

/// A rule, without its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleRow {
    pub(super) arn: RuleArn,
    pub(super) priority: u16,
    pub(super) conditions: BTreeSet<Condition>,
    pub(super) image: RuleImage,
}

/// A target group, without its attributes, tags and targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetGroupRow {
    pub(super) arn: TargetGroupArn,
    pub(super) name: String,
    /// Those whose rules name it.
    pub(super) load_balancers: Vec<LoadBalancerArn>,
    pub(super) health_check: HealthCheck,
}

/// What of a target group's settings is not its health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupAttributes {
    pub(super) deregistration_delay_seconds: u32,
    pub(super) slow_start_seconds: u32,
    pub(super) stickiness_seconds: Option<u32>,
}

impl GroupAttributes {
    pub(super) fn of(settings: &GroupSettings) -> Self {
        Self {
            deregistration_delay_seconds: settings.deregistration_delay_seconds,
            slow_start_seconds: settings.slow_start_seconds,
            stickiness_seconds: settings.stickiness_seconds,
        }
    }

    /// All settings of a group.
    pub(super) fn with(self, health_check: HealthCheck) -> GroupSettings {
        GroupSettings {
            health_check,
            deregistration_delay_seconds: self.deregistration_delay_seconds,
            slow_start_seconds: self.slow_start_seconds,
            stickiness_seconds: self.stickiness_seconds,
        }
    }
}

/// A load balancer's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BalancerRow {
    pub(super) dns_name: String,
    pub(super) vpc: String,
}

/// An Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRow {
    pub(super) state: PoolState,
    pub(super) desired: Units,
    pub(super) min: Units,
    pub(super) max: Units,
    pub(super) unit: CapacityUnit,
    pub(super) launches: Vec<LaunchRow>,
    pub(super) zones: BTreeSet<Zone>,
    pub(super) protects_new_hosts: bool,
    pub(super) suspended: BTreeSet<String>,
    pub(super) warm_pool: bool,
    pub(super) members: BTreeMap<InstanceId, MemberRow>,
}

/// What a pool's capacity counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CapacityUnit {
    /// Hosts, or weights where the types have them.
    Hosts,
    Vcpus,
    MemoryMib,
}

/// One way a pool may launch: a type by name, or by what its template says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LaunchRow {
    /// `None`: the template's.
    pub(super) instance_type: Option<InstanceType>,
    /// `None`: given as a fraction, which cannot be counted in whole units.
    pub(super) weight: Option<u32>,
    /// Chosen by requirements instead of by name.
    pub(super) by_requirements: bool,
    pub(super) template: Option<TemplateRef>,
}

/// Where a launch's type and user data are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TemplateRef {
    /// A launch template by id or name, and the version as given.
    ById(String, String),
    ByName(String, String),
    /// A launch configuration, the older kind.
    Configuration(String),
}

impl TemplateRef {
    /// Whether the same reference may mean something else tomorrow.
    pub(super) fn moves(&self) -> bool {
        match self {
            Self::ById(_, version) | Self::ByName(_, version) => version.starts_with('$'),
            Self::Configuration(_) => false,
        }
    }
}

/// What a launch template or configuration says of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TemplateRow {
    pub(super) instance_type: Option<InstanceType>,
    /// From `ECS_INSTANCE_ATTRIBUTES` in the user data.
    pub(super) attributes: Attributes,
}

/// An instance, as its group or fleet lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberRow {
    pub(super) instance_type: Option<InstanceType>,
    /// Fleets do not say.
    pub(super) zone: Option<Zone>,
    pub(super) lifecycle: Lifecycle,
    pub(super) protected: bool,
}

/// A Spot Fleet request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FleetRow {
    pub(super) state: PoolState,
    pub(super) target: Units,
    /// It ends no host when its target is lowered.
    pub(super) keeps_excess: bool,
    /// In hundredths of a unit: AWS counts fractions.
    pub(super) fulfilled_hundredths: u64,
    pub(super) unit: CapacityUnit,
    pub(super) launches: Vec<LaunchRow>,
    pub(super) zones: BTreeSet<Zone>,
    pub(super) members: BTreeMap<InstanceId, MemberRow>,
}

impl FleetRow {
    /// How many units this instance counts; 1 where nothing else is said.
    pub(super) fn weight_of(&self, instance: &InstanceId) -> u32 {
        let name = self.members.get(instance).and_then(|row| row.instance_type.as_ref());
        let size = || Some(crate::model::catalog::find(name?)?.resources);
        let weight = match self.unit {
            CapacityUnit::Hosts => {
                let mut launches = self.launches.iter();
                let of_type = launches.find(|launch| launch.instance_type.as_ref() == name);
                of_type.and_then(|launch| launch.weight)
            }
            CapacityUnit::Vcpus => size().and_then(|s| u32::try_from(s.cpu_units / 1024).ok()),
            CapacityUnit::MemoryMib => size().and_then(|s| u32::try_from(s.memory_mib).ok()),
        };
        weight.unwrap_or(1)
    }
}

/// What never changes about an EC2 instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MachineRow {
    pub(super) instance_type: InstanceType,
    pub(super) zone: Zone,
    pub(super) market: Market,
    pub(super) launched_at: DateTime<Utc>,
}

/// A task, as ECS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskRow {
    pub(super) task: Task,
    pub(super) container: Option<ContainerInstanceArn>,
    pub(super) provider: Option<String>,
}

/// A listing by key: what was found, and what could not be told and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer<K, V> {
    pub(super) found: BTreeMap<K, V>,
    pub(super) lacking: BTreeMap<K, Gap>,
}

impl<K: Ord, V> Default for Answer<K, V> {
    fn default() -> Self {
        Self { found: BTreeMap::new(), lacking: BTreeMap::new() }
    }
}

impl<K: Ord, V> Answer<K, V> {
    pub(super) fn absorb(&mut self, other: Self) {
        self.found.extend(other.found);
        self.lacking.extend(other.lacking);
    }
}

/// A part nobody has read yet: as old as can be.
pub(super) fn never<T: Default>() -> Part<T> {
    Part::complete(T::default(), DateTime::UNIX_EPOCH)
}

/// Takes a new answer in. A failed call leaves the last good value with its age and adds the gap;
/// an entry that alone could not be told keeps its last good value.
pub(super) fn renew<K: Ord + Clone, V: Clone>(
    kept: &mut Part<BTreeMap<K, V>>,
    answer: Result<Answer<K, V>, Gap>,
    at: DateTime<Utc>,
) {
    match answer {
        Ok(Answer { mut found, lacking }) => {
            for key in lacking.keys() {
                if let Some(last) = kept.value.get(key) {
                    found.entry(key.clone()).or_insert_with(|| last.clone());
                }
            }
            let gaps: BTreeSet<Gap> = lacking.into_values().collect();
            *kept = Part { value: found, as_of: at, gaps: gaps.into_iter().collect() };
        }
        Err(gap) => kept.gaps = vec![gap],
    }
}

/// SDK time to ours; `None` when out of range.
pub(super) fn time(at: Option<&aws_smithy_types::DateTime>) -> Option<DateTime<Utc>> {
    at.and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos()))
}

/// A count AWS gives as a signed number; negative ones mean nothing.
pub(super) fn count(n: i32) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A capacity AWS gives as a signed number.
pub(super) fn units(n: Option<i32>) -> Units {
    Units(n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::build::now;

    fn gap() -> Gap {
        Gap { source: "ecs:DescribeServices".to_owned(), failure: Failure::Throttled }
    }

    #[test]
    fn a_failed_call_keeps_the_last_good_value_and_its_age() {
        let mut kept = Part::complete(BTreeMap::from([("a", 1)]), now());
        let later = now() + chrono::TimeDelta::seconds(15);
        renew(&mut kept, Err(gap()), later);
        assert_eq!(kept.value, BTreeMap::from([("a", 1)]));
        assert_eq!((kept.as_of, kept.gaps.as_slice()), (now(), &[gap()][..]));
        renew(&mut kept, Ok(Answer::default()), later);
        assert_eq!(kept, Part::complete(BTreeMap::new(), later));
    }

    #[test]
    fn an_entry_that_alone_failed_keeps_its_last_good_value() {
        let mut kept = Part::complete(BTreeMap::from([("a", 1), ("b", 2), ("c", 3)]), now());
        let answer = Answer {
            found: BTreeMap::from([("a", 9)]),
            lacking: BTreeMap::from([("b", gap()), ("new", gap())]),
        };
        renew(&mut kept, Ok(answer), now());
        assert_eq!(kept.value, BTreeMap::from([("a", 9), ("b", 2)]));
        assert_eq!(kept.gaps, [gap()]);
    }
}

//! What one scope remembers between observations: last good answers, and facts that never change.
//!
//! Rule: bounded by what exists in the cluster; nothing here is needed after a restart.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::rivals::{SlowRead, SlowRow};
use super::rows::*;
use super::traffic::KeptTraffic;
use crate::model::catalog::{self, TypeInfo};
use crate::model::*;

/// Age at which what changes rarely is read again.
pub(super) const SLOW_AGE: TimeDelta = TimeDelta::seconds(60);

/// Everything remembered.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) cluster: Part<ClusterRow>,
    pub(super) containers: Part<BTreeMap<ContainerInstanceArn, ContainerRow>>,
    pub(super) services: Part<BTreeMap<ServiceName, ServiceRow>>,
    pub(super) groups: Part<BTreeMap<String, GroupRow>>,
    pub(super) fleets: Part<BTreeMap<String, FleetRow>>,
    pub(super) providers: Part<BTreeMap<String, ProviderRow>>,
    pub(super) slow: BTreeMap<SlowRead, Part<Vec<SlowRow>>>,
    pub(super) templates: BTreeMap<TemplateRef, (TemplateRow, DateTime<Utc>)>,
    pub(super) waiting: Waiting,
    pub(super) traffic: KeptTraffic,

    // Facts: true as long as the thing exists.
    pub(super) machines: BTreeMap<InstanceId, MachineRow>,
    pub(super) definitions: BTreeMap<TaskDefinitionArn, TaskShape>,
    /// Sizes of types the catalogue does not know.
    pub(super) types: BTreeMap<InstanceType, TypeInfo>,
    /// The least a host of the type has registered.
    pub(super) learnt: BTreeMap<InstanceType, Resources>,

    // Of this observation alone.
    /// Instances of fleets that EC2 is ending.
    pub(super) ending: BTreeSet<InstanceId>,
    /// What could not be learnt of machines, templates and types.
    pub(super) machine_gaps: Vec<Gap>,
    pub(super) launch_gaps: Vec<Gap>,
}

/// Standalone tasks that wait for a host.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) listed_at: Option<DateTime<Utc>>,
    pub(super) found: Vec<WaitingTasks>,
    /// Tasks known to have a host, which they keep for life: never described twice.
    pub(super) placed: BTreeSet<TaskArn>,
}

impl Kept {
    /// What this action may have changed is read anew, however short ago it was read.
    pub(super) fn outdate(&mut self, action: &Action) {
        match action {
            Action::SetGroupAttributes { group, .. } => self.traffic.outdate(group),
            Action::SuspendScaling { .. } => drop(self.slow.remove(&SlowRead::Targets)),
            _ => {}
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            cluster: never(),
            containers: never(),
            services: never(),
            groups: never(),
            fleets: never(),
            providers: never(),
            slow: BTreeMap::new(),
            templates: BTreeMap::new(),
            waiting: Waiting::default(),
            traffic: KeptTraffic::default(),
            machines: BTreeMap::new(),
            definitions: BTreeMap::new(),
            types: BTreeMap::new(),
            learnt: BTreeMap::new(),
            ending: BTreeSet::new(),
            machine_gaps: Vec::new(),
            launch_gaps: Vec::new(),
        }
    }
}

impl Kept {
    /// The members of these pools: the pool of each, and what it says of the instance.
    pub(super) fn members<'a>(
        &'a self,
        pools: &'a BTreeSet<PoolId>,
    ) -> BTreeMap<&'a InstanceId, (&'a PoolId, &'a MemberRow)> {
        let mut members = BTreeMap::new();
        for pool in pools {
            let listed = match pool {
                PoolId::AutoScalingGroup(name) => self.groups.value.get(name).map(|g| &g.members),
                PoolId::SpotFleet(id) => self.fleets.value.get(id).map(|f| &f.members),
            };
            for (instance, row) in listed.into_iter().flatten() {
                members.insert(instance, (pool, row));
            }
        }
        members
    }

    /// What is known of a type's size: from the catalogue, else as EC2 described it.
    pub(super) fn type_info(&self, name: &InstanceType) -> Option<TypeInfo> {
        catalog::find(name).or_else(|| self.types.get(name).copied())
    }

    /// The type of a container instance's host.
    pub(super) fn type_of(&self, row: &ContainerRow) -> Option<InstanceType> {
        let attribute = row.attributes.get("ecs.instance-type");
        let told = attribute.map(|name| InstanceType::from(name.as_str()));
        told.or_else(|| Some(self.machines.get(&row.instance)?.instance_type.clone()))
    }

    /// What a host registered, with the interfaces its type has for tasks.
    pub(super) fn registered(&self, row: &ContainerRow, of: Option<&InstanceType>) -> Resources {
        let info = of.and_then(|name| self.type_info(name));
        Resources { enis: info.map_or(0, |info| info.resources.enis), ..row.registered }
    }

    /// Learns from the registered hosts what each type registers; a type none of which is left
    /// keeps what it had.
    pub(super) fn learn_types(&mut self) {
        let mut seen: BTreeMap<InstanceType, Resources> = BTreeMap::new();
        for row in self.containers.value.values() {
            if let Some(name) = self.type_of(row)
                && row.registered.memory_mib > 0
            {
                let registered = self.registered(row, Some(&name));
                let least = seen.entry(name).or_insert(registered);
                *least = least.each_min(&registered);
            }
        }
        self.learnt.extend(seen);
    }

    /// Every template that the pools launch by.
    pub(super) fn launches(&self) -> impl Iterator<Item = &LaunchRow> {
        let groups = self.groups.value.values().flat_map(|group| &group.launches);
        groups.chain(self.fleets.value.values().flat_map(|fleet| &fleet.launches))
    }

    /// Forgets facts about what is gone.
    pub(super) fn forget(
        &mut self,
        pools: &BTreeSet<PoolId>,
        needed: &BTreeSet<TaskDefinitionArn>,
    ) {
        let containers = self.containers.value.values().map(|row| row.instance.clone());
        let members = self.members(pools).into_keys().cloned();
        let hosts: BTreeSet<InstanceId> = containers.chain(members).collect();
        self.machines.retain(|instance, _| hosts.contains(instance));
        self.definitions.retain(|arn, _| needed.contains(arn));
        let used: BTreeSet<TemplateRef> =
            self.launches().filter_map(|launch| launch.template.clone()).collect();
        self.templates.retain(|template, _| used.contains(template));
    }
}

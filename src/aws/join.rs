//! Joins what the services told into hosts, services and pools. Pure.
//!
//! Rule: a joined part is as old as the oldest read it stands on, and lacks what any of them lacks.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::failure::implausible;
use super::kept::Kept;
use super::rows::*;
use crate::model::*;

impl Kept {
    /// Every container instance, and every instance of these pools that has not registered.
    pub(super) fn hosts(
        &self,
        pools: &BTreeSet<PoolId>,
        at: DateTime<Utc>,
    ) -> Part<BTreeMap<InstanceId, Host>> {
        let members = self.members(pools);
        let mut hosts: BTreeMap<InstanceId, Host> = BTreeMap::new();
        let mut gaps = self.machine_gaps.clone();
        for (arn, row) in &self.containers.value {
            let (host, gap) = self.host(arn, row, members.get(&row.instance), at);
            gaps.extend(gap);
            let last = hosts.get(&host.instance);
            // An agent that lost its data registers anew; the old entry stays, disconnected.
            let rank = |host: &Host| (host.agent_connected, host.registered_at);
            if last.is_none_or(|last| rank(last) < rank(&host)) {
                hosts.insert(host.instance.clone(), host);
            }
        }
        for (instance, (pool, row)) in &members {
            if !hosts.contains_key(*instance) {
                let host = self.launching(instance, pool, row, at);
                hosts.insert((*instance).clone(), host);
            }
        }
        gaps.extend(self.containers.gaps.iter().chain(self.pool_gaps(pools)).cloned());
        Part {
            value: hosts,
            as_of: self.containers.as_of.min(self.pools_read_at(pools)),
            gaps: unique(gaps),
        }
    }

    fn host(
        &self,
        arn: &ContainerInstanceArn,
        row: &ContainerRow,
        member: Option<&(&PoolId, &MemberRow)>,
        at: DateTime<Utc>,
    ) -> (Host, Option<Gap>) {
        let machine = self.machines.get(&row.instance);
        let instance_type = self.type_of(row);
        let registered = self.registered(row, instance_type.as_ref());
        let zone = row.attributes.get("ecs.availability-zone").map(|zone| zone.as_str().into());
        let mark = row.attributes.get(DrainMark::ATTRIBUTE).map(|text| text.parse());
        let (mark, gap) = match mark.transpose() {
            Ok(mark) => (mark, None),
            Err(garbled) => {
                let message = format!("{}: {garbled}", row.instance);
                (None, Some(implausible("ecs:DescribeContainerInstances", message)))
            }
        };
        let host = Host {
            instance: row.instance.clone(),
            container_instance: Some(arn.clone()),
            pool: member.map(|(pool, _)| (*pool).clone()),
            instance_type: instance_type.unwrap_or_default(),
            zone: zone.or_else(|| machine.map(|m| m.zone.clone())).unwrap_or_default(),
            market: machine.map_or(Market::OnDemand, |m| m.market),
            status: row.status,
            lifecycle: self.lifecycle(&row.instance, member.map(|(_, member)| *member)),
            agent_connected: row.agent_connected,
            protected: member.is_some_and(|(_, member)| member.protected),
            registered,
            remaining: Resources {
                enis: registered.enis.saturating_sub(row.enis_used),
                ..row.remaining
            },
            ports_used: row.ports_used.clone(),
            running_tasks: row.running_tasks,
            pending_tasks: row.pending_tasks,
            attributes: row.attributes.clone(),
            mark,
            launched_at: machine.map(|m| m.launched_at).or(row.registered_at).unwrap_or(at),
            registered_at: row.registered_at,
            version: row.version,
            warned: None,
        };
        (host, gap)
    }

    /// An instance of a pool that is no container instance yet. Until EC2 tells when it was
    /// launched it counts as launched now.
    fn launching(
        &self,
        instance: &InstanceId,
        pool: &PoolId,
        row: &MemberRow,
        at: DateTime<Utc>,
    ) -> Host {
        let machine = self.machines.get(instance);
        let known_type = machine.map(|m| m.instance_type.clone());
        Host {
            instance: instance.clone(),
            container_instance: None,
            pool: Some(pool.clone()),
            instance_type: row.instance_type.clone().or(known_type).unwrap_or_default(),
            zone: row.zone.clone().or(machine.map(|m| m.zone.clone())).unwrap_or_default(),
            market: machine.map_or(Market::OnDemand, |m| m.market),
            status: HostStatus::Registering,
            lifecycle: self.lifecycle(instance, Some(row)),
            agent_connected: false,
            protected: row.protected,
            registered: Resources::ZERO,
            remaining: Resources::ZERO,
            ports_used: BTreeSet::new(),
            running_tasks: 0,
            pending_tasks: 0,
            attributes: Attributes::new(),
            mark: None,
            launched_at: machine.map_or(at, |m| m.launched_at),
            registered_at: None,
            version: 0,
            warned: None,
        }
    }

    /// A host of no pool is nobody's to end: its life cycle is none of ours.
    fn lifecycle(&self, instance: &InstanceId, member: Option<&MemberRow>) -> Lifecycle {
        match member {
            Some(_) if self.ending.contains(instance) => Lifecycle::Terminating,
            Some(member) => member.lifecycle,
            None => Lifecycle::Other,
        }
    }

    /// Services, with the pools their capacity providers stand on.
    pub(super) fn joined_services(&self) -> Part<BTreeMap<ServiceName, Service>> {
        let services = self.services.value.iter().map(|(name, row)| {
            let mut service = row.service.clone();
            if !row.providers.is_empty() {
                service.launch = self.launch(&row.providers);
            }
            (name.clone(), service)
        });
        let gaps = self.services.gaps.iter().chain(&self.providers.gaps);
        Part { value: services.collect(), as_of: self.services.as_of, gaps: unique(gaps.cloned()) }
    }

    fn launch(&self, providers: &BTreeSet<String>) -> Launch {
        let rows = providers.iter().filter_map(|name| self.providers.value.get(name));
        let pools: BTreeSet<PoolId> = rows.map(|row| row.pool.clone()).collect();
        if pools.is_empty() { Launch::Elsewhere } else { Launch::Providers(pools) }
    }

    /// The pools asked for that exist.
    pub(super) fn joined_pools(&self, wanted: &BTreeSet<PoolId>) -> Part<BTreeMap<PoolId, Pool>> {
        let mut gaps = self.launch_gaps.clone();
        gaps.extend(self.pool_gaps(wanted).chain(&self.providers.gaps).cloned());
        let mut pools = BTreeMap::new();
        for id in wanted {
            let pool = match id {
                PoolId::AutoScalingGroup(name) => {
                    self.groups.value.get(name).map(|row| self.group(id, row))
                }
                PoolId::SpotFleet(fleet) => {
                    self.fleets.value.get(fleet).map(|row| self.fleet(id, row))
                }
            };
            if let Some(mut pool) = pool {
                if pool.offerings.is_empty() && pool.state == PoolState::Active {
                    pool.state = PoolState::Closed;
                }
                pools.insert(id.clone(), pool);
            }
        }
        Part { value: pools, as_of: self.pools_read_at(wanted), gaps: unique(gaps) }
    }

    fn group(&self, id: &PoolId, row: &GroupRow) -> Pool {
        let offerings = self.offerings(&row.launches, &row.members, row.unit);
        Pool {
            id: id.clone(),
            state: if offerings.is_some() { row.state } else { PoolState::Closed },
            desired: row.desired,
            min: row.min,
            max: row.max,
            offerings: offerings.unwrap_or_default(),
            zones: row.zones.clone(),
            protects_new_hosts: row.protects_new_hosts,
            suspended: row.suspended.clone(),
            provider: self.provider_of(id),
            attributes: self.attributes(&row.launches, &row.members),
        }
    }

    fn fleet(&self, id: &PoolId, row: &FleetRow) -> Pool {
        let offerings = self.offerings(&row.launches, &row.members, row.unit);
        let machines = row.members.keys().filter_map(|instance| self.machines.get(instance));
        let seen = machines.map(|machine| machine.zone.clone());
        Pool {
            id: id.clone(),
            state: if offerings.is_some() { row.state } else { PoolState::Closed },
            desired: row.target,
            min: Units(0),
            max: Units(u32::MAX),
            offerings: offerings.unwrap_or_default(),
            zones: row.zones.iter().cloned().chain(seen).collect(),
            protects_new_hosts: row.keeps_excess,
            suspended: BTreeSet::new(),
            provider: None,
            attributes: self.attributes(&row.launches, &row.members),
        }
    }

    fn provider_of(&self, pool: &PoolId) -> Option<CapacityProvider> {
        let rows = self.providers.value.values();
        let mut on_it = rows.filter(|row| row.pool == *pool);
        on_it.next().map(|row| row.provider.clone())
    }

    /// What the pool may launch, each type once, in order; `None` when its capacity cannot be
    /// counted in whole units.
    fn offerings(
        &self,
        launches: &[LaunchRow],
        members: &BTreeMap<InstanceId, MemberRow>,
        unit: CapacityUnit,
    ) -> Option<Vec<Offering>> {
        let mut offerings: Vec<Offering> = Vec::new();
        for launch in launches {
            let named = launch.instance_type.clone().or_else(|| self.template_type(launch));
            // Chosen by requirements: only what was launched before is known.
            let seen = members.values().filter_map(|member| member.instance_type.clone());
            let types: BTreeSet<InstanceType> = match named {
                Some(name) => BTreeSet::from([name]),
                None if launch.by_requirements => seen.collect(),
                None => BTreeSet::new(),
            };
            for name in types {
                if offerings.iter().any(|offering| offering.instance_type == name) {
                    continue;
                }
                let weight = self.weight(&name, launch.weight, unit)?;
                offerings.extend(self.offering(name, weight));
            }
        }
        Some(offerings)
    }

    fn template_type(&self, launch: &LaunchRow) -> Option<InstanceType> {
        let (template, _) = self.templates.get(launch.template.as_ref()?)?;
        template.instance_type.clone()
    }

    fn weight(&self, name: &InstanceType, given: Option<u32>, unit: CapacityUnit) -> Option<u32> {
        let size = || self.type_info(name).map(|info| info.resources);
        match unit {
            CapacityUnit::Hosts => given,
            CapacityUnit::Vcpus => u32::try_from(size()?.cpu_units / 1024).ok(),
            CapacityUnit::MemoryMib => u32::try_from(size()?.memory_mib).ok(),
        }
    }

    /// `None` for a type whose size nobody knows.
    fn offering(&self, name: InstanceType, weight: u32) -> Option<Offering> {
        let info = self.type_info(&name);
        let learnt = self.learnt.get(&name).copied();
        let registers = learnt.or_else(|| info.map(|info| info.estimated_registration()))?;
        Some(Offering {
            instance_type: name,
            weight,
            registers,
            estimated: learnt.is_none(),
            list_price_micro_usd_per_hour: info.and_then(|i| i.list_price_micro_usd_per_hour),
        })
    }

    /// What surely every fresh host will have: what all its templates write, and of what ECS sets
    /// by itself the kind of system that all its hosts have in common.
    fn attributes(
        &self,
        launches: &[LaunchRow],
        members: &BTreeMap<InstanceId, MemberRow>,
    ) -> Attributes {
        let templates = launches.iter().map(|launch| {
            let template = launch.template.as_ref().and_then(|t| self.templates.get(t));
            template.map(|(row, _)| row.attributes.clone()).unwrap_or_default()
        });
        let written = templates.reduce(common).unwrap_or_default();
        let rows = self.containers.value.values();
        let hosts = rows.filter(|row| members.contains_key(&row.instance));
        let system = hosts.map(|row| {
            let of_system = row.attributes.iter().filter(|(name, _)| {
                matches!(
                    name.as_str(),
                    "ecs.os-type" | "ecs.os-family" | "ecs.cpu-architecture" | "ecs.vpc-id"
                )
            });
            of_system.map(|(name, value)| (name.clone(), value.clone())).collect::<Attributes>()
        });
        let mut all = system.reduce(common).unwrap_or_default();
        all.extend(written);
        all
    }

    fn pools_read_at(&self, pools: &BTreeSet<PoolId>) -> DateTime<Utc> {
        let groups = pools.iter().any(|pool| !pool.is_fleet()).then_some(self.groups.as_of);
        let fleets = pools.iter().any(PoolId::is_fleet).then_some(self.fleets.as_of);
        let oldest = groups.into_iter().chain(fleets).min();
        // Without pools there is nothing to be old.
        oldest.unwrap_or(self.containers.as_of)
    }

    fn pool_gaps<'a>(&'a self, pools: &BTreeSet<PoolId>) -> impl Iterator<Item = &'a Gap> {
        let groups = pools.iter().any(|pool| !pool.is_fleet());
        let fleets = pools.iter().any(PoolId::is_fleet);
        let groups = self.groups.gaps.iter().filter(move |_| groups);
        groups.chain(self.fleets.gaps.iter().filter(move |_| fleets))
    }
}

fn common(a: Attributes, b: Attributes) -> Attributes {
    a.into_iter().filter(|(name, value)| b.get(name) == Some(value)).collect()
}

/// Each gap once, in order.
pub(super) fn unique(gaps: impl IntoIterator<Item = Gap>) -> Vec<Gap> {
    let all: BTreeSet<Gap> = gaps.into_iter().collect();
    all.into_iter().collect()
}

//! The life of a host: launched, in service, registered, terminated, gone; and its agent.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::model::{
    Attributes, Change, Host, HostStatus, InstanceId, Lifecycle, Offering, PoolId, Resources,
    Warning, Zone,
};

use super::delays;
use super::rng::Rng;
use super::state::{Due, SimHost};
use super::world::World;

impl World {
    /// Launches one instance, which registers after a while unless it is fated not to.
    pub(super) fn launch(&mut self, id: &PoolId, offering: &Offering, zone: &Zone) {
        let Some(sim) = self.pools.get_mut(id) else {
            return;
        };
        let mute = sim.mute_next > 0;
        sim.mute_next = sim.mute_next.saturating_sub(1);
        self.hosts_launched += 1;
        let name = Rng::new(self.seed ^ (self.hosts_launched << 32)).next_u64();
        let instance = InstanceId::new(format!("i-0{name:016x}"));
        let host = Host {
            instance: instance.clone(),
            container_instance: None,
            pool: Some(id.clone()),
            instance_type: offering.instance_type.clone(),
            zone: zone.clone(),
            market: sim.market,
            status: HostStatus::Registering,
            lifecycle: Lifecycle::Pending,
            agent_connected: false,
            protected: sim.pool.protects_new_hosts && !id.is_fleet(),
            registered: Resources::ZERO,
            remaining: Resources::ZERO,
            ports_used: BTreeSet::new(),
            running_tasks: 0,
            pending_tasks: 0,
            attributes: Attributes::new(),
            mark: None,
            launched_at: self.now,
            registered_at: None,
            version: 0,
            warned: None,
        };
        let delay = self.rng.quantile(delays::LAUNCH);
        let in_service = delay * delays::IN_SERVICE_PERCENT / 100;
        self.enter(in_service, Due::InService(instance.clone()));
        if !mute {
            self.enter(delay, Due::Registers(instance.clone()));
        }
        self.log(format!("{id}: launched {instance} in {zone}"));
        let sim = SimHost { host, tasks: BTreeSet::new(), drain: None, ended_by_us: false };
        self.hosts.insert(instance, sim);
    }

    pub(super) fn in_service(&mut self, id: &InstanceId) {
        if let Some(sim) = self.hosts.get_mut(id)
            && sim.host.lifecycle == Lifecycle::Pending
        {
            sim.host.lifecycle = Lifecycle::InService;
        }
    }

    pub(super) fn register(&mut self, id: &InstanceId) {
        let (cluster, now) = (self.cluster.clone(), self.now);
        let Some(sim) = self.hosts.get_mut(id).filter(|sim| !sim.is_leaving()) else {
            return;
        };
        let host = &mut sim.host;
        let pool = host.pool.as_ref().and_then(|pool| self.pools.get(pool));
        let Some(pool) = pool.map(|sim| &sim.pool) else {
            return;
        };
        let offering = (pool.offerings.iter()).find(|o| o.instance_type == host.instance_type);
        let size = offering.map_or(Resources::ZERO, |offering| offering.registers);
        let arn = "arn:aws:ecs:eu-west-1:123456789012:container-instance";
        let short = id.as_str().trim_start_matches("i-0");
        host.container_instance = Some(format!("{arn}/{cluster}/{short}").into());
        host.status = HostStatus::Active;
        host.lifecycle = Lifecycle::InService;
        host.agent_connected = true;
        host.registered = size;
        host.remaining = size;
        host.registered_at = Some(now);
        host.attributes = pool.attributes.clone();
        let own = [
            ("ecs.availability-zone", host.zone.as_str()),
            ("ecs.instance-type", host.instance_type.as_str()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        host.attributes.extend(own);
        self.touch(id);
        self.wake();
    }

    /// EC2 begins to shut the instance down; its agent is heard no more.
    pub(super) fn shut_down(&mut self, id: &InstanceId, why: &str) {
        let Some(sim) = self.hosts.get_mut(id).filter(|sim| !sim.is_leaving()) else {
            return;
        };
        sim.host.lifecycle = Lifecycle::Terminating;
        sim.host.agent_connected = false;
        let pool = sim.host.pool.clone();
        self.touch(id);
        self.log(format!("terminating {id}: {why}"));
        let (low, high) = delays::TERMINATE;
        let after = self.rng.time_between(low, high);
        self.enter(after, Due::HostGone(id.clone()));
        if let Some(pool) = pool {
            self.resize_in(&pool, delays::RESIZE);
        }
    }

    pub(super) fn host_gone(&mut self, id: &InstanceId) {
        let tasks = self.hosts.get(id).map(|sim| sim.tasks.clone());
        for no in tasks.unwrap_or_default() {
            self.remove(no);
        }
        if let Some(sim) = self.hosts.remove(id) {
            let version = sim.host.version + 1;
            self.changed.insert(id.clone(), Some(version));
        }
        self.wake();
    }

    pub(super) fn host_dies(&mut self, id: Option<InstanceId>) {
        if let Some(id) = id.or_else(|| self.any_working_host()) {
            self.shut_down(&id, "the instance failed its status checks");
        }
    }

    pub(super) fn lose_agent(&mut self, id: Option<InstanceId>) {
        let Some(id) = id.or_else(|| self.any_working_host()) else {
            return;
        };
        if let Some(sim) = self.hosts.get_mut(&id) {
            sim.host.agent_connected = false;
        }
        self.log(format!("{id}: agent disconnected"));
        self.touch(&id);
    }

    /// EC2 says that it takes a host, and does; or that it might, and does not.
    pub(super) fn warn(&mut self, id: Option<InstanceId>, warning: Warning) {
        let Some(instance) = id.or_else(|| self.any_working_host()) else {
            return;
        };
        self.log(format!("{instance}: EC2 warns ({warning})"));
        if warning == Warning::Ends {
            self.enter(delays::SPOT_NOTICE, Due::Interrupts(instance.clone()));
        }
        self.warnings.push(Change::Warned { instance, warning, at: self.now });
    }

    pub(super) fn agent_back(&mut self, id: Option<InstanceId>) {
        let lost = |sim: &&SimHost| {
            let host = &sim.host;
            host.is_registered() && !host.agent_connected && !sim.is_leaving()
        };
        let asked = |sim: &&SimHost| id.as_ref().is_none_or(|id| sim.host.instance == *id);
        let lost = self.hosts.values().filter(lost).filter(asked);
        let back: Vec<_> = lost.map(|sim| sim.host.instance.clone()).collect();
        for id in back {
            if let Some(sim) = self.hosts.get_mut(&id) {
                sim.host.agent_connected = true;
            }
            self.log(format!("{id}: agent connected"));
            self.touch(&id);
            self.resume_tasks(&id);
        }
    }

    fn any_working_host(&mut self) -> Option<InstanceId> {
        let working = self.hosts.values().filter(|sim| sim.takes_tasks());
        let working: Vec<_> = working.map(|sim| sim.host.instance.clone()).collect();
        self.rng.pick(&working).cloned()
    }

    /// Counts a change of a container instance.
    pub(super) fn touch(&mut self, id: &InstanceId) {
        if let Some(sim) = self.hosts.get_mut(id) {
            sim.host.version += 1;
            self.changed.insert(id.clone(), None);
        }
    }

    /// How old a host is.
    pub(super) fn age(&self, host: &Host) -> TimeDelta {
        self.now - host.launched_at
    }
}

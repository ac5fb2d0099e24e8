//! Small snapshots for tests and benchmarks, with defaults for all a story does not mention.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::*;

/// The moment all built snapshots are taken: 2026-11-21 09:00:00 UTC.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_251_600, 0).unwrap_or_default()
}

/// An empty cluster `web`, seen completely, just now.
pub fn snapshot() -> Snapshot {
    Snapshot::empty("web".into(), now())
}

/// An empty, usable m5.large of group `workers`: 2,048 CPU units, 7,782 MiB.
pub fn host(instance: &str) -> Host {
    let size = large();
    Host {
        instance: instance.into(),
        container_instance: Some(
            format!("arn:aws:ecs:r:1:container-instance/web/{instance}").into(),
        ),
        pool: Some(workers()),
        instance_type: "m5.large".into(),
        zone: "eu-west-1a".into(),
        market: Market::OnDemand,
        status: HostStatus::Active,
        lifecycle: Lifecycle::InService,
        agent_connected: true,
        protected: true,
        registered: size,
        remaining: size,
        ports_used: BTreeSet::new(),
        running_tasks: 0,
        pending_tasks: 0,
        attributes: BTreeMap::new(),
        mark: None,
        launched_at: now() - TimeDelta::hours(2),
        registered_at: Some(now() - TimeDelta::hours(2)),
        version: 1,
        warned: None,
    }
}

/// An instance of `workers` that has been launched but is not registered yet.
pub fn launching(instance: &str, launched_at: DateTime<Utc>) -> Host {
    Host {
        container_instance: None,
        status: HostStatus::Registering,
        lifecycle: Lifecycle::Pending,
        agent_connected: false,
        registered: Resources::ZERO,
        remaining: Resources::ZERO,
        launched_at,
        registered_at: None,
        version: 0,
        ..host(instance)
    }
}

/// What an m5.large registers with 95 % of its memory left by kernel and agent.
pub fn large() -> Resources {
    Resources::new(2048, 7782)
}

/// The group most stories use.
pub fn workers() -> PoolId {
    PoolId::group("workers")
}

/// Group `workers` of m5.large, 0 to 100, protecting its hosts.
pub fn pool(desired: u32) -> Pool {
    Pool {
        id: workers(),
        state: PoolState::Active,
        desired: Units(desired),
        min: Units(0),
        max: Units(100),
        offerings: vec![offering("m5.large", large(), 96_000)],
        zones: BTreeSet::from(["eu-west-1a".into(), "eu-west-1b".into()]),
        protects_new_hosts: true,
        suspended: BTreeSet::from(["AZRebalance".to_owned()]),
        provider: None,
        attributes: BTreeMap::new(),
    }
}

pub fn offering(instance_type: &str, registers: Resources, micro_usd: u64) -> Offering {
    Offering {
        instance_type: instance_type.into(),
        weight: 1,
        registers,
        estimated: false,
        list_price_micro_usd_per_hour: Some(micro_usd),
    }
}

/// A settled replica service: `running` of `desired`, 100/200 % healthy.
pub fn service(name: &str, desired: u64, running: u64) -> Service {
    let definition = definition(name);
    Service {
        name: name.into(),
        desired_count: desired,
        running_count: running,
        pending_count: 0,
        definition: definition.clone(),
        scheduling: Scheduling::Replica,
        launch: Launch::Ec2,
        minimum_healthy_percent: 100,
        maximum_percent: 200,
        constraints: BTreeSet::new(),
        deployments: vec![Deployment {
            id: format!("ecs-svc/{name}").as_str().into(),
            primary: true,
            definition,
            desired_count: desired,
            running_count: running,
            pending_count: 0,
            failed_tasks: 0,
            rollout: Rollout::Completed,
            rollout_reason: None,
            created_at: now() - TimeDelta::days(1),
        }],
        rebalances_zones: false,
        targets: Vec::new(),
        native_rules: BTreeSet::new(),
    }
}

/// The first revision of a family named like its service.
pub fn definition(name: &str) -> TaskDefinitionArn {
    format!("arn:aws:ecs:r:1:task-definition/{name}:1").into()
}

impl Snapshot {
    /// Adds a pool.
    #[must_use]
    pub fn with_pool(mut self, pool: Pool) -> Self {
        self.pools.value.insert(pool.id.clone(), pool);
        self
    }

    /// Adds a host.
    #[must_use]
    pub fn with_host(mut self, host: Host) -> Self {
        self.hosts.value.insert(host.instance.clone(), host);
        self
    }

    /// Adds a service whose tasks have this shape.
    #[must_use]
    pub fn with_service(mut self, service: Service, shape: TaskShape) -> Self {
        self.shapes.value.insert(service.definition.clone(), shape);
        self.services.value.insert(service.name.clone(), service);
        self
    }

    /// Runs `count` tasks of a service on a host: books their room and lists them.
    #[must_use]
    pub fn with_tasks(mut self, host: &str, service: &str, count: u64) -> Self {
        let shape = self.shapes.value.get(&definition(service)).cloned().unwrap_or_default();
        let instance = InstanceId::from(host);
        if let Some(host) = self.hosts.value.get_mut(&instance) {
            host.remaining -= shape.needs * count;
            host.ports_used.extend(&shape.host_ports);
            host.running_tasks += count;
        }
        let tasks = self.tasks.value.entry(instance).or_default();
        for _ in 0..count {
            let arn = format!("arn:aws:ecs:r:1:task/web/{service}-{host}-{}", tasks.len());
            tasks.push(Task {
                arn: arn.into(),
                definition: definition(service),
                owner: TaskOwner::Service(service.into()),
                status: TaskStatus::Running,
                protected: false,
            });
        }
        self
    }
}

//! What AWS would tell of the world: complete and true. Faults are added by [`super::Faults`].

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Deployment, Failure, Gap, Need, PoolId, ReleaseNeed, Rival, Service, ServiceName, ServiceSight,
    Snapshot, Task, TaskOwner, TaskStatus, WaitingTasks,
};

use super::state::{SimService, SimTask, TaskNo};
use super::world::World;

impl World {
    /// All that is needed, as of now. Another cluster's need gets an empty snapshot with a gap.
    pub fn snapshot(&self, need: &Need) -> Snapshot {
        let mut seen = Snapshot::empty(need.cluster.clone(), self.now);
        if need.cluster != self.cluster {
            let gap = not_found("ecs:DescribeClusters", &need.cluster);
            seen.hosts.gaps.push(gap.clone());
            seen.services.gaps.push(gap);
            return seen;
        }
        if let Some(traffic) = &need.traffic {
            self.see_traffic(traffic, &mut seen);
        }
        if need.only_traffic {
            self.see_services(&mut seen);
            return seen;
        }
        self.see_hosts(need, &mut seen);
        self.see_pools(need, &mut seen);
        self.see_services(&mut seen);
        self.see_tasks(need, &mut seen);
        self.see_waiting(&mut seen);
        if let Some(releases) = &need.releases {
            self.see_releases(releases, &mut seen);
        }
        seen.rivals.value = self.rivals(&need.pools);
        seen
    }

    fn see_services(&self, seen: &mut Snapshot) {
        for (name, service) in &self.services {
            let shapes = service.deployments.iter();
            let shapes = shapes.map(|d| (d.definition.clone(), d.shape.clone()));
            seen.shapes.value.extend(shapes);
            seen.services.value.insert(name.clone(), self.describe(service));
        }
    }

    fn see_releases(&self, need: &ReleaseNeed, seen: &mut Snapshot) {
        let sight = &mut seen.releases.value;
        for image in &need.images {
            sight.images.insert(image.clone(), self.registry.look_up(image));
        }
        for name in &need.services {
            let Some(service) = self.services.get(name) else {
                continue;
            };
            sight.services.insert(name.clone(), self.look_closer(name, service));
        }
    }

    fn look_closer(&self, name: &ServiceName, service: &SimService) -> ServiceSight {
        let mut sight = ServiceSight::default();
        let definition = service.deployments.first().map(|primary| &primary.definition);
        if let Some((arn, known)) = definition.and_then(|arn| self.definitions.get_key_value(arn)) {
            let containers = [(known.container.clone(), known.image.clone())].into();
            sight.containers.insert(arn.clone(), containers);
        }
        let tasks = service.tasks.iter().filter_map(|no| self.tasks.get(no));
        for task in tasks.filter(|task| task.status == TaskStatus::Running) {
            if let Some(known) = self.definitions.get(&task.definition) {
                let digest =
                    task.digest.clone().unwrap_or_else(|| self.registry.digest(&known.image));
                let of = sight.running.entry(task.definition.clone()).or_default();
                of.entry(known.container.clone()).or_default().insert(digest);
            }
        }
        let failed = self.failed_tasks.iter().filter(|(of, _)| of == name);
        sight.failures = failed.map(|(_, failure)| failure.clone()).collect();
        sight.unplaced = (service.unplaced > 0).then(|| {
            let message = format!(
                "(service {name}) was unable to place a task because no container instance met all \
                 of its requirements."
            );
            (self.now, message)
        });
        sight
    }

    fn see_hosts(&self, need: &Need, seen: &mut Snapshot) {
        for (id, sim) in &self.hosts {
            let ours = (sim.host.pool.as_ref()).is_some_and(|pool| need.pools.contains(pool));
            if !ours && !sim.host.is_registered() {
                continue;
            }
            let mut host = sim.host.clone();
            host.pool = host.pool.filter(|_| ours);
            seen.hosts.value.insert(id.clone(), host);
        }
    }

    fn see_pools(&self, need: &Need, seen: &mut Snapshot) {
        for id in &need.pools {
            match self.pools.get(id) {
                Some(sim) => {
                    seen.pools.value.insert(id.clone(), sim.pool.clone());
                }
                None => seen.pools.gaps.push(not_found(source(id), id)),
            }
        }
    }

    fn describe(&self, service: &SimService) -> Service {
        let spec = &service.spec;
        let (running_count, pending_count) = service.counts();
        let primary = service.deployments.first();
        let deployments = service.deployments.iter().enumerate();
        let deployments = deployments.map(|(index, d)| Deployment {
            id: d.id.clone(),
            primary: index == 0,
            definition: d.definition.clone(),
            desired_count: match index {
                0 => spec.count,
                _ => d.running + d.pending,
            },
            running_count: d.running,
            pending_count: d.pending,
            failed_tasks: d.failed,
            rollout: d.rollout,
            rollout_reason: None,
            created_at: d.created_at,
        });
        Service {
            name: spec.name.clone(),
            desired_count: spec.count,
            running_count,
            pending_count,
            definition: primary.map(|d| d.definition.clone()).unwrap_or_default(),
            scheduling: spec.scheduling,
            launch: spec.launch.clone(),
            minimum_healthy_percent: spec.minimum_healthy_percent,
            maximum_percent: spec.maximum_percent,
            constraints: spec.constraints.clone(),
            deployments: deployments.collect(),
            rebalances_zones: false,
            targets: spec.targets.clone(),
            native_rules: spec.native_rules.clone(),
        }
    }

    fn see_tasks(&self, need: &Need, seen: &mut Snapshot) {
        for id in &need.tasks_of {
            let Some(sim) = self.hosts.get(id) else {
                continue;
            };
            let tasks = sim.tasks.iter();
            let tasks = tasks.filter_map(|no| Some((*no, self.tasks.get(no)?)));
            let mut listed = Vec::with_capacity(sim.tasks.len());
            for (no, task) in tasks {
                learn(seen, task);
                listed.push(self.list(no, task));
            }
            seen.tasks.value.insert(id.clone(), listed);
        }
    }

    fn list(&self, no: TaskNo, task: &SimTask) -> Task {
        let cluster = &self.cluster;
        let arn = format!("arn:aws:ecs:eu-west-1:123456789012:task/{cluster}/{no:032x}");
        Task {
            arn: arn.into(),
            definition: task.definition.clone(),
            owner: task.owner.clone(),
            status: task.status,
            protected: task.protected,
        }
    }

    /// Tasks that wait `PROVISIONING`, in groups that are alike. Those of a service are among them,
    /// under the group name ECS gives them.
    fn see_waiting(&self, seen: &mut Snapshot) {
        let mut groups: BTreeMap<_, u64> = BTreeMap::new();
        for task in self.waiting.iter().filter_map(|no| self.tasks.get(no)) {
            debug_assert_eq!(task.status, TaskStatus::Waiting);
            learn(seen, task);
            let group = match &task.owner {
                TaskOwner::Service(name) => format!("service:{name}"),
                TaskOwner::Standalone(group) => group.clone(),
            };
            let pool = match &task.launch {
                crate::model::Launch::Providers(pools) => pools.first().cloned(),
                _ => None,
            };
            let key = (task.definition.clone(), group, pool);
            *groups.entry(key).or_default() += 1;
        }
        let groups = groups.into_iter();
        seen.waiting.value = groups
            .map(|((definition, group, pool), count)| WaitingTasks {
                definition,
                group,
                count,
                pool,
            })
            .collect();
    }

    fn rivals(&self, pools: &BTreeSet<PoolId>) -> BTreeSet<Rival> {
        let mut rivals = self.declared.clone();
        for id in pools {
            let Some(pool) = self.pools.get(id).map(|sim| &sim.pool) else {
                continue;
            };
            let provider = pool.provider.as_ref().filter(|p| p.managed_scaling);
            rivals.extend(provider.map(|provider| Rival::ManagedScaling {
                pool: id.clone(),
                provider: provider.name.clone(),
                silenced: pool.is_suspended("AlarmNotification"),
            }));
            let suspended = pool.suspended.iter();
            rivals.extend(suspended.map(|process| Rival::SuspendedProcess {
                pool: id.clone(),
                process: process.clone(),
            }));
        }
        rivals.extend(self.scalable_targets());
        for service in self.services.values() {
            let rolling = service.deployments.first().filter(|primary| {
                service.deployments.len() > 1
                    || primary.rollout == crate::model::Rollout::InProgress
            });
            rivals.extend(rolling.map(|primary| Rival::Deployment {
                service: service.spec.name.clone(),
                deployment: primary.id.clone(),
            }));
        }
        rivals
    }
}

fn learn(seen: &mut Snapshot, task: &SimTask) {
    let shapes = &mut seen.shapes.value;
    if !shapes.contains_key(&task.definition) {
        shapes.insert(task.definition.clone(), task.shape.clone());
    }
}

pub(super) fn source(pool: &PoolId) -> &'static str {
    if pool.is_fleet() {
        "ec2:DescribeSpotFleetRequests"
    } else {
        "autoscaling:DescribeAutoScalingGroups"
    }
}

pub(super) fn not_found(source: &str, what: impl ToString) -> Gap {
    Gap { source: source.to_owned(), failure: Failure::NotFound { what: what.to_string() } }
}

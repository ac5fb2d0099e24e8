//! The ECS service scheduler: every few seconds it brings each service nearer to what it should be.
//!
//! Rule: during a deployment or a drain, running tasks never fall below the minimum healthy percent
//! of the desired count (rounded up), nor live ones above the maximum percent (rounded down).

use std::collections::BTreeSet;

use crate::model::{
    InstanceId, Rollout, Scheduling, ServiceName, TaskDefinitionArn, TaskOwner, TaskStatus,
};

use super::delays;
use super::placement::{has_room, may_run};
use super::state::{SimService, SimTask, TaskNo};
use super::world::World;

/// The live tasks of a replica service, by what is to become of them.
#[derive(Debug, Default)]
struct Census {
    running: u64,
    /// Of an older deployment or on a draining host; protected ones are only counted.
    leaving_running: Vec<TaskNo>,
    leaving_protected: u64,
    leaving_pending: Vec<TaskNo>,
    staying_running: Vec<TaskNo>,
    staying_pending: Vec<TaskNo>,
}

impl World {
    /// One look at all services: daemons first, as they have priority, then replicas, then what
    /// waits for capacity. Looks again soon if anything moved.
    pub(super) fn round(&mut self) {
        self.round_due = false;
        let draining = self.draining();
        let busy = |service: &&SimService| !draining.is_empty() || !is_settled(service);
        let named = |scheduling: Scheduling| -> Vec<ServiceName> {
            let of_kind = |s: &&SimService| s.spec.scheduling == scheduling;
            let services = self.services.values().filter(of_kind).filter(busy);
            services.map(|s| s.spec.name.clone()).collect()
        };
        let (daemons, replicas) = (named(Scheduling::Daemon), named(Scheduling::Replica));
        let mut moved = false;
        for name in daemons {
            moved |= self.daemon(&name, &draining);
        }
        for name in replicas {
            moved |= self.replica(&name, &draining);
        }
        moved |= self.place_waiting();
        if moved {
            self.wake();
        }
    }

    fn draining(&self) -> BTreeSet<InstanceId> {
        let hosts = self.hosts.values().map(|sim| &sim.host);
        let draining = hosts.filter(|host| host.status == crate::model::HostStatus::Draining);
        draining.map(|host| host.instance.clone()).collect()
    }

    fn replica(&mut self, name: &ServiceName, draining: &BTreeSet<InstanceId>) -> bool {
        let Some(service) = self.services.get(name) else {
            return false;
        };
        let want = service.spec.count;
        let least = (want * service.spec.minimum_healthy_percent).div_ceil(100);
        let most = want * service.spec.maximum_percent / 100;
        let backs_off = service.backoff_until.is_some_and(|until| until > self.now);
        let census = self.census(service, draining);

        let mut stops = census.leaving_pending.clone();
        let spare = census.running.saturating_sub(least);
        stops.extend(census.leaving_running.iter().take(count_of(spare)));
        let staying = census.staying();
        stops.extend(self.surplus(name, &census, staying.saturating_sub(want)));
        for no in &stops {
            self.stop(*no);
        }

        let live = census.live() - stops.len() as u64;
        let missing = want.saturating_sub(staying);
        let room = missing.min(most.saturating_sub(live));
        let allowed = room.min(delays::STARTS_PER_ROUND);
        let started = if backs_off { 0 } else { self.start_tasks(name, allowed) };
        if let Some(service) = self.services.get_mut(name) {
            let placeable = started == allowed || backs_off;
            service.unplaced = if placeable { 0 } else { room - started };
        }
        self.finish_deployment(name);
        !stops.is_empty() || (started > 0 && started < missing)
    }

    fn census(&self, service: &SimService, draining: &BTreeSet<InstanceId>) -> Census {
        let primary = service.deployments.first().map_or(0, |d| d.number);
        let drains = |task: &SimTask| task.host.as_ref().is_some_and(|h| draining.contains(h));
        let mut census = Census::default();
        let mut of_older = Vec::new();
        for no in &service.tasks {
            let Some(task) = self.tasks.get(no).filter(|task| task.is_live()) else {
                continue;
            };
            let runs = task.status == TaskStatus::Running;
            census.running += u64::from(runs && self.serves(*no, task));
            match (task.deployment != primary, drains(task), runs) {
                (true, _, _) | (_, true, _) if task.protected => census.leaving_protected += 1,
                (true, _, false) | (_, true, false) => census.leaving_pending.push(*no),
                (_, true, true) => census.leaving_running.push(*no),
                (true, false, true) => of_older.push(*no),
                (false, false, true) => census.staying_running.push(*no),
                (false, false, false) => census.staying_pending.push(*no),
            }
        }
        census.leaving_running.append(&mut of_older);
        census
    }

    /// The tasks a service has too many: the youngest that do not run yet, then of the fullest
    /// zone and host.
    fn surplus(&self, name: &ServiceName, census: &Census, too_many: u64) -> Vec<TaskNo> {
        let too_many = count_of(too_many);
        let pending = census.staying_pending.iter().rev().copied();
        let mut chosen: Vec<TaskNo> = pending.take(too_many).collect();
        if chosen.len() == too_many {
            return chosen;
        }
        let mut spread = self.spread(name);
        let mut left: Vec<_> = census
            .staying_running
            .iter()
            .filter_map(|no| Some((*no, self.tasks.get(no)?)))
            .filter(|(_, task)| !task.protected)
            .filter_map(|(no, task)| Some((no, self.hosts.get(task.host.as_ref()?)?)))
            .collect();
        while chosen.len() < too_many {
            let load = |at: &usize| {
                let (no, sim) = left[*at];
                (spread.load(&sim.host.zone, &sim.host.instance), no)
            };
            let Some(fullest) = (0..left.len()).max_by_key(load) else {
                break;
            };
            let (no, sim) = left.swap_remove(fullest);
            spread.take(&sim.host.zone, &sim.host.instance);
            chosen.push(no);
        }
        chosen
    }

    /// Starts up to so many tasks of the primary deployment; says how many.
    fn start_tasks(&mut self, name: &ServiceName, up_to: u64) -> u64 {
        let Some(service) = self.services.get(name).filter(|_| up_to > 0) else {
            return 0;
        };
        let Some(task) = new_task(service) else {
            return 0;
        };
        let constraints = service.spec.constraints.clone();
        let may_wait = self.holds_tasks(&task.launch);
        let mut spread = self.spread(name);
        let mut started = 0;
        while started < up_to {
            let host = self.place(&task.shape, &constraints, &task.launch, &spread);
            if let Some(sim) = host.as_ref().and_then(|id| self.hosts.get(id)) {
                spread.add(&sim.host.zone, &sim.host.instance);
            } else if !may_wait {
                break;
            }
            self.create(task.clone(), host);
            started += 1;
        }
        started
    }

    /// One task on each host that may run it; draining hosts lose theirs after all others.
    fn daemon(&mut self, name: &ServiceName, draining: &BTreeSet<InstanceId>) -> bool {
        let Some(service) = self.services.get(name) else {
            return false;
        };
        let Some(task) = new_task(service) else {
            return false;
        };
        let spec = service.spec.clone();
        let may = |sim: &&super::state::SimHost| may_run(sim, &spec.constraints, &spec.launch);
        let (mut stops, mut starts, mut want, mut unplaced) = (Vec::new(), Vec::new(), 0, 0);
        for sim in self.hosts.values().filter(may) {
            let own = sim.tasks.iter().find(|no| service.tasks.contains(no));
            let live = own.and_then(|no| Some((*no, self.tasks.get(no)?)));
            if draining.contains(&sim.host.instance) {
                let alone = sim.tasks.iter().all(|no| self.is_daemon(*no));
                stops.extend(own.filter(|_| alone));
                continue;
            }
            want += u64::from(sim.takes_tasks());
            match live {
                Some((no, old)) if old.deployment != task.deployment => stops.push(no),
                Some(_) => {}
                None if has_room(sim, &task.shape) => starts.push(sim.host.instance.clone()),
                None => unplaced += u64::from(sim.takes_tasks()),
            }
        }
        let stopping = |no: &TaskNo| self.tasks.get(no).is_some_and(SimTask::is_live);
        stops.retain(stopping);
        let moved = !stops.is_empty() || !starts.is_empty();
        stops.into_iter().for_each(|no| self.stop(no));
        for host in starts {
            self.create(task.clone(), Some(host));
        }
        if let Some(service) = self.services.get_mut(name) {
            service.spec.count = want;
            service.unplaced = unplaced;
        }
        self.finish_deployment(name);
        moved
    }

    pub(super) fn is_daemon(&self, no: TaskNo) -> bool {
        let Some(TaskOwner::Service(name)) = self.tasks.get(&no).map(|task| &task.owner) else {
            return false;
        };
        let service = self.services.get(name);
        service.is_some_and(|service| service.spec.scheduling == Scheduling::Daemon)
    }

    /// Forgets older deployments without tasks, a failed one after a while; the last one left is
    /// complete once all runs and is healthy.
    fn finish_deployment(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get(name) else {
            return;
        };
        let serves =
            |no: &TaskNo| self.tasks.get(no).is_none_or(|t| !t.is_live() || self.serves(*no, t));
        let is_steady = service.spec.targets.is_empty() || service.tasks.iter().all(serves);
        let now = self.now;
        let Some(service) = self.services.get_mut(name) else {
            return;
        };
        let want = service.spec.count;
        let mut first = true;
        service.deployments.retain(|deployment| {
            let primary = std::mem::replace(&mut first, false);
            let listed = deployment.failed_at.is_some_and(|at| now < at + delays::FAILED_LISTED);
            primary || listed || deployment.running + deployment.pending > 0
        });
        let (first, others) = service.deployments.split_at_mut(1);
        let alone = others.iter().all(|other| other.running + other.pending == 0);
        if let [primary] = first
            && alone
            && is_steady
            && primary.failed_at.is_none()
            && primary.running == want
            && primary.pending == 0
        {
            primary.rollout = Rollout::Completed;
        }
    }

    /// Gives tasks that wait `PROVISIONING` the room that has come up.
    fn place_waiting(&mut self) -> bool {
        let mut hopeless: BTreeSet<TaskDefinitionArn> = BTreeSet::new();
        let mut moved = false;
        for no in self.waiting.clone() {
            let Some(task) = self.tasks.get(&no) else {
                continue;
            };
            if hopeless.contains(&task.definition) {
                continue;
            }
            let (constraints, spread) = match &task.owner {
                TaskOwner::Service(name) => {
                    let service = self.services.get(name);
                    let constraints = service.map(|s| s.spec.constraints.clone());
                    (constraints.unwrap_or_default(), self.spread(name))
                }
                TaskOwner::Standalone(_) => (BTreeSet::new(), super::placement::Spread::default()),
            };
            match self.place(&task.shape, &constraints, &task.launch, &spread) {
                Some(host) => {
                    self.put(no, &host);
                    moved = true;
                }
                None => {
                    hopeless.insert(task.definition.clone());
                }
            }
        }
        moved
    }
}

impl Census {
    fn staying(&self) -> u64 {
        (self.staying_running.len() + self.staying_pending.len()) as u64
    }

    fn live(&self) -> u64 {
        let leaving = self.leaving_running.len() + self.leaving_pending.len();
        self.staying() + leaving as u64 + self.leaving_protected
    }
}

fn count_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Whether there is nothing to do for it while no host drains.
fn is_settled(service: &SimService) -> bool {
    let [only] = service.deployments.as_slice() else {
        return false;
    };
    service.spec.scheduling == Scheduling::Replica
        && only.rollout == Rollout::Completed
        && service.unplaced == 0
        && (only.running, only.pending) == (service.spec.count, 0)
}

fn new_task(service: &SimService) -> Option<SimTask> {
    let primary = service.deployments.first()?;
    Some(SimTask {
        definition: primary.definition.clone(),
        shape: primary.shape.clone(),
        owner: TaskOwner::Service(service.spec.name.clone()),
        digest: None,
        deployment: primary.number,
        groups: primary.groups.clone(),
        launch: service.spec.launch.clone(),
        host: None,
        status: TaskStatus::Waiting,
        protected: false,
        lasts: None,
    })
}

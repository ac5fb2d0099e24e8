//! The life of a task: created, placed, running, stopping, gone.
//!
//! Rule: every change of a task's state goes through here, so that the counts and resources of its
//! host and service always add up.

use chrono::TimeDelta;

use crate::model::{
    InstanceId, Launch, PoolId, Resources, ServiceName, TaskOwner, TaskShape, TaskStatus,
};

use super::delays;
use super::images::exited;
use super::placement::Spread;
use super::state::{Due, SimTask, TaskNo};
use super::world::World;

impl World {
    /// Enters a new task, on a host or waiting for one.
    pub(super) fn create(&mut self, task: SimTask, host: Option<InstanceId>) -> TaskNo {
        self.tasks_created += 1;
        let no = self.tasks_created;
        if let TaskOwner::Service(name) = &task.owner
            && let Some(service) = self.services.get_mut(name)
        {
            service.tasks.insert(no);
            if let Some(deployment) = service.deployment_mut(task.deployment) {
                deployment.pending += 1;
            }
        }
        self.tasks.insert(no, task);
        match host {
            Some(host) => self.put(no, &host),
            None => {
                self.waiting.insert(no);
            }
        }
        no
    }

    /// Puts a waiting task on a host, which then starts it.
    pub(super) fn put(&mut self, no: TaskNo, id: &InstanceId) {
        let (Some(task), Some(sim)) = (self.tasks.get_mut(&no), self.hosts.get_mut(id)) else {
            return;
        };
        task.host = Some(id.clone());
        task.status = TaskStatus::Starting;
        sim.tasks.insert(no);
        sim.host.remaining -= task.shape.needs;
        sim.host.ports_used.extend(&task.shape.host_ports);
        sim.host.pending_tasks += 1;
        self.waiting.remove(&no);
        self.touch(id);
        let (low, high) = delays::TASK_START;
        let after = self.rng.time_between(low, high);
        self.enter(after, Due::TaskRuns(no));
    }

    pub(super) fn task_runs(&mut self, no: TaskNo) {
        let Some(task) = self.tasks.get(&no) else {
            return;
        };
        if task.status != TaskStatus::Starting || !self.agent_answers(no) {
            return;
        }
        let lasts = task.lasts;
        if self.crashes(no) {
            return;
        }
        self.recount(no, TaskStatus::Running);
        self.pulled(no);
        self.register_targets(no);
        if let Some(lasts) = lasts {
            self.enter(lasts, Due::TaskEnds(no));
        }
        self.wake();
    }

    /// Whether it exits at once, which ECS counts and answers with ever longer waits.
    fn crashes(&mut self, no: TaskNo) -> bool {
        let Some(task) = self.tasks.get(&no) else {
            return false;
        };
        let (number, now) = (task.deployment, self.now);
        let TaskOwner::Service(name) = &task.owner else {
            return false;
        };
        let crashing = self.services.get(name).is_some_and(|service| service.crashing);
        let name = name.clone();
        let fault = self.fault_at_start(no);
        let fault = fault.or_else(|| crashing.then(|| exited(name.as_str())));
        let Some(cause) = fault else {
            return false;
        };
        let tripped = self.count_failure(no, cause);
        let Some(service) = self.services.get_mut(&name) else {
            return false;
        };
        let failed = service.deployment_mut(number).map_or(1, |deployment| deployment.failed);
        let doublings = u32::try_from(failed.clamp(1, 10)).unwrap_or(10) - 1;
        let wait = (delays::CRASH_BACKOFF * 2_i32.pow(doublings)).min(delays::CRASH_BACKOFF_MAX);
        if !tripped {
            service.backoff_until = Some(now + wait);
        }
        self.remove(no);
        self.enter(wait, Due::Happens(super::Event::Remark, None));
        true
    }

    /// Tells a task to stop; one that has no host yet is gone at once.
    pub(super) fn stop(&mut self, no: TaskNo) {
        let Some(task) = self.tasks.get(&no) else {
            return;
        };
        match task.status {
            TaskStatus::Waiting => self.remove(no),
            TaskStatus::Starting | TaskStatus::Running => {
                self.recount(no, TaskStatus::Stopping);
                self.plan_stop(no);
            }
            TaskStatus::Stopping | TaskStatus::Stopped => {}
        }
        self.wake();
    }

    /// An agent that does not answer never stops its tasks.
    fn plan_stop(&mut self, no: TaskNo) {
        if !self.agent_answers(no) {
            return;
        }
        let owner = self.tasks.get(&no).map(|task| &task.owner);
        let timeout = match owner {
            Some(TaskOwner::Service(name)) => self.services.get(name).map(|s| s.spec.stop_timeout),
            _ => None,
        };
        let timeout = timeout.unwrap_or(delays::TASK_STOP_TIMEOUT);
        let least = delays::TASK_STOP_MIN.min(timeout);
        let after = self.rng.time_between(least, timeout);
        let drained = self.deregister_targets(no);
        self.enter(drained + after, Due::TaskStopped(no));
    }

    pub(super) fn task_stopped(&mut self, no: TaskNo) {
        let stopping = |task: &SimTask| task.status == TaskStatus::Stopping;
        if self.tasks.get(&no).is_some_and(stopping) && self.agent_answers(no) {
            self.remove(no);
            self.wake();
        }
    }

    /// Takes up again what an agent left when it was lost.
    pub(super) fn resume_tasks(&mut self, id: &InstanceId) {
        let tasks = self.hosts.get(id).map(|sim| sim.tasks.clone());
        for no in tasks.unwrap_or_default() {
            match self.tasks.get(&no).map(|task| task.status) {
                Some(TaskStatus::Starting) => {
                    let (low, high) = delays::TASK_START;
                    let after = self.rng.time_between(low, high);
                    self.enter(after, Due::TaskRuns(no));
                }
                Some(TaskStatus::Stopping) => self.plan_stop(no),
                _ => {}
            }
        }
    }

    fn agent_answers(&self, no: TaskNo) -> bool {
        let host = self.tasks.get(&no).and_then(|task| task.host.as_ref());
        host.and_then(|id| self.hosts.get(id)).is_some_and(|sim| sim.host.agent_connected)
    }

    /// Forgets a task and gives back what it held.
    pub(super) fn remove(&mut self, no: TaskNo) {
        self.recount(no, TaskStatus::Stopped);
        let Some(task) = self.tasks.remove(&no) else {
            return;
        };
        self.waiting.remove(&no);
        if let TaskOwner::Service(name) = &task.owner
            && let Some(service) = self.services.get_mut(name)
        {
            service.tasks.remove(&no);
        }
        self.forget_targets(no, &task.groups);
        let Some(id) = task.host else { return };
        if let Some(sim) = self.hosts.get_mut(&id) {
            sim.tasks.remove(&no);
            sim.host.remaining += task.shape.needs;
            for port in &task.shape.host_ports {
                sim.host.ports_used.remove(port);
            }
        }
        self.touch(&id);
    }

    /// Moves a task from one status to another in every count that ECS keeps.
    fn recount(&mut self, no: TaskNo, to: TaskStatus) {
        let Some(task) = self.tasks.get_mut(&no) else {
            return;
        };
        let from = std::mem::replace(&mut task.status, to);
        let shift = |count: &mut u64, of: fn(TaskStatus) -> bool| {
            *count = *count - u64::from(of(from)) + u64::from(of(to));
        };
        if let TaskOwner::Service(name) = &task.owner
            && let Some(service) = self.services.get_mut(name)
            && let Some(deployment) = service.deployment_mut(task.deployment)
        {
            shift(&mut deployment.running, |s| s == TaskStatus::Running);
            shift(&mut deployment.pending, |s| s < TaskStatus::Running);
        }
        let Some(id) = task.host.clone() else { return };
        if let Some(sim) = self.hosts.get_mut(&id) {
            shift(&mut sim.host.running_tasks, |s| s == TaskStatus::Running);
            shift(&mut sim.host.pending_tasks, |s| s == TaskStatus::Starting);
        }
        self.touch(&id);
    }

    /// The process of the oldest running task is gone.
    pub(super) fn kill_task(&mut self, name: &ServiceName) {
        let tasks = self.services.get(name).map(|service| service.tasks.iter().copied());
        let runs =
            |no: &TaskNo| self.tasks.get(no).is_some_and(|task| task.status == TaskStatus::Running);
        if let Some(no) = tasks.into_iter().flatten().find(runs) {
            self.remove(no);
        }
    }

    pub(super) fn crash(&mut self, name: &ServiceName, on: bool) {
        if let Some(service) = self.services.get_mut(name) {
            service.crashing = on;
        }
    }

    pub(super) fn protect_tasks(&mut self, name: &ServiceName, on: bool) {
        let Some(service) = self.services.get(name) else {
            return;
        };
        for no in &service.tasks {
            if let Some(task) = self.tasks.get_mut(no) {
                task.protected = on;
            }
        }
    }

    /// `RunTask`, task by task.
    pub(super) fn run_tasks(
        &mut self,
        group: &str,
        shape: &TaskShape,
        count: u64,
        pool: Option<&PoolId>,
        lasts: Option<TimeDelta>,
    ) {
        let launch = pool.map_or(Launch::Ec2, |pool| Launch::Providers([pool.clone()].into()));
        let may_wait = self.holds_tasks(&launch);
        let prefix = "arn:aws:ecs:eu-west-1:123456789012:task-definition";
        let Resources { cpu_units, .. } = shape.needs;
        let definition = format!("{prefix}/{group}-{cpu_units}:1");
        for _ in 0..count {
            let host = self.place(shape, &shape.constraints, &launch, &Spread::default());
            if host.is_none() && !may_wait {
                self.log(format!("{group}: no room for a task of {}", shape.needs));
                continue;
            }
            let task = SimTask {
                definition: definition.as_str().into(),
                shape: shape.clone(),
                owner: TaskOwner::Standalone(group.to_owned()),
                digest: None,
                deployment: 0,
                groups: Vec::new(),
                launch: launch.clone(),
                host: None,
                status: TaskStatus::Waiting,
                protected: false,
                lasts,
            };
            self.create(task, host);
        }
    }

    /// Whether tasks of this launch wait `PROVISIONING` for room: managed scaling's doing.
    pub(super) fn holds_tasks(&self, launch: &Launch) -> bool {
        let Launch::Providers(pools) = launch else {
            return false;
        };
        let managed = |id| {
            let provider = self.pools.get(id).and_then(|sim| sim.pool.provider.as_ref());
            provider.is_some_and(|provider| provider.managed_scaling)
        };
        pools.iter().any(managed)
    }
}

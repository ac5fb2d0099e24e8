//! The world: its state, its calendar, and the loop that lets time pass.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{
    Change, ClusterName, Failure, HostState, InstanceId, InstanceType, Market, Pool, PoolId, Rival,
    ServiceName, Stop, TaskDefinitionArn, TaskFailure, Zone,
};

use super::balancer::Balancing;
use super::delays;
use super::event::{Event, ServiceSpec};
use super::images::Registry;
use super::laws::Violation;
use super::releases::SimDefinition;
use super::rng::Rng;
use super::state::{Due, SimHost, SimPool, SimService, SimTask, TaskNo};

/// How many sentences and activities are kept.
const LOG_MAX: usize = 1000;

/// One simulated ECS cluster with all that belongs to it.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) cluster: ClusterName,
    pub(super) seed: u64,
    pub(super) now: DateTime<Utc>,
    pub(super) rng: Rng,
    pub(super) calendar: BTreeMap<(DateTime<Utc>, u64), Due>,
    pub(super) entered: u64,
    pub(super) pools: BTreeMap<PoolId, SimPool>,
    pub(super) hosts: BTreeMap<InstanceId, SimHost>,
    pub(super) services: BTreeMap<ServiceName, SimService>,
    pub(super) tasks: BTreeMap<TaskNo, SimTask>,
    /// Tasks that wait `PROVISIONING` for a host.
    pub(super) waiting: BTreeSet<TaskNo>,
    pub(super) tasks_created: TaskNo,
    pub(super) hosts_launched: u64,
    pub(super) no_capacity_until: BTreeMap<(InstanceType, Zone), DateTime<Utc>>,
    pub(super) round_due: bool,
    /// Foreign writers that only show, beside those the world plays itself.
    pub(super) declared: BTreeSet<Rival>,
    /// Hosts changed since the last look, with the version a host left at that is gone.
    pub(super) changed: BTreeMap<InstanceId, Option<u64>>,
    /// What EC2 has said of hosts and nobody has heard yet.
    pub(super) warnings: Vec<Change>,
    /// When something last happened that was not our doing.
    pub(super) disturbed_at: Option<DateTime<Utc>>,
    pub(super) violations: Vec<Violation>,
    pub(super) definitions: BTreeMap<TaskDefinitionArn, SimDefinition>,
    /// The latest of each family.
    pub(super) revisions: BTreeMap<String, u64>,
    pub(super) registry: Registry,
    /// Tasks that failed, oldest first, as long as ECS lists them.
    pub(super) failed_tasks: VecDeque<(ServiceName, TaskFailure)>,
    pub(super) traffic: Balancing,
    pub(super) stop_switch: Result<Option<Stop>, Failure>,
    narration: Vec<(DateTime<Utc>, String)>,
    activities: Vec<(DateTime<Utc>, String)>,
}

impl World {
    /// An empty cluster at this moment.
    pub fn new(cluster: impl Into<ClusterName>, start: DateTime<Utc>, seed: u64) -> Self {
        Self {
            cluster: cluster.into(),
            seed,
            now: start,
            rng: Rng::new(seed),
            calendar: BTreeMap::new(),
            entered: 0,
            pools: BTreeMap::new(),
            hosts: BTreeMap::new(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            waiting: BTreeSet::new(),
            tasks_created: 0,
            hosts_launched: 0,
            no_capacity_until: BTreeMap::new(),
            round_due: false,
            declared: BTreeSet::new(),
            changed: BTreeMap::new(),
            warnings: Vec::new(),
            disturbed_at: None,
            violations: Vec::new(),
            definitions: BTreeMap::new(),
            revisions: BTreeMap::new(),
            registry: Registry::default(),
            failed_tasks: VecDeque::new(),
            traffic: Balancing::new(seed),
            stop_switch: Ok(None),
            narration: Vec::new(),
            activities: Vec::new(),
        }
    }

    /// Adds a group or fleet, which then launches what it wants.
    pub fn add_pool(&mut self, pool: Pool, market: Market) {
        let id = pool.id.clone();
        let managed = pool.provider.as_ref().is_some_and(|p| p.managed_scaling);
        let sim = SimPool {
            pool,
            market,
            mute_next: 0,
            resize_due: None,
            low_datapoints: 0,
            lowered_by_us: false,
        };
        self.pools.insert(id.clone(), sim);
        self.resize_in(&id, delays::RESIZE);
        if managed {
            self.enter(delays::ALARM, Due::Alarm(id.clone()));
        }
        if !id.is_fleet() {
            self.enter(delays::ZONE_CHECK, Due::ZoneCheck(id));
        }
    }

    /// Creates a service; its scheduler starts its tasks.
    pub fn add_service(&mut self, spec: ServiceSpec) {
        self.enter_service(spec, None);
    }

    /// Of the first revision of its own family, unless another definition is given.
    pub(super) fn enter_service(
        &mut self,
        spec: ServiceSpec,
        definition: Option<TaskDefinitionArn>,
    ) {
        let name = spec.name.clone();
        let own = |world: &mut Self| {
            world.register_definition(name.as_str(), spec.shape.clone(), None, false)
        };
        let definition = definition.unwrap_or_else(|| own(self));
        let mut service = SimService {
            spec,
            deployments: Vec::new(),
            tasks: BTreeSet::new(),
            deployed: 0,
            unplaced: 0,
            crashing: false,
            backoff_until: None,
        };
        let first = self.next_deployment(&mut service, &definition);
        service.deployments.push(first);
        self.services.insert(name, service);
        self.wake();
    }

    /// Shows a foreign writer in every snapshot; the world itself does not play it.
    pub fn declare(&mut self, rival: Rival) {
        self.declared.insert(rival);
    }

    /// From now on this is what the stop switch says, or why it does not answer.
    pub fn set_stop_switch(&mut self, says: Result<Option<Stop>, Failure>) {
        self.stop_switch = says;
    }

    /// Lets an event happen at a moment (at once, if that has passed), with a sentence to tell.
    pub fn schedule(&mut self, at: DateTime<Utc>, event: Event, says: Option<String>) {
        self.enter(at - self.now, Due::Happens(event, says));
    }

    /// Lets an event happen now.
    pub fn happen(&mut self, event: Event) {
        self.play(event);
    }

    /// Lets time pass until `to`, everything due in between happening in order. The past stays.
    pub fn advance(&mut self, to: DateTime<Utc>) {
        while let Some(entry) = self.calendar.first_entry() {
            let at = entry.key().0;
            if at > to {
                break;
            }
            let due = entry.remove();
            self.now = self.now.max(at);
            self.meet(due);
        }
        self.now = self.now.max(to);
    }

    /// The moment the world has reached.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// What all chance in it comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The sentences of the events that have happened, oldest first; the last thousand.
    pub fn narration(&self) -> &[(DateTime<Utc>, String)] {
        &self.narration
    }

    /// What AWS did by itself, oldest first; the last thousand.
    pub fn activities(&self) -> &[(DateTime<Utc>, String)] {
        &self.activities
    }

    /// What changed since this was last asked, as ECS would report it in events.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let describe = |(instance, gone): (InstanceId, Option<u64>)| match gone {
            Some(version) => Some(Change::HostGone { instance, version }),
            None => self
                .hosts
                .get(&instance)
                .map(|sim| Change::Host { state: HostState::from(&sim.host) }),
        };
        let warnings = std::mem::take(&mut self.warnings);
        changed.into_iter().filter_map(describe).chain(warnings).collect()
    }

    pub(super) fn enter(&mut self, after: TimeDelta, due: Due) {
        let at = self.now + after.max(TimeDelta::zero());
        self.calendar.insert((at, self.entered), due);
        self.entered += 1;
    }

    /// Makes the service scheduler look at its services soon.
    pub(super) fn wake(&mut self) {
        if !self.round_due {
            self.round_due = true;
            self.enter(delays::ROUND, Due::Round);
        }
    }

    pub(super) fn log(&mut self, what: String) {
        keep(&mut self.activities, (self.now, what));
    }

    fn meet(&mut self, due: Due) {
        match due {
            Due::Happens(event, says) => {
                if let Some(sentence) = says {
                    keep(&mut self.narration, (self.now, sentence));
                }
                self.play(event);
            }
            Due::Round => self.round(),
            Due::Resize(pool) => self.resize(&pool),
            Due::FleetModified(pool) => self.fleet_modified(&pool),
            Due::ZoneCheck(pool) => self.zone_check(&pool),
            Due::ZoneMove(host) => self.zone_move(&host),
            Due::Alarm(pool) => self.alarm(&pool),
            Due::InService(host) => self.in_service(&host),
            Due::Registers(host) => self.register(&host),
            Due::Judge(host, displaced) => self.judge_drain(host, &displaced),
            Due::HostGone(host) => self.host_gone(&host),
            Due::Interrupts(host) => self.shut_down(&host, "Spot interruption"),
            Due::Second => self.second(),
            Due::Spread(listener, change) => self.spread_rules(&listener, change),
            Due::Check(group, task) => self.check_target(&group, task),
            Due::StopUnhealthy(group, task) => self.stop_unhealthy(&group, task),
            Due::Scale(service) => self.scale(&service),
            Due::TaskRuns(task) => self.task_runs(task),
            Due::TaskEnds(task) => self.stop(task),
            Due::TaskStopped(task) => self.task_stopped(task),
        }
    }

    fn play(&mut self, event: Event) {
        self.disturbed_at = Some(self.now);
        match event {
            Event::SetCount { service, count } => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.spec.count = count;
                }
            }
            Event::DeleteService { service } => self.delete_service(&service),
            Event::Deploy { service, shape } => self.deploy(&service, shape, false),
            Event::DeployBroken { service } => self.deploy(&service, None, true),
            Event::Crash { service, on } => self.crash(&service, on),
            Event::RunTasks { group, shape, count, pool, lasts } => {
                self.run_tasks(&group, &shape, count, pool.as_ref(), lasts)
            }
            Event::ProtectTasks { service, on } => self.protect_tasks(&service, on),
            Event::LoseAgent { host } => self.lose_agent(host),
            Event::Warn { host, warning } => self.warn(host, warning),
            Event::AgentBack { host } => self.agent_back(host),
            Event::HostDies { host } => self.host_dies(host),
            Event::FailRegistrations { pool, count } => {
                if let Some(pool) = self.pools.get_mut(&pool) {
                    pool.mute_next += count;
                }
            }
            Event::NoCapacity { instance_type, zone, lasts } => {
                let until = self.now + lasts;
                self.no_capacity_until.insert((instance_type, zone), until);
            }
            Event::SetDesired { pool, desired } => self.set_desired(&pool, desired),
            Event::Remark => {}
            of_traffic => self.play_on_traffic(of_traffic),
        }
        self.wake();
    }

    fn play_on_traffic(&mut self, event: Event) {
        match event {
            Event::Requests { flow, per_minute } => self.set_requests(flow, per_minute),
            Event::Misbehaves { service, errors_bp, extra_latency_ms } => {
                self.misbehave(service, errors_bp, extra_latency_ms);
            }
            Event::FailsChecks { service, on } => self.fail_checks(service, on),
            Event::KillTask { service } => self.kill_task(&service),
            Event::BadImage { image, how } => self.registry.spoil(&image, how),
            Event::PushImage { image, digest } => self.registry.push(&image, digest),
            Event::DeleteImage { image } => self.registry.delete(&image),
            Event::EditsRule { listener, priority, image } => {
                self.edit_rule(&listener, priority, image);
            }
            Event::Says { of, said, detail } => self.says(&of, said, &detail),
            of_hosts => unreachable!("{of_hosts:?} is played with the hosts"),
        }
    }
}

fn keep(log: &mut Vec<(DateTime<Utc>, String)>, entry: (DateTime<Utc>, String)) {
    if log.len() >= LOG_MAX {
        log.remove(0);
    }
    log.push(entry);
}

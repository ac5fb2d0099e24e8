//! One look at a cluster: what is asked when, so that a tick reads no more than it uses.
//!
//! The steps, each bounded to a few calls at a time: what changes by the second; what changes
//! rarely and what is known for life; tasks; their definitions.
//!
//! Waiting tasks have no listing of their own: ECS gives them only among all tasks.
//! They are listed when the cluster counts more pending tasks than its services do, while some
//! were waiting last time, and every [`WAITING_AGE`] where a capacity provider with managed
//! scaling exists, the only one that lets tasks wait.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::clients::Reads;
use super::ecs_tasks::waiting;
use super::join::unique;
use super::kept::{Kept, SLOW_AGE};
use super::rows::*;
use crate::model::*;

/// Longest time between two full listings where tasks may wait unseen.
const WAITING_AGE: TimeDelta = TimeDelta::minutes(15);

/// Reads what is needed and joins it with what is remembered.
pub(super) async fn observe(
    reads: &Reads,
    kept: &mut Kept,
    need: &Need,
    at: DateTime<Utc>,
) -> Snapshot {
    let (cluster, pools) = (&need.cluster, &need.pools);
    kept.look_at_state(reads, cluster, pools, at).await;
    kept.look_at_rivals(reads, cluster, pools, at).await;
    kept.look_at_machines(reads, pools).await;
    kept.look_at_launches(reads, at).await;
    kept.learn_types();
    let hosts = kept.hosts(pools, at);
    let tasks = tasks(reads, need, &hosts.value, at).await;
    let waiting = kept.look_at_waiting(reads, cluster, at).await;
    let services = kept.joined_services();
    let needed = definitions(&services.value, &tasks.value, &waiting.value);
    let shapes = kept.look_at_shapes(reads, &needed, services.as_of).await;
    let traffic = kept.look_at_traffic(reads, need, at).await;
    let releases = super::releases::look(reads, need, &services.value, at).await;
    kept.forget(pools, &needed);
    Snapshot {
        cluster: cluster.clone(),
        taken_at: at,
        shapes,
        tasks,
        waiting,
        pools: kept.joined_pools(pools),
        rivals: kept.rivals(pools, at),
        hosts,
        services,
        traffic,
        releases,
    }
}

/// Reads only load balancers and the services already known. Every other part is empty and as old
/// as can be: it was not looked at.
pub(super) async fn observe_traffic(
    reads: &Reads,
    kept: &mut Kept,
    need: &Need,
    at: DateTime<Utc>,
) -> Snapshot {
    let known: Vec<String> = kept.services.value.keys().map(ServiceName::to_string).collect();
    let services = match known.as_slice() {
        [] => reads.services(&need.cluster).await,
        known => reads.describe_services(&need.cluster, known).await,
    };
    renew(&mut kept.services, services, at);
    let traffic = kept.look_at_traffic(reads, need, at).await;
    Snapshot {
        cluster: need.cluster.clone(),
        taken_at: at,
        hosts: Part::default(),
        services: kept.joined_services(),
        shapes: Part::default(),
        tasks: Part::default(),
        waiting: Part::default(),
        pools: Part::default(),
        rivals: Part::default(),
        traffic,
        releases: Part::default(),
    }
}

/// Every task definition a snapshot speaks of.
fn definitions(
    services: &BTreeMap<ServiceName, Service>,
    tasks: &BTreeMap<InstanceId, Vec<Task>>,
    waiting: &[WaitingTasks],
) -> BTreeSet<TaskDefinitionArn> {
    let current = services.values().map(|service| &service.definition);
    let deployed = services.values().flat_map(|service| &service.deployments);
    let deployed = deployed.map(|deployment| &deployment.definition);
    let alive = tasks.values().flatten().filter(|task| task.status != TaskStatus::Stopped);
    let alive = alive.map(|task| &task.definition);
    let waiting = waiting.iter().map(|group| &group.definition);
    current.chain(deployed).chain(alive).chain(waiting).cloned().collect()
}

/// The tasks of the hosts asked for. A host whose tasks could not all be read is left out.
async fn tasks(
    reads: &Reads,
    need: &Need,
    hosts: &BTreeMap<InstanceId, Host>,
    at: DateTime<Utc>,
) -> Part<BTreeMap<InstanceId, Vec<Task>>> {
    let asked = need.tasks_of.iter().filter_map(|id| hosts.get(id));
    let read = asked.map(async |host| (host.instance.clone(), tasks_of(reads, need, host).await));
    let mut part = Part::complete(BTreeMap::new(), at);
    for (instance, answer) in join_all(read).await {
        match answer {
            Ok((tasks, gap)) => {
                part.value.insert(instance, tasks);
                part.gaps.extend(gap);
            }
            Err(gap) => part.gaps.push(gap),
        }
    }
    part.gaps = unique(part.gaps);
    part
}

async fn tasks_of(
    reads: &Reads,
    need: &Need,
    host: &Host,
) -> Result<(Vec<Task>, Option<Gap>), Gap> {
    let Some(container) = &host.container_instance else {
        return Ok((Vec::new(), None));
    };
    let arns = reads.tasks_of(&need.cluster, container).await?;
    let answer = reads.describe_tasks(&need.cluster, &arns).await?;
    if let Some(gap) = answer.lacking.into_values().next() {
        return Err(gap);
    }
    let mut tasks: Vec<Task> = answer.found.into_values().map(|row| row.task).collect();
    let of_services: Vec<String> = tasks
        .iter()
        .filter(|task| matches!(task.owner, TaskOwner::Service(_)))
        .filter(|task| task.status == TaskStatus::Running)
        .map(|task| task.arn.to_string())
        .collect();
    let gap = match reads.protected(&need.cluster, &of_services).await {
        Ok(protected) => {
            for task in &mut tasks {
                task.protected = protected.contains(&task.arn);
            }
            None
        }
        Err(gap) => Some(gap),
    };
    Ok((tasks, gap))
}

impl Kept {
    /// What changes by the second.
    async fn look_at_state(
        &mut self,
        reads: &Reads,
        cluster: &ClusterName,
        pools: &BTreeSet<PoolId>,
        at: DateTime<Utc>,
    ) {
        let named = |fleet| {
            let of_kind = pools.iter().filter(move |pool| pool.is_fleet() == fleet);
            of_kind.map(|pool| pool.name().to_owned()).collect::<Vec<_>>()
        };
        let (groups, fleets) = (named(false), named(true));
        let groups = async {
            if groups.is_empty() {
                return Ok(Answer::default());
            }
            reads.groups(&groups).await
        };
        let (found, containers, services, groups, fleets) = futures::join!(
            reads.cluster(cluster),
            reads.containers(cluster),
            reads.services(cluster),
            groups,
            reads.fleets(&fleets),
        );
        match found {
            Ok(found) => self.cluster = Part::complete(found, at),
            Err(gap) => self.cluster.gaps = vec![gap],
        }
        renew(&mut self.containers, containers, at);
        renew(&mut self.services, services, at);
        renew(&mut self.groups, groups, at);
        renew(&mut self.fleets, fleets, at);
    }

    /// Asks EC2 for machines it has not told of yet, and for instances of fleets that do not
    /// serve, which fleets go on listing while they end.
    async fn look_at_machines(&mut self, reads: &Reads, pools: &BTreeSet<PoolId>) {
        self.machine_gaps.clear();
        self.ending.clear();
        let rows = self.containers.value.values();
        let containers: BTreeMap<&InstanceId, &ContainerRow> =
            rows.map(|row| (&row.instance, row)).collect();
        let members = self.members(pools);
        let serves = |instance: &InstanceId| {
            let row = containers.get(instance);
            row.is_some_and(|row| row.agent_connected && row.status == HostStatus::Active)
        };
        let all: BTreeSet<&InstanceId> = containers.keys().chain(members.keys()).copied().collect();
        let asked: Vec<String> = all
            .into_iter()
            .filter(|instance| {
                let of_fleet = members.get(instance).is_some_and(|(pool, _)| pool.is_fleet());
                !self.machines.contains_key(*instance) || (of_fleet && !serves(instance))
            })
            .map(InstanceId::to_string)
            .collect();
        if asked.is_empty() {
            return;
        }
        match reads.machines(&asked).await {
            Ok(found) => {
                let ending = found.iter().filter(|(_, machine)| machine.ending);
                self.ending = ending.map(|(instance, _)| instance.clone()).collect();
                let facts = found.into_iter().map(|(instance, m)| (instance, m.facts));
                self.machines.extend(facts);
            }
            Err(gap) => self.machine_gaps.push(gap),
        }
    }

    /// Templates and types that the pools launch by. A template's version is read once; one that
    /// moves (`$Latest`, `$Default`) again after a minute.
    async fn look_at_launches(&mut self, reads: &Reads, at: DateTime<Utc>) {
        self.launch_gaps.clear();
        let known = |template: &TemplateRef| {
            let known = self.templates.get(template);
            known.is_some_and(|(_, read_at)| !template.moves() || at - *read_at < SLOW_AGE)
        };
        let templates: BTreeSet<TemplateRef> = self
            .launches()
            .filter_map(|launch| launch.template.clone())
            .filter(|template| !known(template))
            .collect();
        let answers = templates.iter().map(|template| reads.template(template));
        for (template, answer) in templates.iter().zip(join_all(answers).await) {
            match answer {
                Ok(row) => drop(self.templates.insert(template.clone(), (row, at))),
                Err(gap) => self.launch_gaps.push(gap),
            }
        }
        let of_templates = self.templates.values().filter_map(|(row, _)| row.instance_type.clone());
        let named = self.launches().filter_map(|launch| launch.instance_type.clone());
        let unknown: BTreeSet<InstanceType> =
            of_templates.chain(named).filter(|name| self.type_info(name).is_none()).collect();
        if !unknown.is_empty() {
            match reads.types(&unknown).await {
                Ok(found) => self.types.extend(found),
                Err(gap) => self.launch_gaps.push(gap),
            }
        }
    }

    async fn look_at_waiting(
        &mut self,
        reads: &Reads,
        cluster: &ClusterName,
        at: DateTime<Utc>,
    ) -> Part<Vec<WaitingTasks>> {
        let gaps = unique(self.cluster.gaps.iter().chain(&self.services.gaps).cloned());
        let seen_at = self.cluster.as_of.min(self.services.as_of);
        if !self.may_wait(at) {
            self.waiting.found.clear();
            self.waiting.placed.clear();
            return Part { value: Vec::new(), as_of: seen_at, gaps };
        }
        match self.list_waiting(reads, cluster).await {
            Ok(found) => {
                self.waiting.listed_at = Some(at);
                self.waiting.found.clone_from(&found);
                Part { value: found, as_of: at, gaps }
            }
            Err(gap) => Part {
                value: self.waiting.found.clone(),
                as_of: self.waiting.listed_at.unwrap_or(DateTime::UNIX_EPOCH),
                gaps: unique(gaps.into_iter().chain([gap])),
            },
        }
    }

    /// Whether tasks may be waiting for a host: the cluster counts more pending than its hosts do.
    fn may_wait(&self, at: DateTime<Utc>) -> bool {
        let hosts = self.containers.value.values();
        let on_hosts: u64 = hosts.map(|row| row.pending_tasks).sum();
        let mut providers = self.providers.value.values();
        let managed = providers.any(|row| row.provider.managed_scaling);
        let old = self.waiting.listed_at.is_none_or(|listed| at - listed >= WAITING_AGE);
        self.cluster.value.pending_tasks > on_hosts
            || !self.waiting.found.is_empty()
            || (managed && old)
    }

    async fn list_waiting(
        &mut self,
        reads: &Reads,
        cluster: &ClusterName,
    ) -> Result<Vec<WaitingTasks>, Gap> {
        let listed = reads.tasks_to_run(cluster).await?;
        let all: BTreeSet<TaskArn> = listed.into_iter().map(TaskArn::from).collect();
        self.waiting.placed.retain(|task| all.contains(task));
        let unplaced = all.difference(&self.waiting.placed);
        let unplaced: Vec<String> = unplaced.map(TaskArn::to_string).collect();
        let answer = reads.describe_tasks(cluster, &unplaced).await?;
        if let Some(gap) = answer.lacking.into_values().next() {
            return Err(gap);
        }
        let placed = answer.found.iter().filter(|(_, row)| row.container.is_some());
        self.waiting.placed.extend(placed.map(|(arn, _)| arn.clone()));
        let pool_of = |name: &str| self.providers.value.get(name).map(|row| row.pool.clone());
        Ok(waiting(answer.found.values(), pool_of))
    }

    /// The shapes needed, from memory where known.
    async fn look_at_shapes(
        &mut self,
        reads: &Reads,
        needed: &BTreeSet<TaskDefinitionArn>,
        as_of: DateTime<Utc>,
    ) -> Part<BTreeMap<TaskDefinitionArn, TaskShape>> {
        let unknown: Vec<_> =
            needed.iter().filter(|arn| !self.definitions.contains_key(*arn)).collect();
        let answers = join_all(unknown.iter().map(|arn| reads.shape(arn))).await;
        let mut gaps = Vec::new();
        for (arn, answer) in unknown.into_iter().zip(answers) {
            match answer {
                Ok(shape) => drop(self.definitions.insert(arn.clone(), shape)),
                Err(gap) => gaps.push(gap),
            }
        }
        let known = self.definitions.iter().filter(|(arn, _)| needed.contains(*arn));
        Part {
            value: known.map(|(arn, shape)| (arn.clone(), shape.clone())).collect(),
            as_of,
            gaps: unique(gaps),
        }
    }
}

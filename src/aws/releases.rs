//! A closer look at services under release: containers, digests that run, and why tasks failed.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{DesiredStatus, Service as SdkService, Task as SdkTask};
use chrono::{DateTime, Utc};
use futures::future::{join_all, try_join_all};

use super::clients::Reads;
use super::ecs::PAGE;
use super::join::unique;
use super::rows::time;
use crate::model::*;

/// Stopped tasks looked at of one service; ECS lists them for about an hour, newest not first.
const STOPPED_MAX: usize = 500;

/// Everything asked for; what could not be read is left out and named.
pub(super) async fn look(
    reads: &Reads,
    need: &Need,
    services: &BTreeMap<ServiceName, Service>,
    at: DateTime<Utc>,
) -> Part<ReleaseSight> {
    let mut part = Part::complete(ReleaseSight::default(), at);
    let Some(wanted) = &need.releases else {
        return part;
    };
    let images = wanted.images.iter().map(async |image| (image, reads.image(image).await));
    let of = wanted.services.iter().filter_map(|name| services.get(name));
    let services = of
        .map(async |service| (service.name.clone(), look_at(reads, &need.cluster, service).await));
    let (images, services) = futures::join!(join_all(images), join_all(services));
    for (image, answer) in images {
        match answer {
            Ok(seen) => drop(part.value.images.insert(image.clone(), seen)),
            Err(gap) => part.gaps.push(gap),
        }
    }
    for (name, answer) in services {
        match answer {
            Ok(sight) => drop(part.value.services.insert(name, sight)),
            Err(gap) => part.gaps.push(gap),
        }
    }
    part.gaps = unique(part.gaps);
    part
}

async fn look_at(
    reads: &Reads,
    cluster: &ClusterName,
    service: &Service,
) -> Result<ServiceSight, Gap> {
    let (containers, tasks, found) = futures::join!(
        reads.containers_of_revision(&service.definition),
        reads.tasks_of_service(cluster, &service.name),
        reads.service(cluster, &service.name),
    );
    let mut sight =
        ServiceSight { unplaced: found?.as_ref().and_then(unplaced), ..ServiceSight::default() };
    sight.containers.extend(containers?.map(|images| (service.definition.clone(), images)));
    for task in tasks? {
        let Some(definition) = task.task_definition_arn().map(TaskDefinitionArn::from) else {
            continue;
        };
        if task.last_status() == Some("RUNNING") {
            let of = sight.running.entry(definition).or_default();
            for container in task.containers() {
                let pair = container.name().zip(container.image_digest());
                if let Some((name, digest)) = pair {
                    of.entry(name.to_owned()).or_default().insert(digest.into());
                }
            }
        } else {
            sight.failures.extend(failure(&task, definition));
        }
    }
    sight.failures.sort();
    Ok(sight)
}

impl Reads {
    /// The image of each container of a revision; `None` if it is gone.
    async fn containers_of_revision(
        &self,
        definition: &TaskDefinitionArn,
    ) -> Result<Option<BTreeMap<String, ImageName>>, Gap> {
        let found = self.revision(definition.as_str()).await?;
        Ok(found.map(|revision| revision.images()))
    }

    /// `ListTasks` and `DescribeTasks` of one service: those to run, and those that have stopped.
    async fn tasks_of_service(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Vec<SdkTask>, Gap> {
        let list = |status: DesiredStatus| {
            let call = self.ecs.list_tasks().cluster(cluster.as_str());
            let call = call.service_name(service.as_str()).desired_status(status);
            self.pages("ecs:ListTasks", call.into_paginator().send())
        };
        let (running, stopped) =
            futures::join!(list(DesiredStatus::Running), list(DesiredStatus::Stopped));
        let arns = |pages: Vec<aws_sdk_ecs::operation::list_tasks::ListTasksOutput>| {
            pages.into_iter().flat_map(|page| page.task_arns.unwrap_or_default())
        };
        let all: Vec<String> = arns(running?).chain(arns(stopped?).take(STOPPED_MAX)).collect();
        let pages = all.chunks(PAGE).map(|chunk| {
            let call = self.ecs.describe_tasks().cluster(cluster.as_str());
            self.one("ecs:DescribeTasks", call.set_tasks(Some(chunk.to_vec())).send())
        });
        let pages = try_join_all(pages).await?;
        Ok(pages.into_iter().flat_map(|page| page.tasks.unwrap_or_default()).collect())
    }
}

/// A task that has stopped, or is stopping, by a failure.
fn failure(task: &SdkTask, definition: TaskDefinitionArn) -> Option<TaskFailure> {
    let containers: Vec<_> = task
        .containers()
        .iter()
        .map(|c| (c.name().unwrap_or_default(), c.exit_code(), c.reason().unwrap_or_default()))
        .collect();
    let cause = StopCause::of(Stopped {
        stop_code: task.stop_code().map(|code| code.as_str()),
        reason: task.stopped_reason().unwrap_or_default(),
        containers: &containers,
    })?;
    let at = time(task.stopped_at()).or(time(task.stopping_at()))?;
    Some(TaskFailure { at, task: task.task_arn()?.into(), definition, cause })
}

/// ECS's last word about a task it could not place, if that is its last word at all: events are
/// newest first, and one of a steady state comes after it.
fn unplaced(service: &SdkService) -> Option<(DateTime<Utc>, String)> {
    let event = service.events().iter().find(|event| {
        let words = event.message().unwrap_or_default();
        words.contains("unable to place a task") || words.contains("reached a steady state")
    })?;
    let message = event.message().filter(|words| words.contains("unable to place a task"))?;
    Some((time(event.created_at())?, message.to_owned()))
}

//! Task definitions and the deployments that bring them out, with ECS's circuit breaker.
//!
//! Rule: a deployment that fails gives way to the last one that was complete, if there is one.

use crate::model::{
    ImageName, Rollout, ServiceName, StopCause, TaskDefinitionArn, TaskFailure, TaskOwner,
    TaskShape,
};

use super::delays;
use super::state::{Due, SimDeployment, SimService, TaskNo};
use super::world::World;

/// Failed tasks that are remembered of all services together.
const FAILED_TASKS_MAX: usize = 200;

const TASK_PREFIX: &str = "arn:aws:ecs:eu-west-1:123456789012:task";

#[derive(Clone, Debug)]
pub(super) struct SimDefinition {
    pub(super) family: String,
    pub(super) revision: u64,
    pub(super) shape: TaskShape,
    /// Its only container, named like the family.
    pub(super) container: String,
    pub(super) image: ImageName,
    /// Its tasks exit right after they start.
    pub(super) is_broken: bool,
}

impl World {
    /// The latest revision of a family.
    pub fn latest_revision(&self, family: &str) -> Option<TaskDefinitionArn> {
        self.latest_definition(family).map(|(arn, _)| arn.clone())
    }

    /// The image of a revision.
    pub fn image_of(&self, definition: &TaskDefinitionArn) -> Option<&str> {
        self.definitions.get(definition).map(|definition| definition.image.as_str())
    }

    pub(super) fn register_definition(
        &mut self,
        family: &str,
        shape: TaskShape,
        image: Option<&str>,
        is_broken: bool,
    ) -> TaskDefinitionArn {
        let revision = self.revisions.entry(family.to_owned()).or_default();
        *revision += 1;
        let revision = *revision;
        let prefix = "arn:aws:ecs:eu-west-1:123456789012:task-definition";
        let arn: TaskDefinitionArn = format!("{prefix}/{family}:{revision}").into();
        let image = image.map_or_else(|| format!("{family}:{revision}"), str::to_owned);
        let definition = SimDefinition {
            family: family.to_owned(),
            revision,
            shape,
            container: family.to_owned(),
            image: image.into(),
            is_broken,
        };
        self.definitions.insert(arn.clone(), definition);
        arn
    }

    pub(super) fn next_deployment(
        &self,
        service: &mut SimService,
        definition: &TaskDefinitionArn,
    ) -> SimDeployment {
        service.deployed += 1;
        let (name, number) = (&service.spec.name, service.deployed);
        let shape = self.definitions.get(definition).map(|known| known.shape.clone());
        SimDeployment {
            number,
            id: format!("ecs-svc/{name}-{number}").into(),
            definition: definition.clone(),
            shape: shape.unwrap_or_default(),
            groups: service.spec.targets.iter().map(|target| target.group.clone()).collect(),
            running: 0,
            pending: 0,
            failed: 0,
            rollout: Rollout::InProgress,
            failed_at: None,
            has_breaker: false,
            created_at: self.now,
        }
    }

    /// CI registers a revision and deploys it.
    pub(super) fn deploy(&mut self, name: &ServiceName, shape: Option<TaskShape>, broken: bool) {
        let Some(service) = self.services.get(name) else {
            return;
        };
        let primary = service.deployments.first().map(|d| &d.definition);
        let family = primary.and_then(|arn| self.definitions.get(arn)).map(|d| d.family.clone());
        let shape = shape.unwrap_or_else(|| service.spec.shape.clone());
        let family = family.unwrap_or_else(|| name.to_string());
        let definition = self.register_definition(&family, shape, None, broken);
        self.release(name, &definition, broken);
    }

    /// Starts a deployment; with or without its circuit breaker.
    pub(super) fn release(
        &mut self,
        name: &ServiceName,
        definition: &TaskDefinitionArn,
        has_breaker: bool,
    ) {
        let Some(mut service) = self.services.remove(name) else {
            return;
        };
        let mut next = self.next_deployment(&mut service, definition);
        next.has_breaker = has_breaker;
        service.spec.shape = next.shape.clone();
        service.deployments.insert(0, next);
        service.backoff_until = None;
        self.services.insert(name.clone(), service);
    }

    /// One more task of a deployment has failed; says whether that trips its circuit breaker.
    pub(super) fn count_failure(&mut self, no: TaskNo, cause: StopCause) -> bool {
        let Some(task) = self.tasks.get(&no) else {
            return false;
        };
        let TaskOwner::Service(name) = &task.owner else {
            return false;
        };
        let (number, now) = (task.deployment, self.now);
        let arn = format!("{TASK_PREFIX}/{}/{no:032x}", self.cluster).into();
        let failure =
            TaskFailure { at: now, task: arn, definition: task.definition.clone(), cause };
        self.failed_tasks.push_back((name.clone(), failure));
        while self.failed_tasks.len() > FAILED_TASKS_MAX {
            self.failed_tasks.pop_front();
        }
        let Some(service) = self.services.get_mut(name) else {
            return false;
        };
        let (few, many) = delays::BREAKER_FAILURES;
        let limit = service.spec.count.div_ceil(2).clamp(few, many);
        let Some(deployment) = service.deployment_mut(number) else {
            return false;
        };
        deployment.failed += 1;
        let trips = deployment.has_breaker
            && deployment.rollout == Rollout::InProgress
            && deployment.failed >= limit;
        if !trips {
            return false;
        }
        deployment.rollout = Rollout::Failed;
        deployment.failed_at = Some(now);
        let complete = |d: &SimDeployment| d.rollout == Rollout::Completed;
        if let Some(at) = service.deployments.iter().position(complete) {
            let mut last = service.deployments.remove(at);
            last.rollout = Rollout::InProgress;
            service.spec.shape = last.shape.clone();
            service.deployments.insert(0, last);
            service.backoff_until = None;
        }
        let says = format!("{name}: deployment {number} failed, its circuit breaker has tripped");
        self.log(says);
        self.enter(delays::FAILED_LISTED, Due::Happens(super::Event::Remark, None));
        true
    }
}

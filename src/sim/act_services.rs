//! How the simulated ECS and Application Auto Scaling answer what is asked of services.
//!
//! Rule: as ECS: a service wants its target group associated with a load balancer first.

use crate::model::{
    NewService, Outcome, ServiceName, ServiceTargets, Suspension, TargetGroupArn,
    TaskDefinitionArn, TaskShape, TaskSpec,
};

use super::act::{Answer, moved, not_found, refused, still};
use super::event::ServiceSpec;
use super::releases::SimDefinition;
use super::state::SimService;
use super::world::World;

impl World {
    pub(super) fn set_service_count(&mut self, name: &ServiceName, was: u64, now: u64) -> Answer {
        let service = self.service_mut(name)?;
        still("desired count", was, service.spec.count)?;
        service.spec.count = now;
        if now < was {
            self.judge_count(name, now);
        }
        Ok(Vec::new())
    }

    /// A family whose newest revision is already what is wanted gets no other.
    pub(super) fn register_task(
        &mut self,
        service: &ServiceName,
        task: &TaskSpec,
    ) -> Result<TaskDefinitionArn, Outcome> {
        match task {
            TaskSpec::Described(task) => {
                let shape = TaskShape::plain(task.cpu_units, task.memory_mib);
                Ok(self.register_definition(service.as_str(), shape, Some(&task.image), false))
            }
            TaskSpec::Revised { of, container, image } => {
                let definition = self.definitions.get(of).ok_or_else(|| not_found(of))?;
                if definition.container != *container {
                    return Err(moved("a container", container, &definition.container));
                }
                let (family, shape) = (definition.family.clone(), definition.shape.clone());
                let newest = self.latest_definition(&family);
                let alike = newest.filter(|(_, newest)| {
                    newest.image.as_str() == image && newest.shape == shape && !newest.is_broken
                });
                match alike {
                    Some((arn, _)) => Ok(arn.clone()),
                    None => Ok(self.register_definition(&family, shape, Some(image), false)),
                }
            }
        }
    }

    pub(super) fn create_service(&mut self, new: &NewService) -> Answer {
        let NewService { service, family, count, group, container, port } = new;
        if self.services.contains_key(service) {
            return Err(refused(format!("service {service} exists already")));
        }
        self.can_register_with(group)?;
        let (definition, shape) = match self.latest_definition(family) {
            Some((arn, definition)) => (arn.clone(), definition.shape.clone()),
            None => return Err(refused(format!("family {family} has no task definition"))),
        };
        let mut spec = ServiceSpec::new(service.clone(), *count, shape);
        let (group, container) = (group.clone(), container.clone());
        spec.targets = vec![ServiceTargets { group, container, port: *port }];
        self.enter_service(spec, Some(definition));
        Ok(Vec::new())
    }

    pub(super) fn attach_group(
        &mut self,
        name: &ServiceName,
        group: &TargetGroupArn,
        container: &str,
        port: u16,
    ) -> Answer {
        let targets = &self.service_mut(name)?.spec.targets;
        if targets.iter().any(|target| target.group == *group) {
            return Err(moved("target group", "not attached", "attached"));
        }
        self.can_register_with(group)?;
        let service = self.service_mut(name)?;
        let (group, container) = (group.clone(), container.to_owned());
        service.spec.targets.push(ServiceTargets { group, container, port });
        let same = service.deployments.first().map(|d| d.definition.clone());
        self.release(name, &same.unwrap_or_default(), false);
        Ok(Vec::new())
    }

    pub(super) fn deploy_definition(
        &mut self,
        name: &ServiceName,
        was: &TaskDefinitionArn,
        now: &TaskDefinitionArn,
    ) -> Answer {
        let service = self.service_mut(name)?;
        let is = service.deployments.first().map(|d| d.definition.clone()).unwrap_or_default();
        if is != *was {
            return Err(moved("task definition", was.short(), is.short()));
        }
        if !self.definitions.contains_key(now) {
            return Err(not_found(now));
        }
        self.release(name, now, true);
        Ok(Vec::new())
    }

    pub(super) fn delete_service(&mut self, name: &ServiceName) {
        let tasks = self.services.get(name).map(|service| service.tasks.clone());
        for no in tasks.unwrap_or_default() {
            self.stop(no);
        }
        self.services.remove(name);
    }

    /// Also of a service whose scaling is only declared.
    pub(super) fn suspend_scaling(
        &mut self,
        name: &ServiceName,
        was: Suspension,
        now: Suspension,
    ) -> Answer {
        let is = self.suspended(name).ok_or_else(|| not_found(name))?;
        if is != was {
            return Err(moved("scaling", &was.to_string(), &is.to_string()));
        }
        self.suspend(name, now);
        Ok(Vec::new())
    }

    /// The revision a family's name stands for, with what it asks of a host.
    pub(super) fn latest_definition(
        &self,
        family: &str,
    ) -> Option<(&TaskDefinitionArn, &SimDefinition)> {
        let of_family = self.definitions.iter().filter(|(_, d)| d.family == family);
        of_family.max_by_key(|(_, definition)| definition.revision)
    }

    fn service_mut(&mut self, name: &ServiceName) -> Result<&mut SimService, Outcome> {
        self.services.get_mut(name).ok_or_else(|| not_found(name))
    }

    fn can_register_with(&self, group: &TargetGroupArn) -> Result<(), Outcome> {
        if !self.traffic.groups.contains_key(group) {
            return Err(not_found(group));
        }
        if self.load_balancer_of(group).is_none() {
            let group = group.short();
            return Err(refused(format!("target group {group} has no associated load balancer")));
        }
        Ok(())
    }
}

//! One action is one AWS request: re-read what it assumed, send at most once, read back.
//!
//! Rule: each of the three phases has a third of the time limit, so the end is certain and it is
//! always known whether the request had been sent. Nothing is sent on an assumption that moved;
//! what was sent without an answer, or accepted but not seen, is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecs::types::{DeploymentConfiguration, LoadBalancer};

use super::Aws;
use super::act_rules::tags;
use super::act_services::with_breaker;
use super::act_tasks::Revision;
use super::clients::WRITE_LIMIT;
use super::elb_image::canonical;
use super::rows::{ContainerRow, GroupAttributes};
use crate::control::Clock;
use crate::model::*;

/// Pause between two looks at whether a change shows.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// What the re-read found that the request needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    /// The container instances of the action's hosts.
    pub(super) containers: BTreeMap<InstanceId, ContainerInstanceArn>,
    /// The VPC a target group is to be in.
    pub(super) vpc: String,
    /// The revision to register.
    pub(super) revision: Option<Revision>,
    /// The cluster places new services by a strategy of its own.
    pub(super) own_strategy: bool,
    /// What the service registers with already.
    pub(super) load_balancers: Vec<LoadBalancer>,
    /// How the service deploys.
    pub(super) deployment: Option<DeploymentConfiguration>,
}

impl Ready {
    fn revision(&self) -> Result<&Revision, Outcome> {
        self.revision.as_ref().ok_or_else(|| senseless("nothing to register"))
    }
}

/// What an accepted request came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// The subjects of a batch that failed.
    pub(super) failed: Vec<SubjectFailure>,
    /// The revision that was registered.
    pub(super) made: Option<TaskDefinitionArn>,
}

/// Container instances by the host they run on.
pub(super) type Containers = BTreeMap<InstanceId, (ContainerInstanceArn, ContainerRow)>;

impl<K: Clock> Aws<K> {
    /// Carries an action out within `limit`.
    pub(super) async fn perform(&self, action: &Action, limit: Duration) -> Outcome {
        let phase = limit / 3;
        let began = self.clock.moment();
        let ready = match tokio::time::timeout(phase, self.check(action)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(outcome)) => return outcome,
            Err(_) => {
                return Outcome::Refused { failure: Failure::Timeout };
            }
        };
        // A process that was stopped meanwhile goes on as if no time had passed.
        if self.clock.moment().perhaps_since(began) > phase {
            return Outcome::Refused { failure: Failure::Timeout };
        }
        let sent = match self.send(action, &ready, phase.min(WRITE_LIMIT)).await {
            Ok(sent) => sent,
            Err(outcome) => return outcome,
        };
        let seen = self.see(action, &sent);
        match tokio::time::timeout(phase, seen).await {
            Ok(()) => Outcome::Done { failed: sent.failed, made: sent.made },
            Err(_) => Outcome::InDoubt {
                message: "accepted by AWS, but it did not show in time".to_owned(),
            },
        }
    }

    /// Whether what the action assumed still holds. An outcome means that nothing is to be sent.
    async fn check(&self, action: &Action) -> Result<Ready, Outcome> {
        match action {
            Action::SetPoolCapacity { pool, was, .. } => self.check_capacity(pool, *was).await,
            Action::SetNewHostProtection { pool, was, .. } => {
                self.check_new_host_protection(pool, *was).await
            }
            Action::ProtectHosts { pool, hosts, now } => {
                self.check_protection(pool, hosts, *now).await
            }
            Action::SetProcesses { pool, processes, suspended } => {
                self.check_processes(pool, processes, *suspended).await
            }
            Action::MarkHosts { hosts, mark } => self.check_marks(hosts, mark.as_ref()).await,
            Action::SetHostStatus { hosts, was, .. } => self.check_status(hosts, *was).await,
            Action::TerminateHost { pool, host, desired_was, replace, forced } => {
                self.check_pool_of(pool, host, *desired_was, *replace).await?;
                if !forced {
                    self.check_empty(host).await?;
                }
                Ok(Ready::default())
            }
            Action::SetServiceCount { service, was, .. } => self.check_count(service, *was).await,
            Action::SuspendScaling { service, was, now } => {
                self.check_scaling(service, *was, *now).await
            }
            Action::RegisterTask { service, task } => self.check_task(service, task).await,
            Action::CreateService { spec } => self.check_new_service(spec).await,
            Action::AttachGroup { service, group, .. } => self.check_attach(service, group).await,
            Action::Deploy { service, was, .. } => self.check_definition(service, was).await,
            Action::CreateTargetGroup { spec } => self.check_new_group(spec).await,
            Action::SetHealthCheck { group, was, now } => {
                self.check_health_check(group, &was.health_check, &now.health_check).await
            }
            Action::SetGroupAttributes { group, was, now } => {
                self.check_attributes(group, was, now).await
            }
            Action::CreateRule { listener, purpose, priority, image, .. } => {
                self.check_new_rule(listener, purpose, *priority, image).await
            }
            Action::WriteRule { rule, was, now, .. } => {
                self.check_rule(rule, was.as_ref(), now).await
            }
            Action::SetRuleConditions { rule, purpose, was, now, .. } => {
                self.check_conditions(rule, purpose, was, now).await
            }
            Action::SetRulePriority { listener, rule, purpose, was, now } => {
                self.check_priority(listener, rule, purpose, *was, *now).await
            }
            Action::DeleteRule { rule, purpose, was, .. } => {
                self.check_rule_to_delete(rule, purpose, was).await
            }
            Action::DeleteTargetGroup { group, service } => {
                self.check_group_to_delete(group, service).await
            }
        }
    }

    /// The one request. What of a batch failed is named, and what it made.
    #[expect(clippy::too_many_lines, reason = "one arm for each action")]
    async fn send(&self, action: &Action, ready: &Ready, limit: Duration) -> Result<Sent, Outcome> {
        let writes = &self.writes;
        let cluster = &self.cluster;
        match action {
            Action::SetPoolCapacity { pool, now, .. } => {
                writes.set_capacity(pool, *now, limit).await?;
            }
            Action::SetNewHostProtection { pool, now, .. } => {
                writes.set_new_host_protection(pool, *now, limit).await?;
            }
            Action::ProtectHosts { pool, hosts, now } => {
                writes.protect_hosts(pool.name(), hosts, *now, limit).await?;
            }
            Action::SetProcesses { pool, processes, suspended } => {
                writes.set_processes(pool.name(), processes, *suspended, limit).await?;
            }
            Action::MarkHosts { mark, .. } => {
                let containers = &ready.containers;
                writes.mark(cluster, containers, mark.as_ref(), limit).await?;
            }
            Action::SetHostStatus { now, .. } => {
                let containers = &ready.containers;
                let failed = writes.set_status(cluster, containers, *now, limit).await?;
                return Ok(Sent { failed, made: None });
            }
            Action::TerminateHost { pool, host, replace, .. } => {
                writes.terminate(pool, host, *replace, limit).await?
            }
            Action::SetServiceCount { service, now, .. } => {
                writes.set_count(cluster, service, *now, limit).await?;
            }
            Action::SuspendScaling { service, now, .. } => {
                writes.suspend_scaling(cluster, service, *now, limit).await?;
            }
            Action::RegisterTask { .. } => {
                let made = Some(writes.register_task(ready.revision()?, limit).await?);
                return Ok(Sent { failed: Vec::new(), made });
            }
            Action::CreateService { spec } => {
                writes.create_service(cluster, spec, ready.own_strategy, limit).await?;
            }
            Action::AttachGroup { service, group, container, port } => {
                let (has, new) = (&ready.load_balancers, (group, container.as_str(), *port));
                writes.attach_group(cluster, service, has, new, limit).await?;
            }
            Action::Deploy { service, now, alarms, .. } => {
                let deployment = with_breaker(ready.deployment.clone(), alarms);
                writes.deploy(cluster, service, now, deployment, limit).await?;
            }
            Action::CreateTargetGroup { spec } => {
                let tags = tags(&Purpose::Group(spec.service.clone()), cluster);
                writes.create_group(spec, &ready.vpc, tags, limit).await?;
            }
            Action::SetHealthCheck { group, now, .. } => {
                writes.set_health_check(group, &now.health_check, limit).await?;
            }
            Action::SetGroupAttributes { group, now, .. } => {
                writes.set_attributes(group, now, limit).await?;
            }
            Action::CreateRule { listener, purpose, priority, conditions, image } => {
                let (place, tags) = ((*priority, conditions), tags(purpose, cluster));
                writes.create_rule(listener, place, image, tags, limit).await?;
            }
            Action::WriteRule { rule, now, .. } => writes.write_rule(rule, now, limit).await?,
            Action::SetRuleConditions { rule, now, .. } => {
                writes.set_conditions(rule, now, limit).await?;
            }
            Action::SetRulePriority { rule, now, .. } => {
                writes.set_priority(rule, *now, limit).await?;
            }
            Action::DeleteRule { rule, .. } => writes.delete_rule(rule, limit).await?,
            Action::DeleteTargetGroup { group, .. } => writes.delete_group(group, limit).await?,
        }
        Ok(Sent::default())
    }

    /// Returns once the change shows; a read that fails is repeated like one that is too early.
    async fn see(&self, action: &Action, sent: &Sent) {
        while !matches!(self.shows(action, sent).await, Ok(true)) {
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    async fn shows(&self, action: &Action, sent: &Sent) -> Result<bool, Outcome> {
        Ok(match action {
            Action::SetPoolCapacity { pool, now, .. } => self.capacity(pool).await? == *now,
            Action::SetNewHostProtection { pool, now, .. } => {
                self.protects_new_hosts(pool).await? == *now
            }
            Action::ProtectHosts { pool, hosts, now } => {
                let group = self.group(pool).await?;
                let rows = hosts.iter().filter_map(|host| group.members.get(host));
                rows.into_iter().all(|row| row.protected == *now)
            }
            Action::SetProcesses { pool, processes, suspended } => {
                let now = self.group(pool).await?.suspended;
                processes.iter().all(|p| now.contains(p) == *suspended)
            }
            Action::MarkHosts { hosts, mark } => {
                let wanted = mark.map(|mark| mark.to_string());
                let rows = self.containers_of(hosts).await?;
                let mut rows = rows.values();
                rows.all(|(_, row)| row.attributes.get(DrainMark::ATTRIBUTE) == wanted.as_ref())
            }
            Action::SetHostStatus { hosts, now, .. } => {
                let failed: BTreeSet<&Subject> = sent.failed.iter().map(|f| &f.subject).collect();
                let rows = self.containers_of(hosts).await?;
                let mut rows = rows.iter();
                rows.all(|(host, (_, row))| {
                    row.status == *now || failed.contains(&Subject::Host(host.clone()))
                })
            }
            Action::TerminateHost { pool, host, .. } => self.is_ending(pool, host).await?,
            Action::SetServiceCount { service, now, .. } => {
                self.desired_count(service).await? == *now
            }
            Action::SuspendScaling { service, now, .. } => {
                self.scaling(service).await?.suspended == *now
            }
            Action::RegisterTask { .. } => self.is_registered(sent.made.as_ref()).await?,
            Action::CreateService { spec } => self.has_service(spec).await?,
            Action::AttachGroup { service, group, .. } => self.is_attached(service, group).await?,
            Action::Deploy { service, now, .. } => self.runs(service, now).await?,
            Action::CreateTargetGroup { spec } => self.has_group(&spec.name).await?,
            Action::SetHealthCheck { group, now, .. } => {
                self.target_group(group).await?.health_check == now.health_check
            }
            Action::SetGroupAttributes { group, now, .. } => {
                self.group_attributes(group).await? == GroupAttributes::of(now)
            }
            Action::CreateRule { listener, priority, image, .. } => {
                self.has_rule(listener, *priority, image).await?
            }
            Action::WriteRule { rule, now, .. } => {
                let now = canonical(now.clone());
                self.rule(rule).await?.is_some_and(|found| found.image == now)
            }
            Action::SetRuleConditions { rule, now, .. } => {
                self.rule(rule).await?.is_some_and(|found| found.conditions == *now)
            }
            Action::SetRulePriority { rule, now, .. } => {
                self.rule(rule).await?.is_some_and(|found| found.priority == *now)
            }
            Action::DeleteRule { rule, .. } => self.rule(rule).await?.is_none(),
            Action::DeleteTargetGroup { group, .. } => self.is_group_gone(group).await?,
        })
    }
}

/// An assumption that no longer holds.
pub(super) fn moved(expected: impl Into<String>, found: impl Into<String>) -> Outcome {
    Outcome::Moved { expected: expected.into(), found: found.into() }
}

/// A re-read that failed: nothing is sent on what is not known.
pub(super) fn unknown(gap: Gap) -> Outcome {
    Outcome::Refused { failure: gap.failure }
}

/// It is so already: nothing is sent.
pub(super) fn done() -> Outcome {
    Outcome::done()
}

/// A request that makes no sense; AWS would take some of them for more than they say.
pub(super) fn senseless(message: &str) -> Outcome {
    Outcome::Refused { failure: Failure::Refused { message: message.to_owned() } }
}

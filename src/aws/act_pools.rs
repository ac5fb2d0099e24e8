//! Writes to Auto Scaling groups and Spot Fleets, and the re-reads before them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::ExcessCapacityTerminationPolicy;

use super::Aws;
use super::act::{Ready, done, moved, senseless, unknown};
use super::clients::{Writes, write_limits};
use super::failure;
use super::rows::{FleetRow, GroupRow};
use crate::control::Clock;
use crate::model::*;

impl<K: Clock> Aws<K> {
    /// The group as it is now.
    pub(super) async fn group(&self, pool: &PoolId) -> Result<GroupRow, Outcome> {
        let PoolId::AutoScalingGroup(name) = pool else {
            return Err(senseless("a Spot Fleet has no such setting"));
        };
        let names = [name.clone()];
        let mut answer = self.reads.groups(&names).await.map_err(unknown)?;
        match (answer.found.remove(name), answer.lacking.remove(name)) {
            (Some(group), _) => Ok(group),
            (None, Some(gap)) => Err(unknown(gap)),
            (None, None) => Err(moved(format!("group {name}"), "none")),
        }
    }

    /// The fleet as it is now.
    pub(super) async fn fleet(&self, id: &str) -> Result<FleetRow, Outcome> {
        let ids = [id.to_owned()];
        let mut answer = self.reads.fleets(&ids).await.map_err(unknown)?;
        match (answer.found.remove(id), answer.lacking.remove(id)) {
            (Some(fleet), _) => Ok(fleet),
            (None, Some(gap)) => Err(unknown(gap)),
            (None, None) => Err(moved(format!("fleet {id}"), "none")),
        }
    }

    /// The desired or target capacity as it is now.
    pub(super) async fn capacity(&self, pool: &PoolId) -> Result<Units, Outcome> {
        Ok(match pool {
            PoolId::AutoScalingGroup(_) => self.group(pool).await?.desired,
            PoolId::SpotFleet(id) => self.fleet(id).await?.target,
        })
    }

    pub(super) async fn check_capacity(&self, pool: &PoolId, was: Units) -> Result<Ready, Outcome> {
        let (state, found) = match pool {
            PoolId::AutoScalingGroup(_) => {
                let group = self.group(pool).await?;
                (group.state, group.desired)
            }
            PoolId::SpotFleet(id) => {
                let fleet = self.fleet(id).await?;
                (fleet.state, fleet.target)
            }
        };
        open(state)?;
        same_capacity(was, found)?;
        Ok(Ready::default())
    }

    pub(super) async fn protects_new_hosts(&self, pool: &PoolId) -> Result<bool, Outcome> {
        Ok(match pool {
            PoolId::AutoScalingGroup(_) => self.group(pool).await?.protects_new_hosts,
            PoolId::SpotFleet(id) => self.fleet(id).await?.keeps_excess,
        })
    }

    pub(super) async fn check_new_host_protection(
        &self,
        pool: &PoolId,
        was: bool,
    ) -> Result<Ready, Outcome> {
        let found = self.protects_new_hosts(pool).await?;
        if found == was {
            return Ok(Ready::default());
        }
        let text = |on| format!("scale-in protection of new instances {on}");
        Err(moved(text(was), text(found)))
    }

    pub(super) async fn check_protection(
        &self,
        pool: &PoolId,
        hosts: &BTreeSet<InstanceId>,
        now: bool,
    ) -> Result<Ready, Outcome> {
        if hosts.is_empty() || hosts.len() > Action::PROTECT_MAX {
            return Err(senseless("1 to 50 instances are protected at a time"));
        }
        let group = self.group(pool).await?;
        for host in hosts {
            let member = group.members.get(host).map(|row| row.lifecycle);
            if matches!(member, None | Some(Lifecycle::Terminating)) {
                return Err(moved(format!("{host} in {pool}"), gone(member)));
            }
        }
        let mut rows = hosts.iter().filter_map(|host| group.members.get(host));
        if rows.all(|row| row.protected == now) {
            return Err(done());
        }
        Ok(Ready::default())
    }

    pub(super) async fn check_processes(
        &self,
        pool: &PoolId,
        processes: &BTreeSet<String>,
        suspended: bool,
    ) -> Result<Ready, Outcome> {
        if processes.is_empty() {
            return Err(senseless("no process named, which AWS would take for all"));
        }
        let now = self.group(pool).await?.suspended;
        if processes.iter().all(|p| now.contains(p) == suspended) {
            return Err(done());
        }
        Ok(Ready::default())
    }
}

/// What AWS says of a fleet beside having taken the request.
fn modified(answer: Option<bool>) -> Result<(), Outcome> {
    match answer {
        Some(false) => Err(senseless("AWS answered that the fleet was not modified")),
        _ => Ok(()),
    }
}

/// Nothing is written to a pool that is being changed or is closed.
pub(super) fn open(state: PoolState) -> Result<(), Outcome> {
    match state {
        PoolState::Active => Ok(()),
        PoolState::Changing => Err(moved("an active pool", "one being changed or deleted")),
        PoolState::Closed => Err(moved("an active pool", "one cancelled or not modifiable")),
    }
}

pub(super) fn same_capacity(was: Units, found: Units) -> Result<(), Outcome> {
    if was == found {
        return Ok(());
    }
    Err(moved(format!("capacity {was}"), format!("capacity {found}")))
}

pub(super) fn gone(member: Option<Lifecycle>) -> &'static str {
    match member {
        None => "not a member",
        Some(Lifecycle::Terminating) => "terminating already",
        Some(_) => "neither in service nor launching",
    }
}

/// The SDK's answer to a write, as an outcome unless AWS accepted it.
macro_rules! sent {
    ($service:ident, $source:expr, $limit:expr, $call:expr) => {{
        let limits = $service::config::Builder::new().timeout_config(write_limits($limit));
        let answer = $call.customize().config_override(limits).send().await;
        answer.map_err(|error| failure::outcome($source, &error))
    }};
}
pub(super) use sent;

impl Writes {
    pub(super) async fn set_capacity(
        &self,
        pool: &PoolId,
        now: Units,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let units = i32::try_from(now.0).map_err(|_| senseless("too large a capacity"))?;
        match pool {
            PoolId::AutoScalingGroup(name) => {
                let call = self.autoscaling.set_desired_capacity();
                let call = call.auto_scaling_group_name(name).honor_cooldown(false);
                let call = call.desired_capacity(units);
                sent!(aws_sdk_autoscaling, "autoscaling:SetDesiredCapacity", limit, call)?;
            }
            PoolId::SpotFleet(id) => {
                let policy = ExcessCapacityTerminationPolicy::NoTermination;
                let call = self.ec2.modify_spot_fleet_request();
                let call = call.spot_fleet_request_id(id).target_capacity(units);
                let call = call.excess_capacity_termination_policy(policy);
                modified(
                    sent!(aws_sdk_ec2, "ec2:ModifySpotFleetRequest", limit, call)?.r#return(),
                )?;
            }
        }
        Ok(())
    }

    pub(super) async fn set_new_host_protection(
        &self,
        pool: &PoolId,
        on: bool,
        limit: Duration,
    ) -> Result<(), Outcome> {
        match pool {
            PoolId::AutoScalingGroup(name) => {
                let call = self.autoscaling.update_auto_scaling_group();
                let call = call.auto_scaling_group_name(name);
                let call = call.new_instances_protected_from_scale_in(on);
                sent!(aws_sdk_autoscaling, "autoscaling:UpdateAutoScalingGroup", limit, call)?;
            }
            PoolId::SpotFleet(id) => {
                let policy = match on {
                    true => ExcessCapacityTerminationPolicy::NoTermination,
                    false => ExcessCapacityTerminationPolicy::Default,
                };
                let call = self.ec2.modify_spot_fleet_request().spot_fleet_request_id(id);
                let call = call.excess_capacity_termination_policy(policy);
                modified(
                    sent!(aws_sdk_ec2, "ec2:ModifySpotFleetRequest", limit, call)?.r#return(),
                )?;
            }
        }
        Ok(())
    }

    pub(super) async fn protect_hosts(
        &self,
        group: &str,
        hosts: &BTreeSet<InstanceId>,
        on: bool,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let ids = hosts.iter().map(InstanceId::to_string).collect();
        let call = self.autoscaling.set_instance_protection();
        let call = call.auto_scaling_group_name(group).set_instance_ids(Some(ids));
        let call = call.protected_from_scale_in(on);
        sent!(aws_sdk_autoscaling, "autoscaling:SetInstanceProtection", limit, call).map(drop)
    }

    pub(super) async fn set_processes(
        &self,
        group: &str,
        processes: &BTreeSet<String>,
        suspended: bool,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let names = processes.iter().cloned().collect();
        if suspended {
            let call = self.autoscaling.suspend_processes();
            let call = call.auto_scaling_group_name(group).set_scaling_processes(Some(names));
            sent!(aws_sdk_autoscaling, "autoscaling:SuspendProcesses", limit, call).map(drop)
        } else {
            let call = self.autoscaling.resume_processes();
            let call = call.auto_scaling_group_name(group).set_scaling_processes(Some(names));
            sent!(aws_sdk_autoscaling, "autoscaling:ResumeProcesses", limit, call).map(drop)
        }
    }
}

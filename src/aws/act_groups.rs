//! Writes to target groups, and the re-reads before them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    Matcher, ProtocolEnum, Tag, TargetGroupAttribute, TargetTypeEnum,
};

use super::Aws;
use super::act::{Ready, done, moved, senseless, unknown};
use super::act_pools::sent;
use super::clients::{Writes, write_limits};
use super::failure;
use super::rows::{GroupAttributes, TargetGroupRow};
use crate::control::Clock;
use crate::model::*;

/// What a target group is said to listen on; targets of ECS bring their own port.
const PORT: i32 = 80;

impl<K: Clock> Aws<K> {
    pub(super) async fn target_group(
        &self,
        group: &TargetGroupArn,
    ) -> Result<TargetGroupRow, Outcome> {
        let found = self.reads.target_group(group).await.map_err(unknown)?;
        found.ok_or_else(|| moved(format!("target group {}", group.short()), "none"))
    }

    /// The name is free, and the VPC of the listener's load balancer is known.
    pub(super) async fn check_new_group(&self, spec: &TargetGroupSpec) -> Result<Ready, Outcome> {
        if self.has_group(&spec.name).await? {
            return Err(moved(format!("no target group {}", spec.name), "there is one"));
        }
        let listener = self.reads.listener(&spec.listener).await.map_err(unknown)?;
        let asked = BTreeSet::from([listener.load_balancer]);
        let balancers = self.reads.balancers(&asked).await.map_err(unknown)?;
        match balancers.into_values().next() {
            Some(balancer) => Ok(Ready { vpc: balancer.vpc, ..Ready::default() }),
            None => Err(moved("the listener's load balancer", "none")),
        }
    }

    pub(super) async fn has_group(&self, name: &str) -> Result<bool, Outcome> {
        Ok(self.reads.group_named(name).await.map_err(unknown)?.is_some())
    }

    pub(super) async fn check_health_check(
        &self,
        group: &TargetGroupArn,
        was: &HealthCheck,
        now: &HealthCheck,
    ) -> Result<Ready, Outcome> {
        let found = self.target_group(group).await?.health_check;
        match found {
            found if found == *now => Err(done()),
            found if found == *was => Ok(Ready::default()),
            found => Err(moved(was.to_string(), found.to_string())),
        }
    }

    pub(super) async fn group_attributes(
        &self,
        group: &TargetGroupArn,
    ) -> Result<GroupAttributes, Outcome> {
        self.reads.attributes(group).await.map_err(unknown)
    }

    pub(super) async fn check_attributes(
        &self,
        group: &TargetGroupArn,
        was: &GroupSettings,
        now: &GroupSettings,
    ) -> Result<Ready, Outcome> {
        let found = self.group_attributes(group).await?;
        if found == GroupAttributes::of(now) {
            return Err(done());
        }
        if found == GroupAttributes::of(was) {
            return Ok(Ready::default());
        }
        let text = |of: GroupAttributes| {
            let (delay, start) = (of.deregistration_delay_seconds, of.slow_start_seconds);
            let sticky = of.stickiness_seconds.unwrap_or_default();
            format!("delay {delay} s, slow start {start} s, stickiness {sticky} s")
        };
        Err(moved(text(GroupAttributes::of(was)), text(found)))
    }

    /// A group goes only if it is ours, for this service, without targets, and no rule names it.
    pub(super) async fn check_group_to_delete(
        &self,
        group: &TargetGroupArn,
        service: &ServiceName,
    ) -> Result<Ready, Outcome> {
        let Some(found) = self.reads.target_group(group).await.map_err(unknown)? else {
            return Err(done());
        };
        if let Some(balancer) = found.load_balancers.first() {
            return Err(moved("no rule that names it", format!("one of {balancer}")));
        }
        let targets = self.reads.health(group).await.map_err(unknown)?.targets();
        if targets > 0 {
            return Err(moved("no target", targets.to_string()));
        }
        let purpose = Purpose::Group(service.clone());
        match self.owner_of(&[group.to_string()]).await?.as_slice() {
            [Owner::Tidegate(found)] if *found == purpose => Ok(Ready::default()),
            _ => Err(moved(purpose.to_string(), "a group of somebody else")),
        }
    }

    pub(super) async fn is_group_gone(&self, group: &TargetGroupArn) -> Result<bool, Outcome> {
        Ok(self.reads.target_group(group).await.map_err(unknown)?.is_none())
    }
}

/// The numbers of a health check as AWS takes them.
fn numbers(check: &HealthCheck) -> Result<[i32; 4], Outcome> {
    let number = |n: u32| i32::try_from(n).map_err(|_| senseless("too large a number"));
    Ok([
        number(check.interval_seconds)?,
        number(check.timeout_seconds)?,
        number(check.healthy_after)?,
        number(check.unhealthy_after)?,
    ])
}

fn matcher(check: &HealthCheck) -> Matcher {
    Matcher::builder().http_code(&check.expect).build()
}

impl Writes {
    /// `CreateTargetGroup` with its health check and tags; attributes are another request.
    pub(super) async fn create_group(
        &self,
        spec: &TargetGroupSpec,
        vpc: &str,
        tags: Vec<Tag>,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let check = &spec.settings.health_check;
        let [interval, timeout, healthy, unhealthy] = numbers(check)?;
        let kind = match spec.target_type {
            TargetType::Instance => TargetTypeEnum::Instance,
            TargetType::Ip => TargetTypeEnum::Ip,
        };
        let call = self.elbv2.create_target_group().name(&spec.name).target_type(kind);
        let call = call.protocol(ProtocolEnum::Http).port(PORT).vpc_id(vpc);
        let call = call.health_check_protocol(ProtocolEnum::Http).health_check_path(&check.path);
        let call = call.health_check_interval_seconds(interval);
        let call = call.health_check_timeout_seconds(timeout);
        let call = call.healthy_threshold_count(healthy).unhealthy_threshold_count(unhealthy);
        let call = call.matcher(matcher(check)).set_tags(Some(tags));
        let source = "elasticloadbalancing:CreateTargetGroup";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    /// `ModifyTargetGroup`.
    pub(super) async fn set_health_check(
        &self,
        group: &TargetGroupArn,
        check: &HealthCheck,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let [interval, timeout, healthy, unhealthy] = numbers(check)?;
        let call = self.elbv2.modify_target_group().target_group_arn(group.as_str());
        let call = call.health_check_path(&check.path).matcher(matcher(check));
        let call = call.health_check_interval_seconds(interval);
        let call = call.health_check_timeout_seconds(timeout);
        let call = call.healthy_threshold_count(healthy).unhealthy_threshold_count(unhealthy);
        let source = "elasticloadbalancing:ModifyTargetGroup";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    /// `ModifyTargetGroupAttributes`. Stickiness, where wanted, is the load balancer's own.
    pub(super) async fn set_attributes(
        &self,
        group: &TargetGroupArn,
        now: &GroupSettings,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let of = |key: &str, value: String| {
            TargetGroupAttribute::builder().key(key).value(value).build()
        };
        let sticky = now.stickiness_seconds;
        let delay = now.deregistration_delay_seconds.to_string();
        let mut all = vec![
            of("deregistration_delay.timeout_seconds", delay),
            of("slow_start.duration_seconds", now.slow_start_seconds.to_string()),
            of("stickiness.enabled", sticky.is_some().to_string()),
        ];
        if let Some(seconds) = sticky {
            all.push(of("stickiness.type", "lb_cookie".to_owned()));
            all.push(of("stickiness.lb_cookie.duration_seconds", seconds.to_string()));
        }
        let call = self.elbv2.modify_target_group_attributes().target_group_arn(group.as_str());
        let call = call.set_attributes(Some(all));
        let source = "elasticloadbalancing:ModifyTargetGroupAttributes";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    pub(super) async fn delete_group(
        &self,
        group: &TargetGroupArn,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let call = self.elbv2.delete_target_group().target_group_arn(group.as_str());
        let source = "elasticloadbalancing:DeleteTargetGroup";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }
}

//! Reads of Elastic Load Balancing: listeners and their rules, target groups and their health, and
//! the tags that say whose they are.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Listener as SdkListener, Rule as SdkRule, TagDescription, TargetGroup as SdkGroup,
    TargetGroupAttribute, TargetHealthStateEnum,
};
use futures::future::{join_all, try_join_all};

use super::clients::Reads;
use super::elb_image::{conditions, image};
use super::failure::implausible;
use super::rows::{Answer, BalancerRow, GroupAttributes, ListenerRow, RuleRow, TargetGroupRow};
use crate::model::*;

/// Most ARNs `DescribeTags` takes (API reference); used for target groups as well.
const ARNS_MAX: usize = 20;

impl Reads {
    /// `DescribeListeners` of one: a list fails as a whole when one of it is gone.
    pub(super) async fn listener(&self, arn: &ListenerArn) -> Result<ListenerRow, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeListeners";
        let call = self.elbv2.describe_listeners().listener_arns(arn.as_str());
        let answer = self.one(SOURCE, call.send()).await?;
        let found = answer.listeners().first().and_then(listener);
        found.ok_or_else(|| implausible(SOURCE, format!("no readable listener {arn}")))
    }

    /// `DescribeRules` of a listener, but its default.
    pub(super) async fn rules(&self, listener: &ListenerArn) -> Result<Vec<RuleRow>, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeRules";
        let listing = self.elbv2.describe_rules().listener_arn(listener.as_str());
        let pages = self.pages(SOURCE, listing.into_paginator().send()).await?;
        let found = pages.iter().flat_map(|page| page.rules());
        let mut rules = Vec::new();
        for found in found.filter(|rule| rule.is_default() != Some(true)) {
            let row = rule(found).ok_or_else(|| implausible(SOURCE, "an unreadable rule"))?;
            rules.push(row);
        }
        rules.sort_by_key(|rule| rule.priority);
        Ok(rules)
    }

    /// `DescribeRules` of one; `None` if it is gone.
    pub(super) async fn rule(&self, arn: &RuleArn) -> Result<Option<RuleRow>, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeRules";
        let call = self.elbv2.describe_rules().rule_arns(arn.as_str());
        match self.one(SOURCE, call.send()).await {
            Ok(answer) => Ok(answer.rules().first().and_then(rule)),
            Err(gap) => absent(gap),
        }
    }

    /// Who made these rules and groups, by `DescribeTags`.
    pub(super) async fn owners(
        &self,
        arns: &[String],
        cluster: &ClusterName,
    ) -> Answer<String, Owner> {
        const SOURCE: &str = "elasticloadbalancing:DescribeTags";
        let calls = arns.chunks(ARNS_MAX).map(async |chunk| {
            let call = self.elbv2.describe_tags().set_resource_arns(Some(chunk.to_vec()));
            (chunk, self.one(SOURCE, call.send()).await)
        });
        let mut all = Answer::default();
        for (chunk, answer) in join_all(calls).await {
            match answer {
                Ok(answer) => {
                    // What nothing is told of has no tags.
                    all.found.extend(chunk.iter().map(|arn| (arn.clone(), Owner::Other)));
                    all.found.extend(answer.tag_descriptions().iter().map(|found| {
                        (found.resource_arn().unwrap_or_default().to_owned(), owner(found, cluster))
                    }));
                }
                Err(gap) => {
                    all.lacking.extend(chunk.iter().map(|arn| (arn.clone(), gap.clone())));
                }
            }
        }
        all
    }

    /// `DescribeTargetGroups` of these; one that is gone is left out.
    pub(super) async fn target_groups(
        &self,
        arns: &BTreeSet<TargetGroupArn>,
    ) -> Answer<TargetGroupArn, TargetGroupRow> {
        let arns: Vec<TargetGroupArn> = arns.iter().cloned().collect();
        let calls = arns.chunks(ARNS_MAX).map(async |chunk| match self.group_page(chunk).await {
            // One of them is gone, and AWS does not say which.
            Err(gap) if chunk.len() > 1 && matches!(gap.failure, Failure::NotFound { .. }) => {
                join_all(chunk.iter().map(async |arn| {
                    let one = std::slice::from_ref(arn);
                    (vec![arn.clone()], self.group_page(one).await)
                }))
                .await
            }
            answer => vec![(chunk.to_vec(), answer)],
        });
        let mut all = Answer::default();
        for (asked, answer) in join_all(calls).await.into_iter().flatten() {
            match answer.or_else(|gap| absent(gap).map(Option::unwrap_or_default)) {
                Ok(rows) => all.found.extend(rows.into_iter().map(|row| (row.arn.clone(), row))),
                Err(gap) => {
                    all.lacking.extend(asked.into_iter().map(|arn| (arn, gap.clone())));
                }
            }
        }
        all
    }

    async fn group_page(&self, arns: &[TargetGroupArn]) -> Result<Vec<TargetGroupRow>, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeTargetGroups";
        let names = arns.iter().map(TargetGroupArn::to_string).collect();
        let call = self.elbv2.describe_target_groups().set_target_group_arns(Some(names));
        let answer = self.one(SOURCE, call.send()).await?;
        Ok(answer.target_groups().iter().filter_map(target_group).collect())
    }

    /// `DescribeTargetGroups` of one; `None` if it is gone.
    pub(super) async fn target_group(
        &self,
        arn: &TargetGroupArn,
    ) -> Result<Option<TargetGroupRow>, Gap> {
        match self.group_page(std::slice::from_ref(arn)).await {
            Ok(rows) => Ok(rows.into_iter().next()),
            Err(gap) => absent(gap),
        }
    }

    /// `DescribeTargetGroups` by a name; `None` if there is no such group.
    pub(super) async fn group_named(&self, name: &str) -> Result<Option<TargetGroupRow>, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeTargetGroups";
        let call = self.elbv2.describe_target_groups().names(name);
        match self.one(SOURCE, call.send()).await {
            Ok(answer) => Ok(answer.target_groups().first().and_then(target_group)),
            Err(gap) => absent(gap),
        }
    }

    /// `DescribeTargetGroupAttributes`: what of a group's settings is not its health check.
    pub(super) async fn attributes(&self, arn: &TargetGroupArn) -> Result<GroupAttributes, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeTargetGroupAttributes";
        let call = self.elbv2.describe_target_group_attributes().target_group_arn(arn.as_str());
        let answer = self.one(SOURCE, call.send()).await?;
        Ok(attributes(answer.attributes()))
    }

    /// `DescribeTargetHealth`, counted by state.
    pub(super) async fn health(&self, arn: &TargetGroupArn) -> Result<Health, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeTargetHealth";
        let call = self.elbv2.describe_target_health().target_group_arn(arn.as_str());
        let answer = self.one(SOURCE, call.send()).await?;
        let mut health = Health::default();
        for target in answer.target_health_descriptions() {
            let state = target.target_health().and_then(|health| health.state());
            let counted = match state {
                Some(TargetHealthStateEnum::Healthy) => &mut health.healthy,
                Some(TargetHealthStateEnum::Initial) => &mut health.initial,
                Some(TargetHealthStateEnum::Unused) => &mut health.unused,
                Some(
                    TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining,
                ) => &mut health.draining,
                // A state this program does not know is no reason to send requests.
                _ => &mut health.unhealthy,
            };
            *counted += 1;
        }
        Ok(health)
    }

    /// `DescribeLoadBalancers`: where it is reached, and in which VPC.
    pub(super) async fn balancers(
        &self,
        arns: &BTreeSet<LoadBalancerArn>,
    ) -> Result<BTreeMap<LoadBalancerArn, BalancerRow>, Gap> {
        const SOURCE: &str = "elasticloadbalancing:DescribeLoadBalancers";
        let arns: Vec<String> = arns.iter().map(LoadBalancerArn::to_string).collect();
        let calls = arns.chunks(ARNS_MAX).map(|chunk| {
            let call = self.elbv2.describe_load_balancers();
            let call = call.set_load_balancer_arns(Some(chunk.to_vec()));
            self.one(SOURCE, call.send())
        });
        let answers = try_join_all(calls).await?;
        let found = answers.iter().flat_map(|answer| answer.load_balancers());
        Ok(found
            .filter_map(|found| {
                let row = BalancerRow {
                    dns_name: found.dns_name()?.to_owned(),
                    vpc: found.vpc_id()?.to_owned(),
                };
                Some((found.load_balancer_arn()?.into(), row))
            })
            .collect())
    }
}

/// What AWS says is not there is no gap.
fn absent<T>(gap: Gap) -> Result<Option<T>, Gap> {
    match gap.failure {
        Failure::NotFound { .. } => Ok(None),
        _ => Err(gap),
    }
}

fn listener(found: &SdkListener) -> Option<ListenerRow> {
    Some(ListenerRow {
        load_balancer: found.load_balancer_arn()?.into(),
        protocol: found.protocol()?.as_str().to_owned(),
        port: u16::try_from(found.port()?).ok()?,
        default: image(found.default_actions()),
    })
}

fn rule(found: &SdkRule) -> Option<RuleRow> {
    Some(RuleRow {
        arn: found.rule_arn()?.into(),
        // A default has none; it is read with its listener.
        priority: found.priority()?.parse().unwrap_or(u16::MAX),
        conditions: conditions(found.conditions()),
        image: image(found.actions()),
    })
}

/// Whose it is. A purpose of another cluster, or one of a later version, is not ours to write.
fn owner(found: &TagDescription, cluster: &ClusterName) -> Owner {
    let of = |key: &str| {
        let tag = found.tags().iter().find(|tag| tag.key() == Some(key));
        tag.and_then(|tag| tag.value())
    };
    let purpose = of(Purpose::TAG).filter(|_| of(Purpose::CLUSTER_TAG) == Some(cluster.as_str()));
    let purpose = purpose.and_then(|purpose| purpose.parse().ok());
    purpose.map_or(Owner::Other, Owner::Tidegate)
}

fn target_group(found: &SdkGroup) -> Option<TargetGroupRow> {
    let default = GroupSettings::default().health_check;
    let or =
        |found: Option<i32>, default| found.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    let codes = found.matcher().and_then(|matcher| matcher.http_code());
    Some(TargetGroupRow {
        arn: found.target_group_arn()?.into(),
        name: found.target_group_name()?.to_owned(),
        load_balancers: found.load_balancer_arns().iter().map(|arn| arn.as_str().into()).collect(),
        health_check: HealthCheck {
            path: found.health_check_path().map_or(default.path, ToOwned::to_owned),
            expect: codes.map_or(default.expect, ToOwned::to_owned),
            interval_seconds: or(found.health_check_interval_seconds(), default.interval_seconds),
            timeout_seconds: or(found.health_check_timeout_seconds(), default.timeout_seconds),
            healthy_after: or(found.healthy_threshold_count(), default.healthy_after),
            unhealthy_after: or(found.unhealthy_threshold_count(), default.unhealthy_after),
        },
    })
}

fn attributes(found: &[TargetGroupAttribute]) -> GroupAttributes {
    let of = |key: &str| {
        let found = found.iter().find(|attribute| attribute.key() == Some(key));
        found.and_then(|attribute| attribute.value())
    };
    let number = |key: &str| of(key).and_then(|text| text.parse::<u32>().ok());
    let sticky = of("stickiness.enabled") == Some("true");
    let app = of("stickiness.type") == Some("app_cookie");
    let cookie = if app { "app_cookie" } else { "lb_cookie" };
    let seconds = number(&format!("stickiness.{cookie}.duration_seconds"));
    GroupAttributes {
        deregistration_delay_seconds: number("deregistration_delay.timeout_seconds").unwrap_or(300),
        slow_start_seconds: number("slow_start.duration_seconds").unwrap_or_default(),
        // A day is what AWS takes when nothing is said.
        stickiness_seconds: sticky.then(|| seconds.unwrap_or(86_400)),
    }
}

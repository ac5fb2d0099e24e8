//! Writes to listener rules, and the re-reads before them.
//!
//! Rule: actions are replaced as a whole, so a rule with one that cannot be written back is left
//! alone.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{RulePriorityPair, Tag};

use super::Aws;
use super::act::{Ready, done, moved, senseless, unknown};
use super::act_pools::sent;
use super::clients::{Writes, write_limits};
use super::elb_image::{actions, canonical, is_opaque, sdk_conditions};
use super::failure;
use super::rows::RuleRow;
use crate::control::Clock;
use crate::model::*;

impl<K: Clock> Aws<K> {
    pub(super) async fn rule(&self, rule: &RuleArn) -> Result<Option<RuleRow>, Outcome> {
        self.reads.rule(rule).await.map_err(unknown)
    }

    /// Whose each of these is, by its tags now.
    pub(super) async fn owner_of(&self, arns: &[String]) -> Result<Vec<Owner>, Outcome> {
        let answer = self.reads.owners(arns, &self.cluster).await;
        if let Some(gap) = answer.lacking.into_values().next() {
            return Err(unknown(gap));
        }
        let owners = arns.iter().map(|arn| answer.found.get(arn).cloned());
        Ok(owners.map(|owner| owner.unwrap_or(Owner::Other)).collect())
    }

    /// A purpose has one rule, and a priority too.
    pub(super) async fn check_new_rule(
        &self,
        listener: &ListenerArn,
        purpose: &Purpose,
        priority: u16,
        image: &RuleImage,
    ) -> Result<Ready, Outcome> {
        writable(image)?;
        let rules = self.reads.rules(listener).await.map_err(unknown)?;
        if let Some(rule) = rules.iter().find(|rule| rule.priority == priority) {
            return Err(moved(format!("priority {priority} free"), rule.image.to_string()));
        }
        let arns: Vec<String> = rules.iter().map(|rule| rule.arn.to_string()).collect();
        let ours = Owner::Tidegate(purpose.clone());
        let owners = self.owner_of(&arns).await?;
        match rules.iter().zip(owners).find(|(_, owner)| *owner == ours) {
            Some((rule, _)) => Err(moved(format!("no rule {purpose}"), rule.image.to_string())),
            None => Ok(Ready::default()),
        }
    }

    /// The rule says what the plan saw, or whatever it may when a rollback overwrites it.
    pub(super) async fn check_rule(
        &self,
        rule: &RuleArn,
        was: Option<&RuleImage>,
        now: &RuleImage,
    ) -> Result<Ready, Outcome> {
        writable(now)?;
        let expected = || was.map_or_else(|| "a rule".to_owned(), ToString::to_string);
        let Some(found) = self.rule(rule).await? else {
            return Err(moved(expected(), "no rule"));
        };
        if was.is_some_and(|was| canonical(was.clone()) != found.image) {
            return Err(moved(expected(), found.image.to_string()));
        }
        // Even a rollback must not take an authentication away.
        writable(&found.image)?;
        if canonical(now.clone()) == found.image {
            return Err(done());
        }
        Ok(Ready::default())
    }

    /// A rule goes only if it is ours, for this purpose, and says what the plan saw.
    pub(super) async fn check_rule_to_delete(
        &self,
        rule: &RuleArn,
        purpose: &Purpose,
        was: &RuleImage,
    ) -> Result<Ready, Outcome> {
        let Some(found) = self.rule(rule).await? else {
            return Err(done());
        };
        if canonical(was.clone()) != found.image {
            return Err(moved(was.to_string(), found.image.to_string()));
        }
        self.check_ours(rule, purpose).await
    }

    /// A rule's conditions are those the plan saw, and it is ours.
    pub(super) async fn check_conditions(
        &self,
        rule: &RuleArn,
        purpose: &Purpose,
        was: &BTreeSet<Condition>,
        now: &BTreeSet<Condition>,
    ) -> Result<Ready, Outcome> {
        let Some(found) = self.rule(rule).await? else {
            return Err(moved(Condition::list(was), "no rule"));
        };
        if found.conditions == *now {
            return Err(done());
        }
        if found.conditions != *was {
            return Err(moved(Condition::list(was), Condition::list(&found.conditions)));
        }
        self.check_ours(rule, purpose).await
    }

    /// A rule of ours stands where the plan saw it, and its new place is free.
    pub(super) async fn check_priority(
        &self,
        listener: &ListenerArn,
        rule: &RuleArn,
        purpose: &Purpose,
        was: u16,
        now: u16,
    ) -> Result<Ready, Outcome> {
        let rules = self.reads.rules(listener).await.map_err(unknown)?;
        let expected = || format!("priority {was}");
        match rules.iter().find(|found| found.arn == *rule) {
            None => return Err(moved(expected(), "no rule")),
            Some(found) if found.priority == now => return Err(done()),
            Some(found) if found.priority != was => {
                return Err(moved(expected(), format!("priority {}", found.priority)));
            }
            Some(_) => {}
        }
        if let Some(there) = rules.iter().find(|found| found.priority == now) {
            return Err(moved(format!("priority {now} free"), there.image.to_string()));
        }
        self.check_ours(rule, purpose).await
    }

    /// By its tags now, it was made for this purpose.
    async fn check_ours(&self, rule: &RuleArn, purpose: &Purpose) -> Result<Ready, Outcome> {
        match self.owner_of(&[rule.to_string()]).await?.as_slice() {
            [Owner::Tidegate(found)] if found == purpose => Ok(Ready::default()),
            [Owner::Tidegate(found)] => Err(moved(purpose.to_string(), found.to_string())),
            _ => Err(moved(purpose.to_string(), "a rule of somebody else")),
        }
    }

    /// Whether the listener has this rule.
    pub(super) async fn has_rule(
        &self,
        listener: &ListenerArn,
        priority: u16,
        image: &RuleImage,
    ) -> Result<bool, Outcome> {
        let rules = self.reads.rules(listener).await.map_err(unknown)?;
        let image = canonical(image.clone());
        Ok(rules.iter().any(|rule| rule.priority == priority && rule.image == image))
    }
}

fn writable(image: &RuleImage) -> Result<(), Outcome> {
    if is_opaque(image) {
        let message = format!("the rule ({image}) has an action that cannot be written back");
        return Err(senseless(&message));
    }
    Ok(())
}

/// The tags of what Tidegate makes.
pub(super) fn tags(purpose: &Purpose, cluster: &ClusterName) -> Vec<Tag> {
    let of = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    vec![of(Purpose::TAG, &purpose.to_string()), of(Purpose::CLUSTER_TAG, cluster.as_str())]
}

impl Writes {
    /// `CreateRule` with its tags, so that it is never there without a purpose.
    pub(super) async fn create_rule(
        &self,
        listener: &ListenerArn,
        (priority, conditions): (u16, &BTreeSet<Condition>),
        image: &RuleImage,
        tags: Vec<Tag>,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let conditions = sdk_conditions(conditions).map_err(|message| senseless(&message))?;
        let actions = actions(image).map_err(|message| senseless(&message))?;
        let call = self.elbv2.create_rule().listener_arn(listener.as_str());
        let call = call.priority(priority.into()).set_conditions(Some(conditions));
        let call = call.set_actions(Some(actions)).set_tags(Some(tags));
        let source = "elasticloadbalancing:CreateRule";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    /// `ModifyRule`: the actions only; conditions and transforms stay.
    pub(super) async fn write_rule(
        &self,
        rule: &RuleArn,
        now: &RuleImage,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let actions = actions(now).map_err(|message| senseless(&message))?;
        let call = self.elbv2.modify_rule().rule_arn(rule.as_str()).set_actions(Some(actions));
        let source = "elasticloadbalancing:ModifyRule";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    /// `ModifyRule`: the conditions only; actions and transforms stay.
    pub(super) async fn set_conditions(
        &self,
        rule: &RuleArn,
        now: &BTreeSet<Condition>,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let conditions = sdk_conditions(now).map_err(|message| senseless(&message))?;
        let call = self.elbv2.modify_rule().rule_arn(rule.as_str());
        let call = call.set_conditions(Some(conditions));
        let source = "elasticloadbalancing:ModifyRule";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    pub(super) async fn set_priority(
        &self,
        rule: &RuleArn,
        now: u16,
        limit: Duration,
    ) -> Result<(), Outcome> {
        let pair = RulePriorityPair::builder().rule_arn(rule.as_str()).priority(now.into());
        let call = self.elbv2.set_rule_priorities().rule_priorities(pair.build());
        let source = "elasticloadbalancing:SetRulePriorities";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }

    pub(super) async fn delete_rule(&self, rule: &RuleArn, limit: Duration) -> Result<(), Outcome> {
        let call = self.elbv2.delete_rule().rule_arn(rule.as_str());
        let source = "elasticloadbalancing:DeleteRule";
        sent!(aws_sdk_elasticloadbalancingv2, source, limit, call).map(drop)
    }
}

//! How the simulated ELBv2 answers: what it refuses, and what it does.
//!
//! Rule: an assumption that no longer holds gives `Moved`; what ELBv2 would refuse is refused.

use std::collections::BTreeSet;

use crate::model::{
    Condition, GroupSettings, Listener, ListenerArn, LoadBalancerArn, Outcome, Owner, Purpose,
    Rule, RuleArn, RuleImage, ServiceName, TargetGroupArn, TargetGroupSpec,
};

use super::act::{Answer, moved, not_found, refused};
use super::balancer::{SimGroup, names};
use super::delays;
use super::world::World;

impl World {
    /// A group that is there already and as wanted is created again without harm.
    pub(super) fn create_target_group(&mut self, spec: &TargetGroupSpec) -> Answer {
        let TargetGroupSpec { name, service, listener, settings, .. } = spec;
        self.listener_shown(listener)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || name.len() > 32 || !name.chars().all(is_name) {
            return Err(refused(format!("`{name}` is no name of a target group")));
        }
        check_settings(settings)?;
        let owner = Owner::Tidegate(Purpose::Group(service.clone()));
        match self.traffic.groups.values().find(|group| group.name == *name) {
            Some(group) if group.owner == owner && group.settings == *settings => {}
            Some(_) => return Err(refused(format!("a target group {name} exists already"))),
            None => {
                self.create_group(name, owner, settings.clone());
            }
        }
        Ok(Vec::new())
    }

    pub(super) fn set_health_check(
        &mut self,
        group: &TargetGroupArn,
        was: &GroupSettings,
        now: &GroupSettings,
    ) -> Answer {
        let group = self.group_of(group)?;
        let (was, is) = (&was.health_check, &group.settings.health_check);
        if was != is {
            return Err(moved("health check", &was.to_string(), &is.to_string()));
        }
        check_settings(now)?;
        group.settings.health_check = now.health_check.clone();
        Ok(Vec::new())
    }

    pub(super) fn set_group_attributes(
        &mut self,
        group: &TargetGroupArn,
        was: &GroupSettings,
        now: &GroupSettings,
    ) -> Answer {
        let group = self.group_of(group)?;
        let is = &group.settings;
        let beside = |of: &GroupSettings| {
            (of.deregistration_delay_seconds, of.slow_start_seconds, of.stickiness_seconds)
        };
        if beside(was) != beside(is) {
            let (was, is) = (format!("{:?}", beside(was)), format!("{:?}", beside(is)));
            return Err(moved("attributes", &was, &is));
        }
        check_settings(now)?;
        let health_check = is.health_check.clone();
        group.settings = GroupSettings { health_check, ..now.clone() };
        Ok(Vec::new())
    }

    pub(super) fn create_rule(
        &mut self,
        arn: &ListenerArn,
        purpose: &Purpose,
        priority: u16,
        conditions: &BTreeSet<Condition>,
        image: &RuleImage,
    ) -> Answer {
        let listener = self.listener_shown(arn)?;
        let owner = Owner::Tidegate(purpose.clone());
        if let Some(rule) = listener.rules.iter().find(|rule| rule.owner == owner) {
            return Err(moved("rule", "none", rule.arn.as_str()));
        }
        if listener.rules.iter().any(|rule| rule.priority == priority) {
            return Err(refused(format!("PriorityInUse: {priority} has a rule")));
        }
        if !(1..=50_000).contains(&priority) {
            return Err(refused(format!("priority {priority} is not within 1 to 50000")));
        }
        let load_balancer = listener.load_balancer.clone();
        let listeners = self.traffic.listeners.values().map(|sim| &sim.shown);
        let of_balancer = listeners.filter(|listener| listener.load_balancer == load_balancer);
        if of_balancer.map(|listener| listener.rules.len()).sum::<usize>() >= delays::RULES_MAX {
            let max = delays::RULES_MAX;
            return Err(refused(format!("TooManyRules: {max} on one load balancer")));
        }
        check_conditions(conditions)?;
        self.check_image(image, &load_balancer)?;
        self.judge_image(purpose, None, image);
        let rule = Rule {
            arn: self.next_rule_arn(arn),
            priority,
            conditions: conditions.clone(),
            image: image.clone(),
            owner,
        };
        self.steer(arn, |listener| listener.rules.push(rule));
        Ok(Vec::new())
    }

    pub(super) fn write_rule(
        &mut self,
        listener: &ListenerArn,
        arn: &RuleArn,
        purpose: &Purpose,
        was: Option<&RuleImage>,
        now: &RuleImage,
    ) -> Answer {
        let shown = self.listener_shown(listener)?;
        let load_balancer = shown.load_balancer.clone();
        let rule = rule_of(shown, arn, purpose)?;
        let is = rule.image.clone();
        if let Some(was) = was.filter(|was| **was != is) {
            return Err(moved("rule", &was.to_string(), &is.to_string()));
        }
        self.check_image(now, &load_balancer)?;
        self.judge_image(purpose, Some(&is), now);
        self.steer(listener, |listener| {
            if let Some(rule) = listener.rules.iter_mut().find(|rule| rule.arn == *arn) {
                rule.image = now.clone();
            }
        });
        Ok(Vec::new())
    }

    pub(super) fn set_rule_conditions(
        &mut self,
        listener: &ListenerArn,
        arn: &RuleArn,
        purpose: &Purpose,
        was: &BTreeSet<Condition>,
        now: &BTreeSet<Condition>,
    ) -> Answer {
        let rule = rule_of(self.listener_shown(listener)?, arn, purpose)?;
        if rule.conditions != *was {
            let [was, is] = [was, &rule.conditions].map(Condition::list);
            return Err(moved("conditions", &was, &is));
        }
        check_conditions(now)?;
        self.steer(listener, |listener| {
            if let Some(rule) = listener.rules.iter_mut().find(|rule| rule.arn == *arn) {
                rule.conditions.clone_from(now);
            }
        });
        Ok(Vec::new())
    }

    pub(super) fn set_rule_priority(
        &mut self,
        listener: &ListenerArn,
        arn: &RuleArn,
        purpose: &Purpose,
        was: u16,
        now: u16,
    ) -> Answer {
        let shown = self.listener_shown(listener)?;
        let rule = rule_of(shown, arn, purpose)?;
        if rule.priority != was {
            return Err(moved("priority", &was.to_string(), &rule.priority.to_string()));
        }
        if shown.rules.iter().any(|rule| rule.priority == now) {
            return Err(refused(format!("PriorityInUse: {now} has a rule")));
        }
        self.steer(listener, |listener| {
            if let Some(rule) = listener.rules.iter_mut().find(|rule| rule.arn == *arn) {
                rule.priority = now;
            }
        });
        Ok(Vec::new())
    }

    pub(super) fn delete_rule(
        &mut self,
        listener: &ListenerArn,
        arn: &RuleArn,
        purpose: &Purpose,
        was: &RuleImage,
    ) -> Answer {
        let rule = rule_of(self.listener_shown(listener)?, arn, purpose)?;
        if rule.owner == Owner::Other {
            return Err(moved("owner", &purpose.to_string(), "somebody else"));
        }
        if rule.image != *was {
            return Err(moved("rule", &was.to_string(), &rule.image.to_string()));
        }
        self.steer(listener, |listener| listener.rules.retain(|rule| rule.arn != *arn));
        Ok(Vec::new())
    }

    pub(super) fn delete_target_group(
        &mut self,
        arn: &TargetGroupArn,
        service: &ServiceName,
    ) -> Answer {
        let owner = Owner::Tidegate(Purpose::Group(service.clone()));
        if self.group_of(arn)?.owner != owner {
            return Err(moved("owner", &service.to_string(), "somebody else"));
        }
        if self.load_balancer_of(arn).is_some() {
            return Err(refused(format!("ResourceInUse: a rule names {}", arn.short())));
        }
        let targets = self.group_of(arn)?.targets.len();
        if targets > 0 {
            return Err(moved("targets", "none", &targets.to_string()));
        }
        self.traffic.groups.remove(arn);
        Ok(Vec::new())
    }

    fn listener_shown(&self, arn: &ListenerArn) -> Result<&Listener, Outcome> {
        self.listener(arn).ok_or_else(|| not_found(arn))
    }

    fn group_of(&mut self, arn: &TargetGroupArn) -> Result<&mut SimGroup, Outcome> {
        self.traffic.groups.get_mut(arn).ok_or_else(|| not_found(arn))
    }

    /// What ELBv2 wants of a forward: 1 to 5 groups that exist, of this load balancer or none.
    fn check_image(&self, image: &RuleImage, of: &LoadBalancerArn) -> Result<(), Outcome> {
        if image.actions.is_empty() {
            return Err(refused("a rule needs an action".to_owned()));
        }
        let Some(weights) = image.weights() else {
            return Ok(());
        };
        if weights.is_empty() || weights.len() > delays::GROUPS_PER_ACTION_MAX {
            let count = weights.len();
            return Err(refused(format!(
                "{count} target groups in one action, 1 to 5 are allowed"
            )));
        }
        for (group, weight) in weights {
            if !self.traffic.groups.contains_key(group) {
                return Err(not_found(group));
            }
            if *weight > 999 {
                return Err(refused(format!("weight {weight} is above 999")));
            }
            let elsewhere = self.traffic.listeners.values().map(|sim| &sim.shown);
            let mut elsewhere = elsewhere.filter(|listener| listener.load_balancer != *of);
            if elsewhere.any(|l| super::balancer::images(l).any(|image| names(image, group))) {
                let group = group.short();
                return Err(refused(format!("{group} belongs to another load balancer")));
            }
        }
        Ok(())
    }
}

/// A rule by its ARN that is for this purpose, or somebody else's that was adopted for it.
fn rule_of<'a>(
    listener: &'a Listener,
    arn: &RuleArn,
    purpose: &Purpose,
) -> Result<&'a Rule, Outcome> {
    let rule = listener.rules.iter().find(|rule| rule.arn == *arn);
    let rule = rule.ok_or_else(|| not_found(arn))?;
    match &rule.owner {
        Owner::Tidegate(of) if of != purpose => {
            Err(moved("purpose", &purpose.to_string(), &of.to_string()))
        }
        _ => Ok(rule),
    }
}

fn check_conditions(conditions: &BTreeSet<Condition>) -> Result<(), Outcome> {
    let values = conditions.iter().flat_map(|condition| match condition {
        Condition::Path { values }
        | Condition::Host { values }
        | Condition::Header { values, .. }
        | Condition::Method { values } => values.iter().collect::<Vec<_>>(),
        Condition::Other { json } => vec![json],
    });
    let values: Vec<_> = values.collect();
    if values.is_empty() || values.len() > delays::CONDITION_VALUES_MAX {
        let count = values.len();
        return Err(refused(format!("{count} condition values in one rule, 1 to 5 are allowed")));
    }
    let wildcards = values.iter().flat_map(|value| value.chars()).filter(|c| "*?".contains(*c));
    if wildcards.count() > delays::CONDITION_VALUES_MAX {
        return Err(refused("more than 5 wildcards in one rule".to_owned()));
    }
    match values.iter().find(|value| value.len() > 128) {
        Some(long) => Err(refused(format!("`{long}` is longer than 128 characters"))),
        None => Ok(()),
    }
}

fn check_settings(settings: &GroupSettings) -> Result<(), Outcome> {
    let check = &settings.health_check;
    let thresholds = 2..=10;
    let holds = (5..=300).contains(&check.interval_seconds)
        && (2..=120).contains(&check.timeout_seconds)
        && check.timeout_seconds < check.interval_seconds
        && thresholds.contains(&check.healthy_after)
        && thresholds.contains(&check.unhealthy_after)
        && settings.deregistration_delay_seconds <= 3600
        && (settings.slow_start_seconds == 0 || (30..=900).contains(&settings.slow_start_seconds));
    if holds { Ok(()) } else { Err(refused(format!("out of bounds: {check}"))) }
}

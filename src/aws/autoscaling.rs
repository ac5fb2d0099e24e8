//! Reads of EC2 Auto Scaling: groups with their instances, and who else writes to them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, Instance, InstanceRefreshStatus, LaunchTemplateOverrides,
    LaunchTemplateSpecification, LifecycleState,
};
use futures::future::try_join_all;

use super::clients::Reads;
use super::ec2::user_attributes;
use super::rows::{
    Answer, CapacityUnit, GroupRow, LaunchRow, MemberRow, TemplateRef, TemplateRow, units,
};
use crate::model::*;

/// Most groups one page of `DescribeAutoScalingGroups` holds (API reference).
const GROUPS_MAX: usize = 100;
/// The policies managed scaling makes for itself begin with this.
const MANAGED_POLICY: &str = "ECSManagedAutoScalingPolicy-";
/// The process alarms act through; suspended, policies that alarms drive change nothing.
const ALARMS: &str = "AlarmNotification";

impl Reads {
    /// `DescribeAutoScalingGroups` of these names; a name without a group is lacking.
    pub(super) async fn groups(&self, names: &[String]) -> Result<Answer<String, GroupRow>, Gap> {
        const SOURCE: &str = "autoscaling:DescribeAutoScalingGroups";
        let calls = names.chunks(GROUPS_MAX).map(|chunk| {
            let listing = self
                .autoscaling
                .describe_auto_scaling_groups()
                .set_auto_scaling_group_names(Some(chunk.to_vec()))
                .max_records(100)
                .into_paginator()
                .send();
            self.pages(SOURCE, listing)
        });
        let mut all = Answer::default();
        for page in try_join_all(calls).await?.iter().flatten() {
            let rows = page.auto_scaling_groups().iter();
            all.found.extend(rows.filter_map(|found| {
                Some((found.auto_scaling_group_name()?.to_owned(), group(found)))
            }));
        }
        for name in names {
            if !all.found.contains_key(name) {
                let failure = Failure::NotFound { what: format!("Auto Scaling group {name}") };
                let source = SOURCE.to_owned();
                all.lacking.insert(name.clone(), Gap { source, failure });
            }
        }
        Ok(all)
    }

    /// `DescribePolicies` of all groups at once: group, policy, and whether it is switched off.
    pub(super) async fn policies(&self) -> Result<Vec<(String, PolicyRow)>, Gap> {
        let listing = self.autoscaling.describe_policies().max_records(100);
        let listing = listing.into_paginator().send();
        let pages = self.pages("autoscaling:DescribePolicies", listing).await?;
        let policies = pages.iter().flat_map(|page| page.scaling_policies());
        Ok(policies
            .filter(|policy| !forecasts_only(policy))
            .filter_map(|policy| {
                let name = policy.policy_name()?.to_owned();
                let row = PolicyRow {
                    enabled: policy.enabled() != Some(false),
                    by_alarm: policy.policy_type() != Some("PredictiveScaling"),
                    name,
                };
                Some((policy.auto_scaling_group_name()?.to_owned(), row))
            })
            .filter(|(_, policy)| !policy.name.starts_with(MANAGED_POLICY))
            .collect())
    }

    /// `DescribeScheduledActions` of all groups at once: group and action.
    pub(super) async fn schedules(&self) -> Result<Vec<(String, String)>, Gap> {
        let listing = self.autoscaling.describe_scheduled_actions().max_records(100);
        let listing = listing.into_paginator().send();
        let pages = self.pages("autoscaling:DescribeScheduledActions", listing).await?;
        let actions = pages.iter().flat_map(|page| page.scheduled_update_group_actions());
        Ok(actions
            .filter_map(|action| {
                let group = action.auto_scaling_group_name()?.to_owned();
                Some((group, action.scheduled_action_name()?.to_owned()))
            })
            .collect())
    }

    /// `DescribeLifecycleHooks` of one group: names of those that wait on termination.
    pub(super) async fn terminate_hooks(&self, group: &str) -> Result<Vec<String>, Gap> {
        let call = self.autoscaling.describe_lifecycle_hooks();
        let call = call.auto_scaling_group_name(group).send();
        let answer = self.one("autoscaling:DescribeLifecycleHooks", call).await?;
        let hooks = answer.lifecycle_hooks().iter();
        let terminate = hooks
            .filter(|h| h.lifecycle_transition() == Some("autoscaling:EC2_INSTANCE_TERMINATING"));
        Ok(terminate.filter_map(|h| h.lifecycle_hook_name().map(str::to_owned)).collect())
    }

    /// `DescribeInstanceRefreshes` of one group: ids of those not ended. The newest come first,
    /// and only one runs at a time, so one page is enough.
    pub(super) async fn refreshes(&self, group: &str) -> Result<Vec<String>, Gap> {
        use InstanceRefreshStatus as Status;
        let call = self.autoscaling.describe_instance_refreshes();
        let call = call.auto_scaling_group_name(group).max_records(5).send();
        let answer = self.one("autoscaling:DescribeInstanceRefreshes", call).await?;
        let refreshes = answer.instance_refreshes().iter().filter(|refresh| {
            !matches!(
                refresh.status(),
                Some(
                    Status::Successful
                        | Status::Failed
                        | Status::Cancelled
                        | Status::RollbackSuccessful
                        | Status::RollbackFailed
                )
            )
        });
        Ok(refreshes.filter_map(|r| r.instance_refresh_id().map(str::to_owned)).collect())
    }

    /// `DescribeLaunchConfigurations` of one name.
    pub(super) async fn launch_configuration(&self, name: &str) -> Result<TemplateRow, Gap> {
        const SOURCE: &str = "autoscaling:DescribeLaunchConfigurations";
        let call = self.autoscaling.describe_launch_configurations();
        let answer = self.one(SOURCE, call.launch_configuration_names(name).send()).await?;
        let found = answer.launch_configurations().first().ok_or_else(|| Gap {
            source: SOURCE.to_owned(),
            failure: Failure::NotFound { what: format!("launch configuration {name}") },
        })?;
        Ok(TemplateRow {
            instance_type: found.instance_type().map(InstanceType::from),
            attributes: found.user_data().map(user_attributes).unwrap_or_default(),
        })
    }

    /// `DescribeAutoScalingInstances`: the groups these instances are in.
    pub(super) async fn groups_of(
        &self,
        instances: &[String],
    ) -> Result<BTreeMap<InstanceId, String>, Gap> {
        let calls = instances.chunks(50).map(|chunk| {
            let call = self
                .autoscaling
                .describe_auto_scaling_instances()
                .set_instance_ids(Some(chunk.to_vec()));
            self.one("autoscaling:DescribeAutoScalingInstances", call.send())
        });
        let answers = try_join_all(calls).await?;
        let found = answers.iter().flat_map(|answer| answer.auto_scaling_instances());
        Ok(found
            .filter_map(|i| {
                let group = i.auto_scaling_group_name()?.to_owned();
                Some((i.instance_id()?.into(), group))
            })
            .collect())
    }
}

/// A scaling policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyRow {
    pub(super) name: String,
    pub(super) enabled: bool,
    /// Driven by alarms; predictive scaling is not.
    pub(super) by_alarm: bool,
}

impl PolicyRow {
    /// Whether it writes nothing as the group stands.
    pub(super) fn silenced(&self, suspended: &BTreeSet<String>) -> bool {
        !self.enabled || (self.by_alarm && suspended.contains(ALARMS))
    }
}

fn forecasts_only(policy: &aws_sdk_autoscaling::types::ScalingPolicy) -> bool {
    use aws_sdk_autoscaling::types::PredictiveScalingMode;
    let predictive = policy.predictive_scaling_configuration();
    predictive.is_some_and(|p| p.mode().is_none_or(|m| *m == PredictiveScalingMode::ForecastOnly))
}

fn group(found: &AutoScalingGroup) -> GroupRow {
    let members = found.instances().iter();
    let suspended = found.suspended_processes().iter();
    GroupRow {
        // Set only while the group is being deleted (API reference, AutoScalingGroup).
        state: match found.status() {
            None => PoolState::Active,
            Some(_) => PoolState::Changing,
        },
        desired: units(found.desired_capacity()),
        min: units(found.min_size()),
        max: units(found.max_size()),
        unit: match found.desired_capacity_type() {
            Some("vcpu") => CapacityUnit::Vcpus,
            Some("memory-mib") => CapacityUnit::MemoryMib,
            _ => CapacityUnit::Hosts,
        },
        launches: launches(found),
        zones: found.availability_zones().iter().map(|zone| Zone::from(zone.as_str())).collect(),
        protects_new_hosts: found.new_instances_protected_from_scale_in() == Some(true),
        suspended: suspended.filter_map(|p| p.process_name().map(str::to_owned)).collect(),
        warm_pool: found.warm_pool_configuration().is_some(),
        members: members.filter_map(member).collect(),
    }
}

fn launches(found: &AutoScalingGroup) -> Vec<LaunchRow> {
    let plain = |template| LaunchRow {
        instance_type: None,
        weight: Some(1),
        by_requirements: false,
        template,
    };
    if let Some(mixed) = found.mixed_instances_policy().and_then(|m| m.launch_template()) {
        let template = mixed.launch_template_specification().and_then(template);
        if mixed.overrides().is_empty() {
            return vec![plain(template)];
        }
        return mixed.overrides().iter().map(|o| launch(o, template.as_ref())).collect();
    }
    if let Some(specification) = found.launch_template() {
        return vec![plain(template(specification))];
    }
    let configuration = found.launch_configuration_name();
    configuration
        .map(|name| plain(Some(TemplateRef::Configuration(name.to_owned()))))
        .into_iter()
        .collect()
}

fn launch(found: &LaunchTemplateOverrides, shared: Option<&TemplateRef>) -> LaunchRow {
    let own = found.launch_template_specification().and_then(template);
    LaunchRow {
        instance_type: found.instance_type().map(InstanceType::from),
        weight: found.weighted_capacity().map_or(Some(1), |weight| weight.parse().ok()),
        by_requirements: found.instance_requirements().is_some(),
        template: own.or_else(|| shared.cloned()),
    }
}

fn template(found: &LaunchTemplateSpecification) -> Option<TemplateRef> {
    let version = found.version().unwrap_or("$Default").to_owned();
    match (found.launch_template_id(), found.launch_template_name()) {
        (Some(id), _) => Some(TemplateRef::ById(id.to_owned(), version)),
        (None, Some(name)) => Some(TemplateRef::ByName(name.to_owned(), version)),
        (None, None) => None,
    }
}

fn member(found: &Instance) -> Option<(InstanceId, MemberRow)> {
    let row = MemberRow {
        instance_type: found.instance_type().map(InstanceType::from),
        zone: found.availability_zone().map(Zone::from),
        lifecycle: found.lifecycle_state().map_or(Lifecycle::Other, lifecycle),
        protected: found.protected_from_scale_in() == Some(true),
    };
    Some((found.instance_id()?.into(), row))
}

/// States this program does not know are `Other`: left alone.
pub(super) fn lifecycle(state: &LifecycleState) -> Lifecycle {
    match state.as_str() {
        "InService" => Lifecycle::InService,
        name if name.starts_with("Pending") => Lifecycle::Pending,
        name if name.starts_with("Terminat") => Lifecycle::Terminating,
        _ => Lifecycle::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifecycle_states_fold_and_unknown_ones_are_left_alone() {
        let cases = [
            ("Pending", Lifecycle::Pending),
            ("Pending:Wait", Lifecycle::Pending),
            ("InService", Lifecycle::InService),
            ("Terminating", Lifecycle::Terminating),
            ("Terminating:Wait", Lifecycle::Terminating),
            ("Terminated", Lifecycle::Terminating),
            ("Standby", Lifecycle::Other),
            ("Warmed:Stopped", Lifecycle::Other),
            ("Hovering", Lifecycle::Other),
        ];
        for (state, folded) in cases {
            assert_eq!(lifecycle(&state.into()), folded, "{state}");
        }
    }

    #[test]
    fn a_group_launches_by_overrides_template_or_configuration() {
        use aws_sdk_autoscaling::types::{LaunchTemplate, MixedInstancesPolicy};
        let specification = || {
            LaunchTemplateSpecification::builder().launch_template_id("lt-1").version("3").build()
        };
        let template = TemplateRef::ById("lt-1".to_owned(), "3".to_owned());
        let group = || AutoScalingGroup::builder().auto_scaling_group_name("workers");

        let plain = launches(&group().launch_template(specification()).build());
        assert_eq!(plain.len(), 1);
        assert_eq!((plain[0].instance_type.as_ref(), plain[0].weight), (None, Some(1)));
        assert_eq!(plain[0].template, Some(template.clone()));

        let override_of = |name: &str, weight: &str| {
            let over = LaunchTemplateOverrides::builder().instance_type(name);
            over.weighted_capacity(weight).build()
        };
        let mixed = LaunchTemplate::builder()
            .launch_template_specification(specification())
            .overrides(override_of("m5.large", "1"))
            .overrides(override_of("m5.xlarge", "2"))
            .build();
        let mixed = MixedInstancesPolicy::builder().launch_template(mixed).build();
        let weights: Vec<_> = launches(&group().mixed_instances_policy(mixed).build())
            .into_iter()
            .map(|launch| (launch.instance_type, launch.weight, launch.template))
            .collect();
        let expected =
            |name: &str, weight| (Some(name.into()), Some(weight), Some(template.clone()));
        assert_eq!(weights, [expected("m5.large", 1), expected("m5.xlarge", 2)]);

        let old = launches(&group().launch_configuration_name("old").build());
        assert_eq!(old[0].template, Some(TemplateRef::Configuration("old".to_owned())));
    }

    #[test]
    fn a_policy_is_silent_when_disabled_or_when_alarms_are_suspended() {
        let policy = |enabled, by_alarm| PolicyRow { name: "cpu".to_owned(), enabled, by_alarm };
        let (none, alarms) = (BTreeSet::new(), BTreeSet::from([ALARMS.to_owned()]));
        assert!(!policy(true, true).silenced(&none));
        assert!(policy(true, true).silenced(&alarms));
        assert!(policy(false, true).silenced(&none));
        assert!(!policy(true, false).silenced(&alarms));
    }
}

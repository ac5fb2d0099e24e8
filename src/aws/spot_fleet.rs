//! Reads of Spot Fleet requests and their instances.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    BatchState, ExcessCapacityTerminationPolicy, FleetLaunchTemplateSpecification, FleetType,
    SpotFleetRequestConfig, SpotFleetRequestConfigData, TargetCapacityUnitType,
};
use futures::future::{join_all, try_join_all};

use super::clients::Reads;
use super::rows::{Answer, CapacityUnit, FleetRow, LaunchRow, MemberRow, TemplateRef, units};
use crate::model::*;

impl Reads {
    /// `DescribeSpotFleetRequests` and `DescribeSpotFleetInstances` of these ids.
    pub(super) async fn fleets(&self, ids: &[String]) -> Result<Answer<String, FleetRow>, Gap> {
        const SOURCE: &str = "ec2:DescribeSpotFleetRequests";
        if ids.is_empty() {
            return Ok(Answer::default());
        }
        let calls = ids.chunks(100).map(|chunk| {
            let listing = self
                .ec2
                .describe_spot_fleet_requests()
                .set_spot_fleet_request_ids(Some(chunk.to_vec()))
                .into_paginator()
                .send();
            self.pages(SOURCE, listing)
        });
        let pages = try_join_all(calls).await?;
        let requests = pages.iter().flatten().flat_map(|page| page.spot_fleet_request_configs());
        let found: BTreeMap<String, FleetRow> = requests.filter_map(fleet).collect();

        let members = join_all(ids.iter().map(|id| self.fleet_members(id))).await;
        let mut all = Answer::default();
        for (id, members) in ids.iter().zip(members) {
            let row = found.get(id).cloned().ok_or_else(|| Gap {
                source: SOURCE.to_owned(),
                failure: Failure::NotFound { what: format!("Spot Fleet request {id}") },
            });
            match (row, members) {
                (Ok(row), Ok(members)) => {
                    all.found.insert(id.clone(), FleetRow { members, ..row });
                }
                (Err(gap), _) | (_, Err(gap)) => {
                    all.lacking.insert(id.clone(), gap);
                }
            }
        }
        Ok(all)
    }

    /// The instances a fleet counts as active. AWS gives no paginator for this listing.
    async fn fleet_members(&self, id: &str) -> Result<BTreeMap<InstanceId, MemberRow>, Gap> {
        let mut members = BTreeMap::new();
        let mut token = None;
        loop {
            let call = self
                .ec2
                .describe_spot_fleet_instances()
                .spot_fleet_request_id(id)
                .set_next_token(token.take());
            let page = self.one("ec2:DescribeSpotFleetInstances", call.send()).await?;
            let before = members.len();
            members.extend(page.active_instances().iter().filter_map(|instance| {
                let row = MemberRow {
                    instance_type: instance.instance_type().map(InstanceType::from),
                    zone: None,
                    lifecycle: Lifecycle::InService,
                    protected: false,
                };
                Some((instance.instance_id()?.into(), row))
            }));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            // A page that brings nothing new ends the listing, whatever its token says.
            if token.is_none() || members.len() == before {
                return Ok(members);
            }
        }
    }
}

/// A request without its instances yet.
fn fleet(found: &SpotFleetRequestConfig) -> Option<(String, FleetRow)> {
    let config = found.spot_fleet_request_config()?;
    let row = FleetRow {
        state: state(found, config),
        target: units(config.target_capacity()),
        keeps_excess: config.excess_capacity_termination_policy()
            == Some(&ExcessCapacityTerminationPolicy::NoTermination),
        fulfilled_hundredths: hundredths(config.fulfilled_capacity().unwrap_or(0.0)),
        unit: match config.target_capacity_unit_type() {
            Some(TargetCapacityUnitType::Vcpu) => CapacityUnit::Vcpus,
            Some(TargetCapacityUnitType::MemoryMib) => CapacityUnit::MemoryMib,
            _ => CapacityUnit::Hosts,
        },
        launches: launches(config),
        zones: zones(config),
        members: BTreeMap::new(),
    };
    Some((found.spot_fleet_request_id()?.to_owned(), row))
}

/// Only fleets of type `maintain` can be modified, and only while active.
fn state(found: &SpotFleetRequestConfig, config: &SpotFleetRequestConfigData) -> PoolState {
    let maintains = matches!(config.r#type(), Some(FleetType::Maintain) | None);
    match found.spot_fleet_request_state() {
        _ if !maintains => PoolState::Closed,
        Some(BatchState::Active) => PoolState::Active,
        Some(BatchState::Modifying | BatchState::Submitted) => PoolState::Changing,
        _ => PoolState::Closed,
    }
}

fn launches(config: &SpotFleetRequestConfigData) -> Vec<LaunchRow> {
    let specifications = config.launch_specifications().iter().map(|launch| LaunchRow {
        instance_type: launch.instance_type().map(|name| name.as_str().into()),
        weight: weight(launch.weighted_capacity()),
        by_requirements: launch.instance_requirements().is_some(),
        template: None,
    });
    let templates = config.launch_template_configs().iter().flat_map(|launch| {
        let template = launch.launch_template_specification().and_then(template);
        let plain = LaunchRow {
            instance_type: None,
            weight: Some(1),
            by_requirements: false,
            template: template.clone(),
        };
        let overrides = launch.overrides().iter().map(|over| LaunchRow {
            instance_type: over.instance_type().map(|name| name.as_str().into()),
            weight: weight(over.weighted_capacity()),
            by_requirements: over.instance_requirements().is_some(),
            template: template.clone(),
        });
        let overrides: Vec<LaunchRow> = overrides.collect();
        if overrides.is_empty() { vec![plain] } else { overrides }
    });
    specifications.chain(templates).collect()
}

fn template(found: &FleetLaunchTemplateSpecification) -> Option<TemplateRef> {
    let version = found.version().unwrap_or("$Default").to_owned();
    match (found.launch_template_id(), found.launch_template_name()) {
        (Some(id), _) => Some(TemplateRef::ById(id.to_owned(), version)),
        (None, Some(name)) => Some(TemplateRef::ByName(name.to_owned(), version)),
        (None, None) => None,
    }
}

fn zones(config: &SpotFleetRequestConfigData) -> BTreeSet<Zone> {
    let placed = config.launch_specifications().iter();
    let placed = placed.filter_map(|launch| launch.placement()?.availability_zone());
    let overrides = config.launch_template_configs().iter().flat_map(|launch| launch.overrides());
    let overrides = overrides.filter_map(|over| over.availability_zone());
    // A launch specification may name several zones, with commas between.
    let all = placed.chain(overrides).flat_map(|zones| zones.split(','));
    all.map(|zone| zone.trim().into()).collect()
}

/// Units one host of it counts; `None` for a fraction.
fn weight(weight: Option<f64>) -> Option<u32> {
    let hundredths = hundredths(weight.unwrap_or(1.0));
    let whole = hundredths.is_multiple_of(100).then_some(hundredths / 100)?;
    u32::try_from(whole).ok().filter(|units| *units > 0)
}

/// AWS counts fleets in decimal numbers; two places are kept.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range that holds"
)]
fn hundredths(units: f64) -> u64 {
    (units * 100.0).round().clamp(0.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{LaunchTemplateConfig, LaunchTemplateOverrides};

    use super::*;

    #[test]
    fn weights_are_whole_or_not_counted() {
        assert_eq!(weight(None), Some(1));
        assert_eq!(weight(Some(4.0)), Some(4));
        assert_eq!(weight(Some(1.5)), None);
        assert_eq!(weight(Some(0.0)), None);
    }

    #[test]
    fn only_an_active_fleet_that_maintains_its_size_is_open() {
        let of = |kind: FleetType, state_now: &str| {
            let config = SpotFleetRequestConfigData::builder().r#type(kind).build();
            let found = SpotFleetRequestConfig::builder()
                .spot_fleet_request_state(state_now.into())
                .build();
            state(&found, &config)
        };
        assert_eq!(of(FleetType::Maintain, "active"), PoolState::Active);
        assert_eq!(of(FleetType::Maintain, "modifying"), PoolState::Changing);
        assert_eq!(of(FleetType::Maintain, "cancelled_running"), PoolState::Closed);
        assert_eq!(of(FleetType::Maintain, "enchanted"), PoolState::Closed);
        assert_eq!(of(FleetType::Request, "active"), PoolState::Closed);
    }

    #[test]
    fn a_fleet_launches_by_overrides_with_weights() {
        let over = |name: &str, weight: f64| {
            let over = LaunchTemplateOverrides::builder().instance_type(name.into());
            over.weighted_capacity(weight).availability_zone("eu-west-1a").build()
        };
        let template = FleetLaunchTemplateSpecification::builder();
        let launch = LaunchTemplateConfig::builder()
            .launch_template_specification(
                template.launch_template_name("spot").version("1").build(),
            )
            .overrides(over("m5.large", 1.0))
            .overrides(over("m5.xlarge", 2.5))
            .build();
        let config = SpotFleetRequestConfigData::builder().launch_template_configs(launch).build();
        let weights: Vec<_> = launches(&config)
            .into_iter()
            .map(|launch| (launch.instance_type.unwrap().to_string(), launch.weight))
            .collect();
        let expected = [("m5.large".to_owned(), Some(1)), ("m5.xlarge".to_owned(), None)];
        assert_eq!(weights, expected);
        assert_eq!(zones(&config), BTreeSet::from(["eu-west-1a".into()]));
    }
}

//! Reads of Application Auto Scaling: whose desired counts it owns.

use std::collections::BTreeMap;

use aws_sdk_applicationautoscaling::types::{
    ScalableDimension, ScalableTarget as SdkTarget, ServiceNamespace,
};

use super::clients::Reads;
use super::rows::{ScalableTarget, count};
use crate::model::*;

impl Reads {
    /// `DescribeScalableTargets` of ECS, all at once, by service of this cluster.
    pub(super) async fn scalable_targets(
        &self,
        cluster: &ClusterName,
    ) -> Result<BTreeMap<ServiceName, ScalableTarget>, Gap> {
        const SOURCE: &str = "application-autoscaling:DescribeScalableTargets";
        let listing = self
            .targets
            .describe_scalable_targets()
            .service_namespace(ServiceNamespace::Ecs)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .into_paginator()
            .send();
        let pages = self.pages(SOURCE, listing).await?;
        let targets = pages.iter().flat_map(|page| page.scalable_targets());
        Ok(targets
            .filter_map(|target| {
                let service = service_of(target.resource_id(), cluster)?;
                Some((service, row(target)))
            })
            .collect())
    }

    /// `DescribeScalableTargets` of one service; `None` if nothing scales it.
    pub(super) async fn scalable_target(
        &self,
        cluster: &ClusterName,
        service: &ServiceName,
    ) -> Result<Option<ScalableTarget>, Gap> {
        let call = self
            .targets
            .describe_scalable_targets()
            .service_namespace(ServiceNamespace::Ecs)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .resource_ids(resource(cluster, service));
        let source = "application-autoscaling:DescribeScalableTargets";
        let answer = self.one(source, call.send()).await?;
        Ok(answer.scalable_targets().first().map(row))
    }
}

/// How Application Auto Scaling calls a service.
pub(super) fn resource(cluster: &ClusterName, service: &ServiceName) -> String {
    format!("service/{cluster}/{service}")
}

fn row(found: &SdkTarget) -> ScalableTarget {
    let suspended = found.suspended_state();
    let on = |flag: Option<bool>| flag.unwrap_or_default();
    ScalableTarget {
        min: count(found.min_capacity()),
        max: count(found.max_capacity()),
        suspended: suspended.map_or_else(Suspension::default, |state| Suspension {
            scale_in: on(state.dynamic_scaling_in_suspended()),
            scale_out: on(state.dynamic_scaling_out_suspended()),
            scheduled: on(state.scheduled_scaling_suspended()),
        }),
    }
}

/// The service of `service/CLUSTER/NAME`, if it is of this cluster.
fn service_of(resource: &str, cluster: &ClusterName) -> Option<ServiceName> {
    let rest = resource.strip_prefix("service/")?;
    let (of, name) = rest.split_once('/')?;
    (of == cluster.as_str()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_of_the_cluster_count() {
        let web = ClusterName::from("web");
        assert_eq!(service_of("service/web/shop", &web), Some("shop".into()));
        assert_eq!(service_of("service/website/shop", &web), None);
        assert_eq!(service_of("table/web", &web), None);
    }
}

//! Reads of Application Auto Scaling: whose desired counts it owns.

use std::collections::BTreeMap;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};

use super::clients::Reads;
use super::rows::count;
use crate::model::*;

impl Reads {
    /// `DescribeScalableTargets` of ECS, all at once: lowest and highest count by service of this
    /// cluster.
    pub(super) async fn scalable_targets(
        &self,
        cluster: &ClusterName,
    ) -> Result<BTreeMap<ServiceName, (u64, u64)>, Gap> {
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
                let bounds = (count(target.min_capacity()), count(target.max_capacity()));
                Some((service, bounds))
            })
            .collect())
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

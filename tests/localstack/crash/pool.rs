//! The one pool of a walk, with one host in it.

use aws_sdk_ec2::types::{
    AllocationStrategy, FleetLaunchTemplateSpecification, FleetType, LaunchTemplateConfig,
    LaunchTemplateOverrides, SpotFleetRequestConfigData,
};
use aws_sdk_ecs::types::{AutoScalingGroupProvider, ManagedScaling, ManagedScalingStatus};

use crate::aws::World;
use crate::harness::eventually;

/// The one pool of a walk.
pub(super) enum Pool {
    Group,
    Fleet(String),
}

impl Pool {
    /// A group under managed scaling with one protected host, that protects no new ones.
    pub(super) async fn group(world: &World) -> Self {
        world.group("g", "m5.large", 0, 10).await;
        world.set_desired("g", 1).await;
        eventually("its host is in service", async || {
            let members = world.members("g").await;
            members
                .iter()
                .any(|member| member.protected_from_scale_in() == Some(true))
                .then_some(())
        })
        .await;
        let flag = world.autoscaling.update_auto_scaling_group().auto_scaling_group_name("g");
        let flag = flag.new_instances_protected_from_scale_in(false).send().await;
        flag.expect("UpdateAutoScalingGroup");
        let arn = world.describe_group("g").await.auto_scaling_group_arn.expect("its ARN");
        let scaling = ManagedScaling::builder().status(ManagedScalingStatus::Enabled).build();
        let group = AutoScalingGroupProvider::builder().auto_scaling_group_arn(arn);
        let group = group.managed_scaling(scaling).build().expect("an ARN");
        let provider = world.ecs.create_capacity_provider().name("managed");
        let provider = provider.auto_scaling_group_provider(group).send().await;
        provider.expect("CreateCapacityProvider");
        let put = world.ecs.put_cluster_capacity_providers().cluster("c");
        let put =
            put.capacity_providers("managed").set_default_capacity_provider_strategy(Some(vec![]));
        put.send().await.expect("PutClusterCapacityProviders");
        Self::Group
    }

    /// A fleet of one host.
    pub(super) async fn fleet(world: &World) -> Self {
        let template = world.launch_template("fleet", "m5.large").await;
        let template = FleetLaunchTemplateSpecification::builder().launch_template_id(template);
        let subnet = world.subnets().await.remove(0);
        let over = LaunchTemplateOverrides::builder().instance_type("m5.large".into());
        let launch = LaunchTemplateConfig::builder()
            .launch_template_specification(template.version("1").build())
            .overrides(over.subnet_id(subnet).build());
        let request = SpotFleetRequestConfigData::builder()
            .iam_fleet_role(format!("arn:aws:iam::{}:role/fleet", world.account))
            .r#type(FleetType::Maintain)
            .allocation_strategy(AllocationStrategy::LowestPrice)
            .target_capacity(1)
            .launch_template_configs(launch.build());
        let made = world.ec2.request_spot_fleet().spot_fleet_request_config(request.build());
        let made = made.send().await.expect("RequestSpotFleet");
        Self::Fleet(made.spot_fleet_request_id.expect("its id"))
    }

    pub(super) fn key(&self) -> String {
        match self {
            Self::Group => "auto_scaling_group: g".to_owned(),
            Self::Fleet(id) => format!("spot_fleet: {id}"),
        }
    }

    /// Desired or target capacity.
    pub(super) async fn desired(&self, world: &World) -> i32 {
        let Self::Fleet(id) = self else {
            return world.desired("g").await;
        };
        let found =
            world.ec2.describe_spot_fleet_requests().spot_fleet_request_ids(id).send().await;
        let found = found.expect("DescribeSpotFleetRequests").spot_fleet_request_configs;
        let request = found.unwrap_or_default().pop().expect("the fleet");
        let config = request.spot_fleet_request_config.expect("its configuration");
        config.target_capacity.expect("its target")
    }
}

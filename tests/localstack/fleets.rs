//! A Spot Fleet request is sized like a group, and never chooses itself which host ends.

use aws_sdk_ec2::types::{
    FleetType, IamInstanceProfileSpecification, SpotFleetLaunchSpecification,
    SpotFleetRequestConfigData,
};
use aws_sdk_ecs::types::TaskStopCode;

use crate::aws::{World, user_data};
use crate::footing::config;
use crate::harness::{acting, eventually};

/// A request of type maintain for this many m5.large that join cluster `c`.
pub(crate) async fn request_fleet(world: &World, target: i32) -> String {
    let subnet = world.subnets().await.remove(0);
    let profile = IamInstanceProfileSpecification::builder().name("host").build();
    let launch = SpotFleetLaunchSpecification::builder().image_id("ami-12c6146b");
    let launch = launch.instance_type("m5.large".into()).subnet_id(subnet);
    let launch = launch.user_data(user_data()).iam_instance_profile(profile).build();
    let fleet = SpotFleetRequestConfigData::builder().target_capacity(target);
    let fleet = fleet.iam_fleet_role("arn:aws:iam::000000000000:role/fleet");
    let fleet = fleet.r#type(FleetType::Maintain).launch_specifications(launch).build();
    let made = world.ec2.request_spot_fleet().spot_fleet_request_config(fleet).send().await;
    made.expect("RequestSpotFleet").spot_fleet_request_id.expect("its id")
}

pub(crate) async fn target_of(world: &World, fleet: &str) -> i32 {
    let found = world.ec2.describe_spot_fleet_requests().spot_fleet_request_ids(fleet);
    let found = found.send().await.expect("DescribeSpotFleetRequests");
    let fleet = found.spot_fleet_request_configs().first().expect("the fleet");
    let config = fleet.spot_fleet_request_config().expect("its configuration");
    config.target_capacity().expect("its target")
}

/// Tasks of 1280 CPU units, one on an m5.large (2048): 3 tasks take the fleet from 1 to 3, one
/// task takes it back to 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_spot_fleet_grows_and_shrinks_and_ends_no_host_with_tasks() {
    let world = World::new().await;
    world.cluster().await;
    let fleet = request_fleet(&world, 1).await;
    world.service("web", 1280, 256, 1).await;
    world.steady("web").await;
    let pool = format!("spot_fleet: {fleet}, max: 10");
    let tidegate = acting(&world, "c", &config(&world, "c", &[&pool], "")).await;
    tidegate.ticks(1).await;

    world.set_count("web", 3).await;
    eventually("target 3", async || (target_of(&world, &fleet).await == 3).then_some(())).await;
    world.steady("web").await;
    let hosts = world.hosts_when(3).await;

    let before = world.mark().await;
    world.set_count("web", 1).await;
    world.hosts_when(1).await;
    eventually("target 1", async || (target_of(&world, &fleet).await == 1).then_some(())).await;
    tidegate.ticks(2).await;
    world.steady("web").await;
    let (target, left) = (target_of(&world, &fleet).await, world.instances().await);
    assert_eq!((target, left.len()), (1, 1), "the fleet replaced what was ended");
    assert!(hosts.iter().any(|host| host.ec2_instance_id() == Some(left[0].as_str())));

    // Every step down forbids the fleet to choose, and two hosts were ended by their ids.
    let modified = world.sent("ModifySpotFleetRequest", 0).await;
    let lowered = modified.iter().filter(|r| r.number > before);
    for request in lowered.clone() {
        assert_eq!(request.parameters["ExcessCapacityTerminationPolicy"], "noTermination");
    }
    assert!(lowered.count() >= 1);
    let ends = world.sent("TerminateInstances", before).await;
    let ended = ends.iter().filter_map(|r| r.parameters["InstanceIds"].as_array()).flatten();
    assert_eq!(ended.count(), 2);
    for task in world.tasks(true).await {
        assert_ne!(task.stop_code(), Some(&TaskStopCode::TerminationNotice));
    }
}

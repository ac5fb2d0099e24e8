"""Spot Fleets: requested, modified up and down, maintained, and their hosts in ECS."""

import base64

import botocore.exceptions
import pytest
from conftest import error_code

ROLE = "arn:aws:iam::000000000000:role/fleet"
USER_DATA = base64.b64encode(b"#!/bin/bash\necho ECS_CLUSTER=c >> /etc/ecs/ecs.config\n").decode()


def specification(aws, **more) -> dict:
    return {
        "ImageId": "ami-12c6146b",
        "InstanceType": "m5.large",
        "SubnetId": aws.subnets[0],
        "UserData": USER_DATA,
        **more,
    }


def request_fleet(aws, target: int, **more) -> str:
    if "LaunchTemplateConfigs" not in more:
        more.setdefault("LaunchSpecifications", [specification(aws)])
    config = {"TargetCapacity": target, "IamFleetRole": ROLE, "Type": "maintain", **more}
    return aws.ec2.request_spot_fleet(SpotFleetRequestConfig=config)["SpotFleetRequestId"]


def describe(aws, fleet: str) -> dict:
    return aws.ec2.describe_spot_fleet_requests(SpotFleetRequestIds=[fleet])["SpotFleetRequestConfigs"][0]


def instances(aws, fleet: str) -> list[str]:
    active = aws.ec2.describe_spot_fleet_instances(SpotFleetRequestId=fleet)["ActiveInstances"]
    return [each["InstanceId"] for each in active]


def running(aws, fleet: str, count: int) -> list[str]:
    def found():
        ids = instances(aws, fleet)
        return ids if len(ids) == count else None

    return aws.until(found, f"{count} instances of the fleet")


def test_a_fleet_launches_spot_instances_that_register_as_hosts(aws):
    aws.cluster()
    fleet = request_fleet(aws, 2)
    ids = running(aws, fleet, 2)
    assert sorted(host["ec2InstanceId"] for host in aws.hosts(2)) == sorted(ids)
    reservations = aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert {each["InstanceLifecycle"] for one in reservations for each in one["Instances"]} == {"spot"}


def test_a_fleet_of_launch_templates_is_described_as_it_was_asked_for(aws):
    aws.cluster()
    template = aws.launch_template()
    configs = [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
            "Overrides": [
                {"InstanceType": "m5.xlarge", "SubnetId": aws.subnets[0], "WeightedCapacity": 2.0},
                {"InstanceType": "m5.large", "SubnetId": aws.subnets[1], "WeightedCapacity": 1.0},
            ],
        }
    ]
    fleet = request_fleet(aws, 4, LaunchTemplateConfigs=configs)
    running(aws, fleet, 2)
    assert len(aws.hosts(2)) == 2
    described = describe(aws, fleet)["SpotFleetRequestConfig"]
    assert described["LaunchTemplateConfigs"] == configs
    assert (described["TargetCapacity"], described["FulfilledCapacity"]) == (4, 4.0)


def test_a_fleet_grows_when_its_target_rises(aws):
    fleet = request_fleet(aws, 1)
    running(aws, fleet, 1)
    aws.ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet, TargetCapacity=3)
    running(aws, fleet, 3)
    aws.until(lambda: describe(aws, fleet)["SpotFleetRequestState"] == "active", "the fleet active")
    assert describe(aws, fleet)["SpotFleetRequestConfig"]["FulfilledCapacity"] == 3.0


def test_a_maintained_fleet_replaces_what_dies(aws):
    fleet = request_fleet(aws, 1)
    dead = running(aws, fleet, 1)
    aws.ec2.terminate_instances(InstanceIds=dead)
    aws.until(lambda: instances(aws, fleet) not in ([], dead), "a replacement")


def test_a_fleet_of_type_request_replaces_nothing(aws):
    fleet = request_fleet(aws, 1, Type="request")
    aws.ec2.terminate_instances(InstanceIds=running(aws, fleet, 1))
    aws.world("tick", count=5)
    assert instances(aws, fleet) == []


def test_without_termination_a_lower_target_keeps_the_instances_and_a_chosen_one_can_go(aws):
    fleet = request_fleet(aws, 3)
    ids = running(aws, fleet, 3)
    aws.ec2.modify_spot_fleet_request(
        SpotFleetRequestId=fleet, TargetCapacity=2, ExcessCapacityTerminationPolicy="noTermination"
    )
    aws.world("tick", count=5)
    assert instances(aws, fleet) == ids
    aws.ec2.terminate_instances(InstanceIds=[ids[0]])
    aws.world("tick", count=5)
    assert instances(aws, fleet) == ids[1:]


def test_by_default_a_lower_target_kills_the_newest_even_with_tasks(aws):
    aws.cluster()
    fleet = request_fleet(aws, 2)
    newest = running(aws, fleet, 2)[-1]
    host = next(each for each in aws.hosts(2) if each["ec2InstanceId"] == newest)["containerInstanceArn"]
    aws.definition()
    aws.ecs.start_task(cluster="c", taskDefinition="web", containerInstances=[host])
    aws.ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet, TargetCapacity=1)
    aws.until(lambda: newest not in instances(aws, fleet), "the newest gone")
    assert len(aws.hosts(1)) == 1


def test_a_cancelled_fleet_ends_its_instances(aws):
    fleet = request_fleet(aws, 1)
    running(aws, fleet, 1)
    aws.ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[fleet], TerminateInstances=True)
    aws.until(lambda: describe(aws, fleet)["SpotFleetRequestState"] == "cancelled", "the fleet cancelled")
    assert instances(aws, fleet) == []


def test_an_unknown_fleet_is_an_error(aws):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.ec2.describe_spot_fleet_instances(SpotFleetRequestId="sfr-00000000-0000-0000-0000-000000000000")
    assert error_code(raised) == "InvalidSpotFleetRequestId.NotFound"

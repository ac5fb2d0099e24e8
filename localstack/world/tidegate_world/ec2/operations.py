"""The Spot Fleet operations of EC2, which the world answers itself.

Rule: a fleet is described as it was asked for: moto rewrites launch templates into launch specifications.
"""

import uuid

from localstack.aws.api import CommonServiceException

from tidegate_world.ec2 import fleets
from tidegate_world.places import Place


def _fleet_error(code: str, message: str) -> CommonServiceException:
    return CommonServiceException(code, message, status_code=400, sender_fault=True)


def _fleet(place: Place, fleet_id: str) -> fleets.Fleet:
    if fleet_id not in place.fleets:
        raise _fleet_error(
            "InvalidSpotFleetRequestId.NotFound", f"The spot fleet request ID '{fleet_id}' does not exist."
        )
    return place.fleets[fleet_id]


def request_spot_fleet(place: Place, request: dict, moto) -> dict:
    config = dict(request["SpotFleetRequestConfig"])
    pools = fleets.pools_of(place, config)
    if not pools:
        raise _fleet_error(
            "InvalidSpotFleetRequestConfig", "LaunchSpecifications or LaunchTemplateConfigs must be given."
        )
    tags = [
        tag
        for specification in config.get("TagSpecifications") or []
        if specification.get("ResourceType") == "spot-fleet-request"
        for tag in specification.get("Tags") or []
    ]
    fleet = fleets.Fleet(f"sfr-{uuid.uuid4()}", config, int(config["TargetCapacity"]), pools, tags)
    place.fleets[fleet.id] = fleet
    return {"SpotFleetRequestId": fleet.id}


def modify_spot_fleet_request(place: Place, request: dict, moto) -> dict:
    fleet = _fleet(place, request["SpotFleetRequestId"])
    if fleet.state not in ("active", "modifying"):
        raise _fleet_error("InvalidSpotFleetRequestConfig", f"A {fleet.state} fleet cannot be modified.")
    fleet.state = "modifying"
    policy = request.get("ExcessCapacityTerminationPolicy")
    if policy:
        fleet.config["ExcessCapacityTerminationPolicy"] = policy
    if request.get("TargetCapacity") is not None:
        fleet.target = int(request["TargetCapacity"])
        if (policy or fleet.config.get("ExcessCapacityTerminationPolicy")) != "noTermination":
            fleets.shrink(place, fleet)
    return {"Return": True}


def describe_spot_fleet_requests(place: Place, request: dict, moto) -> dict:
    wanted = request.get("SpotFleetRequestIds")
    found = [_fleet(place, each) for each in wanted] if wanted else list(place.fleets.values())
    return {"SpotFleetRequestConfigs": [_render(fleet) for fleet in found]}


def _render(fleet: fleets.Fleet) -> dict:
    defaults = {"Type": "maintain", "AllocationStrategy": "lowestPrice", "ExcessCapacityTerminationPolicy": "Default"}
    return {
        "SpotFleetRequestId": fleet.id,
        "SpotFleetRequestState": fleet.state,
        "ActivityStatus": "fulfilled" if fleet.fulfilled() >= fleet.target else "pending_fulfillment",
        "CreateTime": fleet.created_at,
        "Tags": fleet.tags,
        "SpotFleetRequestConfig": {
            **defaults,
            **fleet.config,
            "TargetCapacity": fleet.target,
            "FulfilledCapacity": fleet.fulfilled(),
        },
    }


def describe_spot_fleet_instances(place: Place, request: dict, moto) -> dict:
    fleet = _fleet(place, request["SpotFleetRequestId"])
    start = int(request.get("NextToken") or 0)
    end = start + int(request.get("MaxResults") or 1000)
    # EC2 drops a dead instance from this list some time after its death; here at once.
    members = [member for member in fleet.members if member.instance.state in fleets.ALIVE]
    response = {
        "SpotFleetRequestId": fleet.id,
        "ActiveInstances": [
            {
                "InstanceId": member.instance.id,
                "InstanceType": member.instance.instance_type,
                "SpotInstanceRequestId": member.request_id,
                "InstanceHealth": "healthy",
            }
            for member in members[start:end]
        ],
    }
    if end < len(members):
        response["NextToken"] = str(end)
    return response


def cancel_spot_fleet_requests(place: Place, request: dict, moto) -> dict:
    cancelled = []
    for fleet_id in request["SpotFleetRequestIds"]:
        fleet = _fleet(place, fleet_id)
        previous = fleet.state
        if request.get("TerminateInstances"):
            fleet.state = "cancelled_terminating"
            if fleet.members:
                place.ec2.terminate_instances([member.instance.id for member in fleet.members])
        else:
            fleet.state = "cancelled_running"
        cancelled.append(
            {
                "SpotFleetRequestId": fleet.id,
                "CurrentSpotFleetRequestState": fleet.state,
                "PreviousSpotFleetRequestState": previous,
            }
        )
    return {"SuccessfulFleetRequests": cancelled, "UnsuccessfulFleetRequests": []}


OPERATIONS = {
    "RequestSpotFleet": request_spot_fleet,
    "ModifySpotFleetRequest": modify_spot_fleet_request,
    "DescribeSpotFleetRequests": describe_spot_fleet_requests,
    "DescribeSpotFleetInstances": describe_spot_fleet_instances,
    "CancelSpotFleetRequests": cancel_spot_fleet_requests,
}

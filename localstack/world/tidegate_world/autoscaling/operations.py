"""Every Auto Scaling operation that the world answers itself; the others are moto's.

Rule: each function takes (place, request, moto) and returns the response in the shape of the API. What AWS refuses is
refused here with AWS's words.
"""

import time
import uuid
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException

from tidegate_world.autoscaling import activities, groups, launching
from tidegate_world.autoscaling.errors import group_named, member_of, validation_error
from tidegate_world.autoscaling.moto_patches import check_bounds
from tidegate_world.ecs import capacity_providers
from tidegate_world.places import Place

PROTECTIONS_PER_CALL = 50


def create_group(place: Place, request: dict, moto) -> dict:
    if request["AutoScalingGroupName"] in place.autoscaling.autoscaling_groups:
        raise CommonServiceException(
            "AlreadyExists", "AutoScalingGroup by this name already exists", status_code=400, sender_fault=True
        )
    desired = request.get("DesiredCapacity")
    check_bounds(request["MinSize"] if desired is None else desired, request["MinSize"], request["MaxSize"])
    return moto()


def delete_group(place: Place, request: dict, moto) -> dict:
    group = group_named(place, request["AutoScalingGroupName"])
    if group.instance_states and not request.get("ForceDelete"):
        raise CommonServiceException(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
            "still in the group.",
            status_code=400,
            sender_fault=True,
        )
    if group.instance_states:
        place.ec2.terminate_instances([member.instance.id for member in group.instance_states])
    place.refreshes.pop(group.name, None)
    for key, hook in list(place.autoscaling.lifecycle_hooks.items()):
        if hook.auto_scaling_group_name == group.name:
            del place.autoscaling.lifecycle_hooks[key]
    del place.autoscaling.autoscaling_groups[group.name]
    return {}


def set_desired_capacity(place: Place, request: dict, moto) -> dict:
    group, wanted = group_named(place, request["AutoScalingGroupName"]), request["DesiredCapacity"]
    for beyond, word, bound, limit in (
        (wanted > group.max_size, "above", "max", group.max_size),
        (wanted < group.min_size, "below", "min", group.min_size),
    ):
        if beyond:
            raise validation_error(
                f"New SetDesiredCapacity value {wanted} is {word} {bound} value {limit} for the AutoScalingGroup."
            )
    group.desired_capacity = wanted
    return {}


def terminate_instance(place: Place, request: dict, moto) -> dict:
    group, member = member_of(place, request["InstanceId"])
    decrement = bool(request.get("ShouldDecrementDesiredCapacity"))
    if member.lifecycle_state.startswith("Terminating"):
        raise validation_error(f"Instance {request['InstanceId']} is already being terminated.")
    if decrement:
        wanted = group.desired_capacity - launching.weight_of(group, member.instance.instance_type)
        if wanted < group.min_size:
            raise validation_error(
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size."
            )
        group.desired_capacity = wanted
    cause = f"instance {member.instance.id} was taken out of service in response to a user request"
    return {"Activity": {**groups.begin_termination(group, member, cause), "StatusCode": "InProgress", "Progress": 0}}


def set_instance_protection(place: Place, request: dict, moto) -> dict:
    group = group_named(place, request["AutoScalingGroupName"])
    wanted = request["InstanceIds"]
    if len(wanted) > PROTECTIONS_PER_CALL:
        raise validation_error(f"The number of instance ids must be at most {PROTECTIONS_PER_CALL}.")
    members = {member.instance.id: member for member in group.instance_states}
    for instance_id in wanted:
        if instance_id not in members:
            raise validation_error(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
        state = members[instance_id].lifecycle_state
        if state not in ("InService", "EnteringStandby", "Standby", "Pending", "Pending:Wait", "Pending:Proceed"):
            raise validation_error(
                f"The instance {instance_id} is not in InService or EnteringStandby or Standby."
            )
    for instance_id in wanted:
        members[instance_id].protected_from_scale_in = bool(request["ProtectedFromScaleIn"])
    return {}


def complete_lifecycle_action(place: Place, request: dict, moto) -> dict:
    group, member = _waiting_member(place, request)
    groups.proceed(place, group, member, request["LifecycleActionResult"] == "CONTINUE")
    return {}


def record_lifecycle_action_heartbeat(place: Place, request: dict, moto) -> dict:
    _, member = _waiting_member(place, request)
    member.world_until = time.time() + (member.world_hook.heartbeat_timeout or groups.SERVICE_HOOK_SECONDS)
    return {}


def _waiting_member(place: Place, request: dict):
    # The world's token of an action is the instance's id.
    instance_id = request.get("InstanceId") or request.get("LifecycleActionToken")
    group, member = member_of(place, instance_id)
    if not member.lifecycle_state.endswith(":Wait"):
        raise validation_error(f"No active Lifecycle Action found with instance ID {instance_id}")
    return group, member


def describe_scaling_activities(place: Place, request: dict, moto) -> dict:
    names = [request["AutoScalingGroupName"]] if request.get("AutoScalingGroupName") else None
    found = [
        activity
        for group in place.autoscaling.autoscaling_groups.values()
        if names is None or group.name in names
        for activity in activities.of(group)
    ]
    found.sort(key=lambda activity: activity["StartTime"], reverse=True)
    return {"Activities": found[: request.get("MaxRecords") or 100]}


def describe_policies(place: Place, request: dict, moto) -> dict:
    """moto's policies and those that ECS managed scaling would have made."""
    response = moto()
    managed = [
        policy
        for policy in capacity_providers.managed_policies(place)
        if request.get("AutoScalingGroupName") in (None, policy["AutoScalingGroupName"])
        and (not request.get("PolicyNames") or policy["PolicyName"] in request["PolicyNames"])
        and (not request.get("PolicyTypes") or policy["PolicyType"] in request["PolicyTypes"])
    ]
    return {**response, "ScalingPolicies": [*response.get("ScalingPolicies", []), *managed]}


def put_scaling_policy(place: Place, request: dict, moto) -> dict:
    """moto answers under a key that the API does not have."""
    group_named(place, request["AutoScalingGroupName"])
    response = moto()
    return {**response, "PolicyARN": place.autoscaling.policies[request["PolicyName"]].arn}


def start_instance_refresh(place: Place, request: dict, moto) -> dict:
    """A refresh that never replaces anything: it stays InProgress until somebody cancels it."""
    group = group_named(place, request["AutoScalingGroupName"])
    refreshes = place.refreshes[group.name]
    if any(refresh["Status"] == "InProgress" for refresh in refreshes):
        raise CommonServiceException(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
            status_code=400,
            sender_fault=True,
        )
    refresh = {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Status": "InProgress",
        "StartTime": datetime.now(tz=UTC),
        "PercentageComplete": 0,
        "InstancesToUpdate": len(group.instance_states),
        "Preferences": request.get("Preferences") or {},
    }
    refreshes.insert(0, refresh)
    return {"InstanceRefreshId": refresh["InstanceRefreshId"]}


def cancel_instance_refresh(place: Place, request: dict, moto) -> dict:
    group = group_named(place, request["AutoScalingGroupName"])
    for refresh in place.refreshes[group.name]:
        if refresh["Status"] == "InProgress":
            refresh.update(Status="Cancelled", EndTime=datetime.now(tz=UTC))
            return {"InstanceRefreshId": refresh["InstanceRefreshId"]}
    raise CommonServiceException(
        "ActiveInstanceRefreshNotFound",
        "No in progress or pending Instance Refresh found for Auto Scaling group " + group.name,
        status_code=400,
        sender_fault=True,
    )


def describe_instance_refreshes(place: Place, request: dict, moto) -> dict:
    group = group_named(place, request["AutoScalingGroupName"])
    wanted = request.get("InstanceRefreshIds")
    found = [each for each in place.refreshes[group.name] if not wanted or each["InstanceRefreshId"] in wanted]
    return {"InstanceRefreshes": found}


OPERATIONS = {
    "CreateAutoScalingGroup": create_group,
    "DeleteAutoScalingGroup": delete_group,
    "SetDesiredCapacity": set_desired_capacity,
    "TerminateInstanceInAutoScalingGroup": terminate_instance,
    "SetInstanceProtection": set_instance_protection,
    "CompleteLifecycleAction": complete_lifecycle_action,
    "RecordLifecycleActionHeartbeat": record_lifecycle_action_heartbeat,
    "DescribeScalingActivities": describe_scaling_activities,
    "DescribePolicies": describe_policies,
    "PutScalingPolicy": put_scaling_policy,
    "StartInstanceRefresh": start_instance_refresh,
    "CancelInstanceRefresh": cancel_instance_refresh,
    "DescribeInstanceRefreshes": describe_instance_refreshes,
}

"""The EventBridge events of Auto Scaling: launches, terminations, and instances that wait for a lifecycle hook.

Rule: what is said of an activity is what DescribeScalingActivities shows of it.
"""

from datetime import UTC, datetime

from tidegate_world import events
from tidegate_world.places import Place

SOURCE = "aws.autoscaling"


def launched(place: Place, group, member) -> None:
    _activity(place, group, member, "EC2 Instance Launch Successful", "EC2", "AutoScalingGroup")


def terminated(place: Place, group, member) -> None:
    _activity(place, group, member, "EC2 Instance Terminate Successful", "AutoScalingGroup", "EC2")


def _activity(place: Place, group, member, kind: str, origin: str, destination: str) -> None:
    # An instance that was attached by hand was launched by no activity.
    activity = getattr(member, "world_activity", {})

    def detail() -> dict:
        ended = datetime.now(tz=UTC)
        return {
            "StatusCode": "InProgress",
            "StatusMessage": "",
            "Description": activity.get("Description", ""),
            "Cause": activity.get("Cause", ""),
            "ActivityId": activity.get("ActivityId", ""),
            "RequestId": activity.get("ActivityId", ""),
            "AutoScalingGroupName": group.name,
            "EC2InstanceId": member.instance.id,
            "Details": {
                "Availability Zone": member.instance.placement.zone,
                "Subnet ID": member.instance.subnet_id,
            },
            "StartTime": activity.get("StartTime", ended),
            "EndTime": ended,
            "Origin": origin,
            "Destination": destination,
        }

    instance_arn = place.arn("ec2", f"instance/{member.instance.id}")
    events.emit(place, SOURCE, kind, [group.arn, instance_arn], detail)


def lifecycle_action(place: Place, group, member, hook) -> None:
    launches = hook.lifecycle_transition.endswith("LAUNCHING")
    word, origin, destination = (
        ("launch", "EC2", "AutoScalingGroup") if launches else ("terminate", "AutoScalingGroup", "EC2")
    )
    detail = {
        "LifecycleActionToken": member.instance.id,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook.name,
        "EC2InstanceId": member.instance.id,
        "LifecycleTransition": hook.lifecycle_transition,
        "Origin": origin,
        "Destination": destination,
    }
    events.emit(place, SOURCE, f"EC2 Instance-{word} Lifecycle Action", [group.arn], lambda: detail)

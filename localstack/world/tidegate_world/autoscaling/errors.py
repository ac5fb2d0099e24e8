"""The errors Auto Scaling answers with, and the look-ups that raise them.

Rule: the texts are those of AWS, since operators read them in Tidegate's own messages.
"""

from localstack.aws.api import CommonServiceException

from tidegate_world.places import Place


def validation_error(message: str) -> CommonServiceException:
    return CommonServiceException("ValidationError", message, status_code=400, sender_fault=True)


def group_named(place: Place, name: str):
    group = place.autoscaling.autoscaling_groups.get(name)
    if group is None:
        raise validation_error(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def member_of(place: Place, instance_id: str | None):
    """The group and moto's record of one of its instances."""
    for group in place.autoscaling.autoscaling_groups.values():
        for member in group.instance_states:
            if member.instance.id == instance_id:
                return group, member
    raise validation_error(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")

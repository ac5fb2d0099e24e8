"""Where moto's Auto Scaling acts at once, it only takes notes here; groups.py acts in the next tick.

Rule: every change to moto's classes for Auto Scaling is in this file. moto is pinned for that reason.
"""

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState

from tidegate_world.autoscaling.errors import validation_error


def install() -> None:
    FakeAutoScalingGroup.set_desired_capacity = _note_desired_capacity
    FakeAutoScalingGroup.update = _update(FakeAutoScalingGroup.update)
    # A member that died is found in the next tick; moto would replace it inside TerminateInstances.
    AutoScalingBackend.notify_terminate_instances = lambda self, instance_ids: None
    InstanceState.launch_template = property(_launch_template_of_member)
    FakeAutoScalingGroup.launch_template = property(_launch_template_of_group)


def _note_desired_capacity(group, desired: int | None) -> None:
    group.desired_capacity = group.min_size if desired is None else int(desired)


def _update(original):
    def update(group, *args, mixed_instances_policy=None, launch_template=None, launch_config_name=None, **changes):
        """moto forgets the mixed instances policy whenever an update does not repeat it."""
        kept_policy = None
        if mixed_instances_policy is None and not launch_template and not launch_config_name:
            kept_policy = group.mixed_instances_policy
        minimum = group.min_size if changes.get("min_size") is None else changes["min_size"]
        maximum = group.max_size if changes.get("max_size") is None else changes["max_size"]
        if minimum > maximum:
            raise validation_error(f"Max bound, {maximum}, must be greater than or equal to min bound, {minimum}")
        if changes.get("desired_capacity") is None:
            changes["desired_capacity"] = min(max(group.desired_capacity, minimum), maximum)
        check_bounds(changes["desired_capacity"], minimum, maximum)
        original(
            group,
            *args,
            mixed_instances_policy=mixed_instances_policy,
            launch_template=launch_template,
            launch_config_name=launch_config_name,
            **changes,
        )
        group.mixed_instances_policy = group.mixed_instances_policy or kept_policy

    return update


def check_bounds(desired: int, minimum: int, maximum: int) -> None:
    if not minimum <= desired <= maximum:
        raise validation_error(
            f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
        )


def _launch_template_of_member(member) -> dict | None:
    """The version the instance was launched with, which moto does not remember."""
    template = getattr(member, "world_template", None)
    if template is None:
        return None
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": member.world_version,
    }


def _launch_template_of_group(group) -> dict | None:
    if group.ec2_launch_template is None or group.mixed_instances_policy:
        return None
    return {
        "LaunchTemplateId": group.ec2_launch_template.id,
        "LaunchTemplateName": group.ec2_launch_template.name,
        "Version": getattr(group, "provided_launch_template_version", None) or "$Default",
    }

"""Launches for an Auto Scaling group: which type, which subnet, spot or on-demand.

Rule: on-demand instances take the first override of a mixed instances policy, as the strategy prioritized does while
there is capacity; spot instances take the overrides in turn. Each launch goes to the subnet with the fewest instances.
"""

import math

from moto.autoscaling.models import InstanceState

from tidegate_world import settings
from tidegate_world.autoscaling import activities
from tidegate_world.places import Place

COUNTED_STATES = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")


def overrides_of(group) -> list[dict]:
    policy = group.mixed_instances_policy or {}
    return policy.get("LaunchTemplate", {}).get("Overrides") or []


def weight_of(group, instance_type: str) -> int:
    for override in overrides_of(group):
        if override.get("InstanceType") == instance_type:
            return int(override.get("WeightedCapacity") or 1)
    return 1


def counted(group) -> list[InstanceState]:
    """The members that count towards the desired capacity."""
    return [
        member
        for member in group.instance_states
        if member.lifecycle_state in COUNTED_STATES and not is_at_risk(member)
    ]


def is_at_risk(member) -> bool:
    """Its instance is to be replaced before Spot takes it: the group has capacity rebalancing and was told."""
    return getattr(member, "world_at_risk", False)


def fulfilled(group) -> int:
    return sum(weight_of(group, member.instance.instance_type) for member in counted(group))


def serving(group) -> int:
    members = [member for member in counted(group) if member.lifecycle_state == "InService"]
    return sum(weight_of(group, member.instance.instance_type) for member in members)


def launch(place: Place, group) -> None:
    members = counted(group)
    spot = _is_spot_turn(group, members)
    override = _override_for(group, members, spot)
    template, version = _template_for(place, group, override)
    subnets = (group.vpc_zone_identifier or "").split(",")
    subnet = min(subnets, key=lambda each: sum(member.instance.subnet_id == each for member in members)) or None
    reservation = place.ec2.run_instances(
        version.image_id if version else group.image_id,
        1,
        version.user_data if version else group.user_data,
        [] if version else group.security_groups,
        instance_type=override.get("InstanceType") or (version.instance_type if version else group.instance_type),
        is_instance_type_default=False,
        tags={"instance": _tags(group, version)},
        placement=None if subnet else group.availability_zones[0],
        subnet_id=subnet,
        launch_config=group.launch_config,
        launch_template={"LaunchTemplateId": template.id, "Version": str(version.number)} if version else None,
        lifecycle="spot" if spot else None,
        region_name=place.region,
    )
    instance = reservation.instances[0]
    instance.autoscaling_group = group
    member = InstanceState(instance, "Pending", protected_from_scale_in=group.new_instances_protected_from_scale_in)
    member.world_ticks = 0
    member.world_version = version and str(version.number)
    member.world_template = template
    if any(each.get("WeightedCapacity") for each in overrides_of(group)):
        member.weighted_capacity = str(weight_of(group, instance.instance_type))
    group.instance_states.append(member)
    member.world_activity = activities.note(group, f"Launching a new EC2 instance: {instance.id}")


def _is_spot_turn(group, members: list[InstanceState]) -> bool:
    if not group.mixed_instances_policy:
        return False
    distribution = group.mixed_instances_policy.get("InstancesDistribution", {})
    base = int(distribution.get("OnDemandBaseCapacity") or 0)
    percentage = distribution.get("OnDemandPercentageAboveBaseCapacity")
    percentage = 100 if percentage is None else int(percentage)
    above = max(0, len(members) + 1 - base)
    wanted_spot = above - math.ceil(above * percentage / 100)
    return sum(member.instance.lifecycle == "spot" for member in members) < wanted_spot


def _override_for(group, members: list[InstanceState], spot: bool) -> dict:
    overrides = overrides_of(group)
    if not overrides:
        return {}
    turn = sum(member.instance.lifecycle == "spot" for member in members) if spot else 0
    return overrides[turn % len(overrides)]


def _template_for(place: Place, group, override: dict):
    named = override.get("LaunchTemplateSpecification")
    template = group.ec2_launch_template
    number = getattr(group, "launch_template_version", "$Default")
    if named:
        template = (
            place.ec2.get_launch_template(named["LaunchTemplateId"])
            if named.get("LaunchTemplateId")
            else place.ec2.get_launch_template_by_name(named["LaunchTemplateName"])
        )
        number = named.get("Version") or "$Default"
    return template, template and template.get_version(number)


def _tags(group, version) -> dict[str, str]:
    return {
        **(version.instance_tags if version else {}),
        **group.get_propagated_tags(),
        "aws:autoscaling:groupName": group.name,
    }


def is_booted(member: InstanceState) -> bool:
    member.world_ticks = getattr(member, "world_ticks", 0) + 1
    return member.world_ticks >= settings.LAUNCH

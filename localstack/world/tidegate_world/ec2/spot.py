"""What Spot does to an instance: the two minute warning and its end, and the recommendation to rebalance.

Rule: only a control starts it. A warned instance ends whoever protects it, and its group or fleet replaces it then; with
capacity rebalancing it is replaced when the recommendation comes.
"""

from moto.ec2.models.instances import StateReason

from tidegate_world import events
from tidegate_world.ecs import announcements, hosts
from tidegate_world.places import Place


def tick(place: Place) -> None:
    for instance_id in list(place.interruptions):
        place.interruptions[instance_id] -= 1
        if place.interruptions[instance_id] <= 0:
            del place.interruptions[instance_id]
            _end(place.ec2.get_instance_by_id(instance_id))


def _end(instance) -> None:
    if instance is None or instance.state == "terminated":
        return
    # Not by TerminateInstances, which refuses an instance with termination protection.
    instance.terminate()
    code = "Server.SpotInstanceTermination"
    instance.state_reason = StateReason(f"{code}: Spot instance termination", code)


def interrupt(place: Place, instance, ticks: int) -> bool:
    """Warns of the end, which comes after so many ticks; whether the host drains by itself."""
    place.interruptions[instance.id] = ticks
    return warn(place, instance)


def warn(place: Place, instance) -> bool:
    # The ARN names the zone here, and no account; every other event of an instance has its usual ARN.
    arn = f"arn:aws:ec2:{instance.placement.zone}:instance/{instance.id}"
    detail = {"instance-id": instance.id, "instance-action": "terminate"}
    events.emit(place, "aws.ec2", "EC2 Spot Instance Interruption Warning", [arn], lambda: detail)
    return _drain_if_asked(place, instance)


def _drain_if_asked(place: Place, instance) -> bool:
    """With ECS_ENABLE_SPOT_INSTANCE_DRAINING the agent drains its host."""
    if "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" not in hosts.user_data_of(instance):
        return False
    for cluster in place.contents.values():
        for host in cluster.hosts.values():
            if host.instance is instance:
                host.status = "DRAINING"
                announcements.host(place, host)
                return True
    return False


def recommend_rebalance(place: Place, instance) -> bool:
    """Whether a group or fleet with capacity rebalancing replaces the instance."""
    arn = place.arn("ec2", f"instance/{instance.id}")
    detail = {"instance-id": instance.id}
    events.emit(place, "aws.ec2", "EC2 Instance Rebalance Recommendation", [arn], lambda: detail)
    for group in place.autoscaling.autoscaling_groups.values():
        for member in group.instance_states:
            if member.instance is instance and group.capacity_rebalance:
                member.world_at_risk = True
                return True
    for fleet in place.fleets.values():
        for member in fleet.members:
            if member.instance is instance and fleet.rebalances():
                member.at_risk = True
                return True
    return False

"""The ECS agent of each EC2 instance: it registers, it may lose its connection, and it dies with the instance.

Rule: an instance joins the cluster that its user data names (ECS_CLUSTER=...) or its tag ecs-cluster, and only once.
"""

import base64
import binascii
import re

from tidegate_world import events, settings
from tidegate_world.ecs import announcements, tasks
from tidegate_world.ecs.model import ClusterContents, Host, new_id, size_of
from tidegate_world.places import Place

GROUP_TAG = "aws:autoscaling:groupName"
_CLUSTER_LINE = re.compile(r"\bECS_CLUSTER=['\"]?([\w-]+)")


def tick(place: Place) -> None:
    registered = {host.instance.id for contents in place.contents.values() for host in contents.hosts.values()}
    for reservation in list(place.ec2.reservations.values()):
        for instance in reservation.instances:
            _announce_state(place, instance)
            if instance.state == "running" and instance.id not in registered:
                _boot(place, instance)
    for contents in place.contents.values():
        for host in list(contents.hosts.values()):
            if host.instance.state in ("shutting-down", "terminated"):
                _die(place, contents, host)


def tags_of(instance) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in instance.get_tags()}


def _announce_state(place: Place, instance) -> None:
    if getattr(instance, "world_announced", None) != instance.state:
        instance.world_announced = instance.state
        events.emit(
            place,
            "aws.ec2",
            "EC2 Instance State-change Notification",
            [place.arn("ec2", f"instance/{instance.id}")],
            lambda: {"instance-id": instance.id, "state": instance.state},
        )


def _boot(place: Place, instance) -> None:
    if not hasattr(instance, "world_ticks"):
        instance.world_ticks = 0
        group = tags_of(instance).get(GROUP_TAG)
        instance.world_has_no_agent = group in place.groups_without_agents
    instance.world_ticks += 1
    if instance.world_ticks <= settings.BOOT or instance.world_has_no_agent:
        return
    name = _wanted_cluster(instance)
    cluster = place.ecs.clusters.get(name)
    if cluster is None or cluster.status != "ACTIVE":
        return
    register(place, place.contents.setdefault(name, ClusterContents(name)), instance)


def _wanted_cluster(instance) -> str | None:
    tagged = tags_of(instance).get("ecs-cluster")
    if tagged:
        return tagged
    found = _CLUSTER_LINE.search(user_data_of(instance))
    return found.group(1) if found else None


def user_data_of(instance) -> str:
    data = instance.user_data or b""
    data = data if isinstance(data, bytes) else str(data).encode()
    try:
        data = base64.b64decode(data, validate=True)
    except binascii.Error:
        pass  # moto keeps some user data decoded
    return data.decode(errors="ignore")


def register(place: Place, cluster: ClusterContents, instance) -> Host:
    cpu, memory = size_of(instance.instance_type)
    host = Host(
        arn=place.arn("ecs", f"container-instance/{cluster.name}/{new_id()}"),
        instance=instance,
        capacity_provider=provider_of(place, cluster, instance),
        cpu=cpu,
        memory=memory,
        attributes={
            "ecs.ami-id": instance.image_id,
            "ecs.availability-zone": instance.placement.zone,
            "ecs.cpu-architecture": instance.architecture,
            "ecs.instance-type": instance.instance_type,
            "ecs.os-type": "linux",
            "ecs.subnet-id": instance.subnet_id,
            "ecs.vpc-id": instance.vpc_id,
        },
    )
    cluster.hosts[host.id] = host
    instance.world_has_no_agent = True  # it registers once: deregistered by hand, it stays away
    announcements.host(place, host)
    return host


def provider_of(place: Place, cluster: ClusterContents, instance) -> str | None:
    group = place.autoscaling.autoscaling_groups.get(tags_of(instance).get(GROUP_TAG))
    if group is None:
        return None
    for name in place.ecs.clusters[cluster.name].capacity_providers or []:
        provider = place.ecs.capacity_providers.get(name)
        if provider and provider.auto_scaling_group_provider["autoScalingGroupArn"] == group.arn:
            return name
    return None


def _die(place: Place, cluster: ClusterContents, host: Host) -> None:
    for task in list(host.tasks.values()):
        task.stopped_reason = f"Host EC2 (instance {host.instance.id}) terminated."
        task.stop_code = task.stop_code or "TerminationNotice"
        tasks.finish(place, cluster, task)
    deregister(place, cluster, host)


def deregister(place: Place, cluster: ClusterContents, host: Host) -> None:
    host.status, host.agent_connected = "INACTIVE", False
    del cluster.hosts[host.id]
    announcements.host(place, host)

"""A Spot Fleet: what it was asked for, what it runs, and what it does in a tick.

Rule: capacity is counted in units (WeightedCapacity). The allocation strategy diversified takes the pools in turn, any
other takes the pool with the best priority, then the first.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tidegate_world.places import Place

ALIVE = ("pending", "running", "stopping", "stopped")


@dataclass(eq=False)
class Pool:
    """One way to launch: a launch specification, or a launch template with one of its overrides."""

    instance_type: str
    weight: float
    priority: float
    subnet: str | None
    launch: dict  # what run_instances needs besides


@dataclass(eq=False)
class Member:
    instance: object  # moto's EC2 instance
    pool: Pool
    request_id: str = field(default_factory=lambda: f"sir-{uuid.uuid4().hex[:8]}")
    at_risk: bool = False  # capacity rebalancing replaces it before Spot takes it


@dataclass(eq=False)
class Fleet:
    id: str
    config: dict
    target: int
    pools: list[Pool]
    tags: list[dict]
    state: str = "active"
    created_at: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    members: list[Member] = field(default_factory=list)  # oldest first
    has_launched: bool = False

    def fulfilled(self) -> float:
        return sum(member.pool.weight for member in self.members if not member.at_risk)

    def rebalances(self) -> bool:
        strategies = self.config.get("SpotMaintenanceStrategies") or {}
        return bool((strategies.get("CapacityRebalance") or {}).get("ReplacementStrategy"))


def tick(place: Place) -> None:
    for fleet in place.fleets.values():
        fleet.members = [member for member in fleet.members if member.instance.state in ALIVE]
        if fleet.state == "modifying":
            fleet.state = "active"
        if fleet.state == "active" and (_is_maintained(fleet) or not fleet.has_launched):
            while fleet.fulfilled() < fleet.target:
                _launch(place, fleet)
            fleet.has_launched = True
        if fleet.state == "cancelled_terminating" and not fleet.members:
            fleet.state = "cancelled"


def _is_maintained(fleet: Fleet) -> bool:
    return fleet.config.get("Type", "maintain") == "maintain"


def _launch(place: Place, fleet: Fleet) -> None:
    pool = _next_pool(fleet)
    launch = pool.launch
    reservation = place.ec2.run_instances(
        launch["image_id"],
        1,
        launch["user_data"],
        [],
        instance_type=pool.instance_type,
        is_instance_type_default=False,
        security_group_ids=launch["security_group_ids"],
        subnet_id=pool.subnet,
        key_name=launch["key_name"],
        launch_template=launch["launch_template"],
        tags={"instance": {**launch["tags"], "aws:ec2spot:fleet-request-id": fleet.id}},
        lifecycle="spot",
        region_name=place.region,
    )
    fleet.members.append(Member(reservation.instances[0], pool))


def _next_pool(fleet: Fleet) -> Pool:
    if fleet.config.get("AllocationStrategy") == "diversified":
        return min(fleet.pools, key=lambda pool: sum(member.pool is pool for member in fleet.members))
    return min(fleet.pools, key=lambda pool: pool.priority)


def shrink(place: Place, fleet: Fleet) -> None:
    """The newest go first, whatever runs on them, as long as the target stays fulfilled."""
    for member in reversed(list(fleet.members)):
        if fleet.fulfilled() - member.pool.weight >= fleet.target:
            fleet.members.remove(member)
            place.ec2.terminate_instances([member.instance.id])


def pools_of(place: Place, config: dict) -> list[Pool]:
    pools = [_from_specification(spec) for spec in config.get("LaunchSpecifications") or []]
    for entry in config.get("LaunchTemplateConfigs") or []:
        for override in entry.get("Overrides") or [{}]:
            pools.append(_from_template(place, entry["LaunchTemplateSpecification"], override))
    return pools


def _from_specification(spec: dict) -> Pool:
    tags = {
        tag["Key"]: tag["Value"]
        for each in spec.get("TagSpecifications") or []
        if each.get("ResourceType") == "instance"
        for tag in each.get("Tags") or []
    }
    groups = [group["GroupId"] for group in spec.get("SecurityGroups") or [] if group.get("GroupId")]
    # A specification may list subnets, joined by commas; the first is enough here.
    subnet = (spec.get("SubnetId") or "").split(",")[0] or None
    return Pool(
        spec["InstanceType"],
        float(spec.get("WeightedCapacity") or 1),
        0.0,
        subnet,
        {
            "image_id": spec.get("ImageId"),
            "user_data": spec.get("UserData"),
            "security_group_ids": groups,
            "key_name": spec.get("KeyName"),
            "launch_template": None,
            "tags": tags,
        },
    )


def _from_template(place: Place, named: dict, override: dict) -> Pool:
    template = (
        place.ec2.get_launch_template(named["LaunchTemplateId"])
        if named.get("LaunchTemplateId")
        else place.ec2.get_launch_template_by_name(named["LaunchTemplateName"])
    )
    version = template.get_version(named.get("Version") or "$Default")
    return Pool(
        override.get("InstanceType") or version.instance_type,
        float(override.get("WeightedCapacity") or 1),
        float(override.get("Priority") or 0),
        override.get("SubnetId"),
        {
            "image_id": version.image_id,
            "user_data": version.user_data,
            "security_group_ids": [],
            "key_name": None,
            "launch_template": {"LaunchTemplateId": template.id, "Version": str(version.number)},
            "tags": {},
        },
    )

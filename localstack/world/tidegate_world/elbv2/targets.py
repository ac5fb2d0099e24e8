"""Target groups: one instance may be registered under many ports, a target that leaves drains for a while, and a
group belongs to the load balancer whose rules name it.

Rule: every change to moto's classes for load balancers is in this file. A target's state is what POST /_world/health
says; else what the data plane's own checks found, once there is one; else healthy.
"""

import time

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

from tidegate_world.elbv2 import rules
from tidegate_world.places import Place, place_of

DEFAULT_DELAY_SECONDS = 300
# What two requests for a group of one name must agree on, to be one request sent twice.
SETTINGS = {
    "protocol": "protocol",
    "port": "port",
    "vpc_id": "vpc_id",
    "target_type": "target_type",
    "healthcheck_path": "health_check_path",
    "healthcheck_interval_seconds": "health_check_interval_seconds",
    "healthcheck_timeout_seconds": "health_check_timeout_seconds",
    "healthy_threshold_count": "healthy_threshold_count",
    "unhealthy_threshold_count": "unhealthy_threshold_count",
}
REASONS = {
    "initial": ("Elb.RegistrationInProgress", "Target registration is in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
}


def install() -> None:
    FakeTargetGroup.register = _register
    FakeTargetGroup.deregister = _deregister
    FakeTargetGroup.health_for = _health_for
    FakeTargetGroup.load_balancer_arns = property(_load_balancer_arns, lambda group, arns: None)
    ELBv2Backend.create_target_group = _create_once(ELBv2Backend.create_target_group)


def _load_balancer_arns(group) -> list[str]:
    """moto appends to what it reads here; the rules say it anyway."""
    return rules.balancers_of(elbv2_backends[group.account_id][group.region_name], group.arn)


def _create_once(create):
    """AWS answers a request that is sent twice with the group of the first one."""

    def create_target_group(backend, name: str, **settings):
        for group in backend.target_groups.values():
            given = {key: settings[key] for key in SETTINGS if settings.get(key) is not None}
            if group.name == name and all(str(getattr(group, SETTINGS[key])) == str(given[key]) for key in given):
                return group
        return create(backend, name, **settings)

    return create_target_group


def _port(group, target: dict) -> int:
    return int(target.get("Port") or group.port)


def _key(group, target: dict) -> str:
    return f"{target['Id']}:{_port(group, target)}"


def _register(group, targets: list[dict]) -> None:
    for target in targets:
        key = _key(group, target)
        if key not in group.targets:
            # Its life begins anew, whatever was found under this port before.
            place_of(group.account_id, group.region_name).found_health.pop((group.arn, key), None)
        group.targets.setdefault(key, {"Id": target["Id"], "Port": _port(group, target)})
        group.deregistered_targets.pop(key, None)


def _deregister(group, targets: list[dict]) -> None:
    delay = float(group.attributes.get("deregistration_delay.timeout_seconds", DEFAULT_DELAY_SECONDS))
    for target in targets:
        for key, held in list(group.targets.items()):
            if held["Id"] == target["Id"] and (not target.get("Port") or int(target["Port"]) == held["Port"]):
                group.deregistered_targets[key] = {**group.targets.pop(key), "until": time.time() + delay}


def state_of(place: Place, group, target: dict) -> tuple[str, str | None, str | None]:
    """State, reason and description."""
    key = _key(group, target)
    if key in group.targets:
        return _registered_state(place, group, target, key)
    leaving = group.deregistered_targets.get(key)
    if leaving and time.time() < leaving["until"] and place.found_health.get((group.arn, key)) != "unused":
        return "draining", *REASONS["draining"]
    return "unused", "Target.NotRegistered", "Target is not registered to the target group"


def _registered_state(place: Place, group, target: dict, key: str) -> tuple[str, str | None, str | None]:
    forced = place.forced_health.get((group.arn, key)) or place.forced_health.get((group.arn, target["Id"]))
    if forced:
        return forced, "Target.ResponseCodeMismatch", "set by /_world/health"
    instance = place.ec2.get_instance_by_id(target["Id"]) if target["Id"].startswith("i-") else None
    if instance is not None and instance.state != "running":
        return "unused", "Target.InvalidState", "Target is in the stopped state"
    if not group.load_balancer_arns:
        return "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
    found = place.found_health.get((group.arn, key), "initial") if place.has_data_plane else "healthy"
    return found, *REASONS.get(found, (None, None))


def _health_for(group, target: dict, ec2_backend) -> FakeHealthStatus:
    state, reason, description = state_of(place_of(group.account_id, group.region_name), group, target)
    return FakeHealthStatus(target["Id"], _port(group, target), group.health_check_port, state, reason, description)

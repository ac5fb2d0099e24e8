"""Target groups: one instance may be registered under many ports, and a target that leaves drains for a while.

Rule: every change to moto's classes for load balancers is in this file. A target is healthy unless its instance does
not run or POST /_world/health says otherwise; no health check is ever sent.
"""

import time

from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup

from tidegate_world.places import place_of

DEFAULT_DELAY_SECONDS = 300


def install() -> None:
    FakeTargetGroup.register = _register
    FakeTargetGroup.deregister = _deregister
    FakeTargetGroup.health_for = _health_for


def _port(group, target: dict) -> int:
    return int(target.get("Port") or group.port)


def _key(group, target: dict) -> str:
    return f"{target['Id']}:{_port(group, target)}"


def _register(group, targets: list[dict]) -> None:
    for target in targets:
        group.targets.setdefault(_key(group, target), {"Id": target["Id"], "Port": _port(group, target)})
        group.deregistered_targets.pop(_key(group, target), None)


def _deregister(group, targets: list[dict]) -> None:
    delay = float(group.attributes.get("deregistration_delay.timeout_seconds", DEFAULT_DELAY_SECONDS))
    for target in targets:
        for key, held in list(group.targets.items()):
            if held["Id"] == target["Id"] and (not target.get("Port") or int(target["Port"]) == held["Port"]):
                group.deregistered_targets[key] = {**group.targets.pop(key), "until": time.time() + delay}


def _health_for(group, target: dict, ec2_backend) -> FakeHealthStatus:
    def status(state: str, reason: str | None = None, description: str | None = None) -> FakeHealthStatus:
        return FakeHealthStatus(target["Id"], _port(group, target), group.health_check_port, state, reason, description)

    key = _key(group, target)
    if key in group.targets:
        # arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/...
        region, account = group.arn.split(":")[3:5]
        forced = place_of(account, region).forced_health
        state = forced.get((group.arn, key)) or forced.get((group.arn, target["Id"]))
        if state:
            return status(state, "Target.ResponseCodeMismatch", "set by /_world/health")
        instance = ec2_backend.get_instance_by_id(target["Id"]) if target["Id"].startswith("i-") else None
        if instance is not None and instance.state != "running":
            return status("unused", "Target.InvalidState", "Target is in the stopped state")
        return status("healthy")
    leaving = group.deregistered_targets.get(key)
    if leaving and time.time() < leaving["until"]:
        return status("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
    return status("unused", "Target.NotRegistered", "Target is not registered to the target group")

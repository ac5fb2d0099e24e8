"""All that a data plane needs to forward requests, in one answer: rules, targets, and the tasks behind them.

Rule: it shows the state that the APIs show, at one moment. A data plane asks several times a second; by the APIs that
would be dozens of requests each time.
"""

from tidegate_world.elbv2.targets import state_of
from tidegate_world.places import Place


def show(place: Place) -> dict:
    return {
        "listeners": [
            _listener(listener)
            for balancer in place.elbv2.load_balancers.values()
            for listener in balancer.listeners.values()
        ],
        "groups": [_group(place, group) for group in place.elbv2.target_groups.values()],
        "tasks": [
            _task(task)
            for cluster in place.contents.values()
            for task in cluster.tasks.values()
            if task.host is not None and task.last_status != "PENDING"
        ],
    }


def _listener(listener) -> dict:
    return {
        "arn": listener.arn,
        "load-balancer": listener.load_balancer_arn,
        "port": int(listener.port),
        "rules": [
            {
                "arn": rule.arn,
                "priority": None if rule.is_default else int(rule.priority),
                "conditions": rule.conditions,
                "actions": [action.data for action in rule.actions],
            }
            for rule in listener.rules.values()
        ],
    }


def _group(place: Place, group) -> dict:
    def target(key: str, held: dict) -> dict:
        forced = place.forced_health.get((group.arn, key)) or place.forced_health.get((group.arn, held["Id"]))
        return {"target": key, "leaving": state_of(place, group, held)[0] == "draining", "forced": forced}

    targets = [target(key, held) for key, held in group.targets.items()]
    leaving = [target(key, held) for key, held in group.deregistered_targets.items()]
    return {
        "arn": group.arn,
        "path": group.health_check_path or "/",
        "codes": (group.matcher or {}).get("HttpCode", "200"),
        "interval": float(group.health_check_interval_seconds),
        "timeout": float(group.health_check_timeout_seconds),
        "healthy-threshold": int(group.healthy_threshold_count),
        "unhealthy-threshold": int(group.unhealthy_threshold_count),
        "delay": float(group.attributes["deregistration_delay.timeout_seconds"]),
        "targets": targets + [each for each in leaving if each["leaving"]],
    }


def _task(task) -> dict:
    """The first container with a port is the one whose program serves."""
    bindings = [binding for container in task.bindings for binding in container]
    containers = [each for each in task.definition.container_definitions if each.get("portMappings")]
    container = (containers or task.definition.container_definitions)[0]
    environment = {each["name"]: each["value"] for each in container.get("environment", [])}
    return {
        "arn": task.arn,
        "instance": task.host.instance.id,
        "stopping": task.last_status in ("STOPPING", "STOPPED"),
        "image": container["image"],
        "environment": environment,
        "ports": [binding["hostPort"] for binding in bindings],
    }

"""Hosts, tasks and services in the shapes of the ECS API.

Rule: a field that ECS leaves out is left out here too; nothing is invented.
"""

from tidegate_world.ecs.model import AGENT_PORTS, ClusterContents, Host, Service, Task
from tidegate_world.places import Place


def present(fields: dict) -> dict:
    return {key: value for key, value in fields.items() if value is not None}


def with_tags_if_asked(items: list[dict], request: dict) -> list[dict]:
    """ECS leaves tags out of a description unless the caller includes them."""
    if "TAGS" not in (request.get("include") or []):
        for item in items:
            item.pop("tags", None)
    return items


def _resources(cpu: int, memory: int, tcp: list[str], udp: list[str]) -> list[dict]:
    def number(name: str, value: int) -> dict:
        return {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}

    def ports(name: str, values: list[str]) -> dict:
        return {**number(name, 0), "type": "STRINGSET", "stringSetValue": values}

    return [number("CPU", cpu), number("MEMORY", memory), ports("PORTS", tcp), ports("PORTS_UDP", udp)]


def host(host: Host) -> dict:
    used = [port.split("/") for port in sorted(host.used_ports())]
    tcp = [port for port, protocol in used if protocol == "tcp"]
    udp = [port for port, protocol in used if protocol == "udp"]
    held = list(host.tasks.values())
    return present(
        {
            "containerInstanceArn": host.arn,
            "ec2InstanceId": host.instance.id,
            "capacityProviderName": host.capacity_provider,
            "version": host.version,
            "versionInfo": {"agentVersion": "1.99.0", "agentHash": "0000000", "dockerVersion": "DockerVersion: 25.0.8"},
            "registeredResources": _resources(host.cpu, host.memory, list(AGENT_PORTS), []),
            "remainingResources": _resources(host.free_cpu(), host.free_memory(), [*AGENT_PORTS, *tcp], udp),
            "status": host.status,
            "agentConnected": host.agent_connected,
            "runningTasksCount": sum(task.is_running for task in held),
            "pendingTasksCount": sum(task.is_waiting for task in held),
            "attributes": [present({"name": name, "value": value}) for name, value in host.attributes.items()],
            "registeredAt": host.registered_at,
            "attachments": [],
            "tags": host.tags,
        }
    )


def task(task: Task) -> dict:
    definition = task.definition
    return present(
        {
            "taskArn": task.arn,
            "clusterArn": definition.arn.split(":task-definition/")[0] + f":cluster/{task.cluster}",
            "taskDefinitionArn": definition.arn,
            "containerInstanceArn": task.host_arn,
            "availabilityZone": task.zone,
            "capacityProviderName": task.capacity_provider,
            "launchType": None if task.capacity_provider else "EC2",
            "group": task.group,
            "startedBy": task.started_by or None,
            "desiredStatus": task.desired_status,
            "lastStatus": task.last_status,
            "healthStatus": "UNKNOWN",
            "cpu": str(task.need.cpu),
            "memory": str(task.need.memory),
            "createdAt": task.created_at,
            "startedAt": task.started_at,
            "stoppingAt": task.stopping_at,
            "stoppedAt": task.stopped_at,
            "stoppedReason": task.stopped_reason,
            "stopCode": task.stop_code,
            "overrides": {"containerOverrides": [], **task.overrides},
            "containers": [
                _container(task, container, index) for index, container in enumerate(definition.container_definitions)
            ],
            "attachments": [],
            "attributes": [],
            "enableExecuteCommand": False,
            "version": task.version,
            "tags": task.tags,
        }
    )


def _container(task: Task, definition: dict, index: int) -> dict:
    status = task.last_status if task.last_status in ("PENDING", "RUNNING", "STOPPED") else "RUNNING"
    return present(
        {
            "containerArn": f"{task.arn.replace(':task/', ':container/')}/{index}",
            "taskArn": task.arn,
            "name": definition.get("name"),
            "image": definition.get("image"),
            "lastStatus": "PENDING" if task.host_arn is None else status,
            "exitCode": task.exit_code if task.last_status == "STOPPED" else None,
            "networkBindings": task.bindings[index] if task.bindings else [],
            "networkInterfaces": [],
            "healthStatus": "UNKNOWN",
            "cpu": str(definition.get("cpu") or 0),
            "memory": str(definition["memory"]) if definition.get("memory") else None,
            "memoryReservation": str(definition["memoryReservation"]) if definition.get("memoryReservation") else None,
        }
    )


def service(place: Place, cluster: ClusterContents, service: Service) -> dict:
    mine = cluster.tasks_of(service)
    echoed = {key: value for key, value in service.settings.items() if key in _ECHOED}
    configuration = {"minimumHealthyPercent": 100, "maximumPercent": 200}
    return {
        "deploymentController": {"type": "ECS"},
        "schedulingStrategy": "REPLICA",
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "propagateTags": "NONE",
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        **echoed,
        "deploymentConfiguration": {**configuration, **service.settings.get("deploymentConfiguration", {})},
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": place.arn("ecs", f"cluster/{cluster.name}"),
        "status": service.status,
        "taskDefinition": service.definition_arn,
        "desiredCount": service.desired,
        "runningCount": sum(task.is_running for task in mine),
        "pendingCount": sum(task.is_waiting for task in mine),
        "deployments": [_deployment(each, mine) for each in service.deployments],
        "events": service.events,
        "createdAt": service.created_at,
        "tags": service.tags,
    }


_ECHOED = (
    "capacityProviderStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "schedulingStrategy",
    "serviceRegistries",
)


def _deployment(deployment, mine: list[Task]) -> dict:
    its_own = [task for task in mine if task.started_by == deployment.id]
    return {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.definition_arn,
        "desiredCount": deployment.desired,
        "runningCount": sum(task.is_running for task in its_own),
        "pendingCount": sum(task.is_waiting for task in its_own),
        "failedTasks": 0,
        "rolloutState": deployment.rollout,
        "rolloutStateReason": rollout_reason(deployment),
        "createdAt": deployment.created_at,
        "updatedAt": deployment.updated_at,
    }


def rollout_reason(deployment) -> str:
    return f"ECS deployment {deployment.id} {deployment.rollout.lower().replace('_', ' ')}."

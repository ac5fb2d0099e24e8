"""The EventBridge events of ECS: state changes of hosts and tasks, actions of services, deployments.

Rule: the detail of a state change is what Describe shows, with times as texts, and carries the version that grows with
every change, by which a reader knows a repeated or late event. Actions and deployments have no version.
"""

from tidegate_world import events
from tidegate_world.ecs import render
from tidegate_world.ecs.model import Deployment, Host, Service, Task, now
from tidegate_world.places import Place

_HOST_FIELDS = (
    "agentConnected",
    "attributes",
    "containerInstanceArn",
    "ec2InstanceId",
    "registeredResources",
    "remainingResources",
    "status",
    "version",
    "versionInfo",
)


def host(place: Place, host: Host) -> None:
    """The host, or what is free on it, has changed."""
    host.version += 1
    events.emit(
        place, "aws.ecs", "ECS Container Instance State Change", [host.arn], lambda: _host_detail(place, host)
    )


def _host_detail(place: Place, host: Host) -> dict:
    shown = render.host(host)
    detail = {name: shown[name] for name in _HOST_FIELDS}
    for name in ("registeredResources", "remainingResources"):
        detail[name] = [_resource(each) for each in detail[name]]
    cluster = host.arn.split("/")[1]
    return {**detail, "clusterArn": place.arn("ecs", f"cluster/{cluster}"), "updatedAt": now()}


def _resource(shown: dict) -> dict:
    """An event has only the value that the resource's type names."""
    value = "stringSetValue" if shown["type"] == "STRINGSET" else "integerValue"
    return {name: shown[name] for name in ("name", "type", value)}


def task(place: Place, task: Task) -> None:
    task.version += 1
    events.emit(place, "aws.ecs", "ECS Task State Change", [task.arn], lambda: _task_detail(task))


def _task_detail(task: Task) -> dict:
    shown = render.task(task)
    del shown["tags"]
    return {**shown, "updatedAt": now()}


def steady_state(place: Place, service: Service) -> None:
    _action(place, service, "INFO", "SERVICE_STEADY_STATE")


def placement_failure(place: Place, service: Service, provider: str | None, reason: str) -> None:
    failed_with = {"capacityProviderArns": [place.arn("ecs", f"capacity-provider/{provider}")]} if provider else {}
    _action(place, service, "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", **failed_with, reason=reason)


def _action(place: Place, service: Service, kind: str, name: str, **more) -> None:
    detail = {
        "eventType": kind,
        "eventName": name,
        "clusterArn": place.arn("ecs", f"cluster/{service.cluster}"),
        **more,
        "createdAt": now(),
    }
    events.emit(place, "aws.ecs", "ECS Service Action", [service.arn], lambda: detail)


def deployment(place: Place, service: Service, deployment: Deployment) -> None:
    detail = {
        "eventType": "INFO",
        "eventName": f"SERVICE_DEPLOYMENT_{deployment.rollout}",
        "deploymentId": deployment.id,
        "updatedAt": deployment.updated_at,
        "reason": render.rollout_reason(deployment),
    }
    events.emit(place, "aws.ecs", "ECS Deployment State Change", [service.arn], lambda: detail)

"""The errors ECS answers with, and the look-ups that raise them.

Rule: a name, an id and an ARN are accepted wherever ECS accepts them.
"""

from localstack.aws.api import CommonServiceException
from moto.ecs.exceptions import TaskDefinitionNotFoundException

from tidegate_world.ecs.model import ClusterContents, Host, Service, Task
from tidegate_world.places import Place


def ecs_error(code: str, message: str) -> CommonServiceException:
    return CommonServiceException(code, message, status_code=400, sender_fault=True)


def invalid(message: str) -> CommonServiceException:
    return ecs_error("InvalidParameterException", message)


def at_most(limit: int, items: list, name: str) -> None:
    if len(items) > limit:
        raise invalid(f"{name} can have at most {limit} items.")


def cluster_of(place: Place, request: dict) -> ClusterContents:
    name = (request.get("cluster") or "default").rsplit("/", 1)[-1]
    cluster = place.ecs.clusters.get(name)
    if cluster is None or cluster.status == "INACTIVE":
        raise ecs_error("ClusterNotFoundException", "Cluster not found.")
    return place.contents.setdefault(name, ClusterContents(name))


def host_of(cluster: ClusterContents, name: str) -> Host:
    host = cluster.hosts.get(name.rsplit("/", 1)[-1])
    if host is None:
        raise invalid("The referenced container instance was not found.")
    return host


def task_of(cluster: ClusterContents, name: str) -> Task:
    task = cluster.tasks.get(name.rsplit("/", 1)[-1])
    if task is None:
        raise invalid("The referenced task was not found.")
    return task


def service_of(cluster: ClusterContents, name: str) -> Service:
    service = cluster.services.get(name.rsplit("/", 1)[-1])
    if service is None:
        raise ecs_error("ServiceNotFoundException", "Service not found.")
    return service


def definition_of(place: Place, name: str):
    try:
        return place.ecs.describe_task_definition(name)
    except TaskDefinitionNotFoundException:
        raise ecs_error("ClientException", "Unable to describe task definition.") from None


def page(items: list, request: dict, key: str, default: int = 100) -> dict:
    """One page of a List operation. The token is the position, which is enough for a list that grows at its end."""
    try:
        start = int(request.get("nextToken") or 0)
    except ValueError:
        raise invalid("Invalid token.") from None
    end = start + int(request.get("maxResults") or default)
    response = {key: items[start:end]}
    if end < len(items):
        response["nextToken"] = str(end)
    return response

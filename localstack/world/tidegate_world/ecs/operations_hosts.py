"""Container instances and their attributes.

Rule: the limits of the API hold (10 state changes, 10 attributes, 100 descriptions a call), so that a client that
forgets to split a list fails here and not first on AWS.
"""

import json

from tidegate_world.ecs import announcements, hosts, placement, render, tasks
from tidegate_world.ecs.errors import at_most, cluster_of, ecs_error, host_of, invalid, page
from tidegate_world.ecs.model import ClusterContents, Host
from tidegate_world.places import Place


def list_container_instances(place: Place, request: dict, moto) -> dict:
    cluster = cluster_of(place, request)
    wanted = [request["status"]] if request.get("status") else ["ACTIVE", "DRAINING"]
    arns = [
        host.arn
        for host in cluster.hosts.values()
        if host.status in wanted and placement.matches(host, request.get("filter") or "")
    ]
    return page(arns, request, "containerInstanceArns")


def _pick(cluster: ClusterContents, names: list[str]) -> tuple[list[Host], list[dict]]:
    found, failures = [], []
    for name in names:
        host = cluster.hosts.get(name.rsplit("/", 1)[-1])
        if host is None:
            failures.append({"arn": name, "reason": "MISSING"})
        else:
            found.append(host)
    return found, failures


def describe_container_instances(place: Place, request: dict, moto) -> dict:
    names = request.get("containerInstances") or []
    at_most(100, names, "containerInstances")
    if not names:
        raise invalid("Container instance cannot be empty.")
    found, failures = _pick(cluster_of(place, request), names)
    described = render.with_tags_if_asked([render.host(host) for host in found], request)
    return {"containerInstances": described, "failures": failures}


def update_container_instances_state(place: Place, request: dict, moto) -> dict:
    names, status = request.get("containerInstances") or [], request["status"]
    at_most(10, names, "instanceIds")
    if status not in ("ACTIVE", "DRAINING"):
        raise invalid("Container instances status should be one of [ACTIVE,DRAINING]")
    cluster = cluster_of(place, request)
    found, failures = _pick(cluster, names)
    for host in found:
        if host.status != status:
            host.status = status
            announcements.host(place, host)
    return {"containerInstances": [render.host(host) for host in found], "failures": failures}


def register_container_instance(place: Place, request: dict, moto) -> dict:
    cluster = cluster_of(place, request)
    document = json.loads(request["instanceIdentityDocument"])
    instance = place.ec2.get_instance(document["instanceId"])
    return {"containerInstance": render.host(hosts.register(place, cluster, instance))}


def deregister_container_instance(place: Place, request: dict, moto) -> dict:
    cluster = cluster_of(place, request)
    host = host_of(cluster, request["containerInstance"])
    if host.tasks and not request.get("force"):
        raise invalid("Found running tasks on the instance.")
    for task in list(host.tasks.values()):
        # ECS leaves them as orphans and its services replace them; here they stop.
        task.stopped_reason = "Container instance deregistered."
        tasks.finish(place, cluster, task)
    hosts.deregister(place, cluster, host)
    return {"containerInstance": render.host(host)}


def _target(cluster: ClusterContents, attribute: dict) -> Host:
    kind = attribute.get("targetType", "container-instance")
    host = cluster.hosts.get((attribute.get("targetId") or "").rsplit("/", 1)[-1])
    if kind != "container-instance" or host is None:
        raise ecs_error("TargetNotFoundException", "The specified target wasn't found.")
    return host


def put_attributes(place: Place, request: dict, moto) -> dict:
    cluster, attributes = cluster_of(place, request), request["attributes"]
    at_most(10, attributes, "attributes")
    for attribute, host in [(each, _target(cluster, each)) for each in attributes]:
        host.attributes[attribute["name"]] = attribute.get("value")
        host.version += 1
    return {"attributes": attributes}


def delete_attributes(place: Place, request: dict, moto) -> dict:
    cluster, attributes = cluster_of(place, request), request["attributes"]
    at_most(10, attributes, "attributes")
    for attribute, host in [(each, _target(cluster, each)) for each in attributes]:
        host.attributes.pop(attribute["name"], None)
        host.version += 1
    return {"attributes": attributes}


def list_attributes(place: Place, request: dict, moto) -> dict:
    name, value = request.get("attributeName"), request.get("attributeValue")
    found = [
        render.present(
            {"name": key, "value": held, "targetType": "container-instance", "targetId": host.arn}
        )
        for host in cluster_of(place, request).hosts.values()
        for key, held in host.attributes.items()
        if name in (None, key) and value in (None, held)
    ]
    return page(found, request, "attributes")


OPERATIONS = {
    "ListContainerInstances": list_container_instances,
    "DescribeContainerInstances": describe_container_instances,
    "UpdateContainerInstancesState": update_container_instances_state,
    "RegisterContainerInstance": register_container_instance,
    "DeregisterContainerInstance": deregister_container_instance,
    "PutAttributes": put_attributes,
    "DeleteAttributes": delete_attributes,
    "ListAttributes": list_attributes,
}

"""Clusters, capacity providers and tags: moto keeps them, the world adds the counts and what hangs on its own objects.

Rule: the counts of DescribeClusters are those of the described hosts, tasks and services.
"""

from tidegate_world.ecs import hosts, tasks
from tidegate_world.ecs.errors import cluster_of, ecs_error, host_of, page, service_of, task_of
from tidegate_world.places import Place


def describe_clusters(place: Place, request: dict, moto) -> dict:
    response = moto()
    with_statistics = "STATISTICS" in request.get("include", [])
    for cluster in response.get("clusters", []):
        _count(place, cluster, with_statistics)
    return response


def _count(place: Place, cluster: dict, with_statistics: bool) -> None:
    contents = place.contents.get(cluster["clusterName"])
    held = list(contents.tasks.values()) if contents else []
    services = list(contents.services.values()) if contents else []
    running = sum(task.is_running for task in held)
    waiting = sum(task.is_waiting for task in held)
    active = sum(service.status == "ACTIVE" for service in services)
    cluster.update(
        registeredContainerInstancesCount=len(contents.hosts) if contents else 0,
        runningTasksCount=running,
        pendingTasksCount=waiting,
        activeServicesCount=active,
        statistics=[],
    )
    if with_statistics:
        numbers = {
            "runningEC2TasksCount": running,
            "runningFargateTasksCount": 0,
            "pendingEC2TasksCount": waiting,
            "pendingFargateTasksCount": 0,
            "activeEC2ServiceCount": active,
            "activeFargateServiceCount": 0,
            "drainingEC2ServiceCount": sum(service.status == "DRAINING" for service in services),
            "drainingFargateServiceCount": 0,
        }
        cluster["statistics"] = [{"name": name, "value": str(value)} for name, value in numbers.items()]


def list_clusters(place: Place, request: dict, moto) -> dict:
    arns = [cluster.arn for cluster in place.ecs.clusters.values() if cluster.status == "ACTIVE"]
    return page(arns, request, "clusterArns")


def delete_cluster(place: Place, request: dict, moto) -> dict:
    contents = cluster_of(place, request)
    if contents.hosts:
        raise ecs_error(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if any(service.status == "ACTIVE" for service in contents.services.values()):
        raise ecs_error(
            "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
        )
    for task in list(contents.tasks.values()):
        if task.last_status != "STOPPED":
            tasks.finish(place, contents, task)
    del place.contents[contents.name]
    return moto()


def create_capacity_provider(place: Place, request: dict, moto) -> dict:
    response = moto()
    # ECS marks the group, which is how a reader knows that ECS may scale it.
    arn = request["autoScalingGroupProvider"]["autoScalingGroupArn"]
    for group in place.autoscaling.autoscaling_groups.values():
        if group.arn == arn:
            tag = {"Key": "AmazonECSManaged", "Value": "true", "PropagateAtLaunch": True, "ResourceId": group.name}
            place.autoscaling.create_or_update_tags([tag])
    return response


def put_cluster_capacity_providers(place: Place, request: dict, moto) -> dict:
    response = moto()
    contents = cluster_of(place, request)
    for host in contents.hosts.values():
        # Hosts that were there before the association belong to the provider from now on.
        host.capacity_provider = hosts.provider_of(place, contents, host.instance)
    return response


def _tagged(place: Place, arn: str):
    """The world's object behind the ARN, or None if moto keeps it."""
    kind, _, rest = arn.rsplit(":", 1)[-1].partition("/")
    if kind not in ("service", "task", "container-instance"):
        return None
    cluster = cluster_of(place, {"cluster": rest.split("/")[0]})
    return {"service": service_of, "task": task_of, "container-instance": host_of}[kind](cluster, arn)


def tag_resource(place: Place, request: dict, moto) -> dict:
    tagged = _tagged(place, request["resourceArn"])
    if tagged is None:
        return moto()
    new = {tag["key"] for tag in request["tags"]}
    tagged.tags = [tag for tag in tagged.tags if tag["key"] not in new] + list(request["tags"])
    return {}


def untag_resource(place: Place, request: dict, moto) -> dict:
    tagged = _tagged(place, request["resourceArn"])
    if tagged is None:
        return moto()
    tagged.tags = [tag for tag in tagged.tags if tag["key"] not in request["tagKeys"]]
    return {}


def list_tags_for_resource(place: Place, request: dict, moto) -> dict:
    tagged = _tagged(place, request["resourceArn"])
    return moto() if tagged is None else {"tags": tagged.tags}


OPERATIONS = {
    "DescribeClusters": describe_clusters,
    "ListClusters": list_clusters,
    "DeleteCluster": delete_cluster,
    "CreateCapacityProvider": create_capacity_provider,
    "PutClusterCapacityProviders": put_cluster_capacity_providers,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}

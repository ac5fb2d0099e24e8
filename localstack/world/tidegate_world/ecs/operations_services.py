"""Services: created, changed, described and deleted here; the scheduler moves their tasks.

Rule: only the deployment controller ECS is known; CODE_DEPLOY and EXTERNAL are refused rather than half played.
"""

from tidegate_world.ecs import render, scheduler
from tidegate_world.ecs.errors import at_most, cluster_of, definition_of, ecs_error, invalid, page, service_of
from tidegate_world.ecs.model import ClusterContents, Service
from tidegate_world.elbv2.rules import balancers_of
from tidegate_world.places import Place

IDENTITY = ("cluster", "service", "serviceName", "taskDefinition", "desiredCount", "forceNewDeployment", "tags")
NEEDS_DEPLOYMENT = ("capacityProviderStrategy", "loadBalancers", "networkConfiguration", "serviceRegistries")


def _settings(request: dict) -> dict:
    return {key: value for key, value in request.items() if key not in IDENTITY and value is not None}


def create_service(place: Place, request: dict, moto) -> dict:
    cluster, name = cluster_of(place, request), request["serviceName"]
    controller = request.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        raise invalid(f"The local AWS has no deployment controller {controller}.")
    _check_balancers(place, request)
    existing = cluster.services.get(name)
    if existing is not None and existing.status == "ACTIVE":
        raise invalid("Creation of service was not idempotent.")
    if existing is not None and existing.status == "DRAINING":
        raise invalid("Unable to Start a service that is still Draining.")
    service = Service(
        arn=place.arn("ecs", f"service/{cluster.name}/{name}"),
        name=name,
        cluster=cluster.name,
        definition_arn=definition_of(place, request["taskDefinition"]).arn,
        desired=request.get("desiredCount") or 0,
        settings=_settings(request),
        tags=list(request.get("tags") or []),
    )
    if not service.settings.get("launchType"):
        _resolve_strategy(place, cluster, service)
    scheduler.new_deployment(place, service)
    cluster.services[name] = service
    return {"service": render.service(place, cluster, service)}


def _check_balancers(place: Place, request: dict) -> None:
    """ECS takes a target group only when a rule or a default action of a load balancer names it."""
    for balancer in request.get("loadBalancers") or []:
        arn = balancer.get("targetGroupArn")
        if arn not in place.elbv2.target_groups:
            raise invalid(f"The target group {arn} does not exist.")
        if not balancers_of(place.elbv2, arn):
            raise invalid(f"The target group with targetGroupArn {arn} does not have an associated load balancer.")


def _resolve_strategy(place: Place, cluster: ClusterContents, service: Service) -> None:
    """The cluster's default strategy is taken when the service is created; without one, the launch type is EC2."""
    default = place.ecs.clusters[cluster.name].default_capacity_provider_strategy
    if service.settings.get("capacityProviderStrategy"):
        return
    if default:
        service.settings["capacityProviderStrategy"] = default
    else:
        service.settings["launchType"] = "EC2"


def update_service(place: Place, request: dict, moto) -> dict:
    cluster = cluster_of(place, request)
    service = service_of(cluster, request["service"])
    if service.status != "ACTIVE":
        raise ecs_error("ServiceNotActiveException", "Service was not ACTIVE.")
    _check_balancers(place, request)
    changed, former = _settings(request), dict(service.settings)
    service.settings.update(changed)
    if changed.get("capacityProviderStrategy"):
        service.settings.pop("launchType", None)
    if request.get("desiredCount") is not None:
        service.desired = request["desiredCount"]
    before = service.definition_arn
    if request.get("taskDefinition"):
        service.definition_arn = definition_of(place, request["taskDefinition"]).arn
    replaces = any(key in changed and changed[key] != former.get(key, []) for key in NEEDS_DEPLOYMENT)
    if request.get("forceNewDeployment") or service.definition_arn != before or replaces:
        scheduler.new_deployment(place, service)
    return {"service": render.service(place, cluster, service)}


def describe_services(place: Place, request: dict, moto) -> dict:
    cluster, names = cluster_of(place, request), request.get("services") or []
    at_most(10, names, "services")
    if not names:
        raise invalid("Services cannot be empty.")
    found, failures = [], []
    for name in names:
        service = cluster.services.get(name.rsplit("/", 1)[-1])
        if service is None:
            missing = name if name.startswith("arn:") else place.arn("ecs", f"service/{cluster.name}/{name}")
            failures.append({"arn": missing, "reason": "MISSING"})
        else:
            found.append(render.service(place, cluster, service))
    return {"services": render.with_tags_if_asked(found, request), "failures": failures}


def list_services(place: Place, request: dict, moto) -> dict:
    arns = [
        service.arn
        for service in cluster_of(place, request).services.values()
        if service.status == "ACTIVE"
        and request.get("launchType") in (None, service.settings.get("launchType"))
        and request.get("schedulingStrategy") in (None, service.settings.get("schedulingStrategy", "REPLICA"))
    ]
    return page(arns, request, "serviceArns", default=10)


def delete_service(place: Place, request: dict, moto) -> dict:
    cluster = cluster_of(place, request)
    service = service_of(cluster, request["service"])
    if service.desired > 0 and not service.is_daemon and not request.get("force"):
        raise invalid("The service cannot be stopped while it is scaled above 0.")
    service.desired = 0
    service.status = "DRAINING"
    return {"service": render.service(place, cluster, service)}


OPERATIONS = {
    "CreateService": create_service,
    "UpdateService": update_service,
    "DescribeServices": describe_services,
    "ListServices": list_services,
    "DeleteService": delete_service,
}

"""The service scheduler: starts, stops and replaces a service's tasks within its minimum and maximum healthy percent.

Rule: a task is stopped only while the running ones stay at or above the minimum, and started only while all stay at or
below the maximum. Behind a load balancer a task counts once its target is healthy, and one that fails the checks
is replaced. A service whose minimum and maximum are both 100 therefore cannot move off a draining host.
"""

import math
from collections import Counter

from tidegate_world.ecs import announcements, capacity_providers, placement, tasks
from tidegate_world.ecs.model import ClusterContents, Deployment, Service, Task, new_id, now
from tidegate_world.places import Place


def tick(place: Place) -> None:
    for cluster in place.contents.values():
        for task in list(cluster.tasks.values()):
            tasks.advance(place, cluster, task)
        for service in list(cluster.services.values()):
            if service.status != "ACTIVE":
                _wind_down(place, cluster, service)
            elif service.settings.get("launchType") != "FARGATE":
                _daemon(place, cluster, service) if service.is_daemon else _replica(place, cluster, service)
                _settle_deployments(place, cluster, service)


def new_deployment(place: Place, service: Service) -> None:
    for old in service.deployments:
        old.status = "ACTIVE"
    deployment = Deployment(f"ecs-svc/{int(new_id()[:14], 16)}", service.definition_arn, service.desired)
    service.deployments.insert(0, deployment)
    announcements.deployment(place, service, deployment)


def _wind_down(place: Place, cluster: ClusterContents, service: Service) -> None:
    for task in cluster.tasks_of(service):
        tasks.ask_to_stop(place, task, f"Scaling activity initiated by (deployment {_primary(service).id})", _STOPPED)
    group = f"service:{service.name}"
    if all(task.last_status == "STOPPED" for task in cluster.tasks.values() if task.group == group):
        service.status = "INACTIVE"


_STOPPED = "ServiceSchedulerInitiated"


def _primary(service: Service) -> Deployment:
    return service.deployments[0]


def bounds(service: Service) -> tuple[int, int]:
    configuration = service.settings.get("deploymentConfiguration", {})
    low = math.ceil(service.desired * configuration.get("minimumHealthyPercent", 100) / 100)
    high = math.floor(service.desired * configuration.get("maximumPercent", 200) / 100)
    return low, max(high, min(service.desired, 1))


def _is_current(service: Service, task: Task) -> bool:
    return task.started_by == _primary(service).id


def _is_leaving(task: Task) -> bool:
    return task.host is not None and task.host.status == "DRAINING"


def _replica(place: Place, cluster: ClusterContents, service: Service) -> None:
    _stop_failing(place, cluster, service)
    mine = cluster.tasks_of(service)
    good = [task for task in mine if _is_current(service, task) and not _is_leaving(task)]
    old = [task for task in mine if task not in good]
    good = _stop_surplus(place, service, good)
    old = _stop_replaced(place, service, good, old)
    _start_missing(place, cluster, service, good, old)


def _stop_failing(place: Place, cluster: ClusterContents, service: Service) -> None:
    """Only what a data plane found counts here: a state that a test forces is for the readers of target health."""
    grace = service.settings.get("healthCheckGracePeriodSeconds") or 0
    for task in cluster.tasks_of(service):
        found = [place.found_health.get((arn, f"{target['Id']}:{target['Port']}")) for arn, target in task.targets]
        if task.is_running and "unhealthy" in found and (now() - task.started_at).total_seconds() >= grace:
            service.say(f"(task {task.arn.rsplit('/', 1)[-1]}) is unhealthy in target-group {task.targets[0][0]}")
            tasks.ask_to_stop(place, task, "Task failed ELB health checks", _STOPPED)


def _stop_surplus(place: Place, service: Service, good: list[Task]) -> list[Task]:
    """Waiting tasks go first; among running ones those on the fullest host, so that hosts stay balanced."""
    surplus = len(good) - service.desired
    if surplus <= 0:
        return good
    order = sorted(good, key=lambda task: (task.is_running, -len(task.host.tasks) if task.host else 0))
    for task in order[:surplus]:
        tasks.ask_to_stop(place, task, f"Scaling activity initiated by (deployment {_primary(service).id})", _STOPPED)
    return order[surplus:]


def _stop_replaced(place: Place, service: Service, good: list[Task], old: list[Task]) -> list[Task]:
    low, _ = bounds(service)
    running = sum(tasks.is_in_service(place, task) for task in good + old)
    replaced = sum(tasks.is_in_service(place, task) for task in good) >= service.desired
    kept = []
    for task in old:
        serves = tasks.is_in_service(place, task)
        if serves and not replaced and running - 1 < low:
            kept.append(task)
            continue
        running -= serves
        reason = f"Scaling activity initiated by (deployment {_primary(service).id})"
        tasks.ask_to_stop(place, task, reason, _STOPPED)
    return kept


def _start_missing(place: Place, cluster: ClusterContents, service: Service, good: list, old: list) -> None:
    _, high = bounds(service)
    strategy = capacity_providers.strategy_for(place, cluster, service.settings)
    counts = Counter(task.capacity_provider for task in good + old)
    for _ in range(min(service.desired - len(good), high - len(good) - len(old))):
        provider = capacity_providers.next_provider(strategy, counts)
        task = _task_for(place, cluster, service, provider)
        if task is None:
            return
        counts[provider] += 1
        good.append(task)


_NO_ROOM = "was unable to place a task because no container instance met all of its requirements."
_STEADY = "has reached a steady state."


def _say_once(service: Service, message: str) -> bool:
    news = not service.events or message not in service.events[0]["message"]
    if news:
        service.say(message)
    return news


def _task_for(place: Place, cluster: ClusterContents, service: Service, provider: str | None) -> Task | None:
    """A placed task, a waiting one if the provider may still grow, or None, and the service says why."""
    task = _draft(place, cluster, service, provider)
    host = placement.choose(cluster, task)
    if host is not None:
        tasks.assign(place, task, host)
    elif not capacity_providers.scales(place, provider):
        del cluster.tasks[task.arn.rsplit("/", 1)[-1]]
        if _say_once(service, _NO_ROOM):
            announcements.placement_failure(place, service, provider, placement.failures(cluster, task)[0]["reason"])
        return None
    else:
        tasks.enter(place, task, "PROVISIONING")
    return task


def _draft(place: Place, cluster: ClusterContents, service: Service, provider: str | None) -> Task:
    definition = place.ecs.describe_task_definition(service.definition_arn)
    return tasks.new_task(
        place,
        cluster,
        definition=definition,
        need=placement.need_of(definition),
        group=f"service:{service.name}",
        started_by=_primary(service).id,
        capacity_provider=provider,
        launch_type="" if provider else "EC2",
        constraints=service.settings.get("placementConstraints", []),
        strategy=service.settings.get("placementStrategy", []),
        tags=list(service.tags) if service.settings.get("propagateTags") == "SERVICE" else [],
    )


def _daemon(place: Place, cluster: ClusterContents, service: Service) -> None:
    """One task on each active host."""
    covered = set()
    for task in cluster.tasks_of(service):
        if _is_leaving(task) or not _is_current(service, task) or task.host in covered:
            tasks.ask_to_stop(place, task, "Daemon task is no longer wanted on its host", _STOPPED)
        else:
            covered.add(task.host)
    for host in cluster.hosts.values():
        if host in covered or not host.takes_tasks():
            continue
        task = _draft(place, cluster, service, None)
        if placement.lacks(host, task.need) is None and placement.allows(host, task):
            tasks.assign(place, task, host)
            covered.add(host)
        else:
            del cluster.tasks[task.arn.rsplit("/", 1)[-1]]
    service.desired = len(covered)


def _settle_deployments(place: Place, cluster: ClusterContents, service: Service) -> None:
    primary, mine = _primary(service), cluster.tasks_of(service)
    primary.desired = service.desired
    for old in service.deployments[1:]:
        old.desired = 0
    in_use = {task.started_by for task in mine}
    service.deployments[1:] = [each for each in service.deployments[1:] if each.id in in_use]
    running = sum(tasks.is_in_service(place, task) for task in mine)
    done = len(service.deployments) == 1 and running == len(mine) == service.desired
    if done:
        if primary.rollout != "COMPLETED":
            primary.rollout, primary.updated_at = "COMPLETED", now()
            announcements.deployment(place, service, primary)
        if _say_once(service, _STEADY):
            announcements.steady_state(place, service)

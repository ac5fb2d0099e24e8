"""Tasks: run, started, stopped, listed and described.

Rule: a task that does not fit is answered by a failure with the reason ECS gives, unless its capacity provider may
still grow: then it waits in PROVISIONING.
"""

from collections import Counter

from tidegate_world.ecs import capacity_providers, placement, render, tasks
from tidegate_world.ecs.errors import at_most, cluster_of, definition_of, host_of, invalid, page, task_of
from tidegate_world.ecs.model import ClusterContents, Task
from tidegate_world.places import Place


def _draft(place: Place, cluster: ClusterContents, request: dict, provider: str | None = None) -> Task:
    definition = definition_of(place, request["taskDefinition"])
    overrides = request.get("overrides") or {}
    return tasks.new_task(
        place,
        cluster,
        definition=definition,
        need=placement.need_of(definition, overrides),
        group=request.get("group") or f"family:{definition.family}",
        started_by=request.get("startedBy") or "",
        capacity_provider=provider,
        overrides=overrides,
        tags=list(request.get("tags") or []),
        constraints=request.get("placementConstraints") or [],
        strategy=request.get("placementStrategy") or [],
    )


def _forget(cluster: ClusterContents, task: Task) -> None:
    del cluster.tasks[task.arn.rsplit("/", 1)[-1]]


def run_task(place: Place, request: dict, moto) -> dict:
    cluster, count = cluster_of(place, request), request.get("count") or 1
    if count > 10:
        raise invalid("count cannot be greater than 10.")
    if request.get("launchType") == "FARGATE":
        raise invalid("The local AWS has no Fargate.")
    strategy = capacity_providers.strategy_for(place, cluster, request)
    if not strategy and not cluster.hosts:
        raise invalid("No Container Instances were found in your cluster.")
    started, counts = [], Counter()
    for _ in range(count):
        provider = capacity_providers.next_provider(strategy, counts)
        task = _draft(place, cluster, request, provider)
        host = placement.choose(cluster, task)
        if host is not None:
            tasks.assign(place, task, host)
        elif capacity_providers.scales(place, provider):
            tasks.enter(place, task, "PROVISIONING")
        else:
            _forget(cluster, task)
            return {"tasks": [render.task(each) for each in started], "failures": placement.failures(cluster, task)}
        counts[provider] += 1
        started.append(task)
    return {"tasks": [render.task(each) for each in started], "failures": []}


def start_task(place: Place, request: dict, moto) -> dict:
    cluster, names = cluster_of(place, request), request["containerInstances"]
    at_most(10, names, "containerInstances")
    started, failures = [], []
    for name in names:
        host = cluster.hosts.get(name.rsplit("/", 1)[-1])
        task = _draft(place, cluster, request)
        reason = "MISSING" if host is None else placement.lacks(host, task.need)
        if reason:
            _forget(cluster, task)
            failures.append({"arn": name, "reason": reason})
            continue
        tasks.assign(place, task, host)
        started.append(render.task(task))
    return {"tasks": started, "failures": failures}


def stop_task(place: Place, request: dict, moto) -> dict:
    task = task_of(cluster_of(place, request), request["task"])
    tasks.ask_to_stop(place, task, request.get("reason") or "Task stopped by user", "UserInitiated")
    return {"task": render.task(task)}


def describe_tasks(place: Place, request: dict, moto) -> dict:
    cluster, names = cluster_of(place, request), request.get("tasks") or []
    at_most(100, names, "tasks")
    if not names:
        raise invalid("Tasks cannot be empty.")
    found, failures = [], []
    for name in names:
        task = cluster.tasks.get(name.rsplit("/", 1)[-1])
        if task is None:
            failures.append({"arn": name, "reason": "MISSING"})
        else:
            found.append(render.task(task))
    return {"tasks": render.with_tags_if_asked(found, request), "failures": failures}


def get_task_protection(place: Place, request: dict, moto) -> dict:
    """Nothing here protects tasks from scale-in, so every task of a service answers that it is not protected."""
    cluster, names = cluster_of(place, request), request.get("tasks") or []
    at_most(10, names, "tasks")
    protected, failures = [], []
    for name in names:
        task = cluster.tasks.get(name.rsplit("/", 1)[-1])
        if task is None:
            failures.append({"arn": name, "reason": "MISSING"})
        elif not task.group.startswith("service:"):
            failures.append({"arn": name, "reason": "TASK_NOT_VALID"})
        else:
            protected.append({"taskArn": task.arn, "protectionEnabled": False})
    return {"protectedTasks": protected, "failures": failures}


def list_tasks(place: Place, request: dict, moto) -> dict:
    cluster = cluster_of(place, request)
    host_arn = host_of(cluster, request["containerInstance"]).arn if request.get("containerInstance") else None
    group = "service:" + request["serviceName"].rsplit("/", 1)[-1] if request.get("serviceName") else None
    status = request.get("desiredStatus") or "RUNNING"
    arns = [
        task.arn
        for task in cluster.tasks.values()
        # ECS accepts PENDING and finds nothing: it never sets that desired status.
        if task.desired_status == status
        and host_arn in (None, task.host_arn)
        and group in (None, task.group)
        and request.get("family") in (None, task.definition.family)
        and request.get("startedBy") in (None, task.started_by)
        and request.get("launchType") in (None, None if task.capacity_provider else "EC2")
    ]
    return page(arns, request, "taskArns")


OPERATIONS = {
    "RunTask": run_task,
    "StartTask": start_task,
    "StopTask": stop_task,
    "DescribeTasks": describe_tasks,
    "GetTaskProtection": get_task_protection,
    "ListTasks": list_tasks,
}

"""A task's life: PROVISIONING, PENDING, RUNNING, DEACTIVATING, STOPPING, STOPPED.

Rule: a task holds its resources until it is STOPPED, and a task on a host whose agent is disconnected does not move.
"""

from tidegate_world import settings
from tidegate_world.ecs import announcements, placement
from tidegate_world.ecs.model import ClusterContents, Host, Task, new_id, now
from tidegate_world.elbv2.targets import state_of
from tidegate_world.places import Place

# ECS shows a stopped task for an hour; a day of scenario tests needs far fewer than this.
STOPPED_TASKS_KEPT = 1000


def new_task(place: Place, cluster: ClusterContents, **fields) -> Task:
    task = Task(arn=place.arn("ecs", f"task/{cluster.name}/{new_id()}"), cluster=cluster.name, **fields)
    cluster.tasks[task.arn.rsplit("/", 1)[-1]] = task
    return task


def assign(place: Place, task: Task, host: Host) -> None:
    """Puts the task on the host, which must have room for it."""
    task.host, task.host_arn = host, host.arn
    task.zone = host.attributes["ecs.availability-zone"]
    host.tasks[task.arn] = task
    task.bindings = [_bind(task, host, each) for each in task.definition.container_definitions]
    announcements.host(place, host)
    enter(place, task, "PENDING")


def _bind(task: Task, host: Host, container: dict) -> list[dict]:
    if task.definition.network_mode == "awsvpc":
        return []
    bindings = []
    for mapping in container.get("portMappings", []):
        port = placement.static_port(task.definition, mapping)
        if not port:
            port, host.next_port = host.next_port, host.next_port + 1
        bindings.append(
            {
                "bindIP": "0.0.0.0",
                "containerPort": mapping["containerPort"],
                "hostPort": port,
                "protocol": mapping.get("protocol", "tcp"),
            }
        )
    return bindings


def enter(place: Place, task: Task, status: str) -> None:
    task.last_status, task.ticks = status, 0
    if status == "RUNNING":
        task.started_at = now()
    announcements.task(place, task)


def ask_to_stop(place: Place, task: Task, reason: str, code: str) -> None:
    """As StopTask does: the wish is noted at once, the task obeys later."""
    if task.desired_status == "STOPPED":
        return
    task.desired_status, task.stopped_reason, task.stop_code = "STOPPED", reason, code
    task.stopping_at = now()
    task.ticks = 0
    deregister_targets(place, task)
    announcements.task(place, task)


def finish(place: Place, cluster: ClusterContents, task: Task) -> None:
    """STOPPED, now: what the host held for it is free."""
    task.desired_status = "STOPPED"
    task.stopped_at = now()
    task.stopping_at = task.stopping_at or task.stopped_at
    deregister_targets(place, task)
    host, task.host = task.host, None
    enter(place, task, "STOPPED")
    if host is not None:
        host.tasks.pop(task.arn, None)
        announcements.host(place, host)
    stopped = [each for each in cluster.tasks.values() if each.last_status == "STOPPED"]
    for old in stopped[:-STOPPED_TASKS_KEPT]:
        del cluster.tasks[old.arn.rsplit("/", 1)[-1]]


def advance(place: Place, cluster: ClusterContents, task: Task) -> None:
    """One tick in a task's life."""
    if task.last_status == "STOPPED" or (task.host and not task.host.agent_connected):
        return
    task.ticks += 1
    if task.desired_status == "STOPPED":
        _advance_stop(place, cluster, task)
    elif task.last_status == "PROVISIONING":
        host = placement.choose(cluster, task)
        if host is not None:
            assign(place, task, host)
    elif task.last_status == "PENDING" and task.ticks >= settings.START:
        enter(place, task, "RUNNING")
        register_targets(place, cluster, task)


def _advance_stop(place: Place, cluster: ClusterContents, task: Task) -> None:
    if task.host is None:
        finish(place, cluster, task)
    elif task.last_status in ("PENDING", "RUNNING"):
        enter(place, task, "DEACTIVATING")
    elif task.last_status == "DEACTIVATING" and is_draining(place, task):
        return
    elif task.ticks >= settings.STOP and task.last_status == "DEACTIVATING":
        enter(place, task, "STOPPING")
    elif task.ticks >= settings.STOP:
        finish(place, cluster, task)


def register_targets(place: Place, cluster: ClusterContents, task: Task) -> None:
    service = cluster.services.get(task.group.removeprefix("service:"))
    if service is None or not task.group.startswith("service:"):
        return
    for balancer in service.settings.get("loadBalancers", []):
        group = place.elbv2.target_groups.get(balancer.get("targetGroupArn"))
        if group is None:
            continue
        port = next(
            (
                binding["hostPort"]
                for bindings in task.bindings
                for binding in bindings
                if binding["containerPort"] == balancer.get("containerPort")
            ),
            group.port,
        )
        target = {"Id": task.host.instance.id, "Port": port}
        group.register([target])
        task.targets.append((group.arn, target))


def states_of_targets(place: Place, targets: list[tuple[str, dict]]) -> list[str]:
    groups = [(place.elbv2.target_groups.get(arn), target) for arn, target in targets]
    return [state_of(place, group, target)[0] for group, target in groups if group is not None]


def is_in_service(place: Place, task: Task) -> bool:
    """ECS counts a task behind a load balancer once its target passes the checks."""
    return task.is_running and not {"initial", "unhealthy"}.intersection(states_of_targets(place, task.targets))


def is_draining(place: Place, task: Task) -> bool:
    """ECS stops a service's task when its targets have drained. Without a data plane nothing is in flight."""
    if not place.has_data_plane or task.stop_code != "ServiceSchedulerInitiated":
        return False
    return "draining" in states_of_targets(place, task.leaving)


def deregister_targets(place: Place, task: Task) -> None:
    for group_arn, target in task.targets:
        group = place.elbv2.target_groups.get(group_arn)
        if group is not None:
            group.deregister([target])
    task.targets, task.leaving = [], task.leaving + task.targets

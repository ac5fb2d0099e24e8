"""Which host a task may go to, and which one it goes to.

Rule: CPU, memory and host ports are never over-committed, and a tie is broken by registration order, so that the same
story places the same tasks.
"""

import re

from tidegate_world.ecs.errors import invalid
from tidegate_world.ecs.model import ClusterContents, Host, Need, Task

DEFAULT_STRATEGY = [{"type": "spread", "field": "attribute:ecs.availability-zone"}]


def need_of(definition, overrides: dict | None = None) -> Need:
    """A task's own size wins over its containers'; a container reserves memoryReservation, else memory."""
    overrides = overrides or {}
    changed = {each.get("name"): each for each in overrides.get("containerOverrides", [])}
    containers = [{**each, **changed.get(each.get("name"), {})} for each in definition.container_definitions]
    cpu = overrides.get("cpu") or definition.cpu
    memory = overrides.get("memory") or definition.memory
    return Need(
        cpu=_cpu_units(cpu) if cpu else sum(int(each.get("cpu") or 0) for each in containers),
        memory=_mebibytes(memory)
        if memory
        else sum(int(each.get("memoryReservation") or each.get("memory") or 0) for each in containers),
        ports=frozenset(
            f"{port}/{mapping.get('protocol', 'tcp')}"
            for each in containers
            for mapping in each.get("portMappings", [])
            if (port := static_port(definition, mapping))
        ),
    )


def static_port(definition, mapping: dict) -> int:
    if definition.network_mode == "awsvpc":
        return 0
    if definition.network_mode == "host":
        return mapping.get("hostPort") or mapping["containerPort"]
    return mapping.get("hostPort") or 0


def _cpu_units(text: str) -> int:
    number, unit = re.fullmatch(r"\s*([\d.]+)\s*(vcpu)?\s*", str(text).lower()).groups()
    return int(float(number) * 1024) if unit else int(number)


def _mebibytes(text: str) -> int:
    number, unit = re.fullmatch(r"\s*([\d.]+)\s*(gb)?\s*", str(text).lower()).groups()
    return int(float(number) * 1024) if unit else int(number)


def lacks(host: Host, need: Need) -> str | None:
    """The reason ECS gives when the task does not fit, or None."""
    if not host.agent_connected:
        return "AGENT"
    if need.cpu > host.free_cpu():
        return "RESOURCE:CPU"
    if need.memory > host.free_memory():
        return "RESOURCE:MEMORY"
    if need.ports & host.used_ports():
        return "RESOURCE:PORTS"
    return None


def choose(cluster: ClusterContents, task: Task) -> Host | None:
    fitting = [host for host in candidates(cluster, task) if lacks(host, task.need) is None]
    return min(fitting, key=lambda host: _rank(cluster, host, task), default=None)


def candidates(cluster: ClusterContents, task: Task) -> list[Host]:
    hosts = [host for host in cluster.hosts.values() if host.takes_tasks()]
    if task.capacity_provider:
        hosts = [host for host in hosts if host.capacity_provider == task.capacity_provider]
    return [host for host in hosts if allows(host, task)]


def allows(host: Host, task: Task) -> bool:
    for constraint in [*task.constraints, *task.definition.placement_constraints]:
        if constraint["type"] == "distinctInstance":
            if any(other.group == task.group for other in host.tasks.values()):
                return False
        elif not matches(host, constraint.get("expression", "")):
            return False
    return True


def failures(cluster: ClusterContents, task: Task) -> list[dict]:
    """One failure for each host, as ECS lists them."""
    considered = [host for host in cluster.hosts.values() if host.status == "ACTIVE"]
    if task.capacity_provider:
        considered = [host for host in considered if host.capacity_provider == task.capacity_provider]
    found = [
        {"arn": host.arn, "reason": lacks(host, task.need) or "MemberOf placement constraint unsatisfied."}
        for host in considered
    ]
    return found or [{"reason": "RESOURCE:MEMORY"}]


def _rank(cluster: ClusterContents, host: Host, task: Task) -> list:
    rank = []
    for step in task.strategy or DEFAULT_STRATEGY:
        field = step.get("field", "")
        if step["type"] == "spread":
            rank.append(_peers(cluster, task, field, _value(host, field)))
        elif step["type"] == "binpack":
            rank.append(host.free_cpu() if field.lower() == "cpu" else host.free_memory())
    rank.append(sum(other.group == task.group for other in host.tasks.values()))
    rank.append(len(host.tasks))
    return rank


def _peers(cluster: ClusterContents, task: Task, field: str, value: str | None) -> int:
    return sum(
        other.group == task.group
        for host in cluster.hosts.values()
        if _value(host, field) == value
        for other in host.tasks.values()
    )


def _value(host: Host, field: str) -> str | None:
    if field in ("instanceId", "host"):
        return host.instance.id
    return host.attributes.get(field.removeprefix("attribute:"))


# The part of the cluster query language that is understood: terms joined by "and".
_TERM = re.compile(
    r"\s*(!)?\s*(attribute:[\w.\-/]+|agentConnected|ec2InstanceId)\s*(?:(==|!=|in\b|not_in\b|exists\b|!exists\b)\s*(.*?))?\s*$"
)


def matches(host: Host, expression: str) -> bool:
    if not expression.strip():
        return True
    return all(_holds(host, term) for term in re.split(r"\s+and\s+|\s*&&\s*", expression))


def _holds(host: Host, term: str) -> bool:
    parsed = _TERM.match(term)
    if parsed is None:
        raise invalid(f"Invalid placement expression: {term!r} (the local AWS knows ==, !=, in, not_in, exists)")
    negated, field, operator, operand = parsed.groups()
    if field == "agentConnected":
        return host.agent_connected == ((operand or "true").lower() == "true")
    name = field.removeprefix("attribute:")
    value = host.instance.id if field == "ec2InstanceId" else host.attributes.get(name)
    if operator in (None, "exists", "!exists"):
        present = name in host.attributes
        return present != bool(negated or operator == "!exists")
    listed = [each.strip().strip("'\"") for each in operand.strip("[]").split(",")]
    return (value in listed) == (operator in ("==", "in"))

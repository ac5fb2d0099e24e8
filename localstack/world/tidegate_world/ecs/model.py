"""What a cluster contains: hosts (container instances), tasks and services.

Rule: counts are computed from the tasks when somebody asks, never stored, so they cannot disagree.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.ec2.models.instance_types import INSTANCE_TYPES

# What the ECS agent leaves for the operating system is taken as 5 percent of the memory.
MEMORY_SHARE = 0.95
AGENT_PORTS = ("22", "2375", "2376", "51678", "51679")
WAITING = ("PROVISIONING", "PENDING", "ACTIVATING")


def now() -> datetime:
    return datetime.now(tz=UTC)


def new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Need:
    """What one task reserves on a host. A port is "80/tcp"; dynamic host ports reserve nothing."""

    cpu: int
    memory: int
    ports: frozenset[str]


@dataclass(eq=False)
class Host:
    arn: str
    instance: object  # moto's EC2 instance
    capacity_provider: str | None
    cpu: int
    memory: int
    attributes: dict[str, str | None]
    status: str = "ACTIVE"
    agent_connected: bool = True
    registered_at: datetime = field(default_factory=now)
    version: int = 1
    next_port: int = 32768
    tags: list[dict] = field(default_factory=list)
    tasks: dict[str, "Task"] = field(default_factory=dict)  # every task that is not STOPPED

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    def free_cpu(self) -> int:
        return self.cpu - sum(task.need.cpu for task in self.tasks.values())

    def free_memory(self) -> int:
        return self.memory - sum(task.need.memory for task in self.tasks.values())

    def used_ports(self) -> set[str]:
        return {port for task in self.tasks.values() for port in task.need.ports}

    def takes_tasks(self) -> bool:
        return self.status == "ACTIVE" and self.agent_connected


@dataclass(eq=False)
class Task:
    arn: str
    cluster: str
    definition: object  # moto's task definition
    need: Need
    group: str
    started_by: str
    launch_type: str = "EC2"
    capacity_provider: str | None = None
    overrides: dict = field(default_factory=dict)
    tags: list[dict] = field(default_factory=list)
    constraints: list[dict] = field(default_factory=list)
    strategy: list[dict] = field(default_factory=list)
    host: Host | None = None
    host_arn: str | None = None
    zone: str | None = None
    desired_status: str = "RUNNING"
    last_status: str = "PENDING"
    ticks: int = 0  # since last_status changed
    version: int = 1
    bindings: list[list[dict]] = field(default_factory=list)  # for each container
    targets: list[tuple[str, dict]] = field(default_factory=list)  # target group arn, target
    leaving: list[tuple[str, dict]] = field(default_factory=list)  # the same, once deregistered
    created_at: datetime = field(default_factory=now)
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    stopped_at: datetime | None = None
    stopped_reason: str | None = None
    stop_code: str | None = None
    exit_code: int = 0

    @property
    def is_waiting(self) -> bool:
        return self.desired_status == "RUNNING" and self.last_status in WAITING

    @property
    def is_running(self) -> bool:
        """A task that was told to stop does not count as running, although its host is still busy with it."""
        return self.desired_status == "RUNNING" and self.last_status == "RUNNING"


@dataclass(eq=False)
class Deployment:
    id: str
    definition_arn: str
    desired: int = 0
    status: str = "PRIMARY"
    rollout: str = "IN_PROGRESS"
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)


@dataclass(eq=False)
class Service:
    arn: str
    name: str
    cluster: str
    definition_arn: str
    desired: int
    settings: dict  # what CreateService and UpdateService said, under the names of the API
    status: str = "ACTIVE"
    created_at: datetime = field(default_factory=now)
    deployments: list[Deployment] = field(default_factory=list)  # the primary one first
    events: list[dict] = field(default_factory=list)  # newest first
    tags: list[dict] = field(default_factory=list)

    @property
    def is_daemon(self) -> bool:
        return self.settings.get("schedulingStrategy") == "DAEMON"

    def say(self, message: str) -> None:
        self.events.insert(0, {"id": new_id(), "createdAt": now(), "message": f"(service {self.name}) {message}"})
        del self.events[100:]


@dataclass(eq=False)
class ClusterContents:
    name: str
    hosts: dict[str, Host] = field(default_factory=dict)  # by id
    tasks: dict[str, Task] = field(default_factory=dict)  # by id
    services: dict[str, Service] = field(default_factory=dict)  # by name

    def tasks_of(self, service: Service) -> list[Task]:
        group = f"service:{service.name}"
        return [task for task in self.tasks.values() if task.group == group and task.desired_status == "RUNNING"]


def size_of(instance_type: str) -> tuple[int, int]:
    """Registered CPU units and MiB of memory."""
    known = INSTANCE_TYPES.get(instance_type)
    if known is None:
        return 1024, int(1024 * MEMORY_SHARE)
    return known["VCpuInfo"]["DefaultVCpus"] * 1024, int(known["MemoryInfo"]["SizeInMiB"] * MEMORY_SHARE)

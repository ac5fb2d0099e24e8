"""What exists in one account and region: moto's backends, the clusters' contents, and the lock that guards them.

Rule: an account's requests and ticks happen one at a time, and no account ever waits for another.
"""

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends

from tidegate_world import settings
from tidegate_world.delivery import Delivery

if TYPE_CHECKING:
    from tidegate_world.ec2.fleets import Fleet
    from tidegate_world.ecs.model import ClusterContents
    from tidegate_world.elbv2.load import Report

_locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
_places: dict[tuple[str, str], "Place"] = {}
_last_call: dict[str, float] = {}
_create = threading.Lock()


class Place:
    """One account in one region."""

    def __init__(self, account: str, region: str):
        self.account = account
        self.region = region
        self.clock_runs = True
        self.ec2 = ec2_backends[account][region]
        self.ecs = ecs_backends[account][region]
        self.elbv2 = elbv2_backends[account][region]
        self.autoscaling = autoscaling_backends[account][region]
        # Kept here because moto's own ECS hosts, tasks and services do not move.
        self.contents: dict[str, ClusterContents] = {}  # by cluster name
        self.fleets: dict[str, Fleet] = {}  # by Spot Fleet request id
        self.refreshes: dict[str, list[dict]] = defaultdict(list)  # by group name, newest first
        self.groups_without_agents: set[str] = set()
        self.forced_health: dict[tuple[str, str], str] = {}
        # What a data plane told: by target group and i-...:port, and what it counted.
        self.has_data_plane = False
        self.found_health: dict[tuple[str, str], str] = {}
        self.load: list[Report] = []
        self.interruptions: dict[str, int] = {}  # ticks left, by instance id
        self.delivery = Delivery()

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def lock_of(account: str) -> threading.RLock:
    with _create:
        return _locks[account]


def place_of(account: str, region: str) -> Place:
    with _create:
        if (account, region) not in _places:
            _places[account, region] = Place(account, region)
        return _places[account, region]


def touch(account: str) -> None:
    """Somebody called this account: it is awake from now on."""
    _last_call[account] = time.monotonic()


def awake_places() -> list[Place]:
    now = time.monotonic()
    with _create:
        return [p for p in _places.values() if now - _last_call.get(p.account, 0) < settings.SLEEP_AFTER]

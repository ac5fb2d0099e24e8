"""How often, in which order, and after whose the events of a place arrive.

Rule: EventBridge promises each event at least once and no order. It mostly delivers once and in turn, so a place does
too, until a test asks for the rest of the promise.
"""

import random
import threading
from collections import deque

# A reordered event arrives up to so many ticks late, whatever happened meanwhile.
LATE_TICKS = 3


class Delivery:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, dict]] = []  # ticks still to wait, event
        self._duplicates = False
        self._reorders = False
        self._chance = random.Random(0)

    def promise(self, duplicates: bool, reorders: bool, seed: int) -> None:
        """What was held back arrives next: a test that asks for order again waits for nothing old."""
        with self._lock:
            self._duplicates, self._reorders, self._chance = duplicates, reorders, random.Random(seed)
            self._waiting = [(0, event) for _, event in self._waiting]

    def add(self, event: dict) -> None:
        with self._lock:
            for _ in range(2 if self._duplicates else 1):
                ticks = self._chance.randint(0, LATE_TICKS) if self._reorders else 0
                self._waiting.append((ticks, event))

    def pass_tick(self) -> None:
        if self._waiting:
            with self._lock:
                self._waiting = [(ticks - 1, event) for ticks, event in self._waiting]

    def due(self) -> list[dict]:
        """The events whose time has come; nobody is given them again."""
        if not self._waiting:
            return []
        with self._lock:
            due = [event for ticks, event in self._waiting if ticks <= 0]
            self._waiting = [(ticks, event) for ticks, event in self._waiting if ticks > 0]
            if self._reorders:
                self._chance.shuffle(due)
        return due


class Outbox:
    """What is on its way, one event of each account in turn: no account waits for all of another's."""

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._events: dict[str, deque[dict]] = {}  # by account, the next one first

    def put(self, events: list[dict]) -> None:
        with self._filled:
            for event in events:
                self._events.setdefault(event["account"], deque()).append(event)
            self._filled.notify()

    def take(self) -> dict:
        with self._filled:
            self._filled.wait_for(lambda: self._events)
            account = next(iter(self._events))
            events = self._events.pop(account)
            event = events.popleft()
            if events:
                self._events[account] = events  # at the end
            return event

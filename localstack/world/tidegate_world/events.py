"""EventBridge events of the world, in the envelope and with the details that AWS documents.

Rule: an event that no rule of its account can want is never made, since most tests have no rule. The others are sent by
a thread of their own, without any lock: EventBridge delivers to SQS inside this process, and nobody may wait for it.
"""

import json
import logging
import queue
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from localstack.aws.connect import connect_to

from tidegate_world.places import Place

LOG = logging.getLogger(__name__)
ENTRIES_PER_CALL = 10

_outbox: queue.SimpleQueue[tuple[Place, list[dict]]] = queue.SimpleQueue()


def start() -> None:
    threading.Thread(target=_run, daemon=True, name="tidegate-world-events").start()


def emit(place: Place, source: str, kind: str, resources: list[str], detail: Callable[[], dict]) -> None:
    """Notes an event as things are now; it is sent after the tick or the request."""
    if not _is_wanted(place, source, kind):
        return
    place.delivery.add(
        {
            "Time": datetime.now(tz=UTC),
            "Source": source,
            "DetailType": kind,
            "Resources": resources,
            "Detail": json.dumps(detail(), default=_text),
            # PutEvents would give every copy an id of its own; so LocalStack takes it from here.
            "TraceHeader": json.dumps({"original_id": str(uuid.uuid4())}),
        }
    )


def _text(value) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def send(place: Place) -> None:
    due = place.delivery.due()
    if due:
        _outbox.put((place, due))


def _run() -> None:
    while True:
        place, entries = _outbox.get()
        for start in range(0, len(entries), ENTRIES_PER_CALL):
            try:
                client = connect_to(aws_access_key_id=place.account, region_name=place.region).events
                client.put_events(Entries=entries[start : start + ENTRIES_PER_CALL])
            except Exception:
                LOG.exception("events of %s in %s were lost", place.account, place.region)


def _is_wanted(place: Place, source: str, kind: str) -> bool:
    """Whether a rule with a target may match. AWS services send to the bus `default` only."""
    from localstack.services.events.models import events_stores

    bus = events_stores[place.account][place.region].event_buses.get("default")
    if bus is None or not bus.rules:
        return False
    return any(
        rule.targets
        and rule.event_pattern
        and rule.state != "DISABLED"
        and _may_match(rule.event_pattern, source, kind)
        for rule in list(bus.rules.values())
    )


@lru_cache(maxsize=4096)
def _may_match(pattern: str, source: str, kind: str) -> bool:
    """By source and detail type alone, where they are given as plain texts; EventBridge judges the rest."""
    wanted = json.loads(pattern)
    for key, value in (("source", source), ("detail-type", kind)):
        given = wanted.get(key)
        if isinstance(given, list) and all(isinstance(each, str) for each in given) and value not in given:
            return False
    return True

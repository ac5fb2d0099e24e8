"""EventBridge events of the world, in the envelope and with the details that AWS documents.

Rule: an event that no rule of its account can want is never made, since most tests have no rule. The others are sent by
a thread of their own, without any lock: EventBridge delivers to SQS inside this process, and nobody may wait for it.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from tidegate_world.delivery import Outbox
from tidegate_world.places import Place

LOG = logging.getLogger(__name__)

_outbox = Outbox()


def start() -> None:
    threading.Thread(target=_run, daemon=True, name="tidegate-world-events").start()


def emit(place: Place, source: str, kind: str, resources: list[str], detail: Callable[[], dict]) -> None:
    """Notes an event as things are now; it is sent after the tick or the request."""
    if not _is_wanted(place, source, kind):
        return
    place.delivery.add(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": source,
            "account": place.account,
            "time": f"{datetime.now(tz=UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": place.region,
            "resources": resources,
            "detail": json.loads(json.dumps(detail(), default=_text)),
        }
    )


def _text(value) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def send(place: Place) -> None:
    due = place.delivery.due()
    if due:
        _outbox.put(due)


def _run() -> None:
    while True:
        event = _outbox.take()
        try:
            from tidegate_world.eventbridge import provider

            provider.deliver(event)
        except Exception:
            LOG.exception("an event of %s in %s was lost", event["account"], event["region"])


def _is_wanted(place: Place, source: str, kind: str) -> bool:
    # Imported late: EventBridge is slow to load, and is loaded by the first rule anyway.
    from localstack.services.events.models import events_stores

    bus = events_stores[place.account][place.region].event_buses.get("default")
    if bus is None or not bus.rules:
        return False
    return any(
        rule.targets and rule.event_pattern and _may_match(rule.event_pattern, source, kind)
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

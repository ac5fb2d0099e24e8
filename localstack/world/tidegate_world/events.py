"""EventBridge events of the world: ECS, EC2 and Auto Scaling state changes, as the AWS services send them.

Rule: events are sent without the account's lock, since EventBridge delivers to SQS inside this process.
"""

import json
import logging

from localstack.aws.connect import connect_to

from tidegate_world.places import Place, lock_of

LOG = logging.getLogger(__name__)
ENTRIES_PER_CALL = 10


def send(place: Place) -> None:
    if not place.events:
        return
    with lock_of(place.account):
        events, place.events = place.events, []
    if not _somebody_listens(place):
        return
    client = connect_to(aws_access_key_id=place.account, region_name=place.region).events
    entries = [
        {"Source": source, "DetailType": kind, "Detail": json.dumps(detail, default=str)}
        for source, kind, detail in events
    ]
    for start in range(0, len(entries), ENTRIES_PER_CALL):
        try:
            client.put_events(Entries=entries[start : start + ENTRIES_PER_CALL])
        except Exception:
            LOG.exception("events of %s in %s were lost", place.account, place.region)


def _somebody_listens(place: Place) -> bool:
    """Most test accounts have no rule, and a call for each tick would be the world's largest cost."""
    from localstack.services.events.models import events_stores

    store = events_stores[place.account][place.region]
    return any(bus.rules for bus in store.event_buses.values())

"""LocalStack's EventBridge, with a way in for the events of AWS services.

Rule: the world hands its events over one by one, in turn. PutEvents would start a thread for each, and a few hundred of
them at once leave no time to the rest of the endpoint; it would also give every copy of an event an id of its own.
"""

from functools import lru_cache

from localstack.services.events import target
from localstack.services.events.models import events_stores
from localstack.services.events.provider import EventsProvider
from localstack.utils.xray.trace_header import TraceHeader

# AWS services send to this bus only.
BUS = "default"


# Asked for each message, it costs as much as sending it; the URL of an ARN never changes.
target.sqs_queue_url_for_arn = lru_cache(maxsize=4096)(target.sqs_queue_url_for_arn)


class Events(EventsProvider):
    def deliver(self, event: dict) -> None:
        account, region = event["account"], event["region"]
        bus = events_stores[account][region].event_buses[BUS]
        for rule in list(bus.rules.values()):
            if rule.event_pattern:
                trace = TraceHeader().ensure_root_exists()
                self._process_rules(rule, region, account, {**event, "event-bus-name": BUS}, trace)

    def _process_rules(self, rule, *event) -> None:
        """LocalStack delivers for a disabled rule too."""
        if rule.state != "DISABLED":
            super()._process_rules(rule, *event)


provider = Events()

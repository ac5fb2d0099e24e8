"""The endpoint's own record of every AWS request, for tests that prove what was not called.

Rule: every request is noted when it arrives and completed when it is answered; LocalStack's internal calls (made for
CloudFormation or by the world itself) are not requests of a client and are left out.
"""

import itertools
import threading
import time
from collections import defaultdict, deque

from localstack.aws import handlers

from tidegate_world import settings
from tidegate_world.places import touch

_numbers = itertools.count(1)
_logs: dict[str, deque[dict]] = defaultdict(lambda: deque(maxlen=settings.REQUEST_LOG))
_lock = threading.Lock()


def install() -> None:
    handlers.serve_custom_service_request_handlers.append(_note_arrival)
    handlers.run_custom_response_handlers.append(_note_answer)


def requests_of(account: str) -> list[dict]:
    with _lock:
        return [dict(entry) for entry in _logs[account]]


def _note_arrival(chain, context, response) -> None:
    if not context.service_operation or context.is_internal_call:
        return
    touch(context.account_id)
    entry = {
        "number": next(_numbers),
        "time": time.time(),
        "account": context.account_id,
        "region": context.region,
        "service": context.service_operation.service,
        "operation": context.service_operation.operation,
        "agent": context.request.headers.get("User-Agent", ""),
        "parameters": dict(context.service_request or {}),
        "status": None,
        "error": None,
    }
    context.world_log_entry = entry
    with _lock:
        _logs[context.account_id].append(entry)


def _note_answer(chain, context, response) -> None:
    entry = context.get("world_log_entry")
    if entry is None:
        return
    error = context.service_exception
    with _lock:
        entry["status"] = response.status_code
        entry["error"] = error.code if error else None

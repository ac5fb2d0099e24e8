"""The world's time: what happens in a tick, in which order, for which accounts.

Rule: a tick of an account is atomic for its requests, and an account that fails does not stop the others.
"""

import logging
import threading
import time

from tidegate_world import events, settings
from tidegate_world.autoscaling import groups
from tidegate_world.ec2 import fleets, spot
from tidegate_world.ecs import hosts, scheduler
from tidegate_world.places import Place, awake_places, lock_of

LOG = logging.getLogger(__name__)


def tick_place(place: Place, by_itself: bool = False) -> None:
    """What is taken away, the capacity that replaces it, the hosts it became, the tasks that they can take."""
    with lock_of(place.account):
        # Asked under the lock, so that no tick follows the answer that the clock stands.
        if by_itself and not place.clock_runs:
            return
        place.delivery.pass_tick()
        spot.tick(place)
        groups.tick(place)
        fleets.tick(place)
        hosts.tick(place)
        scheduler.tick(place)
    events.send(place)


def start() -> None:
    if settings.TICK > 0:
        threading.Thread(target=_run, daemon=True, name="tidegate-world").start()


def _run() -> None:
    while True:
        started = time.monotonic()
        for place in awake_places():
            try:
                tick_place(place, by_itself=True)
            except Exception:
                LOG.exception("the tick of %s in %s failed", place.account, place.region)
        time.sleep(max(settings.TICK - (time.monotonic() - started), settings.TICK / 10))

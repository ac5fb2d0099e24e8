"""The environment variables of the world, read once.

Rule: a duration is a number of ticks, so that a test which ticks by hand sees the same steps as one that waits.
"""

import os


def _ticks(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


# Seconds between two ticks; 0 means that only POST /_world/tick moves the world.
TICK = float(os.environ.get("LS_WORLD_TICK", "0.2"))
# From an instance's launch until its Auto Scaling group calls it InService.
LAUNCH = _ticks("LS_WORLD_LAUNCH", 2)
# From an instance's launch until its ECS agent registers.
BOOT = _ticks("LS_WORLD_BOOT", 2)
# A task's time in PENDING.
START = _ticks("LS_WORLD_START", 2)
# A task's time in each of DEACTIVATING and STOPPING.
STOP = _ticks("LS_WORLD_STOP", 1)
# From the warning of a spot interruption until the instance is gone: two minutes, in a tenth.
SPOT_NOTICE = _ticks("LS_WORLD_SPOT_NOTICE", 60)
# An account that nobody has called for so many seconds stands still until the next call,
# so that the accounts of finished tests cost nothing.
SLEEP_AFTER = float(os.environ.get("LS_WORLD_SLEEP_AFTER", "60"))
# How many requests the log keeps for each account.
REQUEST_LOG = int(os.environ.get("LS_WORLD_REQUEST_LOG", "20000"))

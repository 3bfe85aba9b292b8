"""How long clients and sessions may be silent. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Final

from services.sessions.sessions.rules import types

FAILING_S: Final = 20.0  # of a client that polls (Tygron)
LOST_S: Final = 30.0  # then it is released
ENDED_KEPT: Final = dt.timedelta(days=30)  # so long the token of a session is known as that of one that has ended
RELEASED_KEPT: Final = dt.timedelta(days=1)  # so long a client is known as released while its session runs

CONNECTED: Final = "CONNECTED"
FAILING: Final = "FAILING"
LOST: Final = "LOST"
RELEASED: Final = "RELEASED"


def limits(timeout_s: int) -> dict[str, dt.timedelta]:
    """Return how long a session may be silent, by its keep-alive. timeout_s: of those that are not kept alive."""
    return {keep_alive: dt.timedelta(seconds=types.KEEP_ALIVE_S.get(keep_alive, timeout_s)) for keep_alive in types.KEEP_ALIVE}


def state(now: dt.datetime, last_seen: dt.datetime, *, polled: bool, released: bool) -> str:
    """Return a client's state. One that never asked for updates is connected until its session ends: it may work by reading alone."""
    if released:
        return RELEASED
    silent_s = (now - last_seen).total_seconds()
    if not polled or silent_s < FAILING_S:
        return CONNECTED
    return FAILING if silent_s < LOST_S else LOST

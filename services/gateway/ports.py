"""What middlewares ask of the outside world: keys, counters, passwords and the time. Given to every middleware when it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.gateway.counters.port import Counters
from services.gateway.keys.model import KeyFinder
from services.gateway.keys.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Ports:
    """now: epoch seconds."""

    keys: KeyFinder
    counters: Counters
    passwords: Passwords
    now: Callable[[], float]

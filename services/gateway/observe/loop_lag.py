"""How late the event loop is: whatever holds it up holds up every request of its worker."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import Histogram

_EVERY_S: Final = 0.25
_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """Measures it four times a second, from `start` on."""

    def __init__(self) -> None:
        self.seconds = Histogram("gateway_loop_lag_seconds", "How late the event loop was.", buckets=_BOUNDS, registry=None)
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; must be called on the loop."""
        self._wait(loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_EVERY_S, self._look, loop, loop.time() + _EVERY_S)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.seconds.observe(max(0.0, loop.time() - due))
        self._wait(loop)

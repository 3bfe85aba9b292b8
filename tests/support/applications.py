"""Applications of a service, used again by one test after the other: making the routes of one costs more than most tests do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask

from services.common.readiness import DatabaseCheck


class Applications:
    """Applications of one service. What differs between tests is in their parts, which take less than a millisecond."""

    def __init__(self, service: str, build: Callable[[Any, Any], Flask], parts: Callable[[Any, Any], Any]) -> None:
        """build, parts: the service's, of settings and a clock."""
        self._service = service
        self._build = build
        self._parts = parts
        self._free: list[Flask] = []

    def take(self, settings: Any, clock: Any) -> Flask:
        """Give an application parts of its own. What the application itself reads of settings (trusted proxies) stays that of the first."""
        if not self._free:
            return self._build(settings, clock)
        app, parts = self._free.pop(), self._parts(settings, clock)
        app.extensions.update({self._service: parts, "database": parts.database})
        if "wakeups" in app.extensions:
            app.extensions["wakeups"] = parts.wakeups
        app.extensions["checks"].add("database", DatabaseCheck(self._service, parts.database))
        return app

    def give_back(self, app: Flask) -> None:
        app.extensions[self._service].close()
        self._free.append(app)

    @contextlib.contextmanager
    def lending(self, clock: Any) -> Iterator[Callable[[Any], Flask]]:
        """Let a block take applications by their settings, all with one clock; they come back at its end."""
        lent: list[Flask] = []

        def lend(settings: Any) -> Flask:
            lent.append(self.take(settings, clock))
            return lent[-1]

        try:
            yield lend
        finally:
            for app in lent:
                self.give_back(app)

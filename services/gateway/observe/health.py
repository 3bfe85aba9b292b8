"""The answer to `/hello` on both ports, in the shape of Tyk 3.1: for liveness probes and clients."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from services.gateway.counters.port import Counters
from services.gateway.exchange import Reply


class Health:
    """One for each worker. database_well: whether the database answers; shared: the counters in Valkey, None = it is not used."""

    def __init__(self, version: str, database_well: Callable[[], bool], shared: Counters | None) -> None:
        self._version = version
        self._database_well = database_well
        self._shared = shared

    def hello(self) -> Reply:
        """Answer 200, because what is loaded is served; `warn` when the database or Valkey is away. Asks neither."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        parts = {"database": self._database_well()}
        if self._shared is not None:
            parts["redis"] = self._shared.available
        details: dict[str, Any] = {
            name: {"status": "pass" if well else "fail", "componentType": "datastore", "time": now} for name, well in parts.items()
        }
        status = "pass" if all(parts.values()) else "warn"
        body = {"status": status, "version": self._version, "description": "Gatehouse", "details": details}
        return Reply(200, [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")], json.dumps(body).encode() + b"\n")

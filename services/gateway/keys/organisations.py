"""The sessions of organisations in memory: all of them, because a request must not wait to hear whether its API's owner is switched off.

When they could not be read yet, because the database is away at the start, no organisation has limits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from services.gateway.keys.model import Key


class Store(Protocol):
    """Each raises the store's error when it is away."""

    def generation(self) -> int: ...
    def all(self) -> tuple[int, Mapping[str, Mapping[str, Any]]]: ...


class Organisations:
    """One for each worker. Thread-safe; `find` never blocks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._generation = -1
        self._known: Mapping[str, Key] = {}

    def find(self, org_id: str) -> Key | None:
        """Return the session of an organisation as a key, None when it has none."""
        return self._known.get(org_id)

    def look(self) -> None:
        """Load what changed, whoever changed it. Blocks; raises the store's error."""
        if self._store.generation() == self._generation:
            return
        with self._lock:
            generation, sessions = self._store.all()
            self._known = {org_id: Key.from_session(organisation_id(org_id), (), session) for org_id, session in sessions.items()}
            self._generation = generation


def organisation_id(org_id: str) -> str:
    """Return the id that the counters of an organisation are named by; no key has it."""
    return f"org:{org_id}"

"""The sessions of organisations in memory: all of them, because a request must not wait to hear whether its API's owner is switched off.

When the database is away at the start, those of its copy count: an organisation that is switched off stays so. Where there is no copy, none
has limits until the database is back.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from services.common import logging as logs
from services.gateway.keys.model import Key

log = logs.get(__name__)


class Store(Protocol):
    """Each raises the store's error when it is away."""

    def generation(self) -> int: ...
    def all(self) -> tuple[int, Mapping[str, Mapping[str, Any]]]: ...


class Copy(Protocol):
    """What stands in for an absent database. Each raises OSError; `read` also ValueError, and returns None when there is no copy."""

    def write(self, sessions: Mapping[str, Mapping[str, Any]]) -> None: ...
    def read(self) -> Mapping[str, Mapping[str, Any]] | None: ...


class Organisations:
    """One for each worker. Thread-safe; `find` never blocks."""

    def __init__(self, store: Store, copy: Copy) -> None:
        self._store = store
        self._copy = copy
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
            self._known = _by_id(sessions)
            self._generation = generation
            try:
                self._copy.write(sessions)
            except OSError as error:
                log.warning("copy of the organisations not written", error=error.strerror)

    def stand_in(self) -> None:
        """Go by the copy, unless the store was read. Blocks."""
        with self._lock:
            if self._generation >= 0:
                return
            try:
                self._known = _by_id(self._copy.read() or {})
            except (OSError, ValueError) as error:
                log.error("copy of the organisations refused; they have no limits", reason=str(error))


def _by_id(sessions: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Key]:
    return {org_id: Key.from_session(organisation_id(org_id), (), session) for org_id, session in sessions.items()}


def organisation_id(org_id: str) -> str:
    """Return the id that the counters of an organisation are named by; no key has it."""
    return f"org:{org_id}"

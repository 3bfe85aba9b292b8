"""When each credential was used last, written behind, so that no request waits for it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common.database import Database

Write = Callable[[Session, Mapping[str, dt.datetime]], None]


class LastUsed:
    """Remembers uses until somebody flushes them. Thread-safe."""

    def __init__(self, database: Database, write: Write) -> None:
        """write: stores the moments by id, in a transaction that may run twice."""
        self._database = database
        self._write = write
        self._lock = threading.Lock()
        self._used: dict[str, dt.datetime] = {}

    def note(self, id: str, now: dt.datetime) -> None:
        """Remember that a credential was used, until `flush`."""
        with self._lock:
            self._used[id] = now

    def flush(self) -> None:
        """Write what was noted, or keep it and raise the store's error. At most the notes since the last call are lost with the process."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        try:
            self._database.run(lambda session: self._write(session, used))
        except SQLAlchemyError:
            with self._lock:
                self._used = {**used, **self._used}
            raise

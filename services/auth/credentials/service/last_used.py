"""When each access token was used last."""

from __future__ import annotations

import datetime as dt
import threading

from sqlalchemy.exc import SQLAlchemyError

from services.auth.credentials.store import access_tokens
from services.common.database import Database


class LastUsed:
    """When each access token was used last, written behind, so that a check does not write. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._used: dict[str, dt.datetime] = {}

    def note(self, token_id: str, now: dt.datetime) -> None:
        """Remember that a token was used, until `flush`."""
        with self._lock:
            self._used[token_id] = now

    def flush(self) -> None:
        """Write what was noted, or keep it and raise the store's error. At most the notes since the last call are lost with the process."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        try:
            self._database.run(lambda session: access_tokens.mark_used(session, used))
        except SQLAlchemyError:
            with self._lock:
                self._used = {**used, **self._used}
            raise

"""When each device token was used last."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.common.database import Database
from services.devices.registry.store import tokens as store

log = logs.get(__name__)

EVERY_S: Final = 60.0


class LastUsed:
    """When each device token was used last, written behind once a minute, so that no request waits for it. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._used: dict[str, dt.datetime] = {}
        self._stop = threading.Event()

    def note(self, token_id: str, now: dt.datetime) -> None:
        """Remember that a token was used, until `flush`."""
        with self._lock:
            self._used[token_id] = now

    def flush(self) -> None:
        """Write what was noted, or keep it and raise the store's error."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        try:
            self._database.run(lambda session: store.mark_used(session, used))
        except SQLAlchemyError:
            with self._lock:
                self._used = {**used, **self._used}
            raise

    def start(self) -> None:
        """Write once a minute until `close`."""
        threading.Thread(target=self._keep_on, name="last-used", daemon=True).start()

    def close(self) -> None:
        """Write what is left. What cannot be written is lost."""
        self._stop.set()
        self._try()

    def _keep_on(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._try()

    def _try(self) -> None:
        try:
            self.flush()
        except SQLAlchemyError as error:
            log.warning("use of tokens not noted", error=type(error).__name__)

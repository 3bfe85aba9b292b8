"""When each device token was used last."""

from __future__ import annotations

import threading
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from services.common import last_used
from services.common import logging as logs
from services.common.database import Database
from services.devices.registry.store import tokens

log = logs.get(__name__)

EVERY_S: Final = 60.0


class LastUsed(last_used.LastUsed):
    """When each device token was used last, written behind once a minute. Thread-safe."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, tokens.mark_used)
        self._stop = threading.Event()

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

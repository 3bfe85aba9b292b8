"""Removes what has ended of OAuth2, little by little: codes, refresh tokens, and the keys of access tokens."""

from __future__ import annotations

import random
import threading
from typing import Final

from services.common import logging as logs
from services.gateway.oauth.tokens import Publish
from services.gateway.stores.oauth import OAuthStore

log = logs.get(__name__)

EVERY: Final = 60.0
_PAUSE: Final = 0.2


class Sweeping:
    """One thread for each worker. every: seconds between two looks; spread, because all workers look."""

    def __init__(self, store: OAuthStore, publish: Publish, every: float = EVERY) -> None:
        self._store = store
        self._publish = publish
        self._every = every
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="oauth-sweeping", daemon=True).start()

    def stop(self) -> None:
        """Waits for nothing."""
        self._stopping.set()

    def _run(self) -> None:
        well, pause = True, random.uniform(0, self._every)  # noqa: S311  no secret
        while not self._stopping.wait(pause):
            try:
                ended, more = self._store.sweep()
                if ended is not None:
                    self._publish(ended.generation, ended.hashes)
                well, pause = True, _PAUSE if more else self._every * random.uniform(0.8, 1.2)  # noqa: S311
            except Exception as error:
                if well:
                    log.error("ended tokens not removed", error=type(error).__name__)
                well, pause = False, self._every

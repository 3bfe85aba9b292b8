"""Keeps what a worker has in memory in step with the store: it takes in what is announced, and looks for what no announcement said."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Final

from services.common import logging as logs
from services.gateway.keys.cache import CachedKeys
from services.gateway.keys.certificates import Certificates
from services.gateway.keys.changes import KeyChanges
from services.gateway.keys.organisations import Organisations
from services.gateway.live import Live
from services.gateway.loading import Loading
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.keys import KeyStore
from services.gateway.stores.policies import PolicyStore

log = logs.get(__name__)

_LOOK_AGAIN: Final = 3.0
# A key that is used all the time is noted once in so many seconds: hundreds of workers would write the same rows again and again.
_NOTED_EVERY: Final = 60.0
# How long a store may take to say which keys changed before all of them are taken for changed.
_AT_ONCE: Final = 0.5


class Freshness:
    """One for each worker. well: whether the store could be asked the last time."""

    def __init__(
        self,
        loading: Loading,
        definitions: DefinitionStore,
        live: Live,
        keys_store: KeyStore,
        keys: CachedKeys,
        key_changes: KeyChanges,
        organisations: Organisations,
        certificates: Certificates,
        policies: PolicyStore,
    ) -> None:
        self._loading = loading
        self._definitions = definitions
        self._live = live
        self._keys_store = keys_store
        self._keys = keys
        self._key_changes = key_changes
        self._organisations = organisations
        self._certificates = certificates
        self._policies = policies
        self._stopping = threading.Event()
        self._noted: set[str] = set()  # keys that are not noted again until `_noted_until`
        self._noted_until = 0.0
        self.well = True

    def start(self) -> None:
        """Begin to follow the store, in a thread. To be called when it is loaded, or what stands in for it."""
        self.well = not self._loading.missing
        threading.Thread(target=self._follow, name="look-again", daemon=True).start()

    def stop(self) -> None:
        """Follow the store no longer. Waits for nothing."""
        self._stopping.set()

    def apply(self, kind: str, items: list[str]) -> None:
        """Take in what was announced (`announcements/port.py` says what there is). Blocks; raises the store's error."""
        if kind == "definitions":
            self._live.catch_up()
        elif kind == "reload":
            self._live.reload()
            if self._policies.reload():  # behind the definitions, whose APIs they name
                self._keys.clear()
        elif kind == "keys" and items:
            generation, *hashes = items
            self._key_changes.heard(int(generation), hashes)
        elif kind == "keys":
            self._look_for_keys()
        elif kind == "organisations":
            self._organisations.look()
        elif kind == "certificates":
            self._certificates.look()

    def catch_up(self) -> None:
        """Load what changed, whoever changed it. Blocks; raises the store's error."""
        self._key_changes.look()  # first: a key that was revoked must not wait until many definitions are loaded
        self._certificates.look()
        self._organisations.look()
        if self._definitions.generation() != self._live.current.generation:
            self._live.catch_up()

    def mark_used(self) -> None:
        """Note in the store which keys were used, each once a minute. Blocks; raises the store's error, and then they are noted the next
        time.
        """
        if time.monotonic() >= self._noted_until:
            self._noted, self._noted_until = set(), time.monotonic() + _NOTED_EVERY
        used = self._keys.take_used() - self._noted
        if used:
            try:
                self._keys_store.mark_used(used, dt.datetime.now(dt.UTC))
            except Exception:
                self._keys.give_back_used(used)
                raise
            self._noted |= used

    def _follow(self) -> None:
        """Find what no announcement said: another process wrote, or a message was lost. Note which keys were used.

        At once for the first time: since everything was loaded the worker may have waited for its turn, while another one took changes.
        """
        self._loading.go_on(self._stopping)
        self.well = True
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = _LOOK_AGAIN
            try:
                self.catch_up()
                self.mark_used()
                self.well = True
            except Exception as error:  # the database is away: what is loaded goes on serving
                if self.well:
                    log.error("database unreachable", error=type(error).__name__)
                self.well = False

    def _look_for_keys(self) -> None:
        """Forget the keys that changed while nothing was heard; all of them when the store does not say at once which."""
        too_late = threading.Timer(_AT_ONCE, self._keys.clear)
        too_late.daemon = True
        too_late.start()
        try:
            self._key_changes.look()
        except Exception as error:
            log.warning("all keys forgotten", error=type(error).__name__)
            self._keys.clear()
        finally:
            too_late.cancel()

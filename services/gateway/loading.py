"""Loads the database into what is served, also when it is away at the start.

Then the definitions of its copy (`stores/copies.py`) are served, and it is loaded as soon as it is back. The copy holds no keys: requests
with a key are told that it cannot be checked now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.common.migrations import NotMigrated
from services.common.startup import in_a_line
from services.gateway.live import Live
from services.gateway.stores.copies import CopyUnusable, DefinitionCopy
from services.gateway.stores.sealing import WrongMasterKey

log = logs.get(__name__)

_AGAIN_S: Final = 1.0
# What a store raises when it cannot be asked; OSError: its folder, or that of the definitions.
_AWAY: Final = (SQLAlchemyError, OSError)


class Loading:
    """One for each worker. missing: why the database is not loaded, in a sentence for operators; "" = it is.

    load: checks the database and loads all of it. Raises NotMigrated, WrongMasterKey, the store's error. copy: None = there can be none.
    """

    def __init__(self, load: Callable[[], None], live: Live, copy: DefinitionCopy | None) -> None:
        self._load = load
        self._live = live
        self._copy = copy
        self.missing = ""

    def begin(self) -> None:
        """Load the database, or the copy that stands in for it. Raises NotMigrated, WrongMasterKey."""
        try:
            self._load()
        except _AWAY as error:
            log.error("database not loaded; trying again", error=in_a_line("gateway", error))
            self.missing = f"the database could not be loaded at the start; {self._stand_in()}"
            log.warning("served without the database", state=self.missing, apis=len(self._live.current.apis))

    def go_on(self, stopping: threading.Event) -> None:
        """Try again until the database is loaded, or the worker stops. Blocks."""
        while self.missing and not stopping.wait(_AGAIN_S):
            try:
                self._load()
            except _AWAY:
                continue
            except Exception as error:  # it is back, and not what it should be: what is served goes on
                known = isinstance(error, NotMigrated | WrongMasterKey)
                missing = f"the database is back and cannot be used: {error if known else type(error).__name__}"
                if missing != self.missing:
                    log.error("database unusable", reason=str(error))
                self.missing = missing
            else:
                self.missing = ""
                log.info("database loaded", apis=len(self._live.current.apis))

    def _stand_in(self) -> str:
        """Serve what there is instead; say what that is."""
        try:
            self._live.reload()  # a database that only cannot be written, or definitions that are files
        except _AWAY:
            pass
        else:
            return "the definitions can be read and are served"
        try:
            copied = None if self._copy is None else self._copy.read()
        except CopyUnusable as error:
            log.error("copy of the definitions refused", reason=str(error))
            return f"no definitions are served, because their copy cannot be used: {error}"
        if copied is None:
            return "no definitions are served, because there is no copy of them"
        self._live.serve(copied.definitions, copied.generation)
        return f"the copy of the definitions of {copied.written_at} is served"

"""What announcements are: they tell every worker that something changed, and wait until each has taken it in.

`publish` answers when all workers serve the new state, or names those that have not confirmed within two seconds. `one_worker` tells
itself, `valkey` carries them between several; `factory.create` chooses.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs

log = logs.get(__name__)

# (kind, items) → taken in. Called in a thread; raises when the new state could not be taken in.
Apply = Callable[[str, list[str]], None]


class Unreachable(Exception):
    """What carries the announcements cannot be reached."""


class Announcements(Protocol):
    """kind and items of what changed:

    * "definitions": load what changed. No items: each worker finds it in the store.
    * "reload": read all definitions again. No items.
    * "organisations": load the sessions of organisations. No items.
    * "certificates": load the certificates of clients. No items.
    * "keys": forget keys. The change's generation and the keys' hashes; no items = what was said is unknown, look into the store.
    """

    def start(self, apply: Apply) -> None: ...

    def publish(self, kind: str, items: Iterable[str] = ()) -> list[str]:
        """Announce a change; return the names of the workers that have not confirmed."""

    def workers(self) -> list[str]:
        """Return the names of the workers that are known to run. Raises Unreachable."""

    def stop(self) -> None: ...


def not_taken_in(kind: str, error: Exception) -> None:
    """Log that a change could not be applied: an absent store in one line, a defect of ours with its trace."""
    if isinstance(error, SQLAlchemyError | OSError):
        log.error("change not applied; trying again", kind=kind, error=type(error).__name__)
    else:
        log.exception("change not applied", kind=kind)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"

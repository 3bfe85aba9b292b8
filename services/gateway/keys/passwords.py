"""Passwords of basic users: argon2id, in one thread of low priority, with few who wait.

One check takes about 20 ms of a processor, by intention. A flood of wrong passwords must not slow what needs none: the thread gives way to
the event loop, and whoever comes when too many wait is told to try again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import threading
import unicodedata
from collections import Counter
from typing import Any, Final

from services.gateway.refusals import PASSWORDS_BUSY, Refusal
from services.gateway.threads import Threads

# Each waits for those before it, so the last of them about a second.
MOST_WAITING: Final = 32
MOST_OF_ONE: Final = 8
_LONGEST: Final = 1024  # characters; normalising takes time in proportion
_NICE: Final = 5
_RETRY: Final = ((b"Retry-After", b"1"),)
_local = threading.local()


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with its salt and parameters: passwords can be guessed, secrets cannot. About 20 ms."""
    return str(_hasher().hash(_normal(password)))


class Passwords:
    """Belongs to the event loop of one worker. most: how many may wait; of_one: how many of them for one user, or from one address."""

    def __init__(self, most: int = MOST_WAITING, of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._of_one = of_one
        self._waiting: Counter[str] = Counter()
        self._threads = Threads(1, "passwords")

    async def fits(self, kept: str, password: str, user: str, client: str) -> bool:
        """Compare a password with its hash. kept: "" = there is no such user: the work is the same, and the answer no.

        user, client: who it is for, and the address that sends it. Raises Refusal(PASSWORDS_BUSY).
        """
        waiting, who = self._waiting, ("", f"u:{user}", f"c:{client}")
        if waiting[""] >= self._most or any(waiting[one] >= self._of_one for one in who[1:]):
            raise Refusal(PASSWORDS_BUSY, headers=_RETRY)
        waiting.update(who)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _fits, kept, password)
        finally:
            waiting.subtract(who)
            for one in who:
                if not waiting[one]:
                    del waiting[one]


def _fits(kept: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # its library costs each worker memory

    _give_way()
    if len(password) > _LONGEST:
        return False
    try:
        return bool(_hasher().verify(kept or _nobody(), _normal(password))) and kept != ""
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """Return a password in the form that all clients agree on (RFC 7617, 2.1; RFC 8265, 4.2: NFC)."""
    return unicodedata.normalize("NFC", password)


@functools.cache
def _hasher() -> Any:
    import argon2

    # OWASP's least, and what auth uses
    return argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@functools.cache
def _nobody() -> str:
    return str(_hasher().hash("a user who is not there"))


def _give_way() -> None:
    """Lower the priority of the thread that calls; on Linux alone, elsewhere it would be that of the process."""
    if sys.platform == "linux" and not getattr(_local, "gives_way", False):
        _local.gives_way = True
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)

"""Password hashes: argon2id in a bounded number of threads, so that log-ins never take the whole machine.

The threads that compute have a lower priority than those that answer: when the processors are all busy, a log-in waits for a check of a
token and not the other way round.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from services.auth.credentials.rules import passwords
from services.auth.credentials.service.turns import FAMILIAR, ORDINARY, Turns

NICE = 5  # a quarter of a contended processor: still several hundred log-ins a minute


class Checked(NamedTuple):
    """right: whether the password fits. renewed: a hash with today's parameters, when the kept one has older ones."""

    right: bool
    renewed: str | None


class Hasher:
    """argon2id with the settings' parameters. Thread-safe.

    slots: computations at the same time; queue: how many more may wait for one, beyond which Refusal 503 is raised at once.
    """

    def __init__(self, *, memory_kib: int, passes: int, slots: int, queue: int) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1, type=argon2.Type.ID)
        self._turns = Turns(slots=slots, queue=queue)
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="argon2", initializer=_give_way)
        self._nobody = self._argon2.hash("somebody who is not there")

    def hash(self, password: str) -> str:
        """Return the text to keep, for a person who has signed in. Raises Refusal 503 when too many wait."""
        with self._turns.turn(FAMILIAR):
            return self._threads.submit(self._argon2.hash, passwords.normalise(password)).result()

    def check(
        self,
        kept: str | None,
        password: str,
        *,
        rank: int = ORDINARY,
        holders: Collection[str] = (),
        before: Callable[[], None] = lambda: None,
        wrong: Callable[[], None] = lambda: None,
    ) -> Checked:
        """Compare a password with its hash. With `kept` None (there is no such account) the work is the same and the answer no.

        rank, holders: of `Turns`.
        before: called when the turn has come, right before the work; what it raises goes to the caller.
        wrong: called after a wrong password, before the next has its turn, so that simultaneous guesses are counted one after the other.
        Raises Refusal 503 when too many wait.
        """
        if passwords.impossible(password):
            wrong()
            return Checked(False, None)
        password = passwords.normalise(password)
        with self._turns.turn(rank, holders):
            before()
            right = self._threads.submit(self._fits, kept or self._nobody, password).result() and kept is not None
            outdated = right and kept is not None and self._argon2.check_needs_rehash(kept)
            renewed = self._threads.submit(self._argon2.hash, password).result() if outdated else None
            if not right:
                wrong()
        return Checked(right, renewed)

    def _fits(self, kept: str, password: str) -> bool:
        try:
            return self._argon2.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def _give_way() -> None:
    """Lower the priority of the thread that calls; on Linux alone, elsewhere it would be that of the process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)

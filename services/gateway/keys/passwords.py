"""Passwords of basic users: argon2id, in one thread of low priority, with few who wait.

One check takes about 20 ms of a processor, by intention. A flood of wrong passwords must not slow what needs none: the thread gives way to
the event loop, and whoever comes when too many wait is told to try again. A password that was right is remembered by its digest, for all
APIs of a worker; requests that send the same one at the same time cost one check.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, Final

from services.common.addresses import group_of
from services.common.remembered import Remembered
from services.gateway.refusals import PASSWORDS_BUSY, Refusal
from services.gateway.threads import Threads, give_way

# Each waits for those before it, so the last of them about a second.
MOST_WAITING: Final = 32
MOST_OF_ONE: Final = 8
MOST_REMEMBERED: Final = 20_000  # users, some 300 bytes each
_WRONG_FOR: Final = 1.0
_LONGEST: Final = 1024  # characters; normalising takes time in proportion
_RETRY: Final = ((b"Retry-After", b"1"),)
# The user, the hash that is kept of its password, and the digest of the one to compare.
_Question = tuple[str, str, bytes]


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with its salt and parameters: passwords can be guessed, secrets cannot. About 20 ms."""
    return str(_hasher().hash(_normal(password)))


class Passwords:
    """Belongs to the event loop of one worker. most: how many checks may wait; of_one: how many of them for one user, or from one client.

    capacity: users whose password is remembered. now: seconds.
    """

    def __init__(
        self,
        most: int = MOST_WAITING,
        of_one: int = MOST_OF_ONE,
        *,
        capacity: int = MOST_REMEMBERED,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._of_one = of_one
        self._capacity = capacity
        self._now = now
        self._digest_key = secrets.token_bytes(32)
        self._waiting: Counter[str] = Counter()
        # By user: the hash that a right password was compared with, the digest of that password, and when it was used.
        self._right: dict[str, tuple[str, bytes, float]] = {}
        self._wrong: Remembered[_Question, float] = Remembered()
        self._under_way: dict[_Question, asyncio.Task[bool]] = {}
        self._threads = Threads(1, "passwords")

    def digest(self, password: str) -> bytes:
        """Return what tells a password from another one, in this process alone. It opens nothing."""
        return blake2b(_normal(password).encode("utf-8", "surrogatepass"), key=self._digest_key, digest_size=32).digest()

    def knows(self, user: str, kept: str, digest: bytes, within: float) -> bool:
        """Whether this was the right password not longer than `within` seconds ago. Then it was now.

        It counts for the hash that it was compared with, not for the state of the user: when something else changes, such as a policy, no
        password is checked again.
        """
        right = self._right.get(user)
        if right is None or right[0] != kept or not secrets.compare_digest(right[1], digest):
            return False
        now = self._now()
        if now - right[2] >= within:
            return False
        if now - right[2] > within / 2:
            self._right[user] = (kept, digest, now)
        return True

    async def fits(self, kept: str, password: str, user: str, client: str, look: Callable[[], Awaitable[object]] | None = None) -> bool:
        """Compare a password with its hash. kept: "" = there is no such user: the work is the same, and the answer no.

        Who asks the same meanwhile gets the same answer. user, client: who it is for, and the address that sends it. look: what to wait for
        before. Raises Refusal(PASSWORDS_BUSY).
        """
        digest = self.digest(password)
        question = (user, kept, digest)
        if self._wrong.get(question, 0.0) > self._now():
            return False
        task = self._under_way.get(question)
        if task is None:
            who = ("", f"u:{user}", f"c:{group_of(client)}")
            if self._waiting[""] >= self._most or any(self._waiting[one] >= self._of_one for one in who[1:]):
                raise Refusal(PASSWORDS_BUSY, headers=_RETRY)
            self._waiting.update(who)
            task = self._under_way[question] = asyncio.create_task(self._check(question, password, look))
            task.add_done_callback(lambda done: self._answered(question, who, done))
        # one client that goes away must not take the answer from the others
        return await asyncio.shield(task)

    async def _check(self, question: _Question, password: str, look: Callable[[], Awaitable[object]] | None) -> bool:
        user, kept, digest = question
        if look is not None:
            await look()
        if not await asyncio.get_running_loop().run_in_executor(self._threads, _fits, kept, password):
            self._wrong.keep(question, self._now() + _WRONG_FOR)
            return False
        if len(self._right) >= self._capacity and user not in self._right:
            for one in list(self._right)[: max(1, self._capacity // 10)]:
                del self._right[one]
        self._right[user] = (kept, digest, self._now())
        return True

    def _answered(self, question: _Question, who: tuple[str, ...], task: asyncio.Task[bool]) -> None:
        del self._under_way[question]
        self._waiting.subtract(who)
        for one in who:
            if not self._waiting[one]:
                del self._waiting[one]
        if not task.cancelled():
            task.exception()  # seen: whoever waited got it as well


def _fits(kept: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # its library costs each worker memory

    give_way()
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

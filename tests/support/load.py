"""A steady load of kept-alive clients that counts what went wrong, for tests of restarts and crashes."""

from __future__ import annotations

import contextlib
from collections import Counter

from tests.support.clients import Clients
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until


class Load(Clients):
    """`clients` threads that send requests one after another until the block ends.

    A client connects again when an answer said that its connection ends, or when an idle connection was closed before a byte of a request's
    answer: that is what HTTP's clients do, with a safe request. Such a request is sent again once; everything else counts as a failure.
    done: answers by status. failures: what a user would have seen.
    """

    def __init__(self, port: int, target: str, clients: int = 8) -> None:
        self._port = port
        self._request = request(target)
        self.done: Counter[int] = Counter()
        self.failures: list[str] = []
        self.connections = 0
        self.resent = 0
        super().__init__([self._run] * clients)

    @property
    def total(self) -> int:
        return sum(self.done.values())

    def answered(self, number: int) -> None:
        """Wait for `number` more answers."""
        goal = self.total + number
        wait_until(lambda: self.total >= goal, 30, f"{number} more answers under load")

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)

    def _run(self) -> None:
        client: RawClient | None = None
        used = again = False
        while not self._stop.is_set():
            if client is None:
                try:
                    client = RawClient(self._port)
                except OSError as error:
                    self._fail(f"connect: {error}")
                    self._stop.wait(0.05)
                    continue
                used = False
                with self._lock:
                    self.connections += 1
            ends = True
            try:
                client.send(self._request)
                answer = client.answer()
                if not answer.whole:
                    self._fail("half an answer")
                ends = answer.field("connection") == "close"
                again = False
                with self._lock:
                    self.done[answer.status] += 1
            except (OSError, EOFError) as error:
                if used and not again and not client.buffer:
                    again = True
                    with self._lock:
                        self.resent += 1
                else:
                    self._fail(f"{type(error).__name__}: {error}")
                    again = False
            used = True
            if ends:
                client.close()
                client = None
        if client is not None:
            with contextlib.suppress(OSError):
                client.close()

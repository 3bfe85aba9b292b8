"""A steady traffic of many clients, of which a test asks afterwards what they met."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tests.support.clients import Clients
from tests.support.waiting import wait_until

LEFT_OUT_S = 10.0

Call = Callable[[], int]  # sends one request; returns the status, raises what went wrong instead of one


@dataclass(frozen=True)
class Met:
    """What one request met. status: 0 when there was no answer; then `what` says why. took: seconds."""

    name: str
    status: int
    took: float
    what: str = ""


class Traffic(Clients):
    """Calls by name, each made over and over again by a client of its own, `pace` times a second, until the block ends."""

    _ends_within = 60.0

    def __init__(self, calls: Mapping[str, Call], pace: float = 10.0) -> None:
        self._pause = 1 / pace
        self._met: list[Met] = []
        super().__init__(partial(self._run, *item) for item in calls.items())

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"

    def met(self, name: str = "") -> list[Met]:
        """Return what the requests met so far: of all clients, or of those whose name begins so."""
        with self._lock:
            return [one for one in self._met if one.name.startswith(name)]

    def statuses(self, name: str = "") -> Counter[int]:
        return Counter(one.status for one in self.met(name))

    def failed(self) -> list[Met]:
        """Return what a user would call a failure."""
        return [one for one in self.met() if not 200 <= one.status < 300]

    def goes_on(self, number: int = 20) -> None:
        """Wait for so many more answers of every client together."""
        goal = len(self.met()) + number
        wait_until(lambda: len(self.met()) >= goal, 60, f"{number} more answers")

    def _run(self, name: str, call: Call) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                status, what = call(), ""
            except Exception as error:
                status, what = 0, f"{type(error).__name__}: {error}"
            took = time.monotonic() - began
            with self._lock:
                self._met.append(Met(name, status, took, what))
            self._stop.wait(max(0.0, self._pause - took))


class Balancer:
    """A client before several gateways, as a load balancer is: when a connection is refused it goes to the next gateway, and leaves the one
    that refused out for ten seconds (nginx: `max_fails=1 fail_timeout=10s`, its defaults).

    Each request has a connection of its own. urls: of the gateways, in turn.
    """

    def __init__(self, urls: Sequence[str], timeout: float = 30.0) -> None:
        self._hosts = [urlsplit(url).netloc for url in urls]
        self._turns = itertools.count()
        self._refused: dict[str, float] = {}
        self._timeout = timeout

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Return status and body. Raises OSError, HTTPException."""
        sent = {"Connection": "close", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection = self._connected()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        turn, now = next(self._turns), time.monotonic()
        hosts = [self._hosts[(turn + step) % len(self._hosts)] for step in range(len(self._hosts))]
        hosts.sort(key=lambda host: self._refused.get(host, -LEFT_OUT_S) + LEFT_OUT_S > now)  # the others first, else in turn
        for host in hosts:
            connection = http.client.HTTPConnection(host, timeout=self._timeout)
            try:
                connection.connect()
                return connection
            except OSError:
                self._refused[host] = time.monotonic()
        raise ConnectionRefusedError(f"all of {hosts} refuse")


class Sent:
    """Numbers that a device sends, one in each request.

    taken: those that were answered 2xx. open: those whose answer said no, or never came.
    """

    def __init__(self, send: Callable[[int], int], first: int = 1) -> None:
        self._send = send
        self._numbers = itertools.count(first)
        self.taken: list[int] = []
        self.open: list[int] = []

    def __call__(self) -> int:
        number = next(self._numbers)
        self.open.append(number)
        status = self._send(number)
        if 200 <= status < 300:
            self.open.remove(number)
            self.taken.append(number)
        return status

    def check(self, stored: Sequence[Any]) -> None:
        """Check that nothing that was answered is lost, and nothing is there twice."""
        assert [number for number, times in Counter(stored).items() if times > 1] == [], "doubled"
        assert sorted(set(self.taken) - set(stored)) == [], "lost"
        assert sorted(set(stored) - set(self.taken) - set(self.open)) == [], "never sent"

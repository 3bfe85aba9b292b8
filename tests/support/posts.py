"""A steady load of requests that must not be repeated: each is sent once, and a lost one is seen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from tests.support.clients import Clients
from tests.support.raw_client import Answer, RawClient, request
from tests.support.waiting import wait_until


class Posts(Clients):
    """`clients` threads that send POST after POST until the block ends; every second one connects anew for each of them.

    A client whose connect is refused goes to the next of the ports, as a balancer does. ports: where the same is served. body: gives the
    body of a request by its number. fields: header lines. answers: by the number of the request. failures: everything that a client must
    not see, a request without an answer above all. refused: connects that were.
    """

    def __init__(
        self,
        ports: Sequence[int],
        target: str,
        *,
        clients: int = 16,
        body: Callable[[int], bytes] = lambda number: b"",
        fields: Sequence[bytes] = (),
    ) -> None:
        self._ports = ports
        self._target = target
        self._body = body
        self._fields = fields
        self._sent = 0
        self.answers: dict[int, Answer] = {}
        self.failures: list[str] = []
        self.refused = 0
        super().__init__(partial(self._run, place) for place in range(clients))

    def answered(self, number: int) -> None:
        """Wait for so many more answers."""
        goal = len(self.answers) + number
        wait_until(lambda: len(self.answers) >= goal, 60, f"{number} more answers under load")

    def _connected(self, place: int) -> RawClient:
        """Connect to the first port that does not refuse; those of one client begin with another one than those of the next."""
        for turn in range(len(self._ports)):
            try:
                return RawClient(self._ports[(place + turn) % len(self._ports)])
            except ConnectionRefusedError:
                with self._lock:
                    self.refused += 1
        raise ConnectionRefusedError("all ports")

    def _run(self, place: int) -> None:
        kept = place % 2 == 0
        client: RawClient | None = None
        while not self._stop.is_set():
            with self._lock:
                number = self._sent
                self._sent += 1
            what = f"request {number} of {'a new' if client is None else 'a kept'} connection"
            try:
                client = client or self._connected(place // 2)
                client.send(request(self._target, *self._fields, method="POST", body=self._body(number)))
                answer = client.answer()
                ends = not kept or answer.field("connection") == "close"
                if not answer.whole:
                    raise EOFError("half an answer")
                self.answers[number] = answer
            except (OSError, EOFError) as error:
                self.failures.append(f"{what}: {type(error).__name__}: {error}")
                ends = True
            if ends and client is not None:
                with contextlib.suppress(OSError):
                    client.close()
                client = None
        if client is not None:
            client.close()

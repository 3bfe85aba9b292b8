"""Counts the answered requests of a worker by API: a few numbers of memory for each request, which no lock guards.

Only the event loop counts. Whoever reads copies first, which is one call of C code. `requests.py` tells `/metrics`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Final, NamedTuple, Protocol

from services.gateway.exchange import Exchange

# Seconds: from what a cache answers to what a long poll waits.
# A sequence for mypyc: a tuple would be made of its numbers each time.
BOUNDS: Final[Sequence[float]] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_OTHER_METHOD: Final = "other"
METHODS: Final = (_OTHER_METHOD, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A place in a tally holds four small numbers: status, method, length, and the length of the wait for the upstream.
_WAITS: Final = 32  # more than there are bounds
NO_WAIT: Final = _WAITS - 1
_LENGTHS: Final = 32 * _WAITS
_STATUS: Final = len(METHODS) * _LENGTHS
_PLACE_OF: Final = {method: place * _LENGTHS for place, method in enumerate(METHODS)}
_NOBODY: Final = "(none)"
_OTHERS: Final = "(other)"
_MOST_APIS: Final = 5_000
SWITCHING: Final = 101  # what follows is not an answer, and lasts as long as its client likes


class Received(Protocol):
    """What came with a request. received: bytes."""

    @property
    def received(self) -> int: ...


# Called with the exchange, its status, bytes sent and received, and the time of its end on `perf_counter`.
Write = Callable[[Exchange, int, int, int, float], None]


class Place(NamedTuple):
    """What a place in a tally stands for. length, wait: how many of BOUNDS are shorter; wait: NO_WAIT = no upstream answered."""

    status: int
    method: str
    length: int
    wait: int


class Tally:
    """The requests of one API. counts: by the four numbers of a place. seconds: of all of them; waited: for the upstreams' first bytes;
    held: from asking an upstream to the end of its answer. connects, connecting: new connections, and how long they took.
    """

    __slots__ = ("connecting", "connects", "counts", "held", "received", "refusals", "seconds", "sent", "waited")

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.seconds = self.waited = self.held = self.connecting = 0.0
        self.connects = self.sent = self.received = 0


class Tallies:
    """One for each worker. write: of the access log."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._tallies: dict[str, Tally] = {}

    def answered(self, exchange: Exchange, status: int, size: int, body: Received | None = None) -> None:
        """Count an answered request and log it. size: bytes sent to the client. body: what came with it, None = nothing was read."""
        api = exchange.api
        api_id = api.api_id if api is not None else _NOBODY
        try:
            tally = self._tallies[api_id]
        except KeyError:
            tally = self._new(api_id)
        now = perf_counter()
        spent = now - exchange.started
        place = status * _STATUS + _PLACE_OF.get(exchange.method, 0) + bisect_left(BOUNDS, spent) * _WAITS
        asked, first = exchange.asked, exchange.first_byte
        if first:
            waited = first - asked
            tally.waited += waited
            tally.counts[place + bisect_left(BOUNDS, waited)] += 1
        else:
            tally.counts[place + NO_WAIT] += 1
        if status != SWITCHING:
            tally.seconds += spent
            if asked:
                tally.held += now - asked
        if exchange.connecting:
            tally.connects += 1
            tally.connecting += exchange.connecting
        tally.sent += size
        received = 0
        if body is not None:
            received = body.received
            tally.received += received
        if exchange.refused:
            tally.refusals[exchange.refused] += 1
        self._write(exchange, status, size, received, now)

    def unreadable(self, status: int, code: str) -> None:
        """Count a request whose head could not be read."""
        tally = self._tallies.get(_NOBODY) or self._new(_NOBODY)
        tally.counts[status * _STATUS + NO_WAIT] += 1
        tally.refusals[code] += 1

    def _new(self, api_id: str) -> Tally:
        if len(self._tallies) >= _MOST_APIS:  # of which an operator may delete and create as many as they like
            api_id = _OTHERS
        return self._tallies.setdefault(api_id, Tally())

    def by_api(self) -> dict[str, Tally]:
        """Return the tallies; nobody counts new APIs in what is returned. Called in a thread."""
        return self._tallies.copy()

    def totals(self) -> Iterator[tuple[str, int, Mapping[str, int], float]]:
        """Yield, for each API, its requests, its refusals by code, and the seconds of its upstreams. Called in a thread."""
        for api_id, tally in self.by_api().items():
            yield api_id, sum(tally.counts.copy().values()), tally.refusals.copy(), tally.held


def place_of(number: int) -> Place:
    """Return what a place of `Tally.counts` stands for."""
    status, rest = divmod(number, _STATUS)
    method, rest = divmod(rest, _LENGTHS)
    length, wait = divmod(rest, _WAITS)
    return Place(status, METHODS[method], length, wait)

"""Counts the answered requests of a worker by API, for `/metrics`: a few numbers of memory for each request, which no lock guards.

Only the event loop counts. Whoever reads copies first, which is one call of C code.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from time import perf_counter
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.exchange import Exchange

# Seconds: from what a cache answers to what a long poll waits.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_OTHER_METHOD: Final = "other"
_METHODS: Final = (_OTHER_METHOD, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A place in a tally holds four small numbers: status, method, length, and the length of the wait for the upstream.
_WAITS: Final = 32  # more than there are bounds
_NO_WAIT: Final = _WAITS - 1
_LENGTHS: Final = 32 * _WAITS
_STATUS: Final = len(_METHODS) * _LENGTHS
_PLACE_OF: Final = {method: place * _LENGTHS for place, method in enumerate(_METHODS)}
_NOBODY: Final = "(none)"
_OTHERS: Final = "(other)"
_MOST_APIS: Final = 5_000
_SWITCHING: Final = 101  # what follows is not an answer, and lasts as long as its client likes


class Received(Protocol):
    """What came with a request. received: bytes."""

    @property
    def received(self) -> int: ...


# Called with the exchange, its status, bytes sent and received, and the time of its end on `perf_counter`.
Write = Callable[[Exchange, int, int, int, float], None]


class _Tally:
    """The requests of one API. counts: by the four numbers of a place. seconds: of all of them; waited: for the upstreams' first bytes;
    held: from asking an upstream to the end of its answer. connects, connecting: new connections, and how long they took.
    """

    __slots__ = ("connecting", "connects", "counts", "held", "received", "refusals", "seconds", "sent", "waited")

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.seconds = self.waited = self.held = self.connecting = 0.0
        self.connects = self.sent = self.received = 0


class Requests(Collector):
    """One for each worker. write: of the access log."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._tallies: dict[str, _Tally] = {}

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
            tally.counts[place + _NO_WAIT] += 1
        if status != _SWITCHING:
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
        tally.counts[status * _STATUS + _NO_WAIT] += 1
        tally.refusals[code] += 1

    def _new(self, api_id: str) -> _Tally:
        if len(self._tallies) >= _MOST_APIS:  # of which an operator may delete and create as many as they like
            api_id = _OTHERS
        return self._tallies.setdefault(api_id, _Tally())

    def totals(self) -> Iterator[tuple[str, int, Mapping[str, int], float]]:
        """Yield, for each API, its requests, its refusals by code, and the seconds of its upstreams. Called in a thread."""
        for api_id, tally in self._tallies.copy().items():
            yield api_id, sum(tally.counts.copy().values()), tally.refusals.copy(), tally.held

    def collect(self) -> Iterator[Metric]:
        """Yield the counts. Called in a thread."""
        requests = CounterMetricFamily("gateway_requests", "Requests answered.", labels=["api", "method", "status"])
        seconds = HistogramMetricFamily(
            "gateway_request_seconds", "From the head of a request to the end of its answer, tunnels left out.", labels=["api"]
        )
        refusals = CounterMetricFamily(
            "gateway_refusals", "Requests answered by the gateway in place of an upstream.", labels=["api", "code"]
        )
        waits = HistogramMetricFamily(
            "gateway_upstream_first_byte_seconds",
            "From asking an upstream, a new connection included, to the head of its answer.",
            labels=["api"],
        )
        sums = {
            "held": _sum("upstream_seconds", "From asking an upstream to the end of its answer, in all; tunnels left out."),
            "connects": _sum("upstream_connects", "New connections to upstreams that requests had to wait for."),
            "connecting": _sum("upstream_connect_seconds", "How long these took, in all."),
            "sent": _sum("sent_bytes", "Bytes sent to clients, heads included."),
            "received": _sum("received_bytes", "Bytes of the bodies that clients sent."),
        }
        for api_id, tally in self._tallies.copy().items():
            answers: defaultdict[tuple[int, int], int] = defaultdict(int)
            lengths = [0] * (len(BOUNDS) + 1)
            waited = [0] * (len(BOUNDS) + 1)
            for place, count in tally.counts.copy().items():
                status, place = divmod(place, _STATUS)
                method, place = divmod(place, _LENGTHS)
                length, wait = divmod(place, _WAITS)
                answers[status, method] += count
                if status != _SWITCHING:
                    lengths[length] += count
                if wait != _NO_WAIT:
                    waited[wait] += count
            for (status, method), count in sorted(answers.items()):
                requests.add_metric([api_id, _METHODS[method], str(status)], count)
            seconds.add_metric([api_id], _buckets(lengths), tally.seconds)
            if any(waited):
                waits.add_metric([api_id], _buckets(waited), tally.waited)
            for name, family in sums.items():
                family.add_metric([api_id], getattr(tally, name))
            for code, count in sorted(tally.refusals.copy().items()):
                refusals.add_metric([api_id, code], count)
        yield from (requests, seconds, refusals, waits, *sums.values())


def _sum(name: str, meaning: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"gateway_{name}", meaning, labels=["api"])


def _buckets(counts: Iterable[int]) -> list[tuple[str, float]]:
    """Return the counts of lengths as Prometheus has them: each with all that are shorter."""
    buckets, below = [], 0
    for bound, count in zip((*BOUNDS, inf), counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == inf else str(bound), float(below)))
    return buckets

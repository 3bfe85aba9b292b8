"""Counts the answered requests of a worker by API, for `/metrics`: two numbers of memory for each request, which no lock guards.

Only the event loop counts. Whoever reads copies first, which is one call of C code.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from math import inf
from time import perf_counter
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.exchange import Exchange

# Seconds: from what a cache answers to what a long poll waits.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_ROW: Final = 32  # places of a status in a tally, more than there are bounds
_NOBODY: Final = "(none)"
_OTHERS: Final = "(other)"
_MOST_APIS: Final = 5_000
_SWITCHING: Final = 101  # what follows is not an answer, and lasts as long as its client likes


class _Tally:
    """The requests of one API. counts: by status and length; seconds: of all of them."""

    __slots__ = ("counts", "refusals", "seconds")

    def __init__(self) -> None:
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.seconds = 0.0


class Requests(Collector):
    """One for each worker. write: of the access log."""

    def __init__(self, write: Callable[[Exchange, int, int, float], None]) -> None:
        self._write = write
        self._tallies: dict[str, _Tally] = {}

    def answered(self, exchange: Exchange, status: int, size: int) -> None:
        """Count an answered request and log it. size: bytes sent to the client."""
        api = exchange.api
        api_id = api.api_id if api is not None else _NOBODY
        try:
            tally = self._tallies[api_id]
        except KeyError:
            tally = self._new(api_id)
        spent = perf_counter() - exchange.started
        tally.counts[status * _ROW + bisect_left(BOUNDS, spent)] += 1
        if status != _SWITCHING:
            tally.seconds += spent
        if exchange.refused:
            tally.refusals[exchange.refused] += 1
        self._write(exchange, status, size, spent)

    def unreadable(self, status: int, code: str) -> None:
        """Count a request whose head could not be read."""
        tally = self._tallies.get(_NOBODY) or self._new(_NOBODY)
        tally.counts[status * _ROW] += 1
        tally.refusals[code] += 1

    def _new(self, api_id: str) -> _Tally:
        if len(self._tallies) >= _MOST_APIS:  # of which an operator may delete and create as many as they like
            api_id = _OTHERS
        return self._tallies.setdefault(api_id, _Tally())

    def collect(self) -> Iterator[Metric]:
        """Yield the counts. Called in a thread."""
        requests = CounterMetricFamily("gateway_requests", "Requests answered.", labels=["api", "status"])
        seconds = HistogramMetricFamily(
            "gateway_request_seconds", "From the head of a request to the end of its answer, tunnels left out.", labels=["api"]
        )
        refusals = CounterMetricFamily(
            "gateway_refusals", "Requests answered by the gateway in place of an upstream.", labels=["api", "code"]
        )
        for api_id, tally in self._tallies.copy().items():
            statuses: defaultdict[int, int] = defaultdict(int)
            lengths = [0] * (len(BOUNDS) + 1)
            for place, count in tally.counts.copy().items():
                status, length = divmod(place, _ROW)
                statuses[status] += count
                if status != _SWITCHING:
                    lengths[length] += count
            for status, count in sorted(statuses.items()):
                requests.add_metric([api_id, str(status)], count)
            buckets, below = [], 0
            for bound, count in zip((*BOUNDS, inf), lengths, strict=True):
                below += count
                buckets.append(("+Inf" if bound == inf else str(bound), float(below)))
            seconds.add_metric([api_id], buckets, tally.seconds)
            for code, count in sorted(tally.refusals.copy().items()):
                refusals.add_metric([api_id, code], count)
        yield requests
        yield seconds
        yield refusals

"""Tells `/metrics` of the requests that a worker has answered, by API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.observe.tallies import BOUNDS, NO_WAIT, SWITCHING, Tallies, place_of


class Requests(Collector):
    """One for each worker."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

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
        for api_id, tally in self._tallies.by_api().items():
            answers: defaultdict[tuple[int, str], int] = defaultdict(int)
            lengths = [0] * (len(BOUNDS) + 1)
            waited = [0] * (len(BOUNDS) + 1)
            for number, count in tally.counts.copy().items():
                place = place_of(number)
                answers[place.status, place.method] += count
                if place.status != SWITCHING:
                    lengths[place.length] += count
                if place.wait != NO_WAIT:
                    waited[place.wait] += count
            for (status, method), count in sorted(answers.items()):
                requests.add_metric([api_id, method, str(status)], count)
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

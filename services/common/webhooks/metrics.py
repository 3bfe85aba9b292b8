"""What a courier tells of its calls, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from typing import Final, Literal

from prometheus_client import Counter, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from services.common.webhooks.outbox import Backlog

Outcome = Literal["delivered", "failed", "given up"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("delivered", "failed", "given up")


class CourierMetrics(Collector):
    """Of one courier; `backlog` is of the whole outbox, which others may share. Thread-safe."""

    def __init__(self) -> None:
        self._calls = Counter(
            "webhook_calls", "Webhook calls by what came of them; a failed one is made again.", ["outcome"], registry=None
        )
        for outcome in OUTCOMES:  # so that the first of them is seen as a rise
            self._calls.labels(outcome)
        self._waiting = Gauge("webhook_calls_waiting", "Webhook calls in the outbox that are still to be made.", registry=None)
        self._overdue = Gauge("webhook_calls_overdue_seconds", "How long the first of them has been due.", registry=None)
        self._dead = Gauge("webhook_calls_dead", "Webhook calls in the outbox that were given up.", registry=None)
        self.backlog(None)

    def call(self, outcome: Outcome) -> None:
        """Count a call."""
        self._calls.labels(outcome).inc()

    def backlog(self, found: Backlog | None) -> None:
        """Note what waits. None: it is not known."""
        for gauge, value in zip((self._waiting, self._overdue, self._dead), found or (nan, nan, nan), strict=True):
            gauge.set(value)

    def collect(self) -> Iterator[Metric]:
        """Yield all of it."""
        for metric in (self._calls, self._waiting, self._overdue, self._dead):
            yield from metric.collect()

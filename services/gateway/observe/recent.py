"""What happened to each API in the last minute, for `/tyk/health`: taken from the counts of requests every five seconds, by a thread.

So counting costs a request nothing. A worker tells the others what it has seen as a metric that `/metrics` leaves out (its name begins with
`_`), and the one that is asked adds them up.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common import logging as logs
from services.gateway.observe.tallies import Tallies
from services.gateway.refusals import REGISTRY

log = logs.get(__name__)

NAME: Final = "_gateway_recent"
SPAN_S: Final = 60.0
_EVERY_S: Final = 5.0
_EVENTS: Final = {
    "RatelimitExceeded": "throttled",
    "QuotaExceeded": "over_quota",
    "OrgQuotaExceeded": "over_quota",
    "AuthFailure": "key_failures",
    "KeyExpired": "key_failures",
}
# By code.
_REFUSALS: Final = {kind.code: _EVENTS[kind.event] for kind in REGISTRY.values() if kind.event in _EVENTS}


class Counts(NamedTuple):
    """passed: requests that the gateway did not refuse; seconds: of their upstreams, tunnels left out."""

    passed: int = 0
    throttled: int = 0
    over_quota: int = 0
    key_failures: int = 0
    seconds: float = 0.0


class Recent(Collector):
    """One for each worker. Thread-safe."""

    def __init__(self, tallies: Tallies, clock: Callable[[], float] = time.monotonic) -> None:
        self._tallies = tallies
        self._clock = clock
        self._lock = threading.Lock()
        self._before: dict[str, Counts] = {}
        # When, and what was counted since the entry before: only APIs that had requests.
        self._steps: deque[tuple[float, Mapping[str, Counts]]] = deque()
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="recent", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            try:
                self.look()
            except Exception:  # the next look makes good for this one
                log.exception("requests of the last minute not counted")

    def look(self) -> None:
        """Note what was counted since the last look, and forget what is older than a minute."""
        with self._lock:
            now = self._clock()
            step = {}
            for api_id, total in self._totals():
                before = self._before.get(api_id, Counts())
                if total != before:
                    step[api_id] = _difference(total, before)
                    self._before[api_id] = total
            if step:
                self._steps.append((now, step))
            while self._steps and self._steps[0][0] <= now - SPAN_S:
                self._steps.popleft()

    def collect(self) -> Iterator[Metric]:
        """Yield the counts of the last minute. Called by the registry, in a thread."""
        self.look()
        found = GaugeMetricFamily(NAME, "What happened in the last minute.", labels=["api", "what"])
        with self._lock:
            steps = [step for _, step in self._steps]
        for api_id in {api_id for step in steps for api_id in step}:
            of_api = [step[api_id] for step in steps if api_id in step]
            for name, values in zip(Counts._fields, zip(*of_api, strict=True), strict=True):
                found.add_metric([api_id, name], sum(values))
        yield found

    def _totals(self) -> Iterator[tuple[str, Counts]]:
        for api_id, count, refusals, seconds in self._tallies.totals():
            told = dict.fromkeys(_REFUSALS.values(), 0)
            for code, number in refusals.items():
                if code in _REFUSALS:
                    told[_REFUSALS[code]] += number
            yield api_id, Counts(passed=count - sum(refusals.values()), seconds=seconds, **told)


def _difference(total: Counts, before: Counts) -> Counts:
    return Counts(
        total.passed - before.passed,
        total.throttled - before.throttled,
        total.over_quota - before.over_quota,
        total.key_failures - before.key_failures,
        total.seconds - before.seconds,
    )

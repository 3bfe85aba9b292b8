"""Traces: each sampled request becomes a span of the gateway and one for its upstream, sent in OTLP/HTTP by a thread.

Nobody waits for it: what does not fit into the queue is dropped and counted. Off, it is not there at all: neither the heads of requests nor
the counting know of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from random import getrandbits
from time import perf_counter_ns, time_ns
from typing import Final, NamedTuple, Protocol

from services.common import logging as logs
from services.common.trace_context import PARENT, parse
from services.gateway.exchange import Exchange, Trace
from services.gateway.observe.tallies import Write

log = logs.get(__name__)

# Requests that wait to be sent, some 5 MB of them, and those that are sent at once.
_MOST_WAITING: Final = 8192
_BATCH: Final = 512
_EVERY_S: Final = 1.0
_LAST_WORDS_S: Final = 5.0
_LONGEST_PATH: Final = 2048
_HALF: Final = (1 << 64) - 1


class Traced(NamedTuple):
    """An answered request, as its spans need it. Times: on `perf_counter`, 0 = never."""

    trace: Trace
    started: float
    asked: float
    first_byte: float
    ended: float
    method: str
    upstream_method: str
    scheme: str
    host: str
    path: str
    minor: int
    client: str
    status: int
    refused: str
    api_id: str
    listen_path: str
    upstream: str
    request_id: str


class Exporter(Protocol):
    """Sends spans. In a thread of its own."""

    def send(self, requests: Sequence[Traced], offset: int) -> bool:
        """Send their spans; return whether they were taken. offset: nanoseconds from `perf_counter` to the epoch."""

    def close(self) -> None:
        """Give up what is being sent."""


class Tracing:
    """One for each worker. connect: makes the exporter, in a thread. ratio: share of the requests without a parent that is sampled.
    write: is called for each request after it was traced.

    exported, dropped: requests whose spans were sent, and were not.
    """

    def __init__(self, connect: Callable[[], Exporter], ratio: float, write: Write) -> None:
        self._connect = connect
        self._below = round(ratio * (1 << 64))
        self._write = write
        self._waiting: deque[Traced] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._exporter: Exporter | None = None
        self.exported = self.dropped = 0

    def start(self) -> None:
        """Load what sends spans, and start the thread. Takes a moment."""
        self._exporter = self._connect()
        self._thread = threading.Thread(target=self._run, args=(self._exporter,), name="tracing", daemon=True)
        self._thread.start()

    def begin(self, exchange: Exchange) -> Trace:
        """Find the place of a request in its trace, or begin one; note it on the exchange."""
        given = exchange.section.values(PARENT.encode())
        parent = parse(given[0]) if len(given) == 1 else None
        if parent is None:
            id, of = getrandbits(128) or 1, 0
            sampled = id & _HALF < self._below  # as OpenTelemetry's TraceIdRatioBased, so that services agree
        else:
            id, of, sampled = parent
        exchange.trace = trace = Trace(id, getrandbits(64) or 1, of, getrandbits(64) or 1, sampled)
        return trace

    def parent_of_upstream(self, exchange: Exchange) -> bytes:
        """Write the `traceparent` that the upstream gets."""
        trace = exchange.trace or self.begin(exchange)
        return b"00-%032x-%016x-%02x" % (trace.id, trace.asking, trace.sampled)

    def write(self, exchange: Exchange, status: int, size: int, received: int, now: float) -> None:
        """Note an answered request for the thread. now: on `perf_counter`."""
        trace = exchange.trace or self.begin(exchange)
        if trace.sampled and (exchange.api is not None or exchange.refused):  # probes ask `/hello`, each second
            if len(self._waiting) < _MOST_WAITING:
                api = exchange.api
                self._waiting.append(
                    Traced(
                        trace,
                        exchange.started,
                        exchange.asked,
                        exchange.first_byte,
                        now,
                        exchange.method,
                        exchange.upstream_method or exchange.method,
                        "https" if exchange.secure else "http",
                        exchange.host,
                        logs.mask_secrets(exchange.path[:_LONGEST_PATH]),
                        exchange.minor,
                        exchange.client,
                        status,
                        exchange.refused,
                        "" if api is None else api.api_id,
                        "" if api is None else api.listen_path,
                        exchange.upstream,
                        exchange.request_id,
                    )
                )
                if len(self._waiting) == _BATCH:
                    self._wake.set()
            else:
                self._drop(1, "they come faster than they are taken")
        self._write(exchange, status, size, received, now)

    def stop(self) -> None:
        """Send what waits; give up after 5 s."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._exporter is not None:
            self._thread.join(_LAST_WORDS_S)
            self._exporter.close()

    def _run(self, exporter: Exporter) -> None:
        while not self._stopping or self._waiting:
            if len(self._waiting) < _BATCH and not self._stopping:
                self._wake.wait(_EVERY_S)
            self._wake.clear()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
            if not batch:
                continue
            try:
                sent = exporter.send(batch, time_ns() - perf_counter_ns())
            except Exception as error:  # one batch that cannot be told must not end the telling of all others
                log.error("spans not written", error=type(error).__name__)
                sent = False
            if sent:
                self.exported += len(batch)
            else:
                self._drop(len(batch), "the collector does not take them")

    def _drop(self, count: int, why: str) -> None:
        if not self.dropped:
            log.warning("traces dropped", reason=why)
        self.dropped += count

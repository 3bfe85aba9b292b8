"""Stops asking the upstream for an endpoint that fails, so that clients hear it at once and the upstream gets time to recover.

An answer of 500 or above counts as failed, as does none: not reached, too late, broken off before it began. While a breaker is open its
requests get 503. Now and then one of them is let through; when it succeeds, the breaker closes. Each worker has breakers of its own, and
they start again closed when the definition changes. A path with `%2F` or `%5C` has the breaker of the first of its readings that has one.

Fields:
* `versions.*.extended_paths.circuit_breakers` (1.8): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.circuit_breakers[].path` (1.8, required): A pattern, as in path_lists.
* `versions.*.extended_paths.circuit_breakers[].method` (1.8): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.circuit_breakers[].threshold_percent` (1.8, required): The share of failed requests that opens the breaker:
  above 0, at most 1 (0.5 is half of them). Differs: In Tyk a number above 1 switches the breaker off; here it is a mistake.
* `versions.*.extended_paths.circuit_breakers[].samples` (1.8, required): How many requests are looked at: the last ones, at most 10000.
  With fewer it stays closed. Differs: Tyk looks at the requests of the last ten seconds.
* `versions.*.extended_paths.circuit_breakers[].return_to_service_after` (1.8, required): Seconds. The breaker lets single requests through
  after half a second and then after growing pauses, of at most this time. Differs: In Tyk it closes after this time even if none succeeded.
* `versions.*.extended_paths.circuit_breakers[].disable_half_open_state` (unknown): Lets nothing through for `return_to_service_after`
  seconds; then the breaker is closed.
* `versions.*.extended_paths.circuit_breakers[].disabled` (4.1): Leaves the entry out.
Refusals: circuit-open.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports, Tell
from services.gateway.refusals import CIRCUIT_OPEN, Refusal, counted
from services.gateway.routing.endpoints import EndpointTable

_MOST_SAMPLES: Final = 10_000
_LONGEST: Final = 86_400
# Tyk's pauses between two attempts: the first in seconds, and how they grow.
_FIRST_PAUSE: Final = 0.5
_GROWTH: Final = 1.5
# Tyk's events: their names, and what the metadata call them (`CircuitEvent` is a number there).
_TRIPPED: Final = ("BreakerTripped", "Breaker Tripped", "0")
_RESET: Final = ("BreakerReset", "Breaker Reset", "1")
_ANY_CHANGE: Final = "BreakerTriggered"


@dataclass(frozen=True, slots=True)
class Entry:
    """One breaker. method "" = every method. threshold: a share. seconds: return_to_service_after. half_open: whether it tries before."""

    path: str
    method: str
    threshold: float
    samples: int
    seconds: float
    half_open: bool


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them."""

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = reader.entries("circuit_breakers", _entry)
    return Spec(versions) if versions else None


def _entry(version: VersionReader, reader: Reader) -> Entry:
    threshold = reader.number("threshold_percent", 0, 0, 1)
    if threshold == 0:
        reader.mistake("threshold_percent", "threshold_percent must be a share above 0 and at most 1: 0.5 is half of the requests")
    samples = reader.integer("samples", 0, 0, _MOST_SAMPLES)
    if samples == 0:
        reader.mistake("samples", f"samples must be a number of requests from 1 to {_MOST_SAMPLES}")
    seconds = reader.number("return_to_service_after", 0, 0, _LONGEST)
    if seconds == 0:
        reader.mistake("return_to_service_after", "return_to_service_after must be a number of seconds above 0")
    half_open = not reader.flag("disable_half_open_state")
    return Entry(version.path(reader), version.method(reader), threshold, samples, seconds, half_open)


def build(spec: Spec, ports: Ports) -> CircuitBreakers:
    """Build a table of endpoints for each version."""
    return CircuitBreakers({version.name: _table(version, entries, ports) for version, entries in spec.versions})


class CircuitBreakers:
    """Refuses requests while their breaker is open, and has the others tell it how they ended (`exchange.outcome`)."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, EndpointTable[Breaker | None]]) -> None:
        self._tables = tables

    def on_request(self, exchange: Exchange) -> None:
        table = self._tables.get(exchange.version_name)
        if table is not None:
            breaker = table.find_any(exchange.method, exchange.relative)
            if breaker is not None:
                exchange.outcome = breaker.admit(exchange)


class Breaker:
    """The breaker of one entry: closed, or open and from time to time half-open."""

    __slots__ = ("_entry", "_failed", "_next", "_now", "_open", "_pause", "_seen", "_tell")

    def __init__(self, entry: Entry, now: Callable[[], float], tell: Tell) -> None:
        self._entry = entry
        self._now = now
        self._tell = tell
        self._seen: deque[bool] = deque()
        self._failed = 0
        self._open = False
        self._pause = 0.0
        self._next = 0.0

    def admit(self, exchange: Exchange) -> Callable[[Exchange, int], None]:
        """Return what is to be told of the end of a request that may pass. Raises Refusal."""
        if not self._open:
            return self._ended
        wait = self._next - self._now()
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            raise Refusal(
                CIRCUIT_OPEN,
                headers=((b"Retry-After", b"%d" % seconds),),
                detail=f"The upstream failed too often for this endpoint; it is asked again in {counted(seconds, 'second')}.",
            )
        if not self._entry.half_open:
            self._close(exchange)
            return self._ended
        # The next attempt is allowed after a pause in any case: this one may never tell how it ended.
        self._wait(min(self._pause * _GROWTH, self._entry.seconds))
        return self._tried

    def _ended(self, exchange: Exchange, status: int) -> None:
        """Take note of a request. status: 0 = no answer came."""
        if self._open:  # it was on its way when the breaker opened
            return
        failed = _has_failed(status)
        self._seen.append(failed)
        self._failed += failed
        if len(self._seen) > self._entry.samples:
            self._failed -= self._seen.popleft()
        if failed and len(self._seen) == self._entry.samples and self._failed >= self._entry.threshold * self._entry.samples:
            self._open = True
            self._wait(min(_FIRST_PAUSE, self._entry.seconds) if self._entry.half_open else self._entry.seconds)
            self._tell_of(exchange, *_TRIPPED)

    def _tried(self, exchange: Exchange, status: int) -> None:
        """Take note of a request that was let through while the breaker was open."""
        if self._open and not _has_failed(status):
            self._close(exchange)

    def _wait(self, pause: float) -> None:
        self._pause = pause
        self._next = self._now() + pause

    def _close(self, exchange: Exchange) -> None:
        self._open = False
        self._seen.clear()
        self._failed = 0
        self._tell_of(exchange, *_RESET)

    def _tell_of(self, exchange: Exchange, event: str, message: str, number: str) -> None:
        api = exchange.api
        metadata = {"Message": message, "Path": self._entry.path, "CircuitEvent": number, "APIID": api.api_id if api else "", "Key": ""}
        self._tell(exchange, event, metadata)
        self._tell(exchange, _ANY_CHANGE, metadata)


def _has_failed(status: int) -> bool:
    return status == 0 or status >= 500


def _table(version: Version, entries: tuple[Entry, ...], ports: Ports) -> EndpointTable[Breaker | None]:
    return endpoint_table(version, [(entry.path, entry.method, Breaker(entry, ports.now, ports.tell)) for entry in entries], None)

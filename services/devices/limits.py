"""How often a token may use a route: so many requests in each minute of the clock, as TagoIO counts.

Counted in this process, or by all processes together in Valkey, exactly. While Valkey is away, requests pass uncounted, as they do at the
gateway: the first ones after at most 250 ms, the others at once, and `/ready` says so.
"""

from __future__ import annotations

import math
import threading
from typing import Any, Final, Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, RedisClusterException
from redis.retry import Retry

from services.common import logging as logs
from services.common.clock import Clock
from services.common.readiness import NotReady
from services.devices import refusals
from services.devices.settings import RateLimits, plain

log = logs.get(__name__)

MINUTE_S: Final = 60
ANSWER_S: Final = 0.25
PAUSE_S: Final = 1.0  # after Valkey did not answer it is not asked for so long; then by one request at a time
_PREFIX: Final = "gatehouse:devices:rate:"
_TIMES: Final[dict[str, Any]] = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S}


class Counter(Protocol):
    """Counts uses in minutes."""

    def count(self, use: str, minute: int) -> int | None:
        """Count one use; return how many there are in this minute, None when it cannot be counted. Never raises."""

    def check(self) -> None:
        """Raise NotReady when uses are not counted."""

    def close(self) -> None: ...


class InProcess:
    """Counts in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = -1
        self._uses: dict[str, int] = {}

    def count(self, use: str, minute: int) -> int:
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._uses.clear()
            uses = self._uses[use] = self._uses.get(use, 0) + 1
        return uses

    def check(self) -> None:
        """Do nothing: they are counted always."""

    def close(self) -> None:
        """Do nothing."""


class InValkey:
    """Counts of all processes together; one round trip a use. The minute is that of each process's own clock."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._next_try = 0.0
        self._away = False
        self._probe = f"{_PREFIX}probe"
        self._url = url.replace("valkeys://", "rediss://").replace("valkey://", "redis://")
        self._client: redis.Redis | redis.RedisCluster = redis.Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), **_TIMES)

    def count(self, use: str, minute: int) -> int | None:
        if not self._may_ask():
            return None
        key = f"{_PREFIX}{use}:{minute}"
        uses = self._ask(key)
        if uses is None:
            self._probe = f"{_PREFIX}{{{key}}}"  # in the same slot of a cluster
        return uses

    def _ask(self, key: str) -> int | None:
        try:
            try:
                uses = self._raised(key)
            except MovedError:
                self._follow()
                uses = self._raised(key)
        except (redis.RedisError, RedisClusterException, OSError) as error:
            self._lost(error)
            return None
        self._back()
        return uses

    def _raised(self, key: str) -> int:
        together = self._client.pipeline(transaction=False)
        together.incr(key)
        together.expire(key, 2 * MINUTE_S)
        uses: int = together.execute()[0]
        return uses

    def _follow(self) -> None:
        """Use a client that knows where a cluster holds what. Raises RedisError, RedisClusterException."""
        with self._lock:
            if not isinstance(self._client, redis.RedisCluster):
                self._client = redis.RedisCluster.from_url(self._url, retry=Retry(NoBackoff(), 0), require_full_coverage=False, **_TIMES)
                log.info("Valkey is a cluster")

    def check(self) -> None:
        if self._away and self._may_ask():  # perhaps no request comes that would find out
            self._ask(self._probe)
        if self._away:
            raise NotReady("Valkey does not answer; requests pass uncounted")

    def close(self) -> None:
        self._client.close()

    def _may_ask(self) -> bool:
        if not self._away:
            return True
        with self._lock:
            now = self._clock.monotonic()
            if now < self._next_try:
                return False
            self._next_try = now + PAUSE_S
            return True

    def _lost(self, error: Exception) -> None:
        with self._lock:
            self._next_try = self._clock.monotonic() + PAUSE_S
            if not self._away:
                self._away = True
                log.warning("Valkey unreachable; requests passed uncounted", error=type(error).__name__)

    def _back(self) -> None:
        if self._away:
            with self._lock:
                self._away = False
            log.info("Valkey back; requests are counted")


class Limits:
    """The limits of the settings. Thread-safe."""

    def __init__(self, limits: RateLimits, counter: Counter, clock: Clock) -> None:
        self._limits = dict(limits)
        self._counter = counter
        self._clock = clock

    def charge(self, token_id: str, method: str, rule: str) -> None:
        """Count one request of a token. rule: the route's, as Flask writes it. Raises Refusal 429 when the minute's limit is used up."""
        if not self._limits:
            return
        route = f"{'GET' if method == 'HEAD' else method} {plain(rule)}"
        limit = self._limits.get(route)
        if limit is None:
            return
        now = self._clock.now().timestamp()
        uses = self._counter.count(f"{token_id}:{route}", int(now // MINUTE_S))
        if uses is not None and uses > limit:
            raise refusals.too_many_requests(max(1, math.ceil(MINUTE_S - now % MINUTE_S)))

    def unknown(self, routes: set[str]) -> list[str]:
        """Return the limited routes that are none of the service's. routes: `METHOD rule`, as `plain` writes the rule."""
        return sorted(self._limits.keys() - routes)


def create(limits: RateLimits, valkey_url: str | None, clock: Clock) -> tuple[Limits, Counter]:
    """Create the limits, and what counts: in Valkey when there is a URL of one."""
    counter: Counter = InValkey(valkey_url, clock) if valkey_url and limits else InProcess()
    return Limits(limits, counter, clock), counter

"""Limits the requests of a key, an API or a client address in a span of seconds, exactly, over all workers and nodes.

It looks at the key's `rate` and `per`: `rate` requests in `per` seconds; a `rate` of 0 or less, or a `per` of 0 = no limit. A `limit` in
the key's rights to this API takes their place, and counts apart. The limit of the key is asked first; a request that it refuses is not
charged to the API's. IPv6 clients share a limit by /64, because one client owns all of it. Answers and refusals carry `RateLimit-Policy`
and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) for each limit, named `key`, `api` or `address`; refusals also carry `Retry-After`.

Fields:
* `disable_rate_limit` (2.3): The rates of keys do not apply to this API.
* `global_rate_limit.rate` (2.4): How many requests the whole API takes in `per` seconds; 0 or -1 = no limit.
* `global_rate_limit.per` (2.4): The span in seconds; 0 = no limit.
* `global_rate_limit.by` (own): `api` counts all requests together; `address` gives each client address a limit of its own, also without
  keys.
* `global_rate_limit.disabled` (5.3): Switches the limit of the API off.
Refusals: rate-limit-exceeded, api-rate-limit-exceeded.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from services.common.addresses import group_of
from services.common.remembered import Remembered
from services.gateway.counters.port import Counters, Taken
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, Limited
from services.gateway.ports import Ports
from services.gateway.refusals import API_RATE_LIMITED, RATE_LIMITED, Refusal, RefusalKind, counted

_HEADERS: Final = b'RateLimit-Policy: "%b";q=%d;w=%d\r\nRateLimit: "%b";r=%%d;t=%%d\r\n'

LimitedBy = Literal["api", "address"]
_LIMITED_BY: Final[tuple[LimitedBy, ...]] = ("api", "address")


@dataclass(frozen=True, slots=True)
class GlobalRateLimit:
    """`rate` requests in `per` seconds, for the whole API or for each client address."""

    rate: int
    per: float
    by: LimitedBy = "api"


@dataclass(frozen=True, slots=True)
class Spec:
    """of_key: whether the rates of keys apply. overall: the limit of the API, None = it has none."""

    api_id: str
    of_key: bool
    overall: GlobalRateLimit | None


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the limits; None when neither keys nor the API have any."""
    disabled = reader.flag("disable_rate_limit")
    of_key = not (reader.definition.use_keyless or disabled)
    overall = _overall(reader)
    return Spec(reader.definition.api_id, of_key, overall) if of_key or overall else None


def _overall(root: DefinitionReader) -> GlobalRateLimit | None:
    """Read the limit of the whole API; None when there is none."""
    reader = root.object("global_rate_limit")
    rate = reader.integer("rate", 0, -1)
    per = reader.number("per", 0, 0, 10**9)
    by = reader.choice("by", _LIMITED_BY, "api")
    disabled = reader.flag("disabled")
    return None if disabled or rate <= 0 or per <= 0 else GlobalRateLimit(rate, per, by)


def build(spec: Spec, ports: Ports) -> RateLimit:
    """Build the limits on their counters."""
    return RateLimit(spec.api_id, spec.of_key, spec.overall, ports.counters)


class Policy:
    """One limit and how it is announced. name: in the headers. window: seconds. whose: how the refusal's detail begins. counter: that it
    takes from, unless each address has one.
    """

    __slots__ = ("counter", "headers", "kind", "limit", "whose", "window")

    def __init__(self, name: bytes, limit: int, window: float, kind: RefusalKind, whose: str, counter: str) -> None:
        self.counter = counter
        self.limit = limit
        self.window = window
        self.kind = kind
        self.whose = whose
        self.headers = _HEADERS % (name, limit, ceil(window), name)

    def announce(self, exchange: Exchange, taken: Taken) -> None:
        """Write the headers; raise the refusal when nothing was left."""
        exchange.limits += self.headers % (taken[2], ceil(taken[4]))
        if not taken[0]:
            raise self.refusal(taken)

    def refusal(self, taken: Taken) -> Refusal:
        """Return the refusal of a request that had nothing left."""
        wait = max(ceil(taken.reset_in), 1)
        limit = f"{counted(self.limit, 'request')} in {counted(self.window, 'second')}"
        detail = f"{self.whose} limit is {limit}; try again in {counted(wait, 'second')}."
        return Refusal(self.kind, headers=((b"Retry-After", b"%d" % wait),), detail=detail)


class RateLimit:
    """Takes from the key's counter, then from the API's."""

    __slots__ = ("_api_id", "_by_address", "_counter", "_global", "_known", "_of_key", "_prefixes", "_take")

    def __init__(self, api_id: str, of_key: bool, overall: GlobalRateLimit | None, counters: Counters) -> None:
        self._take = counters.take
        self._api_id = api_id
        self._of_key = of_key
        self._known: Remembered[str, tuple[Key, Policy | None]] = Remembered()
        self._prefixes: Remembered[str, str] = Remembered()
        self._by_address = overall is not None and overall.by == "address"
        self._counter = f"a:{api_id}"
        self._global: Policy | None = None
        if overall is not None:
            name, whose = (b"address", "The address's") if self._by_address else (b"api", "The API's")
            self._global = Policy(name, overall.rate, overall.per, API_RATE_LIMITED, whose, self._counter)

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        if self._of_key:
            key = exchange.key
            assert key is not None  # authentication came before
            known = self._known.get(key.id)
            if known is None or known[0] is not key:
                known = self._remember(key)
            policy = known[1]
            if policy is not None:
                taken = self._take(policy.counter, policy.limit, policy.window)
                if not isinstance(taken, Taken):
                    return self._wait(exchange, policy, taken)
                policy.announce(exchange, taken)
        policy = self._global
        if policy is None:
            return None
        taken = self._take(self._of_address(exchange.client) if self._by_address else self._counter, policy.limit, policy.window)
        if not isinstance(taken, Taken):
            return _announce_later(exchange, policy, taken)
        policy.announce(exchange, taken)
        return None

    async def _wait(self, exchange: Exchange, policy: Policy, taking: Awaitable[Taken]) -> None:
        policy.announce(exchange, await taking)
        overall = self._global
        if overall is not None:
            taken = self._take(self._of_address(exchange.client) if self._by_address else self._counter, overall.limit, overall.window)
            overall.announce(exchange, taken if isinstance(taken, Taken) else await taken)

    def _remember(self, key: Key) -> tuple[Key, Policy | None]:
        """Find the limit of a key, once for each of its states. A rate below 1 stretches the window; above 1, its fraction is cut off."""
        policy = None
        limited: Limited = key if key.limits is None else key.limits.get(self._api_id, key)
        if limited.rate > 0 and limited.per > 0:
            limit, window = (int(limited.rate), limited.per) if limited.rate >= 1 else (1, limited.per / limited.rate)
            policy = Policy(b"key", limit, window, RATE_LIMITED, "The key's", limited.rate_counter)
        return self._known.keep(key.id, (key, policy))

    def _of_address(self, client: str) -> str:
        """Name the counter of a client address. An IPv4 address needs no parsing: it is in its one form already."""
        if ":" not in client:
            return f"{self._counter}@{client}"
        counter = self._prefixes.get(client)
        if counter is None:
            counter = self._prefixes.keep(client, f"{self._counter}@{group_of(client)}")
        return counter


async def _announce_later(exchange: Exchange, policy: Policy, taking: Awaitable[Taken]) -> None:
    policy.announce(exchange, await taking)

"""Limits the requests of a key, an API or a client address in a span of seconds, exactly, over all workers and nodes.

It looks at the key's `rate` and `per`: `rate` requests in `per` seconds; a `rate` of 0 or less, or a `per` of 0 = no limit. A `limit` in
the key's rights to this API takes their place, and counts apart. So do the rates of single paths and methods in these rights (Tyk 5.4):
`"endpoints": [{"path": pattern, "methods": [{"name": "GET", "limit": {"rate": 5, "per": 60}}]}]`, with patterns as in path_lists. The first
that matches counts, for this API alone; one of 0 or less is no limit. A path with `%2F` or `%5C` takes from the limits of all of its
readings.

The limit of the key is asked first; a request that it refuses is not charged to the API's. IPv6 clients share a limit by /64, because one
client owns all of it. Answers and refusals carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) for each limit,
named `key`, `endpoint`, `api` or `address`; refusals also carry `Retry-After`.

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

import json
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Literal, NamedTuple

from services.common.addresses import group_of
from services.common.remembered import Remembered
from services.gateway.counters.port import Counters, Taken
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, Limited, endpoint_counter, window_of
from services.gateway.ports import Ports
from services.gateway.refusals import API_RATE_LIMITED, RATE_LIMITED, Refusal, RefusalKind, counted
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.paths import matching_forms
from services.gateway.routing.patterns import translate

_OF_ENDPOINT: Final = "For this path and method, the key's"
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


class Rate(NamedTuple):
    """The rate of a path and a method. path: a pattern."""

    method: str
    path: str
    rate: float
    per: float


class Known(NamedTuple):
    """A key in its state of then, and its limits. endpoints: None = it has no rates of paths; of_endpoints: those that were asked for."""

    key: Key
    policy: Policy | None
    endpoints: EndpointTable[Rate | None] | None
    of_endpoints: dict[Rate, Policy | None]


class RateLimit:
    """Takes from the key's counter, then from the API's."""

    __slots__ = ("_api_id", "_by_address", "_counter", "_global", "_known", "_of_key", "_prefixes", "_tables", "_take")

    def __init__(self, api_id: str, of_key: bool, overall: GlobalRateLimit | None, counters: Counters) -> None:
        self._take = counters.take
        self._api_id = api_id
        self._of_key = of_key
        self._known: Remembered[str, Known] = Remembered()
        # By what they are read from: many keys have their rates from one policy.
        self._tables: Remembered[str, EndpointTable[Rate | None]] = Remembered(256)
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
            if known[2] is not None:
                policies = self._of_path(known, known[2], exchange)
                if len(policies) > 1:
                    return self._take_all(exchange, policies)
                policy = policies[0]
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

    async def _take_all(self, exchange: Exchange, policies: Sequence[Policy | None]) -> None:
        """Take from the limits of all readings of a path; a request that one of them refuses is charged to those before it."""
        for policy in policies:
            if policy is not None:
                taken = self._take(policy.counter, policy.limit, policy.window)
                policy.announce(exchange, taken if isinstance(taken, Taken) else await taken)
        await self._take_overall(exchange)

    async def _wait(self, exchange: Exchange, policy: Policy, taking: Awaitable[Taken]) -> None:
        policy.announce(exchange, await taking)
        await self._take_overall(exchange)

    async def _take_overall(self, exchange: Exchange) -> None:
        overall = self._global
        if overall is not None:
            taken = self._take(self._of_address(exchange.client) if self._by_address else self._counter, overall.limit, overall.window)
            overall.announce(exchange, taken if isinstance(taken, Taken) else await taken)

    def _remember(self, key: Key) -> Known:
        """Find the limits of a key, once for each of its states."""
        limited: Limited = key if key.limits is None else key.limits.get(self._api_id, key)
        policy = _policy(b"key", limited.rate, limited.per, "The key's", limited.rate_counter)
        return self._known.keep(key.id, Known(key, policy, self._endpoints(key), {}))

    def _endpoints(self, key: Key) -> EndpointTable[Rate | None] | None:
        granted = (key.session.get("access_rights") or {}).get(self._api_id) or {}
        entries = granted.get("endpoints")
        if not entries:
            return None
        text = json.dumps(entries)
        table = self._tables.get(text)
        if table is None:
            table = self._tables.keep(text, EndpointTable([one for entry in entries for one in _endpoints(entry)], default=None))
        return table

    def _of_path(self, known: Known, table: EndpointTable[Rate | None], exchange: Exchange) -> Sequence[Policy | None]:
        """Return the limits that a path takes from: one, or as many as its readings have."""
        path = exchange.relative
        if "%" not in path:
            return (self._of_rate(known, table.find_matching(exchange.method, path)),)
        readings = [table.look(exchange.method, form) for form in matching_forms(path)]
        return tuple(dict.fromkeys(self._of_rate(known, rate) for rate in readings))

    def _of_rate(self, known: Known, rate: Rate | None) -> Policy | None:
        """Return the limit of a path; that of the key where the path has no rate."""
        if rate is None:
            return known.policy
        if rate not in known.of_endpoints:
            counter = endpoint_counter(known.key, self._api_id, rate.method, rate.path)
            known.of_endpoints[rate] = _policy(b"endpoint", rate.rate, rate.per, _OF_ENDPOINT, counter)
        return known.of_endpoints[rate]

    def _of_address(self, client: str) -> str:
        """Name the counter of a client address. An IPv4 address needs no parsing: it is in its one form already."""
        if ":" not in client:
            return f"{self._counter}@{client}"
        counter = self._prefixes.get(client)
        if counter is None:
            counter = self._prefixes.keep(client, f"{self._counter}@{group_of(client)}")
        return counter


def _policy(name: bytes, rate: float, per: float, whose: str, counter: str) -> Policy | None:
    """Return the limit of a key; None when there is none. A rate below 1 stretches the window; above 1, its fraction is cut off."""
    if rate <= 0 or per <= 0:
        return None
    limit, window = window_of(rate, per)
    return Policy(name, limit, window, RATE_LIMITED, whose, counter)


def _endpoints(entry: Mapping[str, Any]) -> Iterator[Endpoint[Rate | None]]:
    pattern = translate(entry["path"])
    for method in entry["methods"]:
        name, limit = method["name"], method["limit"]
        yield Endpoint(pattern, (name,), Rate(name, entry["path"], limit["rate"], limit["per"]))


async def _announce_later(exchange: Exchange, policy: Policy, taking: Awaitable[Taken]) -> None:
    policy.announce(exchange, await taking)

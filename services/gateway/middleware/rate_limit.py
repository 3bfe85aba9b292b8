"""Limits the requests of a key, an API or a client address in a span of seconds, exactly, over all workers and nodes.

It looks at the key's `rate` and `per`: `rate` requests in `per` seconds; a `rate` of 0 or less, or a `per` of 0 = no limit. A `limit` in
the key's rights to this API takes their place, and counts apart. So do the rates of single paths and methods in these rights (Tyk 5.4):
`"endpoints": [{"path": pattern, "methods": [{"name": "GET", "limit": {"rate": 5, "per": 60}}]}]`, with patterns as in path_lists. The first
that matches counts, for this API alone; one of 0 or less is no limit. A path with `%2F` or `%5C` takes from the limits of all of its
readings.

The limit of the key is asked first; a request that it refuses is not charged to the API's. IPv6 clients share a limit by /64, because one
client owns all of it. Answers and refusals carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) for each limit,
named `key`, `endpoint`, `api`, `api-endpoint` or `address`; refusals also carry `Retry-After`.

Fields:
* `disable_rate_limit` (2.3): The rates of keys do not apply to this API. Differs: Its own limits do; in Tyk this switches them off, too.
* `global_rate_limit.rate` (2.4): How many requests the whole API takes in `per` seconds; 0 or -1 = no limit.
* `global_rate_limit.per` (2.4): The span in seconds; 0 = no limit.
* `global_rate_limit.by` (own): `api` counts all requests together; `address` gives each client address a limit of its own, also without
  keys.
* `global_rate_limit.disabled` (5.3): Switches the limit of the API off.
* `versions.*.extended_paths.rate_limit` (5.5): Entries for single paths, with `use_extended_paths`. All requests that an entry matches are
  counted together, whoever sends them, in place of `global_rate_limit`; the rates of keys count beside it.
* `versions.*.extended_paths.rate_limit[].path` (5.5, required): A pattern, as in path_lists.
* `versions.*.extended_paths.rate_limit[].method` (5.5): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.rate_limit[].rate` (5.5): How many requests in `per` seconds; 0 or -1 = the limit of the API counts.
* `versions.*.extended_paths.rate_limit[].per` (5.5): The span in seconds; 0 = the limit of the API counts.
* `versions.*.extended_paths.rate_limit[].disabled` (5.5): Leaves the entry out.
Refusals: rate-limit-exceeded, api-rate-limit-exceeded.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256 as digest
from typing import Any, Final, Literal, NamedTuple

from services.common.addresses import group_of
from services.common.remembered import Remembered
from services.gateway.counters.policies import Policy, policy_of
from services.gateway.counters.port import Counters, Taken
from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, Limited, endpoint_counter
from services.gateway.ports import Ports
from services.gateway.refusals import API_RATE_LIMITED, RATE_LIMITED
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.paths import matching_forms
from services.gateway.routing.patterns import translate

_OF_ENDPOINT: Final = "For this path and method, the key's"
_OF_PATH: Final = "For this path and method, the API's"

LimitedBy = Literal["api", "address"]
_LIMITED_BY: Final[tuple[LimitedBy, ...]] = ("api", "address")


@dataclass(frozen=True, slots=True)
class GlobalRateLimit:
    """`rate` requests in `per` seconds, for the whole API or for each client address."""

    rate: int
    per: float
    by: LimitedBy = "api"


class Rate(NamedTuple):
    """The rate of a path and a method. path: a pattern."""

    method: str
    path: str
    rate: float
    per: float


@dataclass(frozen=True, slots=True)
class Spec:
    """of_key: whether the rates of keys apply. overall: the limit of the API, None = it has none. paths: versions with their entries."""

    api_id: str
    of_key: bool
    overall: GlobalRateLimit | None
    paths: tuple[tuple[Version, tuple[Rate, ...]], ...] = ()


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the limits; None when neither keys nor the API have any."""
    disabled = reader.flag("disable_rate_limit")
    of_key = not (reader.definition.use_keyless or disabled)
    overall = _overall(reader)
    paths = reader.entries("rate_limit", _entry)
    return Spec(reader.definition.api_id, of_key, overall, paths) if of_key or overall or paths else None


def _entry(version: VersionReader, reader: Reader) -> Rate:
    rate = max(reader.limit("rate"), 0)
    return Rate(version.method(reader), version.path(reader), rate, reader.number("per", 0, 0, 10**9))


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
    paths = {
        version.name: endpoint_table(version, [(one.path, one.method, _of_api(spec.api_id, version, one)) for one in entries], None)
        for version, entries in spec.paths
    }
    return RateLimit(spec.api_id, spec.of_key, spec.overall, ports.counters, paths)


def _of_api(api_id: str, version: Version, rate: Rate) -> Policy | None:
    # No address, which stands in this place elsewhere, begins with a slash.
    counter = f"a:{api_id}@/{digest(f'{version.name} {rate.method} {rate.path}'.encode()).hexdigest()[:32]}"
    return policy_of(b"api-endpoint", rate.rate, rate.per, _OF_PATH, counter, API_RATE_LIMITED)


class Known(NamedTuple):
    """A key in its state of then, and its limits. endpoints: None = it has no rates of paths; of_endpoints: those that were asked for."""

    key: Key
    policy: Policy | None
    endpoints: EndpointTable[Rate | None] | None
    of_endpoints: dict[Rate, Policy | None]


class RateLimit:
    """Takes from the key's counter, then from the API's."""

    __slots__ = ("_api_id", "_by_address", "_counter", "_global", "_known", "_of_key", "_paths", "_prefixes", "_tables", "_take")

    def __init__(
        self,
        api_id: str,
        of_key: bool,
        overall: GlobalRateLimit | None,
        counters: Counters,
        paths: Mapping[str, EndpointTable[Policy | None]],
    ) -> None:
        self._paths = paths
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
        if self._paths:
            return self._take_paths(exchange)
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
        if self._paths:
            waiting = self._take_paths(exchange)
            if waiting is not None:
                await waiting
        elif overall is not None:
            taken = self._take(self._of_address(exchange.client) if self._by_address else self._counter, overall.limit, overall.window)
            overall.announce(exchange, taken if isinstance(taken, Taken) else await taken)

    def _take_paths(self, exchange: Exchange) -> Awaitable[None] | None:
        """Take from the API's limits for a path: those of all of its readings; that of the whole API where it has none of its own."""
        table, method, path = self._paths.get(exchange.version_name), exchange.method, exchange.relative
        if table is None or "%" not in path:
            policy = self._global if table is None else table.find_matching(method, path) or self._global
            if policy is None:
                return None
            taken = self._take_policy(policy, exchange)
            if not isinstance(taken, Taken):
                return _announce_later(exchange, policy, taken)
            policy.announce(exchange, taken)
            return None
        found = dict.fromkeys(table.look(method, form) for form in matching_forms(path))
        policies = [one for one in (each or self._global for each in found) if one is not None]
        for place, policy in enumerate(policies):
            taken = self._take_policy(policy, exchange)
            if not isinstance(taken, Taken):
                return self._take_rest(exchange, taken, policies[place:])
            policy.announce(exchange, taken)
        return None

    async def _take_rest(self, exchange: Exchange, taking: Awaitable[Taken], policies: Sequence[Policy]) -> None:
        policies[0].announce(exchange, await taking)
        for policy in policies[1:]:
            taken = self._take_policy(policy, exchange)
            policy.announce(exchange, taken if isinstance(taken, Taken) else await taken)

    def _take_policy(self, policy: Policy, exchange: Exchange) -> Taken | Awaitable[Taken]:
        by_address = self._by_address and policy is self._global
        return self._take(self._of_address(exchange.client) if by_address else policy.counter, policy.limit, policy.window)

    def _remember(self, key: Key) -> Known:
        """Find the limits of a key, once for each of its states."""
        limited: Limited = key if key.limits is None else key.limits.get(self._api_id, key)
        policy = policy_of(b"key", limited.rate, limited.per, "The key's", limited.rate_counter, RATE_LIMITED)
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
            known.of_endpoints[rate] = policy_of(b"endpoint", rate.rate, rate.per, _OF_ENDPOINT, counter, RATE_LIMITED)
        return known.of_endpoints[rate]

    def _of_address(self, client: str) -> str:
        """Name the counter of a client address. An IPv4 address needs no parsing: it is in its one form already."""
        if ":" not in client:
            return f"{self._counter}@{client}"
        counter = self._prefixes.get(client)
        if counter is None:
            counter = self._prefixes.keep(client, f"{self._counter}@{group_of(client)}")
        return counter


def _endpoints(entry: Mapping[str, Any]) -> Iterator[Endpoint[Rate | None]]:
    pattern = translate(entry["path"])
    for method in entry["methods"]:
        name, limit = method["name"], method["limit"]
        yield Endpoint(pattern, (name,), Rate(name, entry["path"], limit["rate"], limit["per"]))


async def _announce_later(exchange: Exchange, policy: Policy, taking: Awaitable[Taken]) -> None:
    policy.announce(exchange, await taking)

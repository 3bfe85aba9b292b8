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
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256 as digest
from typing import Any, Final, Literal, NamedTuple

from services.common.addresses import group_of
from services.common.remembered import Remembered
from services.gateway.counters.policies import Policy, announce, policy_of
from services.gateway.counters.port import Charges, Counters, Taken
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
    """of_key: whether the rates of keys apply. overall: the limit of the API, None = it has none. paths: versions with their entries.
    before_quota: whether the quotas of keys count, too.
    """

    api_id: str
    of_key: bool
    overall: GlobalRateLimit | None
    paths: tuple[tuple[Version, tuple[Rate, ...]], ...] = ()
    before_quota: bool = False


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the limits; None when neither keys nor the API have any."""
    disabled = reader.flag("disable_rate_limit")
    of_key = not (reader.definition.use_keyless or disabled)
    overall = _overall(reader)
    paths = reader.entries("rate_limit", _entry)
    before_quota = not (reader.definition.use_keyless or reader.flag("disable_quota"))
    return Spec(reader.definition.api_id, of_key, overall, paths, before_quota) if of_key or overall or paths else None


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
    return RateLimit(spec, ports.counters, paths)


def _of_api(api_id: str, version: Version, rate: Rate) -> Policy | None:
    # No address, which stands in this place elsewhere, begins with a slash.
    counter = f"a:{api_id}@/{digest(f'{version.name} {rate.method} {rate.path}'.encode()).hexdigest()[:32]}"
    return policy_of(b"api-endpoint", rate.rate, rate.per, _OF_PATH, counter, API_RATE_LIMITED)


class Known(NamedTuple):
    """A key in its state of then, and its limits. policies: what all of its requests take from; None = the path decides, or the address.

    endpoints: None = it has no rates of paths; of_endpoints: those that were asked for.
    """

    key: Key
    policies: tuple[Policy, ...] | None
    policy: Policy | None
    endpoints: EndpointTable[Rate | None] | None
    of_endpoints: dict[Rate, Policy | None]


class RateLimit:
    """Takes from the key's counters, then from the API's; or leaves it to the quota, which is asked next, to take from all at once."""

    __slots__ = (
        "_addresses",
        "_api_id",
        "_at_once",
        "_charges",
        "_counter",
        "_global",
        "_known",
        "_leaves",
        "_of_key",
        "_paths",
        "_tables",
        "_take",
        "_take_all",
    )

    def __init__(self, spec: Spec, counters: Counters, paths: Mapping[str, EndpointTable[Policy | None]]) -> None:
        self._paths = paths
        self._take = counters.take
        self._take_all = counters.take_all
        self._at_once = counters.at_once
        self._leaves = spec.before_quota and not counters.at_once
        self._api_id = spec.api_id
        self._of_key = spec.of_key
        self._known: Remembered[str, Known] = Remembered()
        # By what they are read from: many keys have their rates from one policy.
        self._tables: Remembered[str, EndpointTable[Rate | None]] = Remembered(256)
        self._charges: Remembered[tuple[Policy, ...], Charges] = Remembered()
        self._addresses: Remembered[str, Policy] | None = None
        self._counter = f"a:{spec.api_id}"
        self._global: Policy | None = None
        overall = spec.overall
        if overall is not None:
            name, whose = b"api", "The API's"
            if overall.by == "address":
                name, whose, self._addresses = b"address", "The address's", Remembered()
            self._global = Policy(name, overall.rate, overall.per, API_RATE_LIMITED, whose, self._counter)

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        policies: tuple[Policy, ...] | None = None
        if self._of_key:
            key = exchange.key
            assert key is not None  # authentication came before
            known = self._known.get(key.id)
            if known is None or known[0] is not key:
                known = self._remember(key)
            policies = known[1]
            if policies is None:
                policies = self._of_known(known, exchange) + self._of_api(exchange)
        else:
            policies = self._of_api(exchange)
        if self._at_once:
            for policy in policies:
                taken = self._take(policy.counter, policy.limit, policy.window)
                assert isinstance(taken, Taken)
                policy.announce(exchange, taken)
            return None
        if self._leaves:
            exchange.owed = policies
            return None
        return self._charge(exchange, policies) if policies else None

    def _charge(self, exchange: Exchange, policies: tuple[Policy, ...]) -> Awaitable[None] | None:
        """Take from the counters of these; a request that one of them refuses is charged to those before it."""
        charges = self._charges.get(policies)
        if charges is None:
            charges = self._charges.keep(policies, Charges(tuple([policy.charge for policy in policies])))
        taken = self._take_all(charges)
        if not isinstance(taken, list):
            return _announce_later(exchange, policies, taken)
        announce(exchange, policies, taken)
        return None

    def _of_known(self, known: Known, exchange: Exchange) -> tuple[Policy, ...]:
        """Return the limits of a key: one, or those of all readings of the path."""
        table = known.endpoints
        if table is None:
            return (known.policy,) if known.policy is not None else ()
        method, path = exchange.method, exchange.relative
        if "%" not in path:
            policy = self._of_rate(known, table.find_matching(method, path))
            return (policy,) if policy is not None else ()
        readings = [table.look(method, form) for form in matching_forms(path)]
        return tuple([one for one in dict.fromkeys(self._of_rate(known, rate) for rate in readings) if one is not None])

    def _of_api(self, exchange: Exchange) -> tuple[Policy, ...]:
        """Return the limits of the API: those of the path, of all of its readings; that of the whole API where it has none of its own."""
        overall = self._global
        if overall is not None and self._addresses is not None:
            overall = self._of_address(exchange.client, overall, self._addresses)
        table = self._paths.get(exchange.version_name) if self._paths else None
        if table is None:
            return (overall,) if overall is not None else ()
        method, path = exchange.method, exchange.relative
        if "%" not in path:
            policy = table.find_matching(method, path) or overall
            return (policy,) if policy is not None else ()
        found = dict.fromkeys(table.look(method, form) or overall for form in matching_forms(path))
        return tuple([one for one in found if one is not None])

    def _remember(self, key: Key) -> Known:
        """Find the limits of a key, once for each of its states."""
        limited: Limited = key if key.limits is None else key.limits.get(self._api_id, key)
        policy = policy_of(b"key", limited.rate, limited.per, "The key's", limited.rate_counter, RATE_LIMITED)
        endpoints = self._endpoints(key)
        policies = None
        if endpoints is None and not self._paths and self._addresses is None:
            policies = tuple([one for one in (policy, self._global) if one is not None])
        return self._known.keep(key.id, Known(key, policies, policy, endpoints, {}))

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

    def _of_rate(self, known: Known, rate: Rate | None) -> Policy | None:
        """Return the limit of a path; that of the key where the path has no rate."""
        if rate is None:
            return known.policy
        if rate not in known.of_endpoints:
            counter = endpoint_counter(known.key, self._api_id, rate.method, rate.path)
            known.of_endpoints[rate] = policy_of(b"endpoint", rate.rate, rate.per, _OF_ENDPOINT, counter, RATE_LIMITED)
        return known.of_endpoints[rate]

    def _of_address(self, client: str, overall: Policy, known: Remembered[str, Policy]) -> Policy:
        """Return the limit of a client address."""
        policy = known.get(client)
        if policy is None:
            # An IPv4 address is in its one form already.
            group = group_of(client) if ":" in client else client
            counter = f"{self._counter}@{group}"
            policy = known.keep(client, overall.counted_by(counter))
        return policy


def _endpoints(entry: Mapping[str, Any]) -> Iterator[Endpoint[Rate | None]]:
    pattern = translate(entry["path"])
    for method in entry["methods"]:
        name, limit = method["name"], method["limit"]
        yield Endpoint(pattern, (name,), Rate(name, entry["path"], limit["rate"], limit["per"]))


async def _announce_later(exchange: Exchange, policies: tuple[Policy, ...], taking: Awaitable[list[Taken]]) -> None:
    announce(exchange, policies, await taking)

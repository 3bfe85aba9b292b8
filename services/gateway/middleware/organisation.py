"""Refuses the requests to all APIs of an organisation that is switched off, or that has used up its rate or its quota.

It looks at the organisation's session (`/tyk/org/keys/{org_id}`): `is_inactive`, `rate` and `per`, `quota_max` and `quota_renewal_rate`,
`monitor` as that of keys. An organisation without a session has no limits. Requests that a later stage refuses are charged, too: it is
asked before they are looked at.

Refusals: organisation-inactive, organisation-rate-exceeded, organisation-quota-exceeded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil

from services.gateway.counters.port import Counters, Taken
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, window_of
from services.gateway.keys.triggers import TRIGGER_EXCEEDED, triggered
from services.gateway.ports import Ports, Tell
from services.gateway.refusals import ORG_INACTIVE, ORG_QUOTA_EXCEEDED, ORG_RATE_LIMITED, Refusal, RefusalKind, counted


@dataclass(frozen=True, slots=True)
class Spec:
    """org_id: the owner of the API."""

    org_id: str


def fields(reader: DefinitionReader) -> Spec | None:
    """Return the owner; None when the definition names none."""
    org_id = reader.definition.org_id
    return Spec(org_id) if org_id else None


def build(spec: Spec, ports: Ports) -> Organisation:
    """Build the check from what is known of organisations, and the counters."""
    return Organisation(spec.org_id, ports.organisation, ports.counters, ports.tell)


class Organisation:
    """The check of one API."""

    __slots__ = ("_counters", "_find", "_org_id", "_tell")

    def __init__(self, org_id: str, find: Callable[[str], Key | None], counters: Counters, tell: Tell) -> None:
        self._org_id = org_id
        self._find = find
        self._counters = counters
        self._tell = tell

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        organisation = self._find(self._org_id)
        if organisation is None:
            return None
        if organisation.is_inactive:
            raise Refusal(ORG_INACTIVE)
        if organisation.rate > 0 and organisation.per > 0:
            taken = self._take_rate(organisation)
            if not isinstance(taken, Taken):
                return self._wait(exchange, organisation, taken)
            _check(taken, ORG_RATE_LIMITED, organisation.per)
        if organisation.quota_max > 0:
            taken = self._take_quota(organisation)
            if not isinstance(taken, Taken):
                return self._check_later(exchange, taken, organisation)
            self._check_quota(exchange, taken, organisation)
        return None

    async def _wait(self, exchange: Exchange, organisation: Key, taking: Awaitable[Taken]) -> None:
        _check(await taking, ORG_RATE_LIMITED, organisation.per)
        if organisation.quota_max > 0:
            taken = self._take_quota(organisation)
            self._check_quota(exchange, taken if isinstance(taken, Taken) else await taken, organisation)

    async def _check_later(self, exchange: Exchange, taking: Awaitable[Taken], organisation: Key) -> None:
        self._check_quota(exchange, await taking, organisation)

    def _check_quota(self, exchange: Exchange, taken: Taken, organisation: Key) -> None:
        _check(taken, ORG_QUOTA_EXCEEDED, organisation.quota_renewal_rate)
        if organisation.triggers is not None:
            for trigger in triggered(organisation.triggers, taken.limit, taken.remaining, self._org_id, self._org_id):
                self._tell(exchange, TRIGGER_EXCEEDED, trigger)

    def _take_rate(self, organisation: Key) -> Taken | Awaitable[Taken]:
        limit, window = window_of(organisation.rate, organisation.per)
        return self._counters.take(organisation.rate_counter, limit, window)

    def _take_quota(self, organisation: Key) -> Taken | Awaitable[Taken]:
        return self._counters.take(organisation.quota_counter, organisation.quota_max, max(organisation.quota_renewal_rate, 0), True)


def _check(taken: Taken, kind: RefusalKind, window: float) -> None:
    if taken.admitted:
        return
    detail = f"The organisation's limit is {counted(taken.limit, 'request')}"
    if taken.reset_at <= 0:
        raise Refusal(kind, detail=f"{detail}; it is not renewed.")
    wait = max(ceil(taken.reset_in), 1)
    detail += f" in {counted(window, 'second')}; try again in {counted(wait, 'second')}."
    raise Refusal(kind, headers=((b"Retry-After", b"%d" % wait),), detail=detail)

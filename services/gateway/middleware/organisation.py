"""Refuses the requests to all APIs of an organisation that is switched off, or that has used up its rate or its quota.

It looks at the organisation's session (`/tyk/org/keys/{org_id}`): `is_inactive`, `rate` and `per`, `quota_max` and `quota_renewal_rate`,
`monitor` as that of keys. An organisation without a session has no limits. Requests that a later stage refuses are charged, too: it is
asked before they are looked at.

Refusals: organisation-inactive, organisation-rate-exceeded, organisation-quota-exceeded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from math import ceil

from services.gateway.counters.port import Charge, Charges, Counters, Taken
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

    __slots__ = ("_find", "_known", "_org_id", "_take_all", "_tell")

    def __init__(self, org_id: str, find: Callable[[str], Key | None], counters: Counters, tell: Tell) -> None:
        self._org_id = org_id
        self._find = find
        self._take_all = counters.take_all
        self._tell = tell
        self._known: tuple[Key, Charges] | None = None

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        organisation = self._find(self._org_id)
        if organisation is None:
            return None
        if organisation.is_inactive:
            raise Refusal(ORG_INACTIVE)
        known = self._known
        if known is None or known[0] is not organisation:
            known = self._known = (organisation, Charges(tuple(_charges(organisation))))
        if not known[1].each:
            return None
        taken = self._take_all(known[1])
        if not isinstance(taken, list):
            return self._check_later(exchange, taken, organisation)
        self._check_all(exchange, taken, organisation)
        return None

    async def _check_later(self, exchange: Exchange, taking: Awaitable[list[Taken]], organisation: Key) -> None:
        self._check_all(exchange, await taking, organisation)

    def _check_all(self, exchange: Exchange, taken: list[Taken], organisation: Key) -> None:
        if _has_rate(organisation):
            _check(taken[0], ORG_RATE_LIMITED, organisation.per)
        if organisation.quota_max > 0:
            self._check_quota(exchange, taken[-1], organisation)

    def _check_quota(self, exchange: Exchange, taken: Taken, organisation: Key) -> None:
        _check(taken, ORG_QUOTA_EXCEEDED, organisation.quota_renewal_rate)
        if organisation.triggers is not None:
            for trigger in triggered(organisation.triggers, taken.limit, taken.remaining, self._org_id, self._org_id):
                self._tell(exchange, TRIGGER_EXCEEDED, trigger)


def _has_rate(organisation: Key) -> bool:
    return organisation.rate > 0 and organisation.per > 0


def _charges(organisation: Key) -> Iterator[Charge]:
    """Yield what its requests are charged to: the rate before the quota, so that what is refused for its rate costs no quota."""
    if _has_rate(organisation):
        yield Charge(organisation.rate_counter, *window_of(organisation.rate, organisation.per))
    if organisation.quota_max > 0:
        yield Charge(organisation.quota_counter, organisation.quota_max, max(organisation.quota_renewal_rate, 0), True)


def _check(taken: Taken, kind: RefusalKind, window: float) -> None:
    if taken.admitted:
        return
    detail = f"The organisation's limit is {counted(taken.limit, 'request')}"
    if taken.reset_at <= 0:
        raise Refusal(kind, detail=f"{detail}; it is not renewed.")
    wait = max(ceil(taken.reset_in), 1)
    detail += f" in {counted(window, 'second')}; try again in {counted(wait, 'second')}."
    raise Refusal(kind, headers=((b"Retry-After", b"%d" % wait),), detail=detail)

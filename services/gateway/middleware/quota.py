"""Holds a key to its quota: exactly `quota_max` requests in `quota_renewal_rate` seconds from the first use, kept over restarts.

It looks at two fields of the key: `quota_max` (0 or less = no quota) and `quota_renewal_rate` (0 = never renewed); or at those of the
`limit` in the key's rights to this API, which then has a quota apart. The request that reaches a share of the quota that the key names in
`monitor.trigger_limits` (percent) fires TriggerExceeded. It is asked last, so a request that is refused for another reason is not charged;
nor is one that is refused here. Answers and refusals carry Tyk's
`X-RateLimit-Limit`, `-Remaining` and `-Reset` (epoch seconds): -1, -1 and 0 without a quota, three zeros where keys have no quota at all.

Fields:
* `disable_quota` (2.3): The quotas of keys do not apply to this API.
Refusals: quota-exceeded, with `Retry-After` when the quota renews.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from math import ceil
from typing import Final

from services.common.remembered import Remembered
from services.gateway.counters.policies import Policy, announce
from services.gateway.counters.port import Charge, Charges, Counters, Taken
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key, Limited
from services.gateway.keys.triggers import TRIGGER_EXCEEDED, triggered
from services.gateway.ports import Ports, Tell
from services.gateway.refusals import QUOTA_EXCEEDED, Refusal, counted

_HEADERS: Final = b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n"
# What stays the same for a whole window; what is left stands in the middle.
_OF_WINDOW: Final = b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %%d\r\nX-RateLimit-Reset: %d\r\n"
_KEYLESS: Final = _HEADERS % (0, 0, 0)
_UNLIMITED: Final = _HEADERS % (-1, -1, 0)


@dataclass(frozen=True, slots=True)
class Spec:
    """charged: whether keys have quotas here; otherwise the headers say that there are none."""

    charged: bool
    api_id: str = ""


_FREE: Final = Spec(charged=False)


def fields(reader: DefinitionReader) -> Spec:
    """Read whether quotas count. Every API uses it: the headers are on all answers, as in Tyk."""
    disabled = reader.flag("disable_quota")
    return _FREE if reader.definition.use_keyless or disabled else Spec(charged=True, api_id=reader.definition.api_id)


def build(spec: Spec, ports: Ports) -> Quota | KeylessQuota:
    """Build what charges, or what announces that nothing is charged."""
    return Quota(spec.api_id, ports.counters, ports.tell) if spec.charged else KeylessQuota()


class Quota:
    """Charges the key's quota and announces what is left."""

    __slots__ = ("_announced", "_api_id", "_at_once", "_charges", "_take", "_take_all", "_tell")

    def __init__(self, api_id: str, counters: Counters, tell: Tell) -> None:
        self._api_id = api_id
        self._at_once = counters.at_once
        self._take = counters.take
        self._take_all = counters.take_all
        self._tell = tell
        self._announced: Remembered[str, tuple[int, float, bytes]] = Remembered()
        self._charges: Remembered[tuple[str, tuple[Policy, ...]], tuple[Key, Charges]] = Remembered()

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        whole = exchange.key
        assert whole is not None  # authentication came before
        key: Limited = whole if whole.limits is None else whole.limits.get(self._api_id, whole)
        limit = key.quota_max
        if not self._at_once and (limit > 0 or exchange.owed):
            return self._charge(exchange, whole, key)
        if limit <= 0:
            exchange.limits += _UNLIMITED
            return None
        window = key.quota_renewal_rate
        taken = self._take(key.quota_counter, limit, window if window > 0 else 0, True)
        assert isinstance(taken, Taken)
        self._announce(exchange, key, taken)
        return None

    def _charge(self, exchange: Exchange, whole: Key, key: Limited) -> Awaitable[None] | None:
        """Take from the limits that the request owes and from the quota, all at once."""
        owed: tuple[Policy, ...] = exchange.owed
        known = self._charges.get((whole.id, owed))
        if known is None or known[0] is not whole:
            each = tuple([policy.charge for policy in owed])
            if key.quota_max > 0:
                each += (Charge(key.quota_counter, key.quota_max, max(key.quota_renewal_rate, 0), True),)
            known = self._charges.keep((whole.id, owed), (whole, Charges(each)))
        taken = self._take_all(known[1])
        if not isinstance(taken, list):
            return self._announce_later(exchange, key, owed, taken)
        self._announce_all(exchange, key, owed, taken)
        return None

    async def _announce_later(self, exchange: Exchange, key: Limited, owed: tuple[Policy, ...], taking: Awaitable[list[Taken]]) -> None:
        self._announce_all(exchange, key, owed, await taking)

    def _announce_all(self, exchange: Exchange, key: Limited, owed: tuple[Policy, ...], taken: list[Taken]) -> None:
        announce(exchange, owed, taken)
        if len(taken) > len(owed):
            self._announce(exchange, key, taken[-1])
        else:
            exchange.limits += _UNLIMITED

    def _announce(self, exchange: Exchange, key: Limited, taken: Taken) -> None:
        """Write the headers; raise the refusal when nothing was left."""
        limit = taken[1]
        known = self._announced.get(key.quota_counter)
        if known is None or known[1] != taken[3] or known[0] != limit or not taken[0] or key.triggers is not None:
            self._announced.keep(key.quota_counter, (limit, taken[3], _OF_WINDOW % (limit, taken[3])))
            self._announce_anew(exchange, key, taken)
        else:
            exchange.limits += known[2] % taken[2]

    def _announce_anew(self, exchange: Exchange, key: Limited, taken: Taken) -> None:
        admitted, limit, remaining, reset_at, _ = taken
        exchange.limits += _HEADERS % (limit, remaining, reset_at)
        if not admitted:
            raise _refusal(key, taken)
        if key.triggers is not None:
            whole = exchange.key
            assert whole is not None
            for trigger in triggered(key.triggers, limit, remaining, whole.id, whole.org_id):
                self._tell(exchange, TRIGGER_EXCEEDED, trigger)


class KeylessQuota:
    """Announces that there is no quota, as Tyk does for a keyless API."""

    __slots__ = ()

    def on_request(self, exchange: Exchange) -> None:
        exchange.limits += _KEYLESS


def _refusal(key: Limited, taken: Taken) -> Refusal:
    detail = f"The key's quota is {counted(taken.limit, 'request')}"
    if taken.reset_at <= 0:
        return Refusal(QUOTA_EXCEEDED, detail=f"{detail}; it is not renewed.")
    wait = max(ceil(taken.reset_in), 1)
    detail += f" in {counted(key.quota_renewal_rate, 'second')}; it renews in {counted(wait, 'second')}."
    return Refusal(QUOTA_EXCEEDED, headers=((b"Retry-After", b"%d" % wait),), detail=detail)

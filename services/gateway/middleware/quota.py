"""Holds a key to its quota: exactly `quota_max` requests in `quota_renewal_rate` seconds from the first use, kept over
restarts.

Fields: `use_keyless`, `disable_quota`; of the key `quota_max` (0 or less = no quota) and `quota_renewal_rate` (0 =
never renewed). Asked last, so that a request refused for anything else is not charged; a request refused here is not
charged either.
Answers and refusals carry Tyk's `X-RateLimit-Limit`, `-Remaining` and `-Reset` (epoch seconds): -1, -1, 0 without a
quota, three zeros for keyless APIs. Refusals: quota-exceeded, with `Retry-After` when the quota renews.
"""

from __future__ import annotations

from collections.abc import Awaitable
from math import ceil
from typing import Final

from services.gateway.counters.port import Counters, Taken
from services.gateway.definitions.model import Definition
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.ports import Ports
from services.gateway.refusals import QUOTA_EXCEEDED, Header, Refusal

_LIMIT: Final = b"X-RateLimit-Limit"
_REMAINING: Final = b"X-RateLimit-Remaining"
_RESET: Final = b"X-RateLimit-Reset"
_KEYLESS: Final = ((_LIMIT, b"0"), (_REMAINING, b"0"), (_RESET, b"0"))
_UNLIMITED: Final = ((_LIMIT, b"-1"), (_REMAINING, b"-1"), (_RESET, b"0"))


class Quota:
    """Charges the key's quota and announces what is left."""

    __slots__ = ("_take",)

    def __init__(self, counters: Counters) -> None:
        self._take = counters.take

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> Quota | KeylessQuota:
        return KeylessQuota() if definition.use_keyless or definition.disable_quota else cls(ports.counters)

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        key = exchange.key
        assert key is not None  # authentication came before
        limit = key.quota_max
        if limit <= 0:
            exchange.answer_headers += _UNLIMITED
            return None
        window = key.quota_renewal_rate
        taken = self._take(key.quota_counter, limit, window if window > 0 else 0, True)
        if isinstance(taken, tuple):
            _announce(exchange, key, taken)
            return None
        return _announce_later(exchange, key, taken)


class KeylessQuota:
    """What Tyk says where no quota can be."""

    __slots__ = ()

    def on_request(self, exchange: Exchange) -> None:
        exchange.answer_headers += _KEYLESS


async def _announce_later(exchange: Exchange, key: Key, taking: Awaitable[Taken]) -> None:
    _announce(exchange, key, await taking)


def _announce(exchange: Exchange, key: Key, taken: Taken) -> None:
    admitted, limit, remaining, reset_at, reset_in = taken
    # Limit and reset stay the same for a whole period; formatting them once is half of this stage's time.
    ends = _formatted.get((limit, reset_at)) or _format(limit, reset_at)
    exchange.answer_headers += (ends[0], (_REMAINING, b"%d" % remaining), ends[1])
    if admitted:
        return
    detail = f"The key's quota is {limit} requests"
    if reset_at <= 0:
        raise Refusal(QUOTA_EXCEEDED, detail=f"{detail}; it is not renewed.")
    wait = max(ceil(reset_in), 1)
    detail += f" in {key.quota_renewal_rate:.12g} seconds; it renews in {wait} seconds."
    raise Refusal(QUOTA_EXCEEDED, headers=((b"Retry-After", b"%d" % wait),), detail=detail)


_formatted: dict[tuple[int, float], tuple[Header, Header]] = {}


def _format(limit: int, reset_at: float) -> tuple[Header, Header]:
    if len(_formatted) >= 4096:
        _formatted.clear()
    ends = _formatted[limit, reset_at] = ((_LIMIT, b"%d" % limit), (_RESET, b"%d" % reset_at))
    return ends

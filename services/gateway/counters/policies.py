"""Limits as they are announced and refused: what a rate limit takes from a counter, and what its client is told."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from services.gateway.counters.port import Charge, Taken
from services.gateway.exchange import Exchange
from services.gateway.keys.model import window_of
from services.gateway.refusals import Refusal, RefusalKind, counted

_HEADERS: Final = b'RateLimit-Policy: "%b";q=%d;w=%d\r\nRateLimit: "%b";r=%%d;t=%%d\r\n'


class Policy:
    """One limit and how it is announced. name: in the headers. window: seconds. whose: how the refusal's detail begins. counter: that it
    takes from.
    """

    __slots__ = ("counter", "headers", "kind", "limit", "whose", "window")

    def __init__(self, name: bytes, limit: int, window: float, kind: RefusalKind, whose: str, counter: str) -> None:
        self.counter = counter
        self.limit = limit
        self.window = window
        self.kind = kind
        self.whose = whose
        self.headers = _HEADERS % (name, limit, ceil(window), name)

    @property
    def charge(self) -> Charge:
        return Charge(self.counter, self.limit, self.window)

    def counted_by(self, counter: str) -> Policy:
        """Return the same limit with a counter of its own."""
        own = Policy(b"", self.limit, self.window, self.kind, self.whose, counter)
        own.headers = self.headers
        return own

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


def announce(exchange: Exchange, policies: Sequence[Policy], taken: Sequence[Taken]) -> None:
    """Write the headers of limits; raise the refusal of the last one when nothing was left of it. taken: as long, or until the refusal."""
    for policy, one in zip(policies, taken, strict=False):
        policy.announce(exchange, one)


def policy_of(name: bytes, rate: float, per: float, whose: str, counter: str, kind: RefusalKind) -> Policy | None:
    """Return a limit; None when there is none. A rate below 1 stretches the window; above 1, its fraction is cut off."""
    if rate <= 0 or per <= 0:
        return None
    limit, window = window_of(rate, per)
    return Policy(name, limit, window, kind, whose, counter)

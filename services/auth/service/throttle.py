"""Failed log-ins slow further ones down: per account and per address, with a delay that grows from the 5th failure on.

Nothing is ever locked for good: the delay has an upper bound, an attempt during a delay does not lengthen it, and failures are forgotten
after a quiet quarter of an hour. A success forgets the failures of its account and of its address, and of no other account: somebody who
knows one password cannot try those of another account faster by signing in between.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.rules import emails
from services.auth.store import failures as store
from services.common.clock import Clock
from services.common.database import Database

FREE = 4
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 300.0
FORGOTTEN_AFTER = dt.timedelta(minutes=15)


def delay_after(failures: int) -> float:
    """Seconds to wait after so many failures: none up to the 4th, 2 after the 5th, then twice as long each time, at most 300."""
    return 0.0 if failures <= FREE else min(FIRST_DELAY_S * 2.0 ** min(failures - FREE - 1, 20), LONGEST_DELAY_S)


def counters_of(username: str, address: str | None) -> list[str]:
    """The account's counter, the same for every spelling that logs in to it, and the address's when it is known."""
    key = emails.key_of(username[:1000]) or username[:1000]
    account = "account:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return [account, *([f"address:{_place(address)}"] if address else [])]


def _place(address: str) -> str:
    """The address, of IPv6 its /64: that much every customer has, and could try another address of it each time."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


class Throttle:
    """Counts in the database: all processes see the same, and a restart forgets nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def check(self, username: str, address: str | None) -> None:
        """Raise Refusal 429 with Retry-After while a delay lasts."""
        with self._database.read() as session:
            self.judge(store.counts(session, counters_of(username, address), self._clock.now() - FORGOTTEN_AFTER))

    def parameters(self, username: str, address: str | None) -> dict[str, Any]:
        """Which failures count, as the statement `checks.ACCOUNT` asks for them."""
        account, *rest = counters_of(username, address)
        return {"account": account, "address": rest[0] if rest else None, "since": self._clock.now() - FORGOTTEN_AFTER}

    def judge(self, counted: Iterable[tuple[int | None, dt.datetime | None]]) -> bool:
        """Whether there are any that a success would forget. Raises Refusal 429 with Retry-After while a delay lasts.

        counted: (failures, moment of the newest) of each counter, None for one that has none.
        """
        now = self._clock.now()
        found = [(failures, last_at) for failures, last_at in counted if failures is not None and last_at is not None]
        # abs: a clock that was set back must not add to the delay what it was set back by
        wait = max((delay_after(failures) - abs((now - last_at).total_seconds()) for failures, last_at in found), default=0.0)
        if wait > 0:
            raise refusals.too_many_failures(wait)
        return bool(found)

    def failed(self, session: Session, username: str, address: str | None) -> None:
        """Within the caller's transaction."""
        now = self._clock.now()
        store.add(session, counters_of(username, address), now, now - FORGOTTEN_AFTER)

    def succeeded(self, session: Session, username: str, address: str | None) -> None:
        """Within the caller's transaction."""
        store.forget(session, counters_of(username, address))

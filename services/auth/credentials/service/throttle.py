"""Failed log-ins delay further ones; a stranger who knows only an e-mail address cannot lock its owner out.

A failure counts three times: for the account from that place, for the account, and for the address at whatever account.

* The account from that place: a delay that grows from the 5th failure on. It delays the stranger alone.
* The address: the same delay, against a stranger who tries many accounts.
* The account: a botnet has too many addresses to delay one by one. From the 50th failure on each place must wait before an attempt. The
  wait begins when the place is told to wait or fails itself. What others do does not begin it again, so it ends after a minute at most.

A place is an address (of IPv6 the /64), or a browser that brings the cookie of an earlier sign-in; the failures of such a browser do not
count for its address. Where the account was signed in to by its password within 30 days the place is familiar, and only its own failures
count.

Nothing is locked for good: each delay has an upper bound, an attempt during a delay does not lengthen it, and failures are forgotten after
15 minutes without another. A success clears the failures of its own account from its own place and no others.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.audit.rules import Origin
from services.auth.credentials.rules import emails
from services.auth.credentials.store import failures as store
from services.common.addresses import group_of
from services.common.clock import Clock
from services.common.database import Database

FREE = 4
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 300.0
ACCOUNT_FREE = 49
ACCOUNT_LONGEST_DELAY_S = 60.0
FORGOTTEN_AFTER = dt.timedelta(minutes=15)
FAMILIAR_FOR = dt.timedelta(days=30)


def delay_after(failures: int) -> float:
    """Return the seconds to wait after so many failures: none up to the 4th, 2 after the 5th, then twice as long each time, at most 300."""
    return 0.0 if failures <= FREE else min(FIRST_DELAY_S * 2.0 ** min(failures - FREE - 1, 20), LONGEST_DELAY_S)


def account_delay_after(failures: int) -> float:
    """Return the seconds that each place waits after so many failures of an account.

    2 after the 50th, twice as long every 50, at most 60.
    """
    return (
        0.0
        if failures <= ACCOUNT_FREE
        else min(FIRST_DELAY_S * 2.0 ** min((failures - ACCOUNT_FREE - 1) // 50, 20), ACCOUNT_LONGEST_DELAY_S)
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """The counters of an attempt: of its account from its place, of its account, of its address when that is known.

    by_device: the place is a browser. It may change its address between a failure and the success that takes the failure back, so only
    its own counter and that of the account count it.
    """

    here: str
    account: str
    address: str | None
    by_device: bool = False

    @property
    def wider(self) -> list[str]:
        """Return the counters that count this attempt beside its own."""
        return [self.account, *([self.address] if self.address and not self.by_device else [])]

    def holders(self, standing: Standing) -> list[str]:
        """Return the names that share the queue of checks: each may hold a part of it only.

        Strangers do not use up the share of places where the account's owner was lately; failures there do not use up that of the owner's
        other places.
        """
        if not standing.familiar:
            return [self.account, *([self.address] if self.address else [])]
        return [self.here] if standing.failed_here else [self.here, f"owner of {self.account}"]


def attempt(username: str, origin: Origin, device: str | None = None) -> Attempt:
    """Return the counters of an attempt. device: the secret that the browser sends; it is the place instead of the address.

    Without any address (a neighbour did not pass it on) the place is the neighbour that asks.
    """
    key = emails.key_of(username[:1000]) or username[:1000]  # the same for every spelling that logs in to the account
    address = f"address:{_network(origin.address)}" if origin.address else None
    place = f"device:{device}" if device else address or f"by:{origin.actor_id}"
    return Attempt(f"at:{_digest(key, place)}", f"account:{_digest(key)}", address, bool(device))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _network(address: str) -> str:
    """Return the address, of IPv6 its /64; of what is not an address, as much as a column holds."""
    return group_of(address)[:45]


class Counted(NamedTuple):
    """A counter as it is stored. failures: 0 for a place that was told to wait. last_at: moment of the newest."""

    failures: int
    last_at: dt.datetime


class Standing(NamedTuple):
    """What is known of an attempt before its password is checked."""

    here: Counted | None
    account: Counted | None
    address: Counted | None
    familiar: bool

    @property
    def failed_here(self) -> bool:
        """Say whether the account has failures from this place."""
        return self.here is not None and self.here.failures > 0

    @property
    def failed_anywhere(self) -> bool:
        """Say whether the place, the account or the address has failures."""
        return any(counted is not None and counted.failures > 0 for counted in (self.here, self.account, self.address))


class Throttle:
    """Counters of failures in the database: all processes see the same, and a restart forgets nothing. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def parameters(self, tried: Attempt) -> dict[str, Any]:
        """Return the parameters of `accounts.CHECK`."""
        now = self._clock.now()
        counters = {"here": tried.here, "account": tried.account, "address": tried.address}
        return {**counters, "since": now - FORGOTTEN_AFTER, "familiar_since": now - FAMILIAR_FOR}

    @staticmethod
    def standing(columns: tuple[Any, ...]) -> Standing:
        """Read the first columns of `accounts.CHECK`."""
        counted = [Counted(*pair) if pair[0] is not None else None for pair in (columns[0:2], columns[2:4], columns[4:6])]
        return Standing(counted[0], counted[1], counted[2], columns[6] is not None)

    def judge(self, tried: Attempt, standing: Standing) -> None:
        """Refuse an attempt while a delay lasts. Raises Refusal 429 with Retry-After."""
        waits = [self._left(standing.here, delay_after)]
        if not standing.familiar:
            slow = account_delay_after(standing.account.failures) if standing.account else 0.0
            if slow and standing.here is None:  # from now on its own waiting counts, not what others do
                self._database.run(lambda session: self._begin(session, tried))
                waits.append(slow)
            waits += [self._left(standing.address, delay_after), self._left(standing.here, lambda _: slow)]
        if max(waits) > 0:
            raise refusals.too_many_failures(max(waits))

    def _left(self, counted: Counted | None, delay: Any) -> float:
        if counted is None:
            return 0.0
        # abs: a clock that was set back must not add to the delay what it was set back by
        passed = abs((self._clock.now() - counted.last_at).total_seconds())
        return float(delay(counted.failures)) - passed

    def _begin(self, session: Session, tried: Attempt) -> None:
        now = self._clock.now()
        store.begin(session, tried.here, now, now - FORGOTTEN_AFTER)

    def failed(self, session: Session, tried: Attempt) -> None:
        """Count a failure, within the caller's transaction."""
        now = self._clock.now()
        store.add(session, [tried.here, *tried.wider], now, now - FORGOTTEN_AFTER)

    def succeeded(self, session: Session, tried: Attempt, user_id: str) -> None:
        """Forget the failures of a place after the right password, within the caller's transaction.

        A login key says nothing about who tries passwords.
        """
        now = self._clock.now()
        store.forget(session, tried.here, tried.wider, now - FORGOTTEN_AFTER)
        store.remember(session, tried.here, user_id, now)

    def check_own(self, who: str) -> None:
        """Refuse a check of the caller's own current password while a delay lasts; what strangers do does not count.

        who: the sign-in. Raises Refusal 429 with Retry-After.
        """
        with self._database.read() as session:
            found = store.count(session, f"own:{_digest(who)}", self._clock.now() - FORGOTTEN_AFTER)
        wait = self._left(Counted(*found) if found else None, delay_after)
        if wait > 0:
            raise refusals.too_many_failures(wait)

    def failed_own(self, session: Session, who: str) -> None:
        """Count a failure of the caller's own current password, in the given transaction. who: the sign-in."""
        now = self._clock.now()
        store.add(session, [f"own:{_digest(who)}"], now, now - FORGOTTEN_AFTER)

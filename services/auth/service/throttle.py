"""Failed log-ins slow further ones down: per account and per address, with a delay that grows from the 5th failure on.

Nothing is ever locked for good: the delay has an upper bound, an attempt during a delay does not lengthen it, and failures are forgotten
after a quiet quarter of an hour. A success forgets the account's failures, wherever they came from; the address keeps those of other
accounts, so that nobody who knows one password can try the passwords of others without end.
"""

from __future__ import annotations

import datetime as dt
import hashlib

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
UNKNOWN_ADDRESS = "-"


def delay_after(failures: int) -> float:
    """Seconds to wait after so many failures: none up to the 4th, 2 after the 5th, then twice as long each time, at most 300."""
    return 0.0 if failures <= FREE else min(FIRST_DELAY_S * 2.0 ** min(failures - FREE - 1, 20), LONGEST_DELAY_S)


def account_key(username: str) -> str:
    """What stands for an account in the counters; every spelling that logs in to the same one counts as the same."""
    key = emails.key_of(username[:1000]) or username[:1000]
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Throttle:
    """Counts in the database: all processes see the same, and a restart forgets nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def check(self, username: str, address: str | None) -> None:
        """Raise Refusal 429 with Retry-After while a delay lasts."""
        now = self._clock.now()
        since = now - FORGOTTEN_AFTER
        with self._database.read() as session:
            counts = [store.of_account(session, account_key(username), since)]
            if address:
                counts.append(store.of_address(session, address, since))
        waits = [delay_after(one.failures) - (now - one.last_at).total_seconds() for one in counts if one is not None]
        if waits and max(waits) > 0:
            raise refusals.too_many_failures(max(waits))

    def has_failures(self, username: str) -> bool:
        """Whether there is something that a success would forget."""
        with self._database.read() as session:
            return store.of_account(session, account_key(username), self._clock.now() - FORGOTTEN_AFTER) is not None

    def failed(self, username: str, address: str | None) -> None:
        now = self._clock.now()
        account = account_key(username)
        self._database.run(lambda session: store.add(session, account, address or UNKNOWN_ADDRESS, now, now - FORGOTTEN_AFTER))

    def succeeded(self, session: Session, username: str) -> None:
        """Within the caller's transaction."""
        store.forget_account(session, account_key(username))

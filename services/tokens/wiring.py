"""The parts of the tokens service, made from its settings."""

from __future__ import annotations

from services.common import startup, wakeups
from services.common.clock import Clock
from services.common.database import Database
from services.common.held import Places, Waiter
from services.common.identity.client import IdentityClient
from services.tokens import refusals
from services.tokens.access import RoleTokens
from services.tokens.archive.pictures import Pictures
from services.tokens.archive.service import Archive
from services.tokens.models import db
from services.tokens.queue.service import Queue
from services.tokens.settings import Settings


class Parts:
    """One of each object of the service. To make them asks no database and no neighbour; `start` does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(
            db, settings.database_url, pool_size=20, at_once=settings.threads - 2, sqlite_synchronous=settings.sqlite_synchronous
        )
        self.wakeups = wakeups.create(settings.valkey_url, "tokens")
        self.role_tokens = RoleTokens(
            IdentityClient(settings.auth_url, "tokens", settings.auth_secret, issuer=settings.auth_issuer, clock=clock),
            settings.jwt_secret,
            dict(settings.earliest_issue),
            clock,
            asking=settings.auth_secret is not None,
        )
        self.archive = Archive(self.database, clock, Pictures(settings, clock))
        self.places = Places(settings.polls_limit, refusals.too_many_polls)
        self.queue = Queue(self.database, Waiter(self.wakeups, clock, self.places), self.wakeups, clock, settings)

    def start(self) -> None:
        """Check that the database is migrated; one that does not answer may come later. Raises what `startup.FAILURES` lists."""
        startup.answers("tokens", self.database)

    def close(self) -> None:
        """End every wait and close the connections."""
        self.wakeups.close()
        self.database.dispose()

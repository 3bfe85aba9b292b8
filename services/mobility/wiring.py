"""The parts of the mobility service, made from its settings."""

from __future__ import annotations

import threading
from typing import Final

from services.common import startup
from services.common.clock import Clock
from services.common.database import Database
from services.common.identity.client import IdentityClient
from services.common.lookups import Lookups
from services.mobility.access import Owners
from services.mobility.layers.service import Layers
from services.mobility.layers.writing import Writing
from services.mobility.models import db
from services.mobility.nodes.service.bulk import BulkWrites
from services.mobility.nodes.service.single import SingleWrites
from services.mobility.reads.service.lists import Lists
from services.mobility.reads.service.match import Matching
from services.mobility.reads.service.nodes import Nodes
from services.mobility.reads.service.select import Select
from services.mobility.sessions.service import Sessions
from services.mobility.settings import Settings

LARGE_BODIES: Final = 1  # at once in a process: each may take 270 MB until it is read, and reading is work for one core


class Parts:
    """One of each object of the service. To make them asks no database and no neighbour; `start` does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.large_bodies = threading.BoundedSemaphore(LARGE_BODIES)
        self.database = Database(
            db, settings.database_url, pool_size=20, at_once=settings.requests - 4, sqlite_synchronous=settings.sqlite_synchronous
        )
        self.lookups = Lookups(settings.database_url, self.database.guard)
        self.owners = Owners(IdentityClient(settings.auth_url, "mobility", settings.auth_secret, issuer=settings.auth_issuer, clock=clock))
        self.sessions = Sessions(self.database, self.lookups, self.owners, clock)
        writing = Writing(self.database, self.sessions)
        self.layers = Layers(self.database, self.sessions, writing, clock, settings.admin_email)
        self.single_writes = SingleWrites(writing)
        self.bulk_writes = BulkWrites(writing, clock)
        self.nodes = Nodes(self.database)
        self.lists = Lists(self.database)
        self.select = Select(self.database, clock)
        self.matching = Matching(self.database, self.sessions, clock)

    def start(self) -> None:
        """Check that the database is migrated; one that does not answer may come later. Raises what `startup.FAILURES` lists."""
        startup.answers("mobility", self.database)

    def close(self) -> None:
        """Close the connections."""
        self.lookups.dispose()
        self.database.dispose()

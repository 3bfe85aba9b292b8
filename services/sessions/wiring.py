"""The parts of the sessions service, made from its settings."""

from __future__ import annotations

from services.common import startup, wakeups
from services.common.clock import Clock
from services.common.database import Database
from services.common.held import Places, Waiter
from services.common.identity.client import IdentityClient
from services.common.lookups import Lookups
from services.sessions import refusals
from services.sessions.access import Seats, Users
from services.sessions.directory import Directory
from services.sessions.items.service.buildings import Buildings
from services.sessions.items.service.playing import Playing
from services.sessions.items.service.reading import Items
from services.sessions.items.service.stakeholders import Stakeholders
from services.sessions.items.service.turns import Turns
from services.sessions.keys import Keys
from services.sessions.models import db
from services.sessions.presence.activity import Activity
from services.sessions.presence.silence import Silence
from services.sessions.projects.service.projects import Projects
from services.sessions.projects.service.versions import Versions
from services.sessions.sessions.service.finding import Finding
from services.sessions.sessions.service.keeper import Keeper
from services.sessions.sessions.service.saving import Saving
from services.sessions.sessions.service.sessions import Sessions
from services.sessions.settings import Settings
from services.sessions.updates.parking import Parking
from services.sessions.updates.service import Updates
from services.sessions.users.service import Accounts


class Parts:
    """One of each object of the service. To make them asks no database and no neighbour; `start` does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.keys = Keys(settings)
        self.database = Database(
            db, settings.database_url, pool_size=20, at_once=settings.requests - 4, sqlite_synchronous=settings.sqlite_synchronous
        )
        self.lookups = Lookups(settings.database_url, self.database.guard)
        self.wakeups = wakeups.create(settings.valkey_url, "sessions")
        self.users = Users(IdentityClient(settings.auth_url, "sessions", settings.auth_secret, issuer=settings.auth_issuer, clock=clock))
        self.directory = Directory(self.lookups, self.wakeups)
        self.activity = Activity(clock)
        self.silence = Silence(self.activity, clock, settings.timeout)
        self.seats = Seats(self.directory, self.keys, self.silence)
        self.projects = Projects(self.database, clock)
        self.versions = Versions(self.database, self.directory, clock)
        self.accounts = Accounts(settings.auth_url)
        self.sessions = Sessions(self.database, self.seats, self.directory, self.silence, settings.limit)
        self.finding = Finding(self.database, self.seats, self.silence)
        self.saving = Saving(self.database, self.silence)
        chores = (self.projects.remove_trashed,)
        self.keeper = Keeper(self.database, self.lookups, self.directory, self.activity, self.silence, clock, chores)
        self.items = Items(self.database)
        turns = Turns(self.database, self.directory, clock)
        self.stakeholders = Stakeholders(turns, self.seats)
        self.buildings = Buildings(turns)
        self.playing = Playing(turns)
        self.polls = Places(settings.polls_limit, refusals.too_many_polls)
        self.updates = Updates(self.database, self.directory, Waiter(self.wakeups, clock, self.polls), self.activity, clock)
        self.parking = Parking(self.updates, self.directory.followed, self.wakeups, self.polls)

    def start(self) -> None:
        """Check that the database is migrated; one that does not answer may come later. Raises what `startup.FAILURES` lists."""
        startup.answers("sessions", self.database)
        self.keeper.start()

    def close(self) -> None:
        """End every wait and close the connections."""
        self.wakeups.close()
        self.parking.close()
        self.keeper.close()
        self.lookups.dispose()
        self.database.dispose()

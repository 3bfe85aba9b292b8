"""The parts of the devices service, made from its settings."""

from __future__ import annotations

from services.common import startup, wakeups
from services.common.clock import Clock
from services.common.database import Database
from services.common.held import Places
from services.common.identity.client import IdentityClient
from services.common.lookups import Lookups
from services.common.webhooks.courier import Courier
from services.common.webhooks.store import StoredOutbox
from services.devices import limits, refusals
from services.devices.access import Tokens
from services.devices.actions.service.actions import Actions
from services.devices.actions.service.firing import Firing
from services.devices.actions.service.secrets import Secrets
from services.devices.data.ingest.ingest import Ingest
from services.devices.data.live import Live
from services.devices.data.retention import Keeper
from services.devices.data.service.data import Data
from services.devices.known import Changes
from services.devices.last_used import LastUsed
from services.devices.master_key import Seals
from services.devices.models import db, outbox
from services.devices.registry.service.devices import Registry
from services.devices.registry.service.finding import Finder
from services.devices.registry.service.params import Params
from services.devices.registry.service.storage import Storage
from services.devices.registry.service.tokens import DeviceTokens
from services.devices.settings import Settings
from services.devices.shares import Shares


class Parts:
    """One of each object of the service. To make them asks no database and no neighbour; `start` does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(
            db, settings.database_url, pool_size=20, at_once=settings.requests - 8, sqlite_synchronous=settings.sqlite_synchronous
        )
        self.lookups = Lookups(settings.database_url, self.database.guard)
        self.wakeups = wakeups.create(settings.valkey_url, "devices")
        identities = IdentityClient(settings.auth_url, "devices", settings.auth_secret, issuer=settings.auth_issuer, clock=clock)
        self.changes = Changes(self.wakeups, clock)
        self.seals = Seals(settings)
        self.last_used = LastUsed(self.database)
        self.tokens = Tokens(self.lookups, identities, self.changes, self.last_used, clock)
        self.limits, self.counter = limits.create(settings.rate_limits, settings.valkey_url, clock)
        finder = Finder(self.database, self.changes)
        self.device_tokens = DeviceTokens(self.database, finder, self.changes, self.last_used, self.seals, clock)
        self.registry = Registry(
            self.database, finder, self.device_tokens, self.changes, self.wakeups, clock, account_limit=settings.account_limit
        )
        self.params = Params(self.database, finder, clock)
        self.storage = Storage(self.database, finder, self.changes, self.wakeups, clock)
        self.firing = Firing(clock)
        self.changes_of_actions = Changes(self.wakeups, clock, "actions")
        self.changes_of_actions.call(self.firing.forget)
        calls = StoredOutbox(self.database, outbox)
        signing = Secrets(self.database, self.seals, clock)
        self.courier = Courier(
            calls,
            signing.of,
            settings.webhook_allow,
            user_agent="Gatehouse-Devices",
            allowed_by="DEVICES_WEBHOOK_ALLOW",
            now=lambda: clock.now().timestamp(),
        )
        self.ingest = Ingest(self.database, self.wakeups, clock, note=self.firing.note, noted=self.courier.wake)
        self.keeper = Keeper(self.database, clock)
        self.actions = Actions(self.database, calls, signing, clock, self.changes_of_actions.announce, self.courier.wake)
        self.data = Data(self.database, self.wakeups, clock)
        self.shares = Shares()
        self.reading = Shares(at_once=2, waiting=64)
        self.streams = Places(settings.live_limit, refusals.too_many_live)
        self.live = Live(self.database, self.wakeups, clock, self.streams)

    def start(self) -> None:
        """Check that the database is migrated; one that does not answer may come later. Raises what `startup.FAILURES` lists."""
        startup.answers("devices", self.database)
        self.keeper.start()
        self.last_used.start()
        self.courier.start()

    def close(self) -> None:
        """End every wait and close the connections."""
        self.ingest.close()
        self.keeper.close()
        self.wakeups.close()
        self.last_used.close()
        self.counter.close()
        self.courier.stop()
        self.lookups.dispose()
        self.database.dispose()

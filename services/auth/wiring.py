"""The parts of the auth service, created from its settings, and what must be there before the first request."""

from __future__ import annotations

import datetime as dt
import threading

from services.auth.audit.rules import STARTUP
from services.auth.audit.service import Audit
from services.auth.credentials.rules.opaque import generated_secret
from services.auth.credentials.service import expiry
from services.auth.credentials.service.access_tokens import AccessTokens
from services.auth.credentials.service.browsers import Browsers
from services.auth.credentials.service.grants import Grants
from services.auth.credentials.service.hashing import Hasher
from services.auth.credentials.service.login_keys import LoginKeys
from services.auth.credentials.service.notes import Notes
from services.auth.credentials.service.passwords import Passwords
from services.auth.credentials.service.role_tokens import RoleTokens
from services.auth.credentials.service.sign_in import SignIn
from services.auth.credentials.service.throttle import Throttle
from services.auth.credentials.store import access_tokens
from services.auth.models import db
from services.auth.oauth.service.authorizing import Authorizing
from services.auth.oauth.service.clients import Clients
from services.auth.people import store as people_store
from services.auth.people.service import first_administrator
from services.auth.people.service.domains import Domains
from services.auth.people.service.people import People
from services.auth.settings import Settings
from services.auth.signing.service import KeyRing
from services.auth.verification.service import Verifier
from services.common import logging as logs
from services.common.clock import Clock
from services.common.database import Database
from services.common.last_used import LastUsed
from services.common.lookups import Lookups
from services.common.readiness import NotReady
from services.common.refusal import Refusal
from services.common.sealing import master_key_file
from services.common.secret_file import secret_file
from services.common.startup import in_a_line

MASTER_KEY_FILE = "master.key"

log = logs.get(__name__)


class Parts:
    """One of each object of the service. Creating them touches neither the database nor the network; `start` does."""

    def __init__(self, settings: Settings, clock: Clock, master_key: str) -> None:
        self.settings = settings
        self.clock = clock
        self.database = database = Database(
            db, settings.database_url, pool_size=20, at_once=settings.threads - 2, sqlite_synchronous=settings.sqlite_synchronous
        )
        people_store.teach_lower(database.engine)
        self.lookups = lookups = Lookups(settings.database_url, database.guard)
        access_s, refresh_days = settings.access_token_s, settings.refresh_token_days

        self.audit = Audit(database)
        self.keys = KeyRing(database, clock, master_key, issuer=settings.issuer, audience=settings.audience, overlap_s=access_s)

        memory_kib, passes = settings.argon2_memory_kib, settings.argon2_passes
        self.hasher = Hasher(memory_kib=memory_kib, passes=passes, slots=settings.hash_slots, queue=settings.hash_waiting)
        self.throttle = Throttle(database, clock)
        self.grants = Grants(database, clock, self.keys, access_s=access_s)
        self.sign_in = SignIn(database, lookups, clock, self.hasher, self.grants, self.throttle, refresh_days=refresh_days)
        self.browsers = Browsers(database, clock, self.sign_in, hours=settings.browser_session_hours)
        self.notes = Notes(database, clock)
        self.passwords = Passwords(database, clock, self.hasher, self.throttle)
        self.login_keys = LoginKeys(database, clock)
        self.access_tokens = AccessTokens(database, clock, self.notes)
        self.last_used = LastUsed(database, access_tokens.mark_used)
        self.role_tokens = RoleTokens(database, clock, self.keys)

        self.people = People(database, clock, self.hasher, self.passwords)
        self.domains = Domains(database, clock)

        self.verifier = Verifier(lookups, clock, self.keys, self.last_used, settings.service_clients)

        self.clients = Clients(database, clock, settings.service_clients)
        self.authorizing = Authorizing(database, clock, self.keys, self.grants, self.verifier, access_s=access_s, refresh_days=refresh_days)

        self._started = False
        self._held_up = "starting"
        self._stop = threading.Event()

    def start(self) -> None:
        """Create the first signing key, the neighbours' credentials and the first administrator. Raises the store's error, or Refusal."""
        self.keys.ensure(STARTUP)
        self.keys.check_master_key()
        self.clients.put_fixed(STARTUP)
        first_administrator.ensure(
            self.people, self.domains, self.settings.admin_email, lambda: self.settings.admin_password or self._generated_password()
        )
        self._started = True

    def check_started(self) -> None:
        """Raise NotReady until `start` has succeeded."""
        if not self._started:
            raise NotReady(self._held_up)

    def _generated_password(self) -> str:
        return secret_file(self.settings.data / "admin.password", lambda: generated_secret(24))

    def start_housekeeping(self) -> threading.Thread:
        """Start a thread that starts the service when the database is back, writes behind, and deletes what has expired, until `close`."""
        thread = threading.Thread(target=self._keep, name="housekeeping", daemon=True)
        thread.start()
        return thread

    def _keep(self) -> None:
        rounds = 0
        while not self._stop.wait(5.0 if self._started else 1.0):
            try:
                if not self._started:
                    self.start()
                    log.info("service started", reason="the database is back")
                self.last_used.flush()
                if rounds % 120 == 0:
                    self.forget_expired()
            except Exception as error:  # the store may be away for a while; the next round tries again
                reason = type(error).__name__
                if isinstance(error, Refusal):  # of `start`: a wrong master key, an impossible administrator
                    reason = self._held_up = in_a_line("auth", error)
                log.warning("housekeeping failed", error=reason)
            rounds += 1

    def forget_expired(self) -> None:
        """Delete what has expired."""
        now = self.clock.now()
        expiry.forget_expired(self.database, now)
        self.audit.forget_before(now - dt.timedelta(days=self.settings.audit_days))
        self.keys.forget_unneeded()

    def close(self) -> None:
        """Write what is noted and not written yet, and close the connections."""
        self._stop.set()
        try:
            self.last_used.flush()
        finally:
            self.lookups.dispose()
            self.database.dispose()


def master_key(settings: Settings) -> str:
    """Return the key that seals the private keys: from the settings, or from a file that the first start creates."""
    return settings.master_key or master_key_file(settings.data / MASTER_KEY_FILE)

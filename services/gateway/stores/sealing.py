"""Secrets at rest, sealed with the installation's master key; and which key that is.

The first secret that is sealed notes the key's fingerprint in the database. From then on nobody seals with another key, and no gateway
starts without it: half of the secrets would open nowhere. `reseal` seals all of them with another key, and notes that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.common.sealing import NotOpened, Seal, fingerprints
from services.common.settings import SettingsError
from services.common.store_guard import LONG_WORK_S
from services.common.upsert import insert
from services.gateway.settings import Settings, master_key
from services.gateway.stores.base import metadata

log = logs.get(__name__)

# Named after the first secrets that it sealed; another name would be another key.
PURPOSE: Final = "gatehouse webhook secrets"

# At most one row. wiped: plaintext that stood here before it was sealed is gone from the database's files.
SEALING: Final = sa.Table(
    "sealing",
    metadata,
    sa.Column("purpose", sa.String(32), primary_key=True),
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("wiped", sa.Boolean, nullable=False),
)
_MINE: Final = SEALING.c.purpose == PURPOSE


class WrongMasterKey(Exception):
    """Secrets of the database are sealed with another key than this gateway has, or it has none. The text says what to do."""


class Sealing:
    """The seal of one installation. Thread-safe. It reads the key and loads the library when something is first sealed or opened."""

    def __init__(self, database: CoreDatabase, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: tuple[Seal, dict[str, str]] | None = None

    def check(self) -> None:
        """Check that the master key is the one that sealed the secrets. Raises WrongMasterKey, or the store's error.

        When nothing is sealed yet, the key file is created, so that it can be backed up; that it cannot be created matters only when a
        secret is to be sealed.
        """
        with self._database.read() as connection:
            noted = connection.scalar(sa.select(SEALING.c.fingerprint).where(_MINE))
        try:
            key = master_key(self._settings, make=noted is None)
        except SettingsError as error:
            if noted is None:
                log.info("master key not created", reason=str(error))
                return
            raise WrongMasterKey(f"secrets are sealed, and the master key cannot be read: {error}") from None
        if noted is not None and (key is None or noted not in fingerprints(PURPOSE, key)):
            raise self._wrong(missing=key is None)

    def seal(self, connection: sa.Connection, plain: str, place: str, *, wiped: bool = True) -> str:
        """Return the text to store instead. place: as given to `open`. wiped: whether `plain` never stood in the database.

        Raises WrongMasterKey.
        """
        seal, marks = self._load(make=True)
        first = insert(connection.dialect.name, SEALING).values(purpose=PURPOSE, fingerprint=next(iter(marks)), wiped=wiped)
        connection.execute(first.on_conflict_do_nothing())
        noting = sa.select(SEALING.c.fingerprint, SEALING.c.wiped).where(_MINE)
        noted = connection.execute(noting.with_for_update()).one()  # `reseal` waits for this transaction, or this one for it
        if noted.fingerprint not in marks:
            raise self._wrong()
        if noted.wiped and not wiped:
            connection.execute(sa.update(SEALING).where(_MINE).values(wiped=False))
        if noted.fingerprint != next(iter(marks)):  # not with the new key yet: gateways without it share the database
            seal = Seal(PURPOSE, marks[noted.fingerprint])
        return seal.seal(plain.encode(), place)

    def open(self, sealed: str, place: str) -> str:
        """Return the secret that was sealed. place: as given to `seal`. Raises WrongMasterKey."""
        try:
            return self._load(make=False)[0].open(sealed, place).decode()
        except NotOpened:
            raise self._wrong() from None

    def wipe(self, *tables: str) -> None:
        """Remove plaintext that stood in these tables from the database's files, once; best effort, tried again at the next start.

        SQLite: the file is written again and the log emptied. PostgreSQL: they are written again; its log and backups keep what they
        have.
        """
        with self._database.read() as connection:
            if connection.scalar(sa.select(SEALING.c.wiped).where(_MINE)) is not False:
                return
        try:
            if self._database.dialect == "sqlite":
                self._wipe_sqlite()
            else:
                self._wipe_postgresql(tables)
        except (sa.exc.SQLAlchemyError, self._database.engine.dialect.loaded_dbapi.Error, TimeoutError) as error:
            log.warning("plaintext secrets not wiped; trying again at the next start", error=str(error))
            return
        self._database.run(lambda connection: connection.execute(sa.update(SEALING).where(_MINE).values(wiped=True)))
        log.info("plaintext secrets wiped")

    def _wipe_postgresql(self, tables: Iterable[str]) -> None:
        writes = self._database.guard.writes
        writes.enter(LONG_WORK_S)
        try:
            with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.detach()  # its limits are not those of the others, also when it fails
                connection.exec_driver_sql(f"SET lock_timeout = '10s'; SET statement_timeout = '{LONG_WORK_S:.0f}s'")
                for table in tables:
                    connection.exec_driver_sql(f"VACUUM (FULL) {table}")
        finally:
            writes.leave()

    def _wipe_sqlite(self) -> None:
        raw = self._database.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = cursor.fetchone()
            if busy is None or busy[0]:
                raise TimeoutError("a reader holds the log")
        finally:
            raw.close()

    def _load(self, *, make: bool) -> tuple[Seal, dict[str, str]]:
        """Return the seal, and its keys by their fingerprints."""
        with self._lock:
            if self._loaded is None:
                try:
                    key = master_key(self._settings, make=make)
                except SettingsError as error:
                    raise WrongMasterKey(str(error)) from None
                if key is None:
                    raise self._wrong(missing=True)
                self._loaded = (Seal(PURPOSE, key), fingerprints(PURPOSE, key))
            return self._loaded

    def _wrong(self, *, missing: bool = False) -> WrongMasterKey:
        setting, path = "GATEWAY_MASTER_KEY", self._settings.master_key_path
        where = setting if self._settings.master_key is not None else f"{setting}_PATH ({path})"
        what = "is not there" if missing else "is not the key that sealed the secrets"
        return WrongMasterKey(f"{where} {what}; put the former key back, or, if it is lost, see docs/runbooks.md")


def note_key(connection: sa.Connection, master_key: str) -> None:
    """Note that the first line of this key has sealed everything, if anything is sealed; those that seal wait until the transaction ends.

    For `reseal`, before it reads.
    """
    if connection.execute(sa.select(SEALING.c.purpose).where(_MINE).with_for_update()).first() is not None:
        connection.execute(sa.update(SEALING).where(_MINE).values(fingerprint=next(iter(fingerprints(PURPOSE, master_key)))))

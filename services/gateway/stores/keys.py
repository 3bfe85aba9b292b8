"""Keys and the secrets that open them.

Only the SHA-256 of a secret is stored: it has 128 random bits, so no slow hash is needed. A key is addressed by its public id.
During a rotation two secrets open it, the older one until its end.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.clock import Clock, SystemClock
from services.common.database import Database
from services.gateway.keys.model import Key, Opened
from services.gateway.stores.base import Base
from services.gateway.stores.generations import current, raise_generation

GENERATION: Final = "keys"


class KeyRow(Base):
    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    org_id: Mapped[str] = mapped_column(sa.Text)
    alias: Mapped[str] = mapped_column(sa.Text)
    owner: Mapped[str] = mapped_column(sa.Text)
    user_name: Mapped[str | None] = mapped_column(sa.Text)
    opens_all: Mapped[bool]
    session: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    last_used_at: Mapped[dt.datetime | None]


class SecretRow(Base):
    __tablename__ = "key_secrets"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("keys.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]
    ends_at: Mapped[dt.datetime | None]


class RightRow(Base):
    """Which APIs a key names, for lists of an API's keys; the session decides what it may reach."""

    __tablename__ = "key_rights"

    key_id: Mapped[str] = mapped_column(sa.ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True)
    api_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True, index=True)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """session: Tyk's session object. hashes: of every secret that opens the key now. user_name: of a basic user, else None."""

    id: str
    session: dict[str, Any]
    hashes: tuple[str, ...]
    user_name: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    last_used_at: dt.datetime | None

    def key(self) -> Key:
        return Key.from_session(self.id, self.hashes, self.session)


class SecretTaken(Exception):
    """This secret or user name opens another key already. Nothing was written."""


class KeyMissing(Exception):
    """There is no such key."""


def new_id() -> str:
    """A public id: 24 hexadecimal digits. It has nothing of the secret."""
    return secrets.token_hex(12)


class KeyStore:
    """Thread-safe."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def by_hash(self, hash: str) -> Opened | None:
        """The key that a live secret opens."""
        with self._database.read() as session:
            found = session.execute(
                sa.select(KeyRow, SecretRow.ends_at).join(SecretRow, SecretRow.key_id == KeyRow.id).where(SecretRow.hash == hash)
            ).one_or_none()
            if found is None:
                return None
            row, ends_at = found
            now = self._clock.now()
            if ends_at is not None and ends_at <= now:
                return None
            return Opened(_stored(session, row, now).key(), None if ends_at is None else ends_at.timestamp())

    def get(self, id: str) -> StoredKey | None:
        """By public id."""
        with self._database.read() as session:
            row = session.get(KeyRow, id)
            return None if row is None else _stored(session, row, self._clock.now())

    def page(self, api_id: str | None = None, *, number: int = 0, size: int = 10, begins: str = "") -> tuple[list[StoredKey], int]:
        """One page and the number of all. api_id: those that may reach this API. number: from zero, negative = everything.

        begins: how the public id begins.
        """
        chosen = sa.select(KeyRow)
        if api_id is not None:
            named = sa.select(RightRow.key_id).where(RightRow.api_id == api_id)
            chosen = chosen.where(sa.or_(KeyRow.opens_all, KeyRow.id.in_(named)))
        if begins:
            chosen = chosen.where(KeyRow.id.startswith(begins, autoescape=True))
        with self._database.read() as session:
            total = session.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            ordered = chosen.order_by(KeyRow.created_at.desc(), KeyRow.id)
            if number >= 0:
                ordered = ordered.limit(size).offset(number * size)
            rows = list(session.scalars(ordered))
            now = self._clock.now()
            hashes = _live_hashes(session, [row.id for row in rows], now)
            return [_stored_with(row, hashes.get(row.id, ())) for row in rows], total

    def create(self, hash: str, session_object: Mapping[str, Any], *, id: str | None = None, user_name: str | None = None) -> StoredKey:
        """Raises SecretTaken."""

        def work(session: Session) -> StoredKey:
            now = self._clock.now()
            row = KeyRow(id=id or new_id(), user_name=user_name, created_at=now, last_used_at=None)
            _write(session, row, session_object, now)
            session.add(row)
            session.flush()
            session.add(SecretRow(hash=hash, key_id=row.id, created_at=now, ends_at=None))
            _write_rights(session, row.id, session_object)
            session.flush()
            return _stored(session, row, now)

        try:
            return self._database.run(work)
        except IntegrityError as error:
            if "key_secrets" in str(error.orig):
                raise SecretTaken from None
            raise

    def replace(self, id: str, session_object: Mapping[str, Any]) -> StoredKey:
        """Replace the session wholly; the secrets stay. Raises KeyMissing."""

        def work(session: Session) -> StoredKey:
            now = self._clock.now()
            row = _existing(session, id)
            _write(session, row, session_object, now)
            session.execute(sa.delete(RightRow).where(RightRow.key_id == id))
            _write_rights(session, id, session_object)
            session.flush()
            return _stored(session, row, now)

        return self._database.run(work)

    def delete(self, id: str) -> StoredKey:
        """What was deleted, with the hashes that opened it. Raises KeyMissing."""

        def work(session: Session) -> StoredKey:
            row = _existing(session, id)
            stored = _stored(session, row, self._clock.now())
            session.execute(sa.delete(SecretRow).where(SecretRow.key_id == id))
            session.execute(sa.delete(RightRow).where(RightRow.key_id == id))
            session.delete(row)
            raise_generation(session, GENERATION)
            return stored

        return self._database.run(work)

    def rotate(self, id: str, hash: str, overlap: float) -> tuple[StoredKey, tuple[str, ...]]:
        """Another secret for a key; the one before opens it for `overlap` seconds more, older ones no longer.

        Also gives the hashes that opened the key until now. Raises KeyMissing, SecretTaken.
        """

        def work(session: Session) -> tuple[StoredKey, tuple[str, ...]]:
            now = self._clock.now()
            row = _existing(session, id)
            if session.get(SecretRow, hash) is not None:
                raise SecretTaken
            before = list(session.scalars(sa.select(SecretRow).where(SecretRow.key_id == id)))
            for secret in before:
                if secret.ends_at is not None or overlap <= 0:
                    session.delete(secret)
                else:
                    secret.ends_at = now + dt.timedelta(seconds=overlap)
            session.add(SecretRow(hash=hash, key_id=id, created_at=now, ends_at=None))
            row.updated_at = now
            raise_generation(session, GENERATION)
            session.flush()
            return _stored(session, row, now), tuple(secret.hash for secret in before)

        try:
            return self._database.run(work)
        except IntegrityError:
            raise SecretTaken from None

    def mark_used(self, ids: Iterable[str], when: dt.datetime) -> None:
        """Note that keys were used lately. Not a change that workers must hear of."""
        chosen = list(ids)

        def work(session: Session) -> None:
            for start in range(0, len(chosen), 500):
                part = chosen[start : start + 500]
                session.execute(sa.update(KeyRow).where(KeyRow.id.in_(part)).values(last_used_at=when))

        if chosen:
            self._database.run(work)

    def generation(self) -> int:
        """Rises with every write of a key."""
        return current(self._database, GENERATION)


def _existing(session: Session, id: str) -> KeyRow:
    row = session.get(KeyRow, id, with_for_update=True)
    if row is None:
        raise KeyMissing
    return row


def _write(session: Session, row: KeyRow, session_object: Mapping[str, Any], now: dt.datetime) -> None:
    row.session = dict(session_object)
    row.org_id = str(session_object.get("org_id") or "")
    row.alias = str(session_object.get("alias") or "")
    row.owner = str(session_object.get("owner") or "")
    row.opens_all = not session_object.get("access_rights")
    row.updated_at = now
    raise_generation(session, GENERATION)


def _write_rights(session: Session, id: str, session_object: Mapping[str, Any]) -> None:
    session.add_all(RightRow(key_id=id, api_id=api_id) for api_id in session_object.get("access_rights") or ())


def _live_hashes(session: Session, ids: list[str], now: dt.datetime) -> dict[str, tuple[str, ...]]:
    live = sa.or_(SecretRow.ends_at.is_(None), SecretRow.ends_at > now)
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(ids), 500):
        chosen = sa.select(SecretRow).where(SecretRow.key_id.in_(ids[start : start + 500]), live)
        for secret in session.scalars(chosen.order_by(SecretRow.created_at)):
            found[secret.key_id] = (*found.get(secret.key_id, ()), secret.hash)
    return found


def _stored(session: Session, row: KeyRow, now: dt.datetime) -> StoredKey:
    return _stored_with(row, _live_hashes(session, [row.id], now).get(row.id, ()))


def _stored_with(row: KeyRow, hashes: tuple[str, ...]) -> StoredKey:
    return StoredKey(row.id, dict(row.session), hashes, row.user_name, row.created_at, row.updated_at, row.last_used_at)

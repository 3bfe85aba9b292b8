"""Operators and the access keys that they call with. Only the SHA-256 of a key is stored: it has 256 random bits."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import sqlalchemy as sa

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.common.remembered import Remembered
from services.gateway.operator_key import access_key_hash
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import OfCallers

Role = Literal["reader", "editor", "admin"]
ROLES: Final[tuple[Role, ...]] = ("reader", "editor", "admin")  # each may do what those before it may
_UNKNOWN_FOR: Final = 5.0

OPERATORS: Final = sa.Table(
    "operators",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("org_id", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("first_name", sa.Text, nullable=False),
    sa.Column("last_name", sa.Text, nullable=False),
    sa.Column("email_address", sa.Text, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
ACCESS_KEYS: Final = sa.Table(
    "operator_keys",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("operator_id", sa.ForeignKey("operators.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("ends_at", UTCDateTime),
)
_O: Final = OPERATORS.c
_K: Final = ACCESS_KEYS.c


@dataclass(frozen=True, slots=True)
class Operator:
    """org_id: the organisation that the operator sees and changes, "" = all of them."""

    id: str
    org_id: str
    role: Role
    active: bool
    first_name: str
    last_name: str
    email_address: str
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def name(self) -> str:
        """Return what the operator is called in the history."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.email_address

    def document(self) -> dict[str, Any]:
        """Return the operator as answers show it."""
        names = ("id", "org_id", "role", "active", "first_name", "last_name", "email_address")
        return {name: getattr(self, name) for name in names}


class OperatorMissing(Exception):
    """There is no such operator."""


class OperatorStore(OfCallers):
    """Thread-safe."""

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._unknown: Remembered[str, float] = Remembered()

    def by_key(self, given: bytes) -> Operator | None:
        """Return the active operator whose access key this is.

        The store is asked each time, so that a revoked key is refused everywhere when the call that revokes it answers. A text that has
        not the form of a key is refused without asking, and a key that nobody has is remembered for a moment.
        """
        hash = access_key_hash(given)
        if hash is None or self._unknown.get(hash, 0.0) > time.monotonic():
            return None
        chosen = sa.select(OPERATORS, _K.ends_at).join(ACCESS_KEYS, _K.operator_id == _O.id).where(_K.hash == hash)
        with self._database.read() as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            self._unknown.keep(hash, time.monotonic() + _UNKNOWN_FOR)
            return None
        is_over = row.ends_at is not None and row.ends_at <= self._clock.now()
        return None if is_over or not row.active else _operator(row)

    def page(self, number: int = 0, size: int = 10) -> tuple[list[Operator], int]:
        """Return one page, by e-mail address and name, and the number of all. number: from zero, negative = everything."""
        chosen = sa.select(OPERATORS).where(self._caller.owns(_O.org_id))
        ordered = chosen.order_by(_O.email_address, _O.last_name, _O.first_name, _O.id)
        if number >= 0:
            ordered = ordered.limit(size).offset(number * size)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            return [_operator(row) for row in connection.execute(ordered)], total

    def get(self, id: str) -> Operator | None:
        with self._database.read() as connection:
            row = connection.execute(self._mine(id)).one_or_none()
            return None if row is None else _operator(row)

    def create(self, values: Mapping[str, Any], hash: str) -> Operator:
        """Store an operator. values: all columns but the id and the times. hash: of the access key."""
        self._caller.check(values["org_id"])

        def work(connection: sa.Connection) -> Operator:
            now = self._clock.now()
            own = Operator(id=secrets.token_hex(12), created_at=now, updated_at=now, **values)
            connection.execute(sa.insert(OPERATORS).values({**own.document(), "created_at": now, "updated_at": now}))
            connection.execute(sa.insert(ACCESS_KEYS).values(hash=hash, operator_id=own.id, created_at=now, ends_at=None))
            self._caller.tell("operator", own.id, None, own.document())
            return own

        return self._database.run(work)

    def replace(self, id: str, values: Mapping[str, Any]) -> Operator:
        """Change what is stored of an operator; the access keys stay. values: as for `create`; columns that are left out stay as they are.

        Raises OperatorMissing.
        """
        if "org_id" in values:
            self._caller.check(values["org_id"])

        def work(connection: sa.Connection) -> Operator:
            before = self._locked(connection, id)
            after = replace(before, **{**values, "updated_at": self._clock.now()})
            connection.execute(sa.update(OPERATORS).where(_O.id == id).values({**values, "updated_at": after.updated_at}))
            self._caller.tell("operator", id, before.document(), after.document())
            return after

        return self._database.run(work)

    def delete(self, id: str) -> None:
        """Delete an operator, and the access keys. Raises OperatorMissing."""

        def work(connection: sa.Connection) -> None:
            before = self._locked(connection, id)
            connection.execute(sa.delete(ACCESS_KEYS).where(_K.operator_id == id))
            connection.execute(sa.delete(OPERATORS).where(_O.id == id))
            self._caller.tell("operator", id, before.document(), None)

        self._database.run(work)

    def rotate(self, id: str, hash: str, overlap: float) -> Operator:
        """Give an operator another access key. The one before still works for `overlap` seconds, older ones do not.

        Raises OperatorMissing.
        """

        def work(connection: sa.Connection) -> Operator:
            operator = self._locked(connection, id)
            now = self._clock.now()
            ending = _K.operator_id == id if overlap <= 0 else sa.and_(_K.operator_id == id, _K.ends_at.is_not(None))
            connection.execute(sa.delete(ACCESS_KEYS).where(ending))
            connection.execute(sa.update(ACCESS_KEYS).where(_K.operator_id == id).values(ends_at=now + dt.timedelta(seconds=overlap)))
            connection.execute(sa.insert(ACCESS_KEYS).values(hash=hash, operator_id=id, created_at=now, ends_at=None))
            self._caller.tell("operator", id, operator.document(), operator.document())
            return operator

        return self._database.run(work)

    def _mine(self, id: str) -> sa.Select[Any]:
        return sa.select(OPERATORS).where(_O.id == id, self._caller.owns(_O.org_id))

    def _locked(self, connection: sa.Connection, id: str) -> Operator:
        """Keep an operator from other writers until the transaction ends. Raises OperatorMissing."""
        row = connection.execute(self._mine(id).with_for_update()).one_or_none()
        if row is None:
            raise OperatorMissing
        return _operator(row)


def _operator(row: sa.Row[Any]) -> Operator:
    return Operator(
        row.id, row.org_id, row.role, row.active, row.first_name, row.last_name, row.email_address, row.created_at, row.updated_at
    )

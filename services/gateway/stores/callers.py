"""On whose behalf a store works: which organisation it shows and changes, and where its writes are recorded.

`store.for_caller(caller)` is the same store for one caller. Every query of a store goes through `Caller.owns`, so what belongs to another
organisation does not exist for it; every document that it writes goes through `Caller.check`. Its writes run in a `RecordedDatabase`, which
adds their records in the same transaction: no write of an operator can be without its record, whatever a store forgets to tell.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.store_guard import ANSWER_S

R = TypeVar("R")


class OtherOrganisation(Exception):
    """What is to be written names another organisation than the caller's. own: the caller's."""

    def __init__(self, own: str) -> None:
        super().__init__(own)
        self.own = own


@dataclass(frozen=True, slots=True)
class Told:
    """What a write did to one thing. kind: such as `api`. id: never a secret. org_id: whose it is. before, after: None = not there."""

    kind: str
    id: str
    org_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


# Writes the records of a transaction, in it; nothing told = the store did not say what it wrote.
Record = Callable[[sa.Connection, Sequence[Told]], None]


class Caller:
    """One for each call of the operator API; used by one thread. org_id: the organisation that counts, "" = all of them."""

    def __init__(self, org_id: str = "", record: Record | None = None) -> None:
        self.org_id = org_id
        self.written = 0  # transactions that were recorded
        self._record = record
        self._told: list[Told] = []
        self._idle = False

    def may_own(self, org_id: Any) -> bool:
        """Whether something of this organisation exists for the caller."""
        return not self.org_id or org_id == self.org_id

    def check(self, org_id: Any) -> None:
        """Check the owner of what is to be written. Raises OtherOrganisation."""
        if not self.may_own(org_id):
            raise OtherOrganisation(self.org_id)

    def owns(self, owner: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a row exists for the caller. owner: the organisation of the row."""
        return owner == self.org_id if self.org_id else sa.true()

    def tell(
        self,
        kind: str,
        id: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        *,
        owners: tuple[str, str] | None = None,
    ) -> None:
        """Note what the transaction under way does. owners: before and after; None = the `org_id` of the documents.

        What moves to another organisation ends in the one and begins in the other: neither sees the other's document.
        """
        if self._record is None:
            return
        old, new = owners or (_owner(before), _owner(after))
        if before is not None and after is not None and old != new:
            self._told += [Told(kind, id, old, before, None), Told(kind, id, new, None, after)]
        else:
            self._told.append(Told(kind, id, new if after is not None else old, before, after))

    def idle(self) -> None:
        """Note that the transaction under way changes nothing, so that it needs no record."""
        self._idle = True

    def on(self, database: CoreDatabase) -> CoreDatabase:
        """Return the database in which the caller's writes are recorded."""
        return database if self._record is None else RecordedDatabase(database, self)

    def begin(self) -> None:
        """Forget what was told in an attempt that was rolled back."""
        self._told, self._idle = [], False

    def end(self, connection: sa.Connection) -> None:
        """Write the records, as the last statements of the transaction."""
        assert self._record is not None
        if self._told or not self._idle:
            self._record(connection, self._told)
            self.written += 1


# The gateway itself: it sees everything, and nothing is recorded.
GATEWAY: Final = Caller()


class RecordedDatabase(CoreDatabase):
    """A database whose writes are one caller's. It shares the connections of the one that it is made of."""

    def __init__(self, database: CoreDatabase, caller: Caller) -> None:
        self.engine, self.dialect, self.reading, self.guard = database.engine, database.dialect, database.reading, database.guard
        self._caller = caller

    def run(self, work: Callable[[sa.Connection], R], *, patience_s: float = ANSWER_S) -> R:
        def recorded(connection: sa.Connection) -> R:
            self._caller.begin()
            result = work(connection)
            self._caller.end(connection)
            return result

        return super().run(recorded, patience_s=patience_s)

    def transaction(self) -> Any:
        """Raise: what is written here would have no record."""
        raise NotImplementedError("writes of operators go through `run`, which records them")


class OfCallers:
    """A store that can be had for one caller."""

    _database: CoreDatabase
    _caller: Caller = GATEWAY

    def for_caller(self, caller: Caller) -> Self:
        """Return this store as the caller sees it."""
        own = copy.copy(self)
        own._caller, own._database = caller, caller.on(self._database)
        return own


def owner_in(document: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the `org_id` of a JSON column. The document itself is asked: a column beside it could be wrong after an upgrade."""
    owner: sa.ColumnElement[Any] = document["org_id"].as_string()
    return owner


def _owner(document: Mapping[str, Any] | None) -> str:
    return str((document or {}).get("org_id") or "")

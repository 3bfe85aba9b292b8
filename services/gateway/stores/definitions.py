"""API definitions and their numbered revisions.

A definition is addressed by its internal id or by its api_id. Every write is one transaction: it leaves a revision behind (who, when,
why and the whole document) and raises the generation, by which workers see that something changed. Revisions outlive their
definition, so that a deletion can be undone too.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.clock import Clock, SystemClock
from services.common.database import Database
from services.gateway.stores.base import Base
from services.gateway.stores.generations import current, raise_generation

GENERATION: Final = "definitions"
Action = Literal["created", "updated", "deleted", "restored", "seeded"]


class DefinitionRow(Base):
    __tablename__ = "definitions"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    api_id: Mapped[str] = mapped_column(sa.String(128), unique=True)
    address: Mapped[str] = mapped_column(sa.Text)
    place: Mapped[str | None] = mapped_column(sa.String(2048), unique=True)  # the address of an active definition
    name: Mapped[str] = mapped_column(sa.Text)
    revision: Mapped[int]
    document: Mapped[dict[str, Any]]
    hook_references: Mapped[list[Any]]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class RevisionRow(Base):
    __tablename__ = "definition_revisions"

    definition_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    api_id: Mapped[str] = mapped_column(sa.String(128), index=True)
    action: Mapped[str] = mapped_column(sa.String(16))
    at: Mapped[dt.datetime]
    who: Mapped[str] = mapped_column(sa.Text)
    note: Mapped[str] = mapped_column(sa.Text)
    document: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    hook_references: Mapped[list[Any]]


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """raw: the definition's JSON object, with id, api_id and org_id. hook_references: as they were given, beside it."""

    id: str
    api_id: str
    revision: int
    raw: dict[str, Any]
    hook_references: list[Any] = field(default_factory=list)
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """raw: None = the definition was deleted here."""

    definition_id: str
    number: int
    api_id: str
    action: str
    at: dt.datetime
    who: str
    note: str
    raw: dict[str, Any] | None
    hook_references: list[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. pages: how many there are, at least 1."""

    items: list[StoredDefinition]
    pages: int
    total: int


class NotFound(Exception):
    """There is no such definition or revision."""


class RevisionConflict(Exception):
    """The definition is at another revision than the writer saw. Nothing was written."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the definition is at revision {current}")
        self.current = current


class ApiIdTaken(Exception):
    """Another definition has this api_id or id. Nothing was written."""


class PlaceTaken(Exception):
    """Another active definition owns this host and listen path. Nothing was written."""


class ReadOnly(Exception):
    """The definitions are read from files; nothing can be written here."""


def new_id() -> str:
    """An internal id: 24 hexadecimal digits, as Tyk's."""
    return secrets.token_hex(12)


def new_api_id() -> str:
    return secrets.token_hex(16)


class DefinitionStore:
    """Thread-safe."""

    source: Literal["database", "files"] = "database"

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def all(self) -> list[StoredDefinition]:
        """Every definition, by name and id."""
        with self._database.read() as session:
            return [_stored(row) for row in session.scalars(sa.select(DefinitionRow).order_by(DefinitionRow.name, DefinitionRow.id))]

    def get(self, key: str) -> StoredDefinition | None:
        """By internal id or api_id."""
        with self._database.read() as session:
            row = _find(session, key)
            return None if row is None else _stored(row)

    def known(self, api_ids: set[str]) -> dict[str, str]:
        """api_id → name of those that exist."""
        with self._database.read() as session:
            rows = session.execute(sa.select(DefinitionRow.api_id, DefinitionRow.name).where(DefinitionRow.api_id.in_(api_ids)))
            return {row.api_id: row.name for row in rows}

    def page(self, number: int = 0, size: int = 10, query: str = "") -> Page:
        """number: from zero, negative = everything. query: a part of the name, an id or the address; case does not count."""
        chosen = sa.select(DefinitionRow)
        if query:
            pattern = "%" + query.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            columns = (DefinitionRow.name, DefinitionRow.api_id, DefinitionRow.id, DefinitionRow.address)
            chosen = chosen.where(sa.or_(*(sa.func.lower(column).like(pattern, escape="\\") for column in columns)))
        with self._database.read() as session:
            total = session.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            ordered = chosen.order_by(DefinitionRow.name, DefinitionRow.id)
            if number >= 0:
                ordered = ordered.limit(size).offset(number * size)
            items = [_stored(row) for row in session.scalars(ordered)]
        return Page(items, 1 if number < 0 else max(1, -(-total // size)), total)

    def create(
        self,
        raw: Mapping[str, Any],
        hook_references: list[Any],
        *,
        address: str,
        active: bool,
        who: str,
        note: str = "",
        action: Action = "created",
    ) -> StoredDefinition:
        """raw: with `id` and `api_id`. address: host and listen path, which only one active definition may own.

        Raises ApiIdTaken, PlaceTaken.
        """

        def work(session: Session) -> StoredDefinition:
            now = self._clock.now()
            _check_free(session, raw["id"], raw["api_id"], address if active else None, own=None)
            row = DefinitionRow(id=raw["id"], created_at=now, revision=_last_number(session, raw["id"]))
            _write(row, raw, hook_references, address, active, now)
            session.add(row)
            _record(session, row, action, who, note)
            return _stored(row)

        return self._run(work)

    def update(
        self,
        key: str,
        raw: Mapping[str, Any],
        hook_references: list[Any],
        *,
        address: str,
        active: bool,
        who: str,
        note: str = "",
        if_match: int | None = None,
        action: Action = "updated",
    ) -> StoredDefinition:
        """Replace a definition wholly; its id stays. if_match: the revision that the writer saw.

        Raises NotFound, RevisionConflict, ApiIdTaken, PlaceTaken.
        """

        def work(session: Session) -> StoredDefinition:
            row = _existing(session, key, if_match)
            _check_free(session, row.id, raw["api_id"], address if active else None, own=row.id)
            _write(row, {**raw, "id": row.id}, hook_references, address, active, self._clock.now())
            _record(session, row, action, who, note)
            return _stored(row)

        return self._run(work)

    def delete(self, key: str, *, who: str, note: str = "", if_match: int | None = None) -> StoredDefinition:
        """What was deleted. Raises NotFound, RevisionConflict."""

        def work(session: Session) -> StoredDefinition:
            row = _existing(session, key, if_match)
            row.updated_at = self._clock.now()
            stored = _stored(row)
            _record(session, row, "deleted", who, note)
            session.delete(row)
            return stored

        return self._run(work)

    def generation(self) -> int:
        """Rises with every write; two equal numbers mean that nothing changed."""
        return current(self._database, GENERATION)

    def revisions(self, key: str) -> list[Revision]:
        """Every revision of a definition, also of a deleted one, newest first; empty when there never was such a definition."""
        with self._database.read() as session:
            id = _revised_id(session, key)
            chosen = sa.select(RevisionRow).where(RevisionRow.definition_id == id).order_by(RevisionRow.number.desc())
            return [_revision(row) for row in session.scalars(chosen)]

    def revision(self, key: str, number: int) -> Revision:
        """Raises NotFound."""
        if number >= 2**31:  # more than the column holds
            raise NotFound
        with self._database.read() as session:
            row = session.get(RevisionRow, (_revised_id(session, key), number))
            if row is None:
                raise NotFound
            return _revision(row)

    def _run(self, work: Callable[[Session], StoredDefinition]) -> StoredDefinition:
        try:
            return self._database.run(work)
        except IntegrityError as error:
            # another writer came between the look and the write
            text = str(error.orig)
            if "definitions_place" in text or "definitions.place" in text:
                raise PlaceTaken from None
            if "uq_definitions_api_id" in text or "pk_definitions" in text or "definitions.api_id" in text:
                raise ApiIdTaken from None
            raise


def _find(session: Session, key: str) -> DefinitionRow | None:
    row = session.get(DefinitionRow, key)
    return row or session.scalar(sa.select(DefinitionRow).where(DefinitionRow.api_id == key))


def _existing(session: Session, key: str, if_match: int | None) -> DefinitionRow:
    found = _find(session, key)
    if found is None:
        raise NotFound
    # locked and read again: on PostgreSQL two writers may have found it at once
    row = session.get(DefinitionRow, found.id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound
    if if_match is not None and row.revision != if_match:
        raise RevisionConflict(row.revision)
    return row


def _check_free(session: Session, id: str, api_id: str, place: str | None, own: str | None) -> None:
    others = sa.select(DefinitionRow.id).where(DefinitionRow.id != own) if own else sa.select(DefinitionRow.id)
    same = DefinitionRow.api_id == api_id if own else sa.or_(DefinitionRow.api_id.in_((api_id, id)), DefinitionRow.id.in_((api_id, id)))
    if session.scalar(others.where(same)) is not None:
        raise ApiIdTaken
    if place is not None and session.scalar(others.where(DefinitionRow.place == place)) is not None:
        raise PlaceTaken


def _write(row: DefinitionRow, raw: Mapping[str, Any], hook_references: list[Any], address: str, active: bool, now: dt.datetime) -> None:
    row.api_id = raw["api_id"]
    row.address = address
    row.place = address if active else None
    row.name = str(raw.get("name") or "")
    row.document = dict(raw)
    row.hook_references = hook_references
    row.updated_at = now


def _record(session: Session, row: DefinitionRow, action: Action, who: str, note: str) -> None:
    row.revision += 1
    session.add(
        RevisionRow(
            definition_id=row.id,
            number=row.revision,
            api_id=row.api_id,
            action=action,
            at=row.updated_at,
            who=who,
            note=note,
            document=None if action == "deleted" else row.document,
            hook_references=row.hook_references,
        )
    )
    raise_generation(session, GENERATION)


def _last_number(session: Session, id: str) -> int:
    return session.scalar(sa.select(sa.func.max(RevisionRow.number)).where(RevisionRow.definition_id == id)) or 0


def _revised_id(session: Session, key: str) -> str:
    """The internal id of a definition that is or was: by itself, else the one that had this api_id last."""
    row = _find(session, key)
    if row is not None:
        return row.id
    if _last_number(session, key):
        return key
    same = sa.select(RevisionRow.definition_id).where(RevisionRow.api_id == key)
    return session.scalar(same.order_by(RevisionRow.at.desc(), RevisionRow.number.desc()).limit(1)) or key


def _stored(row: DefinitionRow) -> StoredDefinition:
    return StoredDefinition(row.id, row.api_id, row.revision, dict(row.document), list(row.hook_references), row.created_at, row.updated_at)


def _revision(row: RevisionRow) -> Revision:
    return Revision(
        row.definition_id, row.number, row.api_id, row.action, row.at, row.who, row.note, row.document, list(row.hook_references)
    )

"""API definitions.

A definition is addressed by its internal id or by its api_id. Every write is one transaction: it leaves a revision behind (who, when,
why and the whole document) and raises the generation, by which workers see that something changed.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.gateway.definitions.sources import FileMistakes
from services.gateway.stores import revisions
from services.gateway.stores.base import metadata
from services.gateway.stores.generations import current, raise_generation, since
from services.gateway.stores.revisions import Entry, Revision

GENERATION: Final = "definitions"
Action = Literal["created", "updated", "deleted", "restored", "seeded", "undone", "redone"]


DEFINITIONS: Final = sa.Table(
    "definitions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("api_id", sa.String(128), nullable=False, unique=True),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("place", sa.String(2048), unique=True),  # the address of an active definition
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("hook_references", sa.JSON, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
_D: Final = DEFINITIONS.c


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
class Changed:
    """What changed until a generation: by internal id, None = it is gone."""

    generation: int
    definitions: Mapping[str, StoredDefinition | None]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. total: of all pages."""

    items: list[StoredDefinition]
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

    def __init__(self, owner: str) -> None:
        super().__init__(f"{owner} already listens on this listen_path")


class Unchanged(Exception):
    """What would be stored is stored already. Nothing was written."""

    def __init__(self, stored: StoredDefinition) -> None:
        super().__init__(f"revision {stored.revision} is the same")
        self.stored = stored


class ReadOnly(Exception):
    """The definitions are read from files; nothing can be written here."""


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; the order of members does not count, and `1` is neither `true` nor `1.0`."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def new_id() -> str:
    """An internal id: 24 hexadecimal digits, as Tyk's."""
    return secrets.token_hex(12)


def new_api_id() -> str:
    return secrets.token_hex(16)


class DefinitionStore:
    """Thread-safe."""

    source: Literal["database", "files"] = "database"
    mistakes: Sequence[FileMistakes] = ()  # of files, when these are what is stored

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def all(self) -> list[StoredDefinition]:
        """Every definition, by name and id."""
        with self._database.read() as connection:
            return [_stored(row) for row in connection.execute(sa.select(DEFINITIONS).order_by(_D.name, _D.id))]

    def get(self, key: str) -> StoredDefinition | None:
        """By internal id or api_id."""
        with self._database.read() as connection:
            row = _find(connection, key)
            return None if row is None else _stored(row)

    def known(self, api_ids: set[str]) -> dict[str, str]:
        """api_id → name of those that exist."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(_D.api_id, _D.name).where(_D.api_id.in_(api_ids)))
            return {row.api_id: row.name for row in rows}

    def page(self, number: int = 0, size: int = 10, query: str = "") -> Page:
        """number: from zero, negative = everything. query: a part of the name, an id or the address; case does not count."""
        chosen = sa.select(DEFINITIONS)
        if query:
            pattern = "%" + query.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            columns = (_D.name, _D.api_id, _D.id, _D.address)
            chosen = chosen.where(sa.or_(*(sa.func.lower(column).like(pattern, escape="\\") for column in columns)))
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            ordered = chosen.order_by(_D.name, _D.id)
            if number >= 0:
                ordered = ordered.limit(size).offset(number * size)
            return Page([_stored(row) for row in connection.execute(ordered)], total)

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
        target: int | None = None,
        if_match: int | None = None,
    ) -> StoredDefinition:
        """raw: with `id` and `api_id`. address: host and listen path, which only one active definition may own.

        target: where an undo or a redo goes. if_match: the last revision that the writer saw, of a definition that was deleted.
        Raises ApiIdTaken, PlaceTaken, RevisionConflict.
        """

        def work(connection: sa.Connection) -> StoredDefinition:
            now = self._clock.now()
            _check_free(connection, raw["id"], raw["api_id"], address if active else None, own=None)
            number = revisions.last_number(connection, raw["id"]) + 1
            if if_match is not None and if_match != number - 1:
                raise RevisionConflict(number - 1)
            stored = StoredDefinition(raw["id"], raw["api_id"], number, dict(raw), hook_references, now, now)
            connection.execute(sa.insert(DEFINITIONS).values(**_columns(stored, address, active), created_at=now))
            return _recorded(connection, stored, action, who, note, target)

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
        target: int | None = None,
    ) -> StoredDefinition:
        """Replace a definition wholly; its id stays. if_match: the revision that the writer saw. target: where an undo or a redo goes.

        Raises NotFound, RevisionConflict, ApiIdTaken, PlaceTaken; Unchanged when it is so already, unless there is a target.
        """

        def work(connection: sa.Connection) -> StoredDefinition:
            row = _existing(connection, key, if_match)
            before = _stored(row)
            _check_free(connection, before.id, raw["api_id"], address if active else None, own=before.id)
            document = {**raw, "id": before.id}
            number, now = before.revision + 1, self._clock.now()
            stored = StoredDefinition(before.id, raw["api_id"], number, document, hook_references, before.created_at, now)
            columns = _columns(stored, address, active)
            # the place as well: another version of the gateway may have read it out of the same document otherwise
            same_place = (row.address, row.place) == (columns["address"], columns["place"])
            if target is None and same_place and same_json([row.document, row.hook_references], [document, hook_references]):
                raise Unchanged(before)
            connection.execute(sa.update(DEFINITIONS).where(_D.id == before.id).values(columns))
            return _recorded(connection, stored, action, who, note, target)

        return self._run(work)

    def delete(
        self, key: str, *, who: str, note: str = "", if_match: int | None = None, action: Action = "deleted", target: int | None = None
    ) -> StoredDefinition:
        """What was deleted. target: where a redo goes. Raises NotFound, RevisionConflict."""

        def work(connection: sa.Connection) -> StoredDefinition:
            before = _stored(_existing(connection, key, if_match))
            gone = replace(before, revision=before.revision + 1, updated_at=self._clock.now())
            _recorded(connection, gone, action, who, note, target, deleted=True)
            connection.execute(sa.delete(DEFINITIONS).where(_D.id == before.id))
            return before

        return self._run(work)

    def generation(self) -> int:
        """Rises with every write; two equal numbers mean that nothing changed."""
        return current(self._database, GENERATION)

    def changed_since(self, generation: int) -> Changed | None:
        """What was written after a generation, as it is now. None when that is not known any more."""
        with self._database.read() as connection:
            changes = since(connection, GENERATION, generation)
            if changes.entries is None:
                return None
            ids = sorted(changes.items())
            found: dict[str, StoredDefinition | None] = dict.fromkeys(ids)
            for start in range(0, len(ids), 500):
                rows = connection.execute(sa.select(DEFINITIONS).where(_D.id.in_(ids[start : start + 500])))
                found |= {row.id: _stored(row) for row in rows}
        return Changed(changes.number, found)

    def revisions(self, key: str) -> list[Entry]:
        """Every revision of a definition, also of a deleted one, newest first; empty when there never was such a definition."""
        with self._database.read() as connection:
            return revisions.listed(connection, _revised_id(connection, key))

    def revision(self, key: str, number: int) -> Revision:
        """Raises NotFound."""
        if number >= 2**31:  # more than the column holds
            raise NotFound
        with self._database.read() as connection:
            found = revisions.one(connection, _revised_id(connection, key), number)
            if found is None:
                raise NotFound
            return found

    def revision_before(self, key: str, number: int) -> Revision | None:
        """What a revision changed is its difference to this one; None for the first."""
        with self._database.read() as connection:
            id = _revised_id(connection, key)
            earlier = revisions.before(connection, id, number)
            return None if earlier is None else revisions.one(connection, id, earlier)

    def _run(self, work: Callable[[sa.Connection], StoredDefinition], again: bool = True) -> StoredDefinition:
        try:
            return self._database.run(work)
        except IntegrityError as error:
            # another writer came between the look and the write
            text = str(error.orig)
            if "definitions_place" in text or "definitions.place" in text:
                raise PlaceTaken("another API") from None
            if "uq_definitions_api_id" in text or "pk_definitions" in text or "definitions.api_id" in text:
                raise ApiIdTaken from None
            if "definition_revisions" in text and again:
                return self._run(work, again=False)  # it was created and deleted again meanwhile: the next number is free
            raise


def _find(connection: sa.Connection, key: str) -> sa.Row[Any] | None:
    row = connection.execute(sa.select(DEFINITIONS).where(_D.id == key)).one_or_none()
    return row or connection.execute(sa.select(DEFINITIONS).where(_D.api_id == key)).one_or_none()


def _existing(connection: sa.Connection, key: str, if_match: int | None) -> sa.Row[Any]:
    found = _find(connection, key)
    if found is None:
        raise NotFound
    # locked and read again: on PostgreSQL two writers may have found it at once
    row = connection.execute(sa.select(DEFINITIONS).where(_D.id == found.id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    if if_match is not None and row.revision != if_match:
        raise RevisionConflict(row.revision)
    return row


def _check_free(connection: sa.Connection, id: str, api_id: str, place: str | None, own: str | None) -> None:
    others = sa.select(_D.id).where(_D.id != own) if own else sa.select(_D.id)
    same = _D.api_id == api_id if own else sa.or_(_D.api_id.in_((api_id, id)), _D.id.in_((api_id, id)))
    if connection.scalar(others.where(same).limit(1)) is not None:
        raise ApiIdTaken
    owner = None if place is None else connection.scalar(others.with_only_columns(_D.api_id).where(_D.place == place))
    if owner == api_id:  # created since the look before
        raise ApiIdTaken
    if owner is not None:
        raise PlaceTaken(owner)


def _columns(stored: StoredDefinition, address: str, active: bool) -> dict[str, Any]:
    return {
        "id": stored.id,
        "api_id": stored.api_id,
        "address": address,
        "place": address if active else None,
        "name": str(stored.raw.get("name") or ""),
        "revision": stored.revision,
        "document": stored.raw,
        "hook_references": stored.hook_references,
        "updated_at": stored.updated_at,
    }


def _recorded(
    connection: sa.Connection, stored: StoredDefinition, action: Action, who: str, note: str, target: int | None, deleted: bool = False
) -> StoredDefinition:
    assert stored.updated_at is not None
    raw = None if deleted else stored.raw
    what = Revision(stored.id, stored.revision, stored.api_id, action, stored.updated_at, who, note, target, raw, stored.hook_references)
    revisions.record(connection, what)
    raise_generation(connection, GENERATION, [stored.id])
    return stored


def _revised_id(connection: sa.Connection, key: str) -> str:
    """The internal id of a definition that is or was: by itself, else the one that had this api_id last."""
    row = _find(connection, key)
    if row is not None:
        return str(row.id)
    return key if revisions.last_number(connection, key) else revisions.last_with(connection, key) or key


def _stored(row: sa.Row[Any]) -> StoredDefinition:
    return StoredDefinition(row.id, row.api_id, row.revision, row.document, row.hook_references, row.created_at, row.updated_at)

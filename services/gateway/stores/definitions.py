"""API definitions.

A definition is addressed by its internal id or by its api_id. Every write is one transaction: it leaves a revision behind (who, when,
why and the whole document) and raises the generation, by which workers see that something changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase
from services.gateway.definitions.claims import Claim
from services.gateway.definitions.sources import FileMistakes
from services.gateway.stores import revisions
from services.gateway.stores.callers import OfCallers, owner_in
from services.gateway.stores.definition_model import (
    Action,
    ApiIdTaken,
    Changed,
    NotFound,
    Page,
    PlaceTaken,
    RevisionConflict,
    StoredDefinition,
    Unchanged,
    same_json,
)
from services.gateway.stores.definition_table import (
    DEFINITIONS,
    GENERATION,
    check_free,
    find,
    from_row,
    locked,
    record,
    revised_id,
    to_columns,
)
from services.gateway.stores.generations import current, since
from services.gateway.stores.revisions import Entry, Revision

_D: Final = DEFINITIONS.c


class DefinitionStore(OfCallers):
    """Thread-safe. The caller of a store sees the definitions of one organisation, or all."""

    source: Literal["database", "files"] = "database"
    mistakes: Sequence[FileMistakes] = ()  # of files, when these are what is stored

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def all(self) -> list[StoredDefinition]:
        """Read every definition, by name and id."""
        with self._database.read() as connection:
            return [from_row(row) for row in connection.execute(sa.select(DEFINITIONS).order_by(_D.name, _D.id))]

    def get(self, key: str) -> StoredDefinition | None:
        """Find a definition by its internal id or api_id."""
        with self._database.read() as connection:
            row = find(connection, key)
            return from_row(row) if row is not None and self._caller.may_own(row.document.get("org_id")) else None

    def known(self, api_ids: set[str]) -> dict[str, str]:
        """Return api_id → name of those that exist."""
        asked = sorted(api_ids)
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for start in range(0, len(asked), 500):
                chosen = sa.select(_D.api_id, _D.name).where(_D.api_id.in_(asked[start : start + 500]), self._mine())
                found |= {row.api_id: row.name for row in connection.execute(chosen)}
        return found

    def page(self, number: int = 0, size: int = 10, query: str = "") -> Page:
        """Read one page. number: from zero, negative = everything. query: a part of the name, an id or the address; case does not count."""
        chosen = sa.select(DEFINITIONS).where(self._mine())
        if query:
            pattern = "%" + query.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            columns = (_D.name, _D.api_id, _D.id, _D.address)
            chosen = chosen.where(sa.or_(*(sa.func.lower(column).like(pattern, escape="\\") for column in columns)))
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
            ordered = chosen.order_by(_D.name, _D.id)
            if number >= 0:
                ordered = ordered.limit(size).offset(number * size)
            return Page([from_row(row) for row in connection.execute(ordered)], total)

    def create(
        self,
        raw: Mapping[str, Any],
        hook_references: list[Any],
        *,
        claim: Claim,
        who: str,
        note: str = "",
        action: Action = "created",
        target: int | None = None,
        if_match: int | None = None,
    ) -> StoredDefinition:
        """Store a new definition. raw: with `id` and `api_id`.

        target: where an undo or a redo goes. if_match: the last revision that the writer saw, of a definition that was deleted.
        Raises ApiIdTaken, PlaceTaken, RevisionConflict.
        """

        self._caller.check(raw.get("org_id"))

        def work(connection: sa.Connection) -> StoredDefinition:
            now = self._clock.now()
            self._check_never_of_others(connection, raw["id"], raw["api_id"])
            check_free(connection, raw["id"], raw["api_id"], claim.place, own=None)
            number = revisions.last_number(connection, raw["id"]) + 1
            if if_match is not None and if_match != number - 1:
                raise RevisionConflict(number - 1)
            stored = StoredDefinition(raw["id"], raw["api_id"], number, dict(raw), hook_references, now, now)
            connection.execute(sa.insert(DEFINITIONS).values(**to_columns(stored, claim), created_at=now))
            self._caller.tell("api", stored.id, None, stored.raw)
            return record(connection, stored, action, who, note, target)

        return self._run(work)

    def update(
        self,
        key: str,
        raw: Mapping[str, Any],
        hook_references: list[Any],
        *,
        claim: Claim,
        who: str,
        note: str = "",
        if_match: int | None = None,
        action: Action = "updated",
        target: int | None = None,
    ) -> StoredDefinition:
        """Replace a definition wholly; its id stays. if_match: the revision that the writer saw. target: where an undo or a redo goes.

        Raises NotFound, RevisionConflict, ApiIdTaken, PlaceTaken; Unchanged when it is so already, unless there is a target.
        """

        self._caller.check(raw.get("org_id"))

        def work(connection: sa.Connection) -> StoredDefinition:
            row = self._locked(connection, key, if_match)
            before = from_row(row)
            check_free(connection, before.id, raw["api_id"], claim.place, own=before.id)
            document = {**raw, "id": before.id}
            number, now = before.revision + 1, self._clock.now()
            stored = StoredDefinition(before.id, raw["api_id"], number, document, hook_references, before.created_at, now)
            columns = to_columns(stored, claim)
            # the place as well: another version of the gateway may have read it out of the same document otherwise
            same_place = (row.address, row.place) == (columns["address"], columns["place"])
            if target is None and same_place and same_json([row.document, row.hook_references], [document, hook_references]):
                raise Unchanged(before)
            connection.execute(sa.update(DEFINITIONS).where(_D.id == before.id).values(columns))
            self._caller.tell("api", before.id, before.raw, document)
            return record(connection, stored, action, who, note, target)

        return self._run(work)

    def delete(
        self, key: str, *, who: str, note: str = "", if_match: int | None = None, action: Action = "deleted", target: int | None = None
    ) -> StoredDefinition:
        """Delete a definition and give what it was. target: where a redo goes. Raises NotFound, RevisionConflict."""

        def work(connection: sa.Connection) -> StoredDefinition:
            before = from_row(self._locked(connection, key, if_match))
            gone = replace(before, revision=before.revision + 1, updated_at=self._clock.now())
            record(connection, gone, action, who, note, target, deleted=True)
            connection.execute(sa.delete(DEFINITIONS).where(_D.id == before.id))
            self._caller.tell("api", before.id, before.raw, None)
            return before

        return self._run(work)

    def generation(self) -> int:
        """Read a number that rises with every write; two equal numbers mean that nothing changed."""
        return current(self._database, GENERATION)

    def changed_since(self, generation: int) -> Changed | None:
        """Return what was written after a generation, as it is now; None = that is not known any more."""
        with self._database.read() as connection:
            changes = since(connection, GENERATION, generation)
            if changes.entries is None:
                return None
            ids = sorted(changes.items())
            found: dict[str, StoredDefinition | None] = dict.fromkeys(ids)
            for start in range(0, len(ids), 500):
                rows = connection.execute(sa.select(DEFINITIONS).where(_D.id.in_(ids[start : start + 500])))
                found |= {row.id: from_row(row) for row in rows}
        return Changed(changes.number, found)

    def revisions(self, key: str) -> list[Entry]:
        """List the revisions of a definition, also of a deleted one, newest first; empty when there never was such a definition."""
        with self._database.read() as connection:
            id = revised_id(connection, key)
            mine = self._numbers(connection, id)
            return [entry for entry in revisions.listed(connection, id) if mine is None or entry.number in mine]

    def revision(self, key: str, number: int) -> Revision:
        """Read one revision. Raises NotFound."""
        if number >= 2**31:  # more than the column holds
            raise NotFound
        with self._database.read() as connection:
            id = revised_id(connection, key)
            mine = self._numbers(connection, id)
            found = revisions.one(connection, id, number) if mine is None or number in mine else None
            if found is None:
                raise NotFound
            return found

    def revision_before(self, key: str, number: int) -> Revision | None:
        """Read the revision before one, from which it differs by what it changed; None for the first."""
        with self._database.read() as connection:
            id = revised_id(connection, key)
            mine = self._numbers(connection, id)
            earlier = revisions.before(connection, id, number)
            if mine is not None and earlier not in mine:
                return None
            return None if earlier is None else revisions.one(connection, id, earlier)

    def _mine(self) -> sa.ColumnElement[bool]:
        return self._caller.owns(owner_in(_D.document))

    def _locked(self, connection: sa.Connection, key: str, if_match: int | None) -> sa.Row[Any]:
        """As `locked`, for what the caller sees. Raises NotFound, RevisionConflict."""
        found = find(connection, key)
        if found is None or not self._caller.may_own(found.document.get("org_id")):
            raise NotFound
        row = locked(connection, found.id, if_match)
        if not self._caller.may_own(row.document.get("org_id")):  # it moved meanwhile
            raise NotFound
        return row

    def _numbers(self, connection: sa.Connection, id: str) -> set[int] | None:
        """Return the revisions that the caller sees, None = all: those of its organisation, as long as that is the last owner."""
        if not self._caller.org_id:
            return None
        owners = revisions.owners(connection, id)
        last = next(reversed(owners.values()), "")
        return {number for number, owner in owners.items() if owner == last} if self._caller.may_own(last) else set()

    def _check_never_of_others(self, connection: sa.Connection, id: str, api_id: str) -> None:
        """Keep an organisation from taking over what is left of another's deleted definition: history, deliveries, rights of keys.

        Raises ApiIdTaken.
        """
        if not self._caller.org_id:
            return
        for former in {id, revisions.last_with(connection, api_id)} - {None}:
            owners = revisions.owners(connection, str(former))
            if owners and not self._caller.may_own(next(reversed(owners.values()))):
                raise ApiIdTaken

    def _run(self, work: Callable[[sa.Connection], StoredDefinition], again: bool = True) -> StoredDefinition:
        try:
            return self._database.run(work)
        except PlaceTaken as error:
            if self._caller.org_id:
                raise PlaceTaken("another API") from None
            raise error
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

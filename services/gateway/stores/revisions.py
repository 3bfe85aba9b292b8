"""The numbered revisions of definitions: who changed what, when and why.

They outlive their definition, so that a deletion can be undone, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from services.common.core_database import UTCDateTime
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import owner_in

REVISIONS: Final = sa.Table(
    "definition_revisions",
    metadata,
    sa.Column("definition_id", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("api_id", sa.String(128), nullable=False, index=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("at", UTCDateTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("document", sa.JSON(none_as_null=True)),
    sa.Column("hook_references", sa.JSON, nullable=False),
    sa.Column("target", sa.Integer),
)
_R: Final = REVISIONS.c


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the history of a definition: who changed it, when and why, without what it was then.

    target: the revision that an undo or a redo went to; None = any other write.
    """

    definition_id: str
    number: int
    api_id: str
    action: str
    at: dt.datetime
    who: str
    note: str
    target: int | None

    @property
    def position(self) -> int:
        """Return the revision whose content this is; the next undo or redo starts from it."""
        return self.number if self.target is None else self.target


@dataclass(frozen=True, slots=True)
class Revision(Entry):
    """raw: None = the definition was deleted here."""

    raw: dict[str, Any] | None
    hook_references: list[Any]


_ENTRY: Final = tuple(_R[field.name] for field in fields(Entry))


def record(connection: sa.Connection, revision: Revision) -> None:
    """Store a revision. To be called in the transaction of the change that it describes."""
    row = {
        "definition_id": revision.definition_id,
        "number": revision.number,
        "api_id": revision.api_id,
        "action": revision.action,
        "at": revision.at,
        "who": revision.who,
        "note": revision.note,
        "document": revision.raw,
        "hook_references": revision.hook_references,
        "target": revision.target,
    }
    connection.execute(sa.insert(REVISIONS).values(row))


def listed(connection: sa.Connection, id: str) -> list[Entry]:
    """Return the history of a definition, the newest first; without the documents, which could be large and many."""
    rows = connection.execute(sa.select(*_ENTRY).where(_R.definition_id == id).order_by(_R.number.desc()))
    return [Entry(*row) for row in rows]


def one(connection: sa.Connection, id: str, number: int) -> Revision | None:
    row = connection.execute(sa.select(REVISIONS).where(_R.definition_id == id, _R.number == number)).one_or_none()
    return None if row is None else _revision(row)


def before(connection: sa.Connection, id: str, number: int) -> int | None:
    """Return the number of the revision before this one."""
    found: int | None = connection.scalar(sa.select(sa.func.max(_R.number)).where(_R.definition_id == id, _R.number < number))
    return found


def undo_target(history: Sequence[Entry]) -> int | None:
    """Return the revision that an undo goes to, None = there is nothing before. history: of one definition, newest first."""
    return _before({entry.number: entry for entry in history}, history[0].position) if history else None


def redo_target(history: Sequence[Entry]) -> int | None:
    """Return the revision that a redo goes to, None = nothing was undone since the last save. history: of one definition, newest first."""
    entries = {entry.number: entry for entry in history}
    at = history[0].position if history else None
    # from the last save back to the present position: what was undone last on the way comes next
    step = next((entry.number for entry in history if entry.target is None), None)
    while step is not None and step != at:
        earlier = _before(entries, step)
        if earlier == at:
            return step
        step = earlier
    return None


def _before(entries: Mapping[int, Entry], number: int) -> int | None:
    """Return the revision that was in force when this one was saved."""
    earlier = entries.get(number - 1)
    return None if earlier is None else earlier.position


def last_number(connection: sa.Connection, id: str) -> int:
    """Return the number of the last revision, 0 = there never was such a definition."""
    return connection.scalar(sa.select(sa.func.max(_R.number)).where(_R.definition_id == id)) or 0


def last_with(connection: sa.Connection, api_id: str) -> str | None:
    """Return the internal id of the definition that had this api_id last."""
    same = sa.select(_R.definition_id).where(_R.api_id == api_id)
    return connection.scalar(same.order_by(_R.at.desc(), _R.number.desc()).limit(1))


def owners(connection: sa.Connection, id: str) -> dict[int, str]:
    """Return whose the definition was, by the number of each revision, in their order; a deletion belongs to who owned it until then."""
    found: dict[int, str] = {}
    org_id = ""
    for number, is_deletion, owner in connection.execute(
        sa.select(_R.number, _R.document.is_(None), owner_in(_R.document)).where(_R.definition_id == id).order_by(_R.number)
    ):
        org_id = org_id if is_deletion else owner or ""
        found[number] = org_id
    return found


def _revision(row: sa.Row[Any]) -> Revision:
    return Revision(
        row.definition_id,
        row.number,
        row.api_id,
        row.action,
        row.at,
        row.who,
        row.note,
        row.target,
        row.document,
        list(row.hook_references),
    )

"""What layers say of nodes, in the database, one at a time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.upsert import insert
from services.mobility.models import Record


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is kept. modalities: bits. validity: from when to when it holds."""

    data: dict[str, Any]
    modalities: int | None
    validity: tuple[dt.datetime | None, dt.datetime | None]


def lock(session: Session, node_id: int, layer_id: int) -> Kept | None:
    """Read a record and lock its place until the transaction ends. None when there is none: then `write` must follow.

    One statement, which waits for who writes the same record, be it the first. The place is held by data that are null; no record has such.
    """
    place = insert(session.get_bind().dialect.name, Record).values(node_id=node_id, layer_id=layer_id, data=None)
    found = session.execute(
        place.on_conflict_do_update(index_elements=["node_id", "layer_id"], set_={"modalities": Record.modalities}).returning(
            Record.data, Record.modalities, Record.valid_from, Record.valid_to
        )
    ).one()
    return None if found.data is None else _kept(found)


def write(session: Session, node_id: int, layer_id: int, record: Kept) -> None:
    """Write a record whose place is locked."""
    valid_from, valid_to = record.validity
    session.execute(
        sa.update(Record)
        .where(Record.node_id == node_id, Record.layer_id == layer_id)
        .values(data=record.data, modalities=record.modalities, valid_from=valid_from, valid_to=valid_to)
    )


def delete(session: Session, node_id: int, layer_id: int) -> Kept | None:
    """Delete a record. Returns what it was, None when there was none."""
    found = session.execute(
        sa.delete(Record)
        .where(Record.node_id == node_id, Record.layer_id == layer_id)
        .returning(Record.data, Record.modalities, Record.valid_from, Record.valid_to)
    ).one_or_none()
    return None if found is None else _kept(found)


def _kept(row: Any) -> Kept:
    return Kept(row.data, row.modalities, (row.valid_from, row.valid_to))

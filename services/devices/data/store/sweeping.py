"""Removing what nobody sees any more, in slices: a slice holds no lock for long. Each function says whether there may be more."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.data.rules import chunks
from services.devices.data.store import partitions
from services.devices.models import Chunk, Device, IdempotencyKey, Removal, Variable, immutable_records, mutable_records

SLICE: Final = 2_000  # rows: some 20 ms of SQLite's only writer


def removals(session: Session) -> bool:
    """Remove records that belong to no device."""
    removal = session.scalar(sa.select(Removal).order_by(Removal.created_at).limit(1))
    if removal is None:
        return False
    if removal.retention_class is None:
        more = _slice(session, mutable_records, ("seq",), mutable_records.c.data_no == removal.data_no)
    elif session.get_bind().dialect.name == "postgresql":
        more = _slice_of_partitions(session, removal)
    else:
        table = immutable_records.c
        mine = sa.and_(table.retention_class == removal.retention_class, table.data_no == removal.data_no)
        more = _slice(session, immutable_records, ("variable_no", "time", "seq"), mine)
    if not more:
        session.delete(removal)
    return True


def _slice_of_partitions(session: Session, removal: Removal) -> bool:
    assert removal.retention_class is not None
    for name in partitions.leaves(session, removal.retention_class):
        rows = f"SELECT ctid FROM {name} WHERE data_no = :data_no LIMIT :slice"  # noqa: S608  a name of ours
        done = session.execute(
            sa.text(f"WITH gone AS (DELETE FROM {name} WHERE ctid = ANY(ARRAY({rows})) RETURNING 1) SELECT count(*) FROM gone"),  # noqa: S608
            {"data_no": removal.data_no, "slice": SLICE},
        )
        if done.scalar_one():
            return True
    return False


def _slice(session: Session, table: sa.Table, key: tuple[str, ...], mine: sa.ColumnElement[bool]) -> bool:
    """Delete the first rows in the order of a key that is unique among `mine`; say whether some are left."""
    columns = [table.c[name] for name in key]
    first_kept = session.execute(sa.select(*columns).where(mine).order_by(*columns).offset(SLICE).limit(1)).first()
    if first_kept is None:
        session.execute(sa.delete(table).where(mine))
        return False
    session.execute(sa.delete(table).where(mine, sa.tuple_(*columns) < sa.tuple_(*map(sa.literal, first_kept))))
    return True


def old_keys(session: Session, before: dt.datetime) -> bool:
    """Remove idempotency keys that are too old to count."""
    moment = IdempotencyKey.created_at
    last = session.scalar(sa.select(moment).where(moment < before).order_by(moment).offset(SLICE).limit(1))
    session.execute(sa.delete(IdempotencyKey).where(moment < before if last is None else moment <= last))  # with all of that moment
    return last is not None


def old_chunks(session: Session, period: str, retention: int, now: dt.datetime) -> bool:
    """Remove chunks that the devices of a class keep no longer. On PostgreSQL their counts only: the records are dropped by tables."""
    kept = chunks.kept(period, retention, now)
    of_class = sa.select(Device.no).where(Device.chunk_period == period, Device.chunk_retention == retention)
    over = sa.and_(Chunk.starts < kept.starts, Chunk.device_no.in_(of_class))
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.delete(Chunk).where(over))
        return False
    found = session.execute(
        sa.select(Chunk.device_no, Chunk.starts, Chunk.ends, sa.func.coalesce(Device.data_no, Device.no))
        .join(Device, Device.no == Chunk.device_no)
        .where(over)
        .limit(1)
    ).first()
    if found is None:
        return False
    device_no, starts, ends, data_no = found
    if not _slice_of_chunk(session, (chunks.retention_class(period, retention), data_no), device_no, starts, ends):
        session.execute(sa.delete(Chunk).where(Chunk.device_no == device_no, Chunk.starts == starts))
    return True


def _slice_of_chunk(session: Session, owner: tuple[int, int], device_no: int, starts: int, ends: int) -> bool:
    """Delete records of a chunk; say whether some may be left. owner: retention class and data_no.

    In one statement for all variables, of which a device may have ten thousand: SQLite looks at each, and waits for none of ours.
    """
    table = immutable_records.c
    key = (table.variable_no, table.time, table.seq)
    of_owner = (table.retention_class == owner[0], table.data_no == owner[1])
    numbers = sa.select(Variable.no).where(Variable.device_no == device_no)
    first = sa.select(*key).where(*of_owner, table.variable_no.in_(numbers), table.time >= starts, table.time < ends).limit(SLICE)
    deleted = session.execute(sa.delete(immutable_records).where(*of_owner, sa.tuple_(*key).in_(first)))
    return cast("sa.CursorResult[Any]", deleted).rowcount == SLICE


def classes(session: Session) -> set[tuple[str, int]]:
    """List the periods and retentions that devices have."""
    found = session.execute(sa.select(Device.chunk_period, Device.chunk_retention).where(Device.type == "immutable").distinct())
    return {(period, retention) for period, retention in found if period is not None and retention is not None}

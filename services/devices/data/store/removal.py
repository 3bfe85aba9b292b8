"""What takes records away from a device, or moves them. The caller's transaction; each locks the device first.

Emptying and deleting a device take the same short time for any number of records: what its records refer to (`data_no`) is given up, and
the rows go later, see `sweeping.py`.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.data.rules import chunks
from services.devices.data.store import partitions, writing
from services.devices.data.store.partitions import Partition
from services.devices.data.store.writing import Locked
from services.devices.models import Chunk, Device, DeviceState, Removal, Variable, immutable_records


def empty(session: Session, device_no: int, now: dt.datetime) -> None:
    """Take all records from a device. Ids of later records go on from there: none comes twice."""
    locked = forget(session, device_no, now)
    if locked is None:
        return
    session.execute(sa.update(Device).where(Device.no == device_no).values(data_no=_new_number(session)))
    session.execute(sa.update(DeviceState).where(DeviceState.device_no == device_no).values(records=0))
    session.execute(sa.delete(Chunk).where(Chunk.device_no == device_no))


def forget(session: Session, device_no: int, now: dt.datetime) -> Locked | None:
    """Give up the records of a device that is deleted in this transaction. None when there is no such device any more."""
    locked = writing.lock(session, [device_no]).get(device_no)
    if locked is not None:
        session.execute(sa.insert(Removal).values(data_no=locked.data_no, retention_class=_class(locked), created_at=now))
    return locked


def delete_chunk(session: Session, device_no: int, starts: int) -> bool:
    """Delete the chunk of a device that begins then; say whether there was one. It takes as long as it has records: a million 1 to 2 s."""
    locked = writing.lock(session, [device_no]).get(device_no)
    chunk = session.get(Chunk, (device_no, starts))
    if locked is None or chunk is None:
        return False
    table = immutable_records.c
    session.execute(sa.delete(immutable_records).where(*_of(locked), table.time >= chunk.starts, table.time < chunk.ends))
    session.execute(sa.delete(Chunk).where(Chunk.device_no == device_no, Chunk.starts == starts))
    return True


def move_class(session: Session, device_no: int, period: str, retention: int, now: dt.datetime) -> None:
    """Move the records of an immutable device to other chunks; those that the new retention does not keep are deleted.

    The caller changes the device itself. It takes as long as there are records: a million some 10 s.
    """
    locked = writing.lock(session, [device_no]).get(device_no)
    if locked is None or locked.chunk_period is None:
        return
    new_class, kept = chunks.retention_class(period, retention), chunks.kept(period, retention, now)
    table = immutable_records.c
    session.execute(sa.delete(immutable_records).where(*_of(locked), table.time < kept.starts))
    spans = _spans(session, locked, period, kept)
    if session.get_bind().dialect.name == "postgresql":
        partitions.make(session, [Partition(new_class, *span) for span in spans])
    session.execute(sa.update(immutable_records).where(*_of(locked)).values(retention_class=new_class))
    session.execute(sa.delete(Chunk).where(Chunk.device_no == device_no))
    for span in spans:
        counted = sa.select(sa.func.count()).select_from(immutable_records)
        among = (*_of(locked, new_class), table.time >= span.starts, table.time < span.ends)
        if records := session.scalar(counted.where(*among)):
            session.execute(sa.insert(Chunk).values(device_no=device_no, starts=span.starts, ends=span.ends, records=records))


def _spans(session: Session, locked: Locked, period: str, kept: chunks.Span) -> list[chunks.Span]:
    """The chunks of another period that the device's present ones reach into."""
    first, last = session.execute(
        sa.select(sa.func.min(Chunk.starts), sa.func.max(Chunk.ends)).where(Chunk.device_no == locked.no)
    ).one()  # fmt: skip
    spans = []
    at = first if first is None else max(first, kept.starts)
    while at is not None and at < last:
        spans.append(chunks.span(period, at))
        at = spans[-1].ends
    return spans


def _of(locked: Locked, retention_class: int | None = None) -> tuple[sa.ColumnElement[bool], ...]:
    """The records of an immutable device; by its variables, because the index begins so."""
    table = immutable_records.c
    return (
        table.retention_class == (_class(locked) if retention_class is None else retention_class),
        table.data_no == locked.data_no,
        table.variable_no.in_(sa.select(Variable.no).where(Variable.device_no == locked.no)),
    )


def _class(locked: Locked) -> int | None:
    if locked.chunk_period is None or locked.chunk_retention is None:
        return None
    return chunks.retention_class(locked.chunk_period, locked.chunk_retention)


def _new_number(session: Session) -> int:
    """Take a number that no device has or gets."""
    if session.get_bind().dialect.name == "postgresql":
        taken = sa.text("SELECT nextval(pg_get_serial_sequence('devices', 'no'))")
    else:
        taken = sa.text("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'devices' RETURNING seq")
    return int(session.execute(taken).scalar_one())

"""What changes when records are written: the device's state, its variables, its chunks, its idempotency keys."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common import upsert
from services.devices.data.store import driver
from services.devices.models import Device, DeviceState, IdempotencyKey, Variable


class Locked(NamedTuple):
    """A device whose state is locked until the transaction ends, as it is now. next_seq: of its next record. records: of a mutable one."""

    no: int
    data_no: int
    type: str
    active: bool
    chunk_period: str | None
    chunk_retention: int | None
    next_seq: int
    records: int


class State(NamedTuple):
    """What the state of a device becomes. added: records that a mutable one got."""

    no: int
    next_seq: int
    added: int


class Span(NamedTuple):
    """A chunk of a device. starts, ends: milliseconds since 1970, UTC."""

    device_no: int
    starts: int
    ends: int


class Key(NamedTuple):
    """An idempotency key, with the digest of the body that it named and how many records that added."""

    device_no: int
    key: str
    digest: str
    added: int


# Written by hand and constant, because these run in every transaction: SQLAlchemy would spend more on them than the store does.
# Two statements on PostgreSQL: one that waits for a lock sees the newest version of the rows that it locks, and of all others that from
# before it began to wait. So devices are read when their states are locked: whoever changes a device has locked its state, too.
_STATES: Final = "SELECT device_no, next_seq, records FROM device_states WHERE device_no = ANY(%s::integer[]) ORDER BY device_no FOR UPDATE"
_LOCKS: Final = {False: _STATES, True: _STATES + " SKIP LOCKED"}
_DEVICES: Final = "SELECT no, coalesce(data_no, no), type, active, chunk_period, chunk_retention FROM devices WHERE no = ANY(%s::integer[])"
_LOCK_SQLITE: Final = sa.text(
    """
    SELECT devices.no, coalesce(data_no, devices.no), type, active, chunk_period, chunk_retention, next_seq, records
    FROM device_states JOIN devices ON devices.no = device_no
    WHERE device_no IN (SELECT value FROM json_each(:devices)) ORDER BY device_no
    """
)
# In one statement, because each costs a round trip, and as much of our processor time as several batches.
_ADVANCE: Final = """
    WITH counted AS (
        INSERT INTO chunks (device_no, starts, ends, records)
        SELECT * FROM unnest(%(chunk_of)s::integer[], %(starts)s::bigint[], %(ends)s::bigint[], %(counts)s::bigint[])
        ON CONFLICT (device_no, starts) DO UPDATE SET records = chunks.records + excluded.records
    )
    UPDATE device_states SET next_seq = new.next_seq, records = records + added, last_input = %(now)s
    FROM unnest(%(devices)s::integer[], %(next)s::bigint[], %(added)s::integer[]) AS new (no, next_seq, added)
    WHERE device_no = new.no
"""
_ADVANCE_SQLITE: Final = "UPDATE device_states SET next_seq = ?, records = records + ?, last_input = ? WHERE device_no = ?"
_COUNT_SQLITE: Final = """
    INSERT INTO chunks (device_no, starts, ends, records) VALUES (?, ?, ?, ?)
    ON CONFLICT (device_no, starts) DO UPDATE SET records = chunks.records + excluded.records
"""


def lock(session: Session, devices: Collection[int], *, skip_locked: bool = False) -> dict[int, Locked]:
    """Lock the states of devices, in the order of their numbers, and return what is there by number.

    skip_locked: leave out those that another transaction has locked instead of waiting. SQLite has one writer at a time anyway.
    """
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        rows = connection.execute(_LOCK_SQLITE, {"devices": json.dumps(sorted(devices))})
        return {row[0]: Locked(*row)._replace(active=bool(row[3])) for row in rows}
    wanted = [_array(sorted(devices))]
    states, found = driver.fetch(connection, [(_LOCKS[skip_locked], wanted), (_DEVICES, wanted)])
    whole = {row[0]: row for row in found}
    return {no: Locked(*whole[no], *state) for no, *state in states if no in whole}


def existing(session: Session, devices: Collection[int]) -> set[int]:
    """Say which devices there are."""
    return set(session.scalars(sa.select(Device.no).where(Device.no.in_(devices))))


def advance(session: Session, states: Sequence[State], counts: Mapping[Span, int], last_input: dt.datetime) -> None:
    """Move the states of locked devices on. counts: records that went into chunks."""
    connection = session.connection()
    rows = sorted((*span, count) for span, count in counts.items())
    if connection.dialect.name == "sqlite":
        moment = last_input.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ", "microseconds")  # as UTCDateTime writes it
        connection.exec_driver_sql(_ADVANCE_SQLITE, [(next_seq, added, moment, no) for no, next_seq, added in states])
        if rows:
            connection.exec_driver_sql(_COUNT_SQLITE, rows)
        return
    names = ("devices", "next", "added", "chunk_of", "starts", "ends", "counts")
    columns = [*zip(*states, strict=True), *(zip(*rows, strict=True) if rows else [()] * 4)]
    driver.run(connection, _ADVANCE, {"now": last_input, **{name: _array(column) for name, column in zip(names, columns, strict=True)}})


def _array(numbers: Iterable[int]) -> str:
    """Write an array as PostgreSQL reads it, which takes psycopg ten times as long."""
    return "{" + ",".join(map(str, numbers)) + "}"


def count_removed(session: Session, device_no: int, removed: int) -> None:
    """Note that a mutable device, which the caller has locked, has fewer records."""
    session.execute(sa.update(DeviceState).where(DeviceState.device_no == device_no).values(records=DeviceState.records - removed))


def numbered(session: Session, device_no: int, names: Collection[str]) -> tuple[int, int]:
    """Return how many of these variables a locked device has, and how many it has altogether."""
    of_device = Variable.device_no == device_no
    there = session.scalar(sa.select(sa.func.count()).where(of_device, Variable.name.in_(names))) or 0
    return there, session.scalar(sa.select(sa.func.max(Variable.no)).where(of_device)) or 0  # none is ever given up


def number(session: Session, device_no: int, names: Collection[str]) -> dict[str, int]:
    """Return the numbers of variables of a locked device; a new name gets the next one."""
    wanted = sa.select(Variable.name, Variable.no).where(Variable.device_no == device_no, Variable.name.in_(names))
    found: dict[str, int] = dict(session.execute(wanted).all())
    new = [name for name in names if name not in found]
    if new:
        last = session.scalar(sa.select(sa.func.max(Variable.no)).where(Variable.device_no == device_no)) or 0
        found.update(zip(new, range(last + 1, last + 1 + len(new)), strict=True))
        session.execute(sa.insert(Variable), [{"device_no": device_no, "no": found[name], "name": name} for name in new])
    return found


def keys(session: Session, wanted: Collection[tuple[int, str]], since: dt.datetime) -> dict[tuple[int, str], Key]:
    """Look up idempotency keys of devices that were used since then."""
    named = sa.tuple_(IdempotencyKey.device_no, IdempotencyKey.key)
    found = session.execute(
        sa.select(IdempotencyKey.device_no, IdempotencyKey.key, IdempotencyKey.digest, IdempotencyKey.added).where(
            named.in_(list(wanted)), IdempotencyKey.created_at > since
        )
    )
    return {(row[0], row[1]): Key(*row) for row in found}


def remember(session: Session, dialect: str, used: Sequence[Key], now: dt.datetime) -> None:
    """Keep idempotency keys, over those that are too old to count."""
    insert = upsert.insert(dialect, IdempotencyKey)
    fresh = {name: insert.excluded[name] for name in ("digest", "added", "created_at")}
    statement = insert.on_conflict_do_update(index_elements=["device_no", "key"], set_=fresh)
    session.execute(statement, [{**key._asdict(), "created_at": now} for key in used])

"""Statements that write records, and what changes with them: the device's state, its variables, its chunks, its idempotency keys."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common import upsert
from services.devices.data.rules.records import Record
from services.devices.models import Chunk, Device, DeviceState, IdempotencyKey, Variable

Table: TypeAlias = Literal["mutable_records", "immutable_records"]
Tail: TypeAlias = Any  # of a row, see `tails`

TABLES: Final[tuple[Table, ...]] = ("mutable_records", "immutable_records")
_COLUMNS: Final = (
    "variable_no", "seq", "time", "number", "value", "unit", "group", "location", "metadata", "created_at", "data_no", "retention_class",
)  # fmt: skip
_COLUMNS_OF: Final[Mapping[Table, Sequence[str]]] = {"mutable_records": _COLUMNS[:-1], "immutable_records": _COLUMNS}
_INTO: Final = {table: '{} ("{}")'.format(table, '", "'.join(names)) for table, names in _COLUMNS_OF.items()}
_COPY: Final = {table: f"COPY {into} FROM STDIN" for table, into in _INTO.items()}
_INSERT: Final = {
    table: f"INSERT INTO {into} VALUES ({', '.join('?' * len(_COLUMNS_OF[table]))})"  # noqa: S608  no value of a client
    for table, into in _INTO.items()
}
_NULL: Final = r"\N"
_SPECIAL: Final = re.compile(r"[\\\t\n\r]").search
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


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


class Key(NamedTuple):
    """An idempotency key, with the digest of the body that it named and how many records that added."""

    device_no: int
    key: str
    digest: str
    added: int


_LOCK: Final = (
    sa.select(
        Device.no,
        Device.data_no,
        Device.type,
        Device.active,
        Device.chunk_period,
        Device.chunk_retention,
        DeviceState.next_seq,
        DeviceState.records,
    )
    .join(DeviceState, DeviceState.device_no == Device.no)
    .where(Device.no.in_(sa.bindparam("devices", expanding=True)))
    .order_by(Device.no)
)
_LOCK_OR_WAIT: Final = _LOCK.with_for_update(of=DeviceState)
_LOCK_OR_SKIP: Final = _LOCK.with_for_update(of=DeviceState, skip_locked=True)


def lock(session: Session, devices: Collection[int], *, skip_locked: bool = False) -> dict[int, Locked]:
    """Lock the states of devices, in the order of their numbers, and return what is there by number.

    skip_locked: leave out those that another transaction has locked instead of waiting. SQLite has one writer at a time anyway.
    """
    found = session.execute(_LOCK_OR_SKIP if skip_locked else _LOCK_OR_WAIT, {"devices": sorted(devices)})
    return {row[0]: Locked(row[0], row[1] or row[0], *row[2:]) for row in found.tuples()}


def existing(session: Session, devices: Collection[int]) -> set[int]:
    """Say which devices there are."""
    return set(session.scalars(sa.select(Device.no).where(Device.no.in_(devices))))


def advance(session: Session, states: Sequence[tuple[int, int, int]], last_input: dt.datetime) -> None:
    """Move the states of locked devices on. states: number of the device, next seq, records that a mutable one got."""
    session.execute(
        _ADVANCE, [{"no": no, "next": next_seq, "added": added, "now": last_input} for no, next_seq, added in states]
    )  # fmt: skip


_STATES: Final = cast(sa.Table, DeviceState.__table__)
_ADVANCE: Final = (
    sa.update(_STATES)
    .where(_STATES.c.device_no == sa.bindparam("no"))
    .values(next_seq=sa.bindparam("next"), records=_STATES.c.records + sa.bindparam("added"), last_input=sa.bindparam("now"))
)


def count_removed(session: Session, device_no: int, removed: int) -> None:
    """Note that a mutable device, which the caller has locked, has fewer records."""
    session.execute(sa.update(DeviceState).where(DeviceState.device_no == device_no).values(records=DeviceState.records - removed))


def number(session: Session, device_no: int, names: Collection[str]) -> dict[str, int]:
    """Return the numbers of variables of a locked device; a new name gets the next one."""
    wanted = sa.select(Variable.name, Variable.no).where(Variable.device_no == device_no, Variable.name.in_(names))
    found = dict(session.execute(wanted).tuples().all())
    new = [name for name in names if name not in found]
    if new:
        last = session.scalar(sa.select(sa.func.max(Variable.no)).where(Variable.device_no == device_no)) or 0
        found.update(zip(new, range(last + 1, last + 1 + len(new)), strict=True))
        session.execute(sa.insert(Variable), [{"device_no": device_no, "no": found[name], "name": name} for name in new])
    return found


def count_chunks(session: Session, dialect: str, counts: Mapping[tuple[int, int, int], int]) -> None:
    """Add to the counts of chunks. counts: records by device, start and end."""
    insert = upsert.insert(dialect, Chunk)
    statement = insert.on_conflict_do_update(
        index_elements=["device_no", "starts"], set_={"records": Chunk.records + insert.excluded.records}
    )
    session.execute(
        statement,
        [{"device_no": no, "starts": starts, "ends": ends, "records": count} for (no, starts, ends), count in sorted(counts.items())],
    )


def keys(session: Session, wanted: Collection[tuple[int, str]], since: dt.datetime) -> dict[tuple[int, str], Key]:
    """Look up idempotency keys of devices that were used since then."""
    named = sa.tuple_(IdempotencyKey.device_no, IdempotencyKey.key)
    found = session.execute(
        sa.select(IdempotencyKey.device_no, IdempotencyKey.key, IdempotencyKey.digest, IdempotencyKey.added).where(
            named.in_(list(wanted)), IdempotencyKey.created_at > since
        )
    ).tuples()
    return {(row[0], row[1]): Key(*row) for row in found}


def remember(session: Session, dialect: str, used: Sequence[Key], now: dt.datetime) -> None:
    """Keep idempotency keys, over those that are too old to count."""
    insert = upsert.insert(dialect, IdempotencyKey)
    fresh = {name: insert.excluded[name] for name in ("digest", "added", "created_at")}
    statement = insert.on_conflict_do_update(index_elements=["device_no", "key"], set_=fresh)
    session.execute(statement, [{**key._asdict(), "created_at": now} for key in used])


def tails(dialect: str, records: Sequence[Record]) -> list[Tail]:
    """Prepare the rows of records as far as they are known before the device is locked, in the form that the store takes."""
    if dialect == "sqlite":
        return [record[1:] for record in records]
    return [_line(*record[1:]) for record in records]


def _line(
    time: int, number: float | None, value: str | None, unit: str | None, group: str, location: str | None, metadata: str | None
) -> str:
    """The middle of a line for COPY, in PostgreSQL's text format."""
    real = _NULL if number is None else repr(number)
    return f"{time}\t{real}\t{_json(value)}\t{_text(unit)}\t{_text(group)}\t{_json(location)}\t{_json(metadata)}\t"


def _json(text: str | None) -> str:
    return _NULL if text is None else text.replace("\\", "\\\\")  # no control character is in it as it is


def _text(text: str | None) -> str:
    return _NULL if text is None else text.translate(_ESCAPES) if _SPECIAL(text) else text


class Rows:
    """Rows of one table, collected from several batches."""

    def __init__(self, dialect: str, table: Table) -> None:
        self._dialect = dialect
        self._table: Table = table
        self._rows: list[Any] = []

    def add(self, variables: Sequence[int], first_seq: int, tails: Sequence[Tail], created_at: int, *owner: int) -> None:
        """Add the records of a batch. created_at: milliseconds. owner: data_no, and the retention class of an immutable device."""
        numbered = zip(variables, range(first_seq, first_seq + len(tails)), tails, strict=True)
        if self._dialect == "sqlite":
            end = (created_at, *owner)
            self._rows += [(variable, seq, *tail, *end) for variable, seq, tail in numbered]
        else:
            line_end = "\t".join(map(str, (created_at, *owner))) + "\n"
            self._rows += [f"{variable}\t{seq}\t{tail}{line_end}" for variable, seq, tail in numbered]

    def write(self, session: Session) -> None:
        """Write them: PostgreSQL gets them by COPY, which takes a third of the time of INSERTs."""
        if not self._rows:
            return
        if self._dialect == "sqlite":
            session.connection().exec_driver_sql(_INSERT[self._table], self._rows)
            return
        connection: Any = session.connection().connection
        with connection.cursor() as cursor, cursor.copy(_COPY[self._table]) as copy:
            copy.write("".join(self._rows).encode())

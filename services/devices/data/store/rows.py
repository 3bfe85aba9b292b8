"""Rows of records on their way into a table: tuples for SQLite, the binary format of COPY for PostgreSQL.

PostgreSQL takes COPY in a third of the time of INSERTs. Of COPY's formats the binary one costs this process a quarter of the text, in which
each number must be written in decimal, and the server no less than that saves.
https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain, repeat
from operator import add
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from sqlalchemy.orm import Session

from services.devices.data.rules.records import Columns
from services.devices.data.store import driver

Table: TypeAlias = Literal["mutable_records", "immutable_records"]
Prepared: TypeAlias = Any  # see `prepare`

TABLES: Final[tuple[Table, ...]] = ("mutable_records", "immutable_records")
_COLUMNS: Final = ("variable_no", "seq", "time", "number", "value", "unit", "group", "location", "metadata")
_COLUMNS_OF: Final = {
    "mutable_records": ("created_at", "data_no", *_COLUMNS),
    "immutable_records": ("created_at", "data_no", "retention_class", *_COLUMNS),
}
_INTO: Final = {table: '{} ("{}")'.format(table, '", "'.join(names)) for table, names in _COLUMNS_OF.items()}
_COPY: Final = {table: f"COPY {into} FROM STDIN (FORMAT BINARY)" for table, into in _INTO.items()}
_INSERT: Final = {
    table: f"INSERT INTO {into} VALUES ({', '.join('?' * len(_COLUMNS_OF[table]))})"  # noqa: S608  no value of a client
    for table, into in _INTO.items()
}

# A row begins with its number of fields; before each field stands its size in bytes, -1 for NULL.
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_OWNERS: Final = {"mutable_records": struct.Struct(">hiqii").pack, "immutable_records": struct.Struct(">hiqiiih").pack}
_NUMBER: Final = struct.Struct(">id").pack
# Rows of one COPY. The server notes each row that it buffers, up to 1,000, in a table where all of them have the same place, and passes the
# notes that are there at each new one: with more rows that costs more than another statement does.
_PORTION: Final = 300


class _Part(NamedTuple):
    """What is known of PostgreSQL's rows before the device is locked. numbers: None when they stand in `ends`.

    ends: number, if it is there, value, unit, group, location and metadata of each row; a single one when it is that of all.
    """

    times: Sequence[int]
    numbers: Sequence[float | None] | None
    ends: list[bytes]


def prepare(dialect: str, columns: Columns) -> Prepared:
    """Do what can be done for the rows of a batch before its device is locked."""
    if dialect == "sqlite":
        return columns[1:]
    count = len(columns.times)
    if count <= _PORTION:
        return [_part(columns)]
    return [_part(Columns._make(column[begin : begin + _PORTION] for column in columns)) for begin in range(0, count, _PORTION)]


def _part(columns: Columns) -> _Part:
    if _empty(columns.values) and _empty(columns.locations) and _empty(columns.metadata):  # as most are
        pairs = list(zip(columns.units, columns.groups, strict=True))
        distinct = {pair: _end(None, *pair, None, None) for pair in set(pairs)}
        ends = list(distinct.values()) if len(distinct) == 1 else [distinct[pair] for pair in pairs]
    else:
        ends = list(map(_end, columns.values, columns.units, columns.groups, columns.locations, columns.metadata))
    if None not in columns.numbers:
        return _Part(columns.times, columns.numbers, ends)
    numbers = [_NULL if number is None else _NUMBER(8, number) for number in columns.numbers]
    return _Part(columns.times, None, list(map(add, numbers, repeat(ends[0]) if len(ends) == 1 else ends)))


def _empty(column: Sequence[object]) -> bool:
    return column.count(None) == len(column)


def _end(*texts: str | None) -> bytes:
    return b"".join(map(_field, texts))


def _field(text: str | None) -> bytes:
    if text is None:
        return _NULL
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded


class Rows:
    """Rows of one table, collected from several batches."""

    def __init__(self, dialect: str, table: Table) -> None:
        self._dialect = dialect
        self._table: Table = table
        self._rows: list[tuple[Any, ...]] = []  # for SQLite
        self._portions: list[list[bytes]] = []  # for PostgreSQL, each for one COPY
        self._room = 0  # rows that the last one may take besides

    def add(self, variables: Sequence[int], first_seq: int, prepared: Prepared, created_at: int, *owner: int) -> None:
        """Add the records of a batch. created_at: milliseconds. owner: data_no, and the retention class of an immutable device."""
        seqs = range(first_seq, first_seq + len(variables))
        if self._dialect == "sqlite":
            self._rows += zip(repeat(created_at), *map(repeat, owner), variables, seqs, *prepared, strict=False)
            return
        sized = [part for number, size in zip(owner, (4, 2), strict=False) for part in (size, number)]
        begin = _OWNERS[self._table](len(_COLUMNS_OF[self._table]), 8, created_at, *sized) + b"\0\0\0\x04"
        done = 0
        for part in prepared:
            rows = slice(done, done + len(part.times))
            done = rows.stop
            if self._room < len(part.times):
                self._portions.append([])
                self._room = _PORTION
            self._room -= len(part.times)
            self._portions[-1].append(_binary(begin, variables[rows], seqs[rows], part))

    def write(self, session: Session) -> None:
        """Write them."""
        if self._rows:
            session.connection().exec_driver_sql(_INSERT[self._table], self._rows)
        for portion in self._portions:
            driver.copy(session.connection(), _COPY[self._table], b"".join([_HEADER, *portion, _END]))


def _binary(begin: bytes, variables: Sequence[int], seqs: Sequence[int], part: _Part) -> bytes:
    """Write rows. begin: what all of them begin with, to the size of the variable's number."""
    eight = repeat(8)
    if part.numbers is None:
        heads = map(struct.Struct(f">{len(begin)}siiqiq").pack, repeat(begin), variables, eight, seqs, eight, part.times)
    else:
        pack = struct.Struct(f">{len(begin)}siiqiqid").pack
        heads = map(pack, repeat(begin), variables, eight, seqs, eight, part.times, eight, part.numbers)
    if len(part.ends) == 1:
        return part.ends[0].join([*heads, b""])
    return b"".join(chain.from_iterable(zip(heads, part.ends, strict=True)))

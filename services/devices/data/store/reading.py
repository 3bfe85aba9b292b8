"""Read records: in order, by variable, or as numbers made of them. Every statement names the device, a stretch of time and a limit.

Records that equal in time are in the order in which they came. A filter compares whole texts: `%` and `_` stand for themselves.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from services.devices.data.rules.aggregates import ORIGIN, Summary
from services.devices.data.rules.cursors import Place
from services.devices.data.rules.merging import Row
from services.devices.data.store import statements
from services.devices.data.store.statements import By, Conditions, Source, parameters, shape_of

LONGEST_S: Final = 3.0  # a statement on SQLite; PostgreSQL ends its own as late
_MOST_UNITS: Final = 2000  # that SQLite looks up one by one
_STEPS: Final = 100_000  # of SQLite's machine between two looks at the clock
_VARIABLES: Final = sa.text("SELECT no, name FROM variables WHERE device_no = :device_no AND no > :after ORDER BY no")


class Total(NamedTuple):
    """How many records there are; and of those that are numbers, how many and their sum."""

    records: int
    numbers: int
    sum: float


class TooSlow(Exception):
    """The store needed too long: the question takes in too many records."""


class OutOfRange(Exception):
    """The result is greater than any double."""


@contextlib.contextmanager
def bounded(session: Session) -> Iterator[None]:
    """End what takes too long, and say what cannot be answered. Raises TooSlow, OutOfRange."""
    connection = session.connection()
    sqlite = connection.dialect.name == "sqlite"
    driver: Any = connection.connection.driver_connection
    if sqlite:
        ends = time.monotonic() + LONGEST_S
        driver.set_progress_handler(lambda: time.monotonic() > ends, _STEPS)
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == "57014" or getattr(error.orig, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
            raise TooSlow from None
        if state == "22003":
            raise OutOfRange from None
        raise
    finally:
        if sqlite:
            driver.set_progress_handler(None, 0)


def variables(session: Session, device_no: int, after: int) -> list[tuple[int, str]]:
    """Read number and name of a device's variables with higher numbers than `after`, in order."""
    found = session.execute(_VARIABLES, {"device_no": device_no, "after": after})
    return [(number, name) for number, name in found]


def each(
    session: Session,
    source: Source,
    starts: Mapping[int, Place],
    conditions: Conditions,
    limit: int,
    *,
    by: By = "time",
    ascending: bool = False,
    skip: int = 0,
) -> dict[int, list[Row]]:
    """Read the first `limit` records of every variable after its start; by number of the variable."""
    dialect = session.get_bind().dialect.name
    shape = shape_of(dialect, source, conditions)
    statement = (
        statements.each_on_postgresql(shape, by, ascending) if dialect == "postgresql" else statements.each_on_sqlite(shape, by, ascending)
    )
    given = {**parameters(source, conditions), "limit": limit, "skip": skip}
    connection = session.connection()
    if dialect == "postgresql":
        numbers, times, seqs = list(starts), [place[0] for place in starts.values()], [place[1] for place in starts.values()]
        found: dict[int, list[Row]] = {number: [] for number in starts}
        for row in connection.execute(statement, {**given, "numbers": numbers, "times": times, "seqs": seqs}).all():
            found[row[0]].append(Row._make(row))
        return found
    return {
        number: [
            Row._make(row)
            for row in connection.execute(statement, {**given, "number": number, "start_time": place[0], "start_seq": place[1]}).all()
        ]
        for number, place in starts.items()
    }


def of_device(
    session: Session, source: Source, start: Place, conditions: Conditions, limit: int, *, ascending: bool = False, skip: int = 0
) -> list[Row]:
    """Read the first `limit` records of the whole device after the start. Sorts all that there are: for devices with many variables."""
    statement = statements.of_device(shape_of(session.get_bind().dialect.name, source, conditions), ascending)
    given = {**parameters(source, conditions), "limit": limit, "skip": skip, "start_time": start[0], "start_seq": start[1]}
    return [Row._make(row) for row in session.connection().execute(statement, given).all()]


def total(session: Session, source: Source, numbers: Sequence[int] | None, conditions: Conditions, *, counting: bool) -> Total:
    """Count records, or add up their numbers. numbers: of the variables; None: all of the device. counting: nothing but count."""
    statement = statements.total(shape_of(session.get_bind().dialect.name, source, conditions), numbers is not None, counting)
    row = session.connection().execute(statement, {**parameters(source, conditions), "numbers": numbers}).one()
    return Total(row[0], row[1], row[2] or 0.0)


def summaries(
    session: Session,
    source: Source,
    numbers: Sequence[int] | None,
    conditions: Conditions,
    length: int,
    limit: int,
    *,
    function: str,
    ascending: bool,
) -> list[Summary]:
    """Add up the numbers of each unit of time, as far as the function needs it. length: of a unit, in milliseconds. numbers: as `total`."""
    shape = shape_of(session.get_bind().dialect.name, source, conditions)
    given = {**parameters(source, conditions), "numbers": numbers, "limit": limit}
    if shape.dialect == "sqlite" and numbers is not None and source.high - source.low <= _MOST_UNITS * length:
        first = source.low - (source.low - ORIGIN) % length
        by_unit = statements.summaries_by_unit(shape, length, function)
        rows = session.connection().execute(by_unit, {**given, "first": first}).all()
        found = [Summary((row[0] - ORIGIN) // length, *row[1:]) for row in rows if None not in row and (function != "count" or row[1])]
        return found if ascending else found[::-1]
    statement = statements.summaries(shape, numbers is not None, length, function, ascending)
    return [Summary._make(row) for row in session.connection().execute(statement, given).all()]

"""The statements that read records, each built once. `reading.py` runs them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa

from services.devices.data.rules.aggregates import ORIGIN
from services.devices.data.rules.merging import Row
from services.devices.data.rules.queries import Wanted
from services.devices.models import BIG, immutable_records, mutable_records

# time; or seq: when they came; or the least or the greatest number first
By = Literal["time", "seq", "least", "greatest"]
Holding = Literal["value", "location", "number"]

_COMPARED: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


# what a function is made of, in the order of `Summary`; the others are not read
_MADE: Final[Mapping[str, tuple[str | None, str | None, str | None, str | None]]] = {
    "avg": (None, "avg", None, None), "parts": ("count", "sum", None, None), "sum": (None, "sum", None, None),
    "min": (None, None, "min", None), "max": (None, None, None, "max"), "count": ("count", None, None, None),
}  # fmt: skip
_LOW: Final = sa.bindparam("low", type_=BIG)
_HIGH: Final = sa.bindparam("high", type_=BIG)


class Source(NamedTuple):
    """Where the records of a device are. low, high: the stretch of time that is asked for, both included."""

    immutable: bool
    data_no: int
    retention_class: int
    low: int
    high: int


class Conditions(NamedTuple):
    """What records must be. None: anything. holding: what they must have. compare: a function and the number that theirs is compared to."""

    groups: tuple[str, ...] | None = None
    values: Wanted | None = None
    seqs: tuple[int, ...] | None = None
    holding: Holding | None = None
    compare: tuple[str, float] | None = None


class Shape(NamedTuple):
    """What decides the text of a statement; the rest are its parameters."""

    dialect: str
    immutable: bool
    groups: bool
    values: bool
    seqs: bool
    holding: str | None
    compare: str | None


def shape_of(dialect: str, source: Source, conditions: Conditions) -> Shape:
    """Return the shape of a statement about such records."""
    return Shape(
        dialect,
        source.immutable,
        conditions.groups is not None,
        conditions.values is not None,
        conditions.seqs is not None,
        conditions.holding,
        conditions.compare[0] if conditions.compare else None,
    )


def parameters(source: Source, conditions: Conditions) -> dict[str, Any]:
    """Return the parameters that go with the shape."""
    given: dict[str, Any] = {"data_no": source.data_no, "low": source.low, "high": source.high}
    if source.immutable:
        given["retention_class"] = source.retention_class
    if conditions.groups is not None:
        given["groups"] = conditions.groups
    if conditions.values is not None:
        given["numbers_wanted"] = conditions.values.numbers
        given["texts_wanted"] = conditions.values.texts
    if conditions.seqs is not None:
        given["wanted_seqs"] = conditions.seqs
    if conditions.compare is not None:
        given["compared"] = conditions.compare[1]
    return given


def _records(shape: Shape) -> sa.Table:
    return immutable_records if shape.immutable else mutable_records


def _columns(records: sa.Table) -> list[sa.Column[Any]]:
    return [records.c[name] for name in Row._fields]


def _where(shape: Shape, low: Any = None, high: Any = None) -> list[sa.ColumnElement[bool]]:
    """The device, the stretch of time and the conditions. low, high: of the stretch; None: all that is asked for."""
    c = _records(shape).c
    found: list[sa.ColumnElement[bool]] = [
        c.data_no == sa.bindparam("data_no", type_=sa.Integer),
        c.time >= (_LOW if low is None else low),
        c.time <= (_HIGH if high is None else high),
    ]
    if shape.immutable:
        found.insert(0, c.retention_class == sa.bindparam("retention_class", type_=sa.SmallInteger))
    if shape.groups:
        found.append(c.group.in_(sa.bindparam("groups", expanding=True)))
    if shape.values:
        number = sa.and_(c.value.is_(None), c.number.in_(sa.bindparam("numbers_wanted", expanding=True)))
        found.append(sa.or_(number, c.value.in_(sa.bindparam("texts_wanted", expanding=True))))
    if shape.seqs:
        found.append(c.seq.in_(sa.bindparam("wanted_seqs", expanding=True)))
    if shape.holding == "value":
        found.append(sa.or_(c.number.is_not(None), c.value.is_not(None)))
    elif shape.holding is not None:
        found.append(c[shape.holding].is_not(None))
    if shape.compare:
        found.append(_COMPARED[shape.compare](c.number, sa.bindparam("compared", type_=sa.Double)))
    return found


def _order(records: sa.Table, by: By, ascending: bool) -> list[sa.ColumnElement[Any]]:
    c = records.c
    if by == "seq":
        return [c.seq if ascending else c.seq.desc()]
    if by in ("least", "greatest"):  # of equal numbers the newest
        return [c.number if by == "least" else c.number.desc(), c.time.desc(), c.seq.desc()]
    return [c.time, c.seq] if ascending else [c.time.desc(), c.seq.desc()]


def _after(records: sa.Table, start_time: Any, start_seq: Any, ascending: bool) -> list[sa.ColumnElement[bool]]:
    """Behind a place in the order. One comparison of pairs, whose first half both stores look up in the index.

    Not `time <= start` besides: beside `time >= low` PostgreSQL would take that for a narrow range, and sort all there is.
    """
    place, here = sa.tuple_(records.c.time, records.c.seq), sa.tuple_(start_time, start_seq)
    return [place > here if ascending else place < here]


@functools.lru_cache(maxsize=512)
def each_on_postgresql(shape: Shape, by: By, ascending: bool) -> sa.Select[Any]:
    """All variables in one statement, which is planned once: a sub-select that is run for each of them."""
    from sqlalchemy.dialects.postgresql import ARRAY  # here: a service on SQLite does without it

    records = _records(shape)
    asked = (
        sa.func.unnest(
            sa.bindparam("numbers", type_=ARRAY(sa.Integer)),
            sa.bindparam("times", type_=ARRAY(sa.BigInteger)),
            sa.bindparam("seqs", type_=ARRAY(sa.BigInteger)),
        )
        .table_valued(sa.column("number", sa.Integer), sa.column("time", sa.BigInteger), sa.column("seq", sa.BigInteger))
        .render_derived(name="asked")
    )
    some = (
        sa.select(*_columns(records))
        .where(*_where(shape), records.c.variable_no == asked.c.number, *_after(records, asked.c.time, asked.c.seq, ascending))
        .order_by(*_order(records, by, ascending))
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
        .offset(sa.bindparam("skip", type_=sa.BigInteger))
        .lateral("some")
    )
    return sa.select(*some.c).select_from(asked.join(some, sa.true()))


@functools.lru_cache(maxsize=512)
def each_on_sqlite(shape: Shape, by: By, ascending: bool) -> sa.Select[Any]:
    """One variable; a statement costs little where no network lies between."""
    records = _records(shape)
    start = sa.bindparam("start_time", type_=BIG), sa.bindparam("start_seq", type_=BIG)
    return (
        sa.select(*_columns(records))
        .where(
            *_where(shape),
            records.c.variable_no == sa.bindparam("number", type_=sa.Integer),
            *_after(records, *start, ascending),
        )
        .order_by(*_order(records, by, ascending))
        .limit(sa.bindparam("limit", type_=BIG))
        .offset(sa.bindparam("skip", type_=BIG))
    )


@functools.lru_cache(maxsize=512)
def of_device(shape: Shape, ascending: bool) -> sa.Select[Any]:
    """All variables of a device together."""
    records = _records(shape)
    start = sa.bindparam("start_time", type_=BIG), sa.bindparam("start_seq", type_=BIG)
    return (
        sa.select(*_columns(records))
        .where(*_where(shape), *_after(records, *start, ascending))
        .order_by(*_order(records, "time", ascending))
        .limit(sa.bindparam("limit", type_=BIG))
        .offset(sa.bindparam("skip", type_=BIG))
    )


def _of(records: sa.Table, named: bool) -> list[sa.ColumnElement[bool]]:
    return [records.c.variable_no.in_(sa.bindparam("numbers", expanding=True))] if named else []


@functools.lru_cache(maxsize=512)
def total(shape: Shape, named: bool, counting: bool) -> sa.Select[Any]:
    """One row of numbers: how many records; how many numbers, and their sum."""
    records = _records(shape)
    number = records.c.number
    more = [sa.literal(0), sa.literal(0.0)] if counting else [sa.func.count(number), sa.func.sum(number)]
    return sa.select(sa.func.count(), *more).select_from(records).where(*_where(shape), *_of(records, named))


@functools.lru_cache(maxsize=512)
def summaries(shape: Shape, named: bool, length: int, function: str, ascending: bool) -> sa.Select[Any]:
    """One row of numbers for each unit of time: those that the function is made of. function: as `aggregates.of_store` says."""
    records = _records(shape)
    number = records.c.number
    since_origin = (records.c.time - sa.literal_column(str(ORIGIN))).self_group()
    unit = since_origin.op("/")(sa.literal_column(str(length))).label("unit")
    made = [getattr(sa.func, name)(number) if name else sa.literal_column("1") for name in _MADE[function]]
    found = (
        sa.select(unit, *(one.label(f"made{place}") for place, one in enumerate(made)))
        .where(*_where(shape), *_of(records, named), number.is_not(None))
        .group_by(unit)
        .offset(0)  # a fence: with the order in sight PostgreSQL sorts all records, instead of hashing them into few units
        .subquery()
    )
    return sa.select(found).order_by(found.c.unit if ascending else found.c.unit.desc()).limit(sa.bindparam("limit", type_=BIG))


@functools.lru_cache(maxsize=512)
def summaries_by_unit(shape: Shape, length: int, function: str) -> sa.Select[Any]:
    """As `summaries` for all units of the stretch of time, on SQLite. First comes when a unit begins; an empty one has NULL, or 0 as count.

    Each unit looks up its own records. To group all of them SQLite would sort them, which takes twice as long for a month of hours.
    """
    records = _records(shape)
    units = sa.select(sa.bindparam("first", type_=BIG).label("begins")).cte("units", recursive=True)
    following = units.c.begins + length
    units = units.union_all(sa.select(following).where(following <= _HIGH))
    begins = units.c.begins
    bounds = sa.func.max(begins, _LOW), sa.func.min(begins + length - 1, _HIGH)
    where = sa.and_(*_where(shape, *bounds), *_of(records, True))
    made = [
        sa.select(getattr(sa.func, name)(records.c.number)).where(where).scalar_subquery() if name else sa.literal(1)
        for name in _MADE[function]
    ]
    return sa.select(begins, *(one.label(f"made{place}") for place, one in enumerate(made)))

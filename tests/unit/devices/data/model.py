"""What queries should find, said once more in the simplest way: every record in a list, filtered and sorted by Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
}  # fmt: skip


@dataclass
class Stored:
    """A record. seq: insertion order. time: aware, UTC."""

    seq: int
    variable: str
    time: dt.datetime
    group: str
    value: Any = None
    location: bool = False
    id: str = ""

    @property
    def number(self) -> float | None:
        return None if isinstance(self.value, (bool, str)) or self.value is None else self.value

    @property
    def place(self) -> tuple[dt.datetime, int]:
        return self.time, self.seq


@dataclass
class Asked:
    """A query, as plain values. now: the end where none is named, of queries that need a range."""

    kind: str = "default"
    variables: list[str] | None = None
    groups: list[str] | None = None
    values: list[Any] | None = None
    ids: list[str] | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    qty: int | None = None
    skip: int = 0
    ascending: bool = False
    compare: tuple[str, float] | None = None
    interval: str = ""
    function: str = ""
    now: dt.datetime | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """The query string of it."""
        found = [("query", self.kind)] if self.kind != "default" else []
        for name in ("variables", "groups", "ids"):
            found += [(f"{name}[{index}]", one) for index, one in enumerate(getattr(self, name) or [])]
        found += [("values", _text(one)) for one in self.values or []]
        for name, moment in (("start_date", self.start), ("end_date", self.end)):
            found += [(name, moment.isoformat(timespec="milliseconds"))] if moment else []
        found += [("qty", str(self.qty))] if self.qty is not None else []
        found += [("skip", str(self.skip))] if self.skip else []
        found += [("ordination", "ascending")] if self.ascending else []
        if self.compare:
            found += [("function", self.compare[0]), ("value", str(self.compare[1]))]
        if self.interval:
            found += [("function", self.function), ("interval", self.interval)]
        return found

    def takes(self, one: Stored) -> bool:
        """Whether a record passes the filters."""
        return (
            (self.variables is None or one.variable in [name.lower() for name in self.variables])
            and (self.groups is None or one.group in self.groups)
            and (self.values is None or _text(one.value) in [_text(wanted) for wanted in self.values])
            and (self.ids is None or one.id in self.ids)
            and (self.start is None or one.time >= self.start)
            and (one.time <= (self.end or self.now or one.time))
            and (self.compare is None or (one.number is not None and COMPARE[self.compare[0]](one.number, self.compare[1])))
        )


def records(stored: list[Stored], asked: Asked) -> list[Stored]:
    """The records that a query finds, in order."""
    passing = sorted((one for one in stored if asked.takes(one)), key=lambda one: one.place, reverse=not asked.ascending)
    if asked.kind in ("default", "conditional"):
        qty = 15 if asked.qty is None else asked.qty
        if asked.variables is None:
            return passing[asked.skip : asked.skip + qty]
        return [one for one in passing if one in _of(passing, one.variable)[asked.skip : asked.skip + qty]]
    chosen = []
    for name in {one.variable for one in passing}:
        own = [one for one in passing if one.variable == name and _has(one, asked.kind)]
        if own:
            chosen.append(_best(own, asked.kind))
    return sorted(chosen, key=lambda one: one.place, reverse=not asked.ascending)


def number(stored: list[Stored], asked: Asked) -> float:
    """The number that a query finds."""
    passing = [one for one in stored if asked.takes(one)]
    if asked.kind == "count":
        return len(passing)
    return _made([one.number for one in passing if one.number is not None], asked.kind)


def points(stored: list[Stored], asked: Asked) -> list[dict[str, Any]]:
    """The aggregate that a query finds."""
    units: dict[dt.datetime, list[float]] = {}
    for one in stored:
        if asked.takes(one) and one.number is not None:
            units.setdefault(_begin(one.time, asked.interval), []).append(one.number)
    return [
        {"time": begins.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "value": _made(units[begins], asked.function)}
        for begins in sorted(units, reverse=not asked.ascending)
    ]


def _of(passing: list[Stored], name: str) -> list[Stored]:
    return [one for one in passing if one.variable == name]


def _has(one: Stored, kind: str) -> bool:
    if kind in ("min", "max"):
        return one.number is not None
    return {"value": one.value is not None, "location": one.location}.get(kind.partition("_")[2], True)


def _best(own: list[Stored], kind: str) -> Stored:
    if kind in ("min", "max"):
        extreme = (min if kind == "min" else max)(one.number for one in own if one.number is not None)
        return max((one for one in own if one.number == extreme), key=lambda one: one.place)
    ends = min if kind.startswith("first") else max
    if kind.endswith("insert"):
        return ends(own, key=lambda one: one.seq)
    return ends(own, key=lambda one: one.place)


def _made(numbers: list[float], function: str) -> float:
    if function == "count":
        return len(numbers)
    if not numbers:
        return 0
    return {"sum": sum(numbers), "avg": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}[function]


def _begin(moment: dt.datetime, interval: str) -> dt.datetime:
    if interval == "minute":
        return moment.replace(second=0, microsecond=0)
    if interval == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "week":
        return day - dt.timedelta(days=day.weekday())
    month = {"month": day.month, "quarter": day.month - (day.month - 1) % 3, "year": 1}.get(interval)
    return day if month is None else day.replace(month=month, day=1)


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)

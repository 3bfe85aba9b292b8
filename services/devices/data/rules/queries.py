"""What a query string asks for (TagoIO's `DataQuery`).

Lists come as `variables=a&variables=b`, `variables[]=a`, `variables[0]=a` or, in the singular, `variable=a`. Names that are not known are
ignored, and so is an empty value.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.devices.data.rules import aggregates, times
from services.devices.data.rules.cursors import Place, read

MOST: Final = 10_000  # records of an answer
DEFAULT_QTY: Final = 15
MOST_VARIABLES: Final = 100  # named in one query
MOST_SKIPPED: Final = 2**31 - 1
LONGEST_RANGE_MONTHS: Final = 1.1

LISTS: Final = ("default", "conditional")
FIRST_OR_LAST: Final = tuple(f"{end}_{what}" for end in ("first", "last") for what in ("item", "value", "location", "insert"))
EXTREMES: Final = ("min", "max")
NUMBERS: Final = ("count", "avg", "sum")
AGGREGATE: Final = "aggregate"
KINDS: Final = (*LISTS, *FIRST_OR_LAST, *EXTREMES, *NUMBERS, AGGREGATE)
RANGED: Final = ("avg", "sum", "min", "max")  # need a start, and at most a month
COMPARISONS: Final = ("gt", "gte", "lt", "lte", "eq", "ne")

_ASCENDING: Final = {"descending": False, "desc": False, "ascending": True, "asc": True}
_NAME = re.compile(r"([a-z_]+)(?:\[\d{0,6}\])?", re.ASCII).fullmatch
_LISTED: Final = {
    "variables": "variables", "variable": "variables", "groups": "groups", "group": "groups", "series": "groups", "serie": "groups",
    "values": "values", "value": "values", "ids": "ids", "id": "ids",
}  # fmt: skip
_PREFERRED: Final = {
    "variables": ("variables", "variable"), "groups": ("groups", "group", "series", "serie"), "values": ("values", "value"),
    "ids": ("ids", "id"),
}  # fmt: skip
_NO: Final = ("false", "0")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII).fullmatch
_LONGEST_NUMBER: Final = 400  # digits; Python reads no integer of more than 4300


class Wrong(ValueError):
    """A query that cannot be answered. fields: texts by parameter. message: the original's own text, where it has one."""

    def __init__(self, fields: Mapping[str, list[str]], message: str | None) -> None:
        super().__init__(message or "Error on Query String parameters")
        self.fields = fields
        self.message = message


@dataclass(frozen=True, slots=True)
class Wanted:
    """Values that a record may have. numbers: of a record that is a number; texts: JSON texts of any other value."""

    numbers: tuple[float, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that can be answered. variables, groups, ids: None when any may be.

    start, end: milliseconds, both included. qty: of each variable when variables are named. compare: a function of COMPARISONS and a
    number. cursor: as it came. shape: tells queries apart whose cursors do not fit each other.
    """

    kind: str = "default"
    variables: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    values: Wanted | None = None
    ids: tuple[str, ...] | None = None
    start: int = times.EARLIEST
    end: int = times.LATEST
    qty: int = DEFAULT_QTY
    skip: int = 0
    ascending: bool = False
    details: bool = False
    compare: tuple[str, float] | None = None
    interval: str = ""
    function: str = ""
    cursor: str | None = None
    shape: int = 0
    chooses: bool = False

    @property
    def counts_all(self) -> bool:
        """Whether the answer is the number of all records."""
        filters = (self.variables, self.groups, self.values, self.ids)
        return self.kind == "count" and filters == (None,) * 4 and (self.start, self.end) == (times.EARLIEST, times.LATEST)

    def places(self) -> dict[int, Place] | Place | None:
        """Return where the cursor says that the list goes on; None without one. Raises Wrong."""
        if self.cursor is None:
            return None
        try:
            return read(self.cursor, self.shape)
        except ValueError as error:
            raise Wrong({"cursor": [str(error)]}, None) from None


@dataclass(slots=True)
class _Given:
    """The parameters by name, and what is wrong with them so far."""

    one: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    message: str | None = None

    def refuse(self, name: str, text: str, *, message: bool = False) -> None:
        """message: the text is the original's, which is also the message of the whole answer."""
        self.wrong.setdefault(name, []).append(text)
        if message and self.message is None:
            self.message = text

    def whole(self, name: str, default: int, most: int) -> int:
        text = self.one.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or len(text) > 12 or int(text) > most:
            self.refuse(name, f"must be a whole number from 0 to {most}")
            return default
        return int(text)

    def choice(self, name: str, choices: Iterable[str]) -> str:
        text = self.one.get(name, "")
        if text not in choices:
            self.refuse(name, f"must be one of {', '.join(choices)}")
        return text

    def moment(self, name: str, now: int, bound: times.Bound) -> int | None:
        text = self.one.get(name)
        if text is None:
            return None
        try:
            return times.read(text, now, bound)
        except ValueError as error:
            self.refuse(name, str(error), message=True)
            return None


def read_query(parameters: Iterable[tuple[str, str]], now: int) -> Query:
    """Read the parameters of a query string, decoded, in their order. now: milliseconds. Raises Wrong with everything that is wrong."""
    given = _sorted(parameters)
    kind = {"": "default", "list": "default", "defaultQ": "default"}.get(given.one.get("query", ""), given.one.get("query", ""))
    if kind not in KINDS:
        given.refuse("query", f"must be one of {', '.join(KINDS)}")
    start, end = given.moment("start_date", now, "start"), given.moment("end_date", now, "end")
    if kind in RANGED and not given.wrong:
        _check_range(given, kind, start, now if end is None else end)
    if kind in RANGED and end is None:
        end = now
    variables = _variables(given)
    compare = _comparison(given) if kind == "conditional" else None
    ordination = given.one.get("ordination", "descending").lower()
    if ordination not in _ASCENDING:
        given.refuse("ordination", "must be ascending or descending")
    query = Query(
        kind=kind,
        variables=variables,
        groups=_texts(given, "groups"),
        values=None if compare else _wanted(given.lists.get("values")),
        ids=_texts(given, "ids"),
        start=times.EARLIEST if start is None else start,
        end=times.LATEST if end is None else end,
        qty=given.whole("qty", DEFAULT_QTY, MOST),
        skip=given.whole("skip", 0, MOST_SKIPPED),
        ascending=_ASCENDING.get(ordination, False),
        details=given.one.get("details", given.one.get("detail", "0")).lower() not in _NO,
        compare=compare,
        interval=given.choice("interval", aggregates.INTERVALS) if kind == AGGREGATE else "",
        function=given.choice("function", aggregates.FUNCTIONS) if kind == AGGREGATE else "",
        cursor=_cursor(given, kind),
        shape=_shape(given),
        chooses=bool(given.lists or given.one.keys() & {"start_date", "end_date", "qty"} or kind != "default"),
    )
    if given.wrong:
        raise Wrong(given.wrong, given.message if len(given.wrong) == 1 else None)
    return query


def _sorted(parameters: Iterable[tuple[str, str]]) -> _Given:
    given = _Given()
    lists: dict[str, list[str]] = {}
    for name, text in parameters:
        found = _NAME(name)
        if found is None or not text:
            continue
        if found[1] in _LISTED:
            lists.setdefault(found[1], []).append(text)
        else:
            given.one.setdefault(found[1], text)
    for name, spellings in _PREFERRED.items():
        chosen = next((lists[one] for one in spellings if one in lists), None)
        if chosen is not None:
            given.lists[name] = chosen
    return given


def _check_range(given: _Given, kind: str, start: int | None, end: int) -> None:
    if start is None:
        given.refuse("start_date", "start_date field is required", message=True)
        return
    try:
        month, two_months = times.add_months(start, 1), times.add_months(start, 2)
    except ValueError:
        return
    if end > month + (two_months - month) * (LONGEST_RANGE_MONTHS - 1):
        given.refuse("start_date", f"The maximum range for {kind} is 1 month between start_end and end_date", message=True)


def _variables(given: _Given) -> tuple[str, ...] | None:
    named = _texts(given, "variables")
    if named is None:
        return None
    found = tuple(dict.fromkeys(name.lower() for name in named))
    if len(found) > MOST_VARIABLES:
        given.refuse("variables", f"must be at most {MOST_VARIABLES}")
    return found


def _texts(given: _Given, name: str) -> tuple[str, ...] | None:
    texts = given.lists.get(name)
    return None if texts is None else tuple(dict.fromkeys(texts))


def _wanted(texts: list[str] | None) -> Wanted | None:
    """What the texts of a query string may mean: `27` is the number and the text, `true` the boolean and the text."""
    if texts is None:
        return None
    numbers: list[float] = []
    others: list[str] = []
    for text in texts:
        others.append(json.dumps(text, ensure_ascii=False))
        if text in ("true", "false"):
            others.append(text)
        elif len(text) <= _LONGEST_NUMBER and _NUMBER(text):
            numbers.append(float(text))
            if text.removeprefix("-").isdecimal():
                others.append(str(int(text)))  # an integer that a double does not hold is kept as its text
    return Wanted(tuple(one for one in dict.fromkeys(numbers) if abs(one) != float("inf")), tuple(dict.fromkeys(others)))


def _comparison(given: _Given) -> tuple[str, float] | None:
    function = given.choice("function", COMPARISONS)
    text = given.lists.get("values", [""])[0]
    if len(text) > _LONGEST_NUMBER or not _NUMBER(text) or abs(float(text)) == float("inf"):
        given.refuse("value", "must be a number")
        return None
    return function, float(text)


def _cursor(given: _Given, kind: str) -> str | None:
    text = given.one.get("cursor")
    if text is not None and kind not in LISTS:
        given.refuse("cursor", "goes with lists only")
    return text


def _shape(given: _Given) -> int:
    """A number that changes with whatever decides which records a list has, and in which order."""
    single = {name: given.one.get(name) for name in ("query", "start_date", "end_date", "ordination", "function")}
    return zlib.crc32(json.dumps([single, given.lists], sort_keys=True).encode())

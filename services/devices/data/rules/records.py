"""A record as it is stored, and how it is read from what a device sends.

Written by hand, without a schema library: it runs for every record of every request.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple, NoReturn, cast, overload

from services.common.remembered import Remembered
from services.devices import refusals
from services.devices.data.rules import fields
from services.devices.data.rules.fields import EXACT

MOST_ERRORS: Final = 50  # told of one request
_new = tuple.__new__
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]").search
_names: Remembered[str, str] = Remembered(largest=fields.VARIABLE_LENGTH)


class Record(NamedTuple):
    """One checked record. time: milliseconds since 1970, UTC.

    number: a JSON number; value: the JSON text of any other value, and of a whole number that no double holds exactly; both None when
    there is none. location: JSON text of a GeoJSON point. metadata: JSON text.
    """

    variable: str
    time: int
    number: float | None
    value: str | None
    unit: str | None
    group: str
    location: str | None
    metadata: str | None


class Columns(NamedTuple):
    """Checked records by column, each of the same length; see `Record`."""

    variables: Sequence[str]
    times: Sequence[int]
    numbers: Sequence[float | None]
    values: Sequence[str | None]
    units: Sequence[str | None]
    groups: Sequence[str]
    locations: Sequence[str | None]
    metadata: Sequence[str | None]


class Records(Sequence[Record]):
    """The checked records of a request. They are kept as columns, because they are stored so: a record is made when one is asked for."""

    __slots__ = ("_rows", "columns")

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._rows: list[Record] | None = None

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """Return the same records as columns."""
        rows = list(records)
        return cls(Columns(*(list(map(itemgetter(place), rows)) for place in range(len(Record._fields)))))

    def __len__(self) -> int:
        return len(self.columns.times)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        if self._rows is None:
            self._rows = list(map(Record, *self.columns))
        return self._rows[place]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def parse(body: bytes) -> Any:
    """Parse a request's JSON: NaN and Infinity are refused, whole numbers are exact. Raises Refusal 400 that says where it is wrong."""
    try:
        text = body.decode()
        parsed = _decode(text)
        if "\\u" in text and _SURROGATE(text):  # half a pair is no text that a store could keep
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise refusals.not_json(error) from None
    return parsed


def read(body: Any, now: dt.datetime, group: str) -> Records:
    """Check the records of a request. Raises Refusal 400 with `field_errors`; in a list they begin with the index, as `1.variable`.

    body: one object or a list of them; each a record (TagoIO), or `{ts, values: {name: value}}` (ThingsBoard). now: the time of records
    that name none. group: of records that name none.
    """
    alone = isinstance(body, dict)
    items = [body] if alone else body
    if not isinstance(items, list) or not items:
        raise refusals.body_invalid()
    arrival = fields.milliseconds(now)
    found: list[Record] = []
    wrong: dict[str, list[str]] = {}
    for index, item in enumerate(items):
        try:
            if "variable" in item:
                found.append(_record(item, arrival, group))
            else:
                found.extend(_named_values(item, arrival, group))
        except (ValueError, TypeError, AttributeError, LookupError):
            wrong.update(_errors(item, "" if alone else f"{index}.") or {str(index): ["Invalid"]})
            if len(wrong) >= MOST_ERRORS:
                break
    if wrong:
        raise refusals.body_invalid(wrong)
    return Records.of(found)


def names(raw: Sequence[str]) -> list[str]:
    """Return names of variables as they are stored. Raises ValueError, see `fields.variable`."""
    found = list(map(_names.get, raw))
    if None in found:
        return [_names.get(sent) or _names.keep(sent, fields.variable(sent), len(sent)) for sent in raw]
    return cast("list[str]", found)


def _record(item: Mapping[str, Any], arrival: int, group: str) -> Record:
    """Read one record. Raises ValueError, or whatever Python raises for what is no object at all."""
    get = item.get
    raw: Any = item["variable"]
    variable = _names.get(raw) or _names.keep(raw, fields.variable(raw), len(raw))
    raw = get("value")
    kind = type(raw)
    if kind is float and raw - raw == 0.0:  # the two that come most often, without a call
        number, value = raw, None
    elif kind is int and -EXACT <= raw <= EXACT:
        number, value = float(raw), None
    else:
        number, value = fields.value(raw)
    raw = get("time")
    time = arrival if raw is None else fields.time(raw)
    raw = get("unit")
    unit = None if raw is None else fields.unit(raw)
    raw = get("group")
    if raw is None:
        raw = get("serie")
    own = group if raw is None or raw == "" else fields.group(raw)
    raw = get("location")
    location = None if raw is None else fields.location(raw)
    raw = get("metadata")
    metadata = None if raw is None else fields.metadata(raw)
    return _new(Record, (variable, time, number, value, unit, own, location, metadata))  # a call of Python less than `Record(…)`


def _named_values(item: Mapping[str, Any], arrival: int, group: str) -> Iterator[Record]:
    """Read `{ts, values: {name: value}}`."""
    for name, raw in item["values"].items():
        yield _record(_one_of_named(item, name, raw), arrival, group)
    if not item["values"]:
        raise ValueError("no values")


def _one_of_named(item: Mapping[str, Any], name: str, raw: Any) -> dict[str, Any]:
    return {
        "variable": name,
        "value": raw,
        "time": item.get("ts"),
        "group": item.get("group"),
        "serie": item.get("serie"),
    }


_CHECKS: Final[tuple[tuple[str, Callable[[Any], object]], ...]] = (
    ("value", fields.value),
    ("time", fields.time),
    ("unit", fields.unit),
    ("group", fields.group),
    ("serie", fields.group),
    ("location", fields.location),
    ("metadata", fields.metadata),
)


def _errors(item: Any, prefix: str) -> dict[str, list[str]]:
    """Say everything that is wrong with one item that could not be read."""
    if not isinstance(item, dict):
        return {prefix.rstrip("."): ["Expected an object"]}
    if "variable" in item or "values" not in item:
        return _errors_of_record(item, prefix)
    named = item["values"]
    if not isinstance(named, dict) or not named:
        return {f"{prefix}values": ["Expected an object of at least one value"]}
    wrong: dict[str, list[str]] = {}
    for name, raw in named.items():
        for field, texts in _errors_of_record(_one_of_named(item, name, raw), "").items():
            place = {"variable": f"values.{name}", "value": f"values.{name}", "time": "ts"}.get(field, field)
            wrong.setdefault(prefix + place, texts)
    return wrong


def _errors_of_record(item: Mapping[str, Any], prefix: str) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    try:
        fields.variable(item.get("variable"))
    except ValueError as error:
        wrong[f"{prefix}variable"] = [str(error)]
    for field, check in _CHECKS:
        raw = item.get(field)
        if raw is None or (field == "serie" and item.get("group") is not None):
            continue
        try:
            check(raw)
        except ValueError as error:
            wrong[prefix + field] = [str(error)]
    return wrong

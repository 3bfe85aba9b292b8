"""What a list is asked for: page, fields, order and filters, out of a query string."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from services.devices import refusals
from services.devices.data.rules import times

T = TypeVar("T")

MOST: Final = 10_000  # on a page
USUAL: Final = 20
LAST_PAGE: Final = 1_000_000
_KEY: Final = re.compile(r"([A-Za-z_]+)((?:\[[^\[\]]*\])*)").fullmatch
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


@dataclass(frozen=True, slots=True)
class Range:
    """Moments from `begins` on and until `ends`; None: without that end."""

    begins: dt.datetime | None = None
    ends: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that a device must have. value, key: None: any."""

    key: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """What everything in the list must be. None: anything. name: with `*` for any characters. ids: one of these."""

    ids: frozenset[str] | None = None
    name: str | None = None
    serial: str | None = None
    permission: str | None = None
    type: str | None = None
    network: str | None = None
    connector: str | None = None
    active: bool | None = None
    visible: bool | None = None
    tags: tuple[Tag, ...] = ()
    moments: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list. page: from 1 on. order: name of the column. fields: what is shown of each."""

    page: int
    amount: int
    order: str
    descending: bool
    fields: tuple[str, ...]
    filters: Filters


@dataclass(frozen=True, slots=True)
class Columns:
    """What a list can show and be sorted by. shown: when nobody asks. always: of whatever is asked."""

    known: frozenset[str]
    shown: tuple[str, ...]
    always: tuple[str, ...]
    sortable: frozenset[str]
    order: str
    descending: bool = False


class _Wrong(ValueError):
    """A value that cannot be read; the message says why."""


def read(pairs: Iterable[tuple[str, str]], columns: Columns, now: dt.datetime) -> Listing:
    """Read the query string of a list. pairs: as they came. Raises Refusal 400 with every mistake; unknown names are ignored.

    Lists may repeat a name (`fields=a&fields=b`) or count (`fields[0]=a&fields[1]=b`).
    """
    given = _gather(pairs)
    errors: dict[str, list[str]] = {}

    def one(name: str, read: Callable[[str], T], default: T) -> T:
        value = given.get((name,), [""])[0]
        try:
            return read(value) if value else default
        except _Wrong as error:
            errors[name] = [str(error)]
            return default

    page = one("page", lambda text: _whole(text, LAST_PAGE), 1)
    amount = one("amount", lambda text: _whole(text, MOST), USUAL)
    order, descending = one("orderBy", lambda text: _order(text, columns.sortable), (columns.order, columns.descending))
    asked = [name for name in _many(given, "fields") if name in columns.known]
    filters = _filters(given, now, errors)
    if errors:
        raise refusals.query_invalid(errors)
    fields = tuple(dict.fromkeys((*columns.always, *(asked or columns.shown))))
    return Listing(page, amount, order, descending, fields, filters)


def is_named(name: str, pattern: str) -> bool:
    """Say whether a name is one that the pattern means: in any case, `*` for any characters."""
    name = name.casefold()
    first, *others = pattern.casefold().split("*")
    if not others:
        return name == first
    *inner, last = others
    if not name.startswith(first) or not name.endswith(last):
        return False
    place, end = len(first), len(name) - len(last)
    for part in inner:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return place <= end


def read_flag(text: str) -> bool:
    """Read `true` or `false`, in any case (the Python SDK writes a capital). Raises ValueError."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise _Wrong("Must be true or false.")


def _gather(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, ...], list[str]]:
    """Values by the path of their name: `filter[tags][0][key]` is `filter`, `tags`, `0`, `key`."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, value in pairs:
        match = _KEY(name)
        if match:
            path = (match[1], *re.findall(r"\[([^\[\]]*)\]", match[2]))
            found.setdefault(path, []).append(value)
    return found


def _many(given: Mapping[tuple[str, ...], list[str]], *path: str) -> list[str]:
    """All values of a name, with an index behind it or without."""
    return [
        value
        for name, values in given.items()
        if name[: len(path)] == path and (len(name) == len(path) or (len(name) == len(path) + 1 and (name[-1] or "0").isdigit()))
        for value in values
        if value
    ]


def _whole(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise _Wrong(f"Must be a whole number from 1 to {most}.")
    return int(text)


def _order(text: str, sortable: frozenset[str]) -> tuple[str, bool]:
    name, _, direction = text.partition(",")
    if name.strip() not in sortable or direction.strip().lower() not in ("", "asc", "desc"):
        raise _Wrong(f"Must be one of {', '.join(sorted(sortable))}, with ,asc or ,desc behind it.")
    return name.strip(), direction.strip().lower() == "desc"


def _filters(given: Mapping[tuple[str, ...], list[str]], now: dt.datetime, errors: dict[str, list[str]]) -> Filters:
    def text(*path: str) -> str | None:
        return next(iter(_many(given, *path)), None)

    def flag(name: str) -> bool | None:
        value = text("filter", name)
        try:
            return None if value is None else read_flag(value)
        except _Wrong as error:
            errors[f"filter.{name}"] = [str(error)]
            return None

    ids = _many(given, "filter", "id")
    return Filters(
        ids=frozenset(ids) or None,
        name=text("filter", "name"),
        serial=text("filter", "serial") or text("filter", "serie_number") or text("serial"),
        permission=text("filter", "permission"),
        type=text("filter", "type"),
        network=text("filter", "network"),
        connector=text("filter", "connector"),
        active=flag("active"),
        visible=flag("visible"),
        tags=_tags(given),
        moments=_moments(given, now, errors),
    )


def _tags(given: Mapping[tuple[str, ...], list[str]]) -> tuple[Tag, ...]:
    """`filter[tags][0][key]=a&filter[tags][0][value]=b`; without the number, too, for one."""
    found: dict[str, dict[str, str]] = {}
    for path, values in given.items():
        if path[:2] == ("filter", "tags") and len(path) in (3, 4) and path[-1] in ("key", "value") and values[0]:
            found.setdefault(path[2] if len(path) == 4 else "", {})[path[-1]] = values[0]
    return tuple(Tag(tag.get("key"), tag.get("value")) for tag in found.values())


def _moments(given: Mapping[tuple[str, ...], list[str]], now: dt.datetime, errors: dict[str, list[str]]) -> dict[str, Range]:
    """`filter[created_at]=1 day`: in the last day; `…=2026-01-01`: since then; with `[start]` and `[end]`: a range."""
    found = {}
    for name in ("created_at", "updated_at", "last_input"):
        begins, ends = given.get(("filter", name, "start")) or given.get(("filter", name)), given.get(("filter", name, "end"))
        try:
            span = Range(_moment(begins, now, "start"), _moment(ends, now, "end"))
        except ValueError as error:
            errors[f"filter.{name}"] = [str(error)]
            continue
        if span != Range():
            found[name] = span
    return found


def _moment(values: Sequence[str] | None, now: dt.datetime, bound: times.Bound) -> dt.datetime | None:
    return times.moment(times.read(values[0], times.of(now), bound)) if values and values[0] else None


def show(row: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Keep these fields of a row."""
    return {name: row[name] for name in fields}

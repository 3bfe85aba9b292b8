"""The functions of templates: those of Go that choose and compare, and Tyk's `jsonMarshal` and `xmlMarshal`."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from services.gateway.templating import xml_documents
from services.gateway.templating.xml_documents import Xml


class Own(str):
    """A text of the author's own, which goes out as it is."""

    __slots__ = ()


class Json(str):
    """A text that is JSON."""

    __slots__ = ()


def text_of(value: Any) -> str:
    """Return a value as a template writes it: texts as they are, whole numbers without a point, all else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return _json(value)


def _json(value: Any) -> Json:
    # `default`: what is known of a request is looked up as it is asked for, and is not a dict.
    return Json(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict))


def _index(value: Any, *places: Any) -> Any:
    for place in places:
        value = member(value, place)
    return value


def member(value: Any, place: Any) -> Any:
    """Return a member of an object or an element of a list; None when it is not there."""
    if isinstance(value, Mapping):
        return value.get(place) if isinstance(place, str) else None
    if isinstance(value, list | tuple | str) and isinstance(place, int) and not isinstance(place, bool):
        return value[place] if 0 <= place < len(value) else None
    return None


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | Mapping) else 0


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def function(one: Any, other: Any) -> bool:
        try:
            return compare(one, other)
        except TypeError:  # a text and a number have no order
            return False

    return function


def _and(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


def _equal(one: Any, *others: Any) -> bool:
    number = _number(one)
    return any(one == other if number is None else number == _number(other) for other in others)


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_MOST: Final = 100
# By name: the least and the most values that one is given, and what it does.
FUNCTIONS: Final[Mapping[str, tuple[int, int, Callable[..., Any]]]] = {
    "and": (1, _MOST, _and),
    "eq": (2, _MOST, _equal),
    "ge": (2, 2, _compared(operator.ge)),
    "gt": (2, 2, _compared(operator.gt)),
    "html": (1, 1, lambda value: Xml(escape(text_of(value)))),
    "index": (1, _MOST, _index),
    "jsonMarshal": (1, 1, _json),
    "le": (2, 2, _compared(operator.le)),
    "len": (1, 1, _length),
    "lt": (2, 2, _compared(operator.lt)),
    "ne": (2, 2, lambda one, other: not _equal(one, other)),
    "not": (1, 1, operator.not_),
    "or": (1, _MOST, _or),
    "print": (0, _MOST, lambda *values: "".join(map(text_of, values))),
    "xmlMarshal": (1, 1, xml_documents.write),
}

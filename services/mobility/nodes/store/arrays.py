"""PostgreSQL's arrays as text. psycopg can write them, too, but takes so long that a bulk costs this process half as much again.

https://www.postgresql.org/docs/current/arrays.html, "Array Input and Output Syntax"
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final


def array(values: Sequence[Any]) -> str:
    """Write an array of values of one type, with None among them: int, float, str, bytes or aware datetime."""
    first = next((value for value in values if value is not None), None)
    write = _WRITERS[type(first)]
    if first is None or None in values:
        return f"{{{','.join('NULL' if value is None else write(value) for value in values)}}}"
    return f"{{{','.join(map(write, values))}}}"


def _text(value: str) -> str:
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def _bytes(value: bytes) -> str:
    return f'"\\\\x{value.hex()}"'


def _moment(value: dt.datetime) -> str:
    return f'"{value.isoformat()}"'


_WRITERS: Final[Mapping[type, Callable[[Any], str]]] = {
    int: str,
    float: repr,
    str: _text,
    bytes: _bytes,
    dt.datetime: _moment,
    type(None): str,
}


def columns(names: Iterable[str], rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Write rows as an array for each column, by name."""
    return {name: array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}

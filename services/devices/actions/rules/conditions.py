"""Conditions of an action: how one is checked, and which values of records it matches.

`is` is one of `= ! < > ><` (between, without its ends) and `*` (any record of the variable). A value is compared as the type that the
condition names, so the text `"27.5"` is a number to a condition of numbers (TagoIO's "field type"). A record without a value
matches only `*`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

Value = int | float | str | bool | None

IS: Final = ("=", "!", "<", ">", "><", "*")
TYPES: Final = ("string", "number", "boolean", "*")
LONGEST_VALUE: Final = 6000  # characters; a record's value has no more
# each digit can be read in one way only: a long text that is nearly a number would take the square of its length otherwise
_A_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
_ENDLESS: Final = (float("inf"), float("-inf"))
_MOST_DIGITS: Final = 300  # of a number that is compared exactly; longer ones are far beyond all others


class Record(Protocol):
    """What conditions look at of a record. value: JSON text, in the place of the number when no double holds it exactly."""

    @property
    def variable(self) -> str: ...

    @property
    def number(self) -> float | None: ...

    @property
    def value(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, ready to be asked. device: the id of the only one it watches; else tag: (key, value) that its devices have.

    unlock: it frees the action instead of firing it. is_: one of IS. kind: what values are compared as. low, high: what with, of that kind.
    """

    device: str | None
    tag: tuple[str, str] | None
    variable: str
    unlock: bool
    is_: str
    kind: str
    low: Any
    high: Any


def check(conditions: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return what is wrong with conditions whose fields have the right types, by `INDEX.FIELD`; empty when nothing is."""
    wrong: dict[str, list[str]] = {}
    for index, condition in enumerate(conditions):
        for field, text in _mistakes(condition):
            wrong.setdefault(f"{index}.{field}", []).append(text)
    if conditions and not wrong and all(condition.get("unlock") for condition in conditions):
        wrong["0.unlock"] = ["At least one condition must fire the action"]
    return wrong


def compiled(condition: Mapping[str, Any]) -> Condition:
    """Make a checked condition ready to be asked."""
    device = condition.get("device")
    tag = None if device else (condition["tag_key"], condition["tag_value"])
    kind = _kind(condition)
    low, high = converted(kind, condition.get("value")), converted(kind, condition.get("second_value"))
    return Condition(device, tag, condition["variable"].lower(), bool(condition.get("unlock")), condition["is"], kind, low, high)


def value_of(record: Record) -> Value:
    """Return the value of a record; None when it has none."""
    if record.value is None:
        return record.number
    if record.value[0] in '"tf':
        found: str | bool = json.loads(record.value)
        return found
    return _number(record.value)


def _mistakes(condition: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    by_tag = bool(condition.get("tag_key") or condition.get("tag_value"))
    if condition.get("device") and by_tag:
        found.append(("device", "Either a device or a tag"))
    elif not condition.get("device") and not (condition.get("tag_key") and condition.get("tag_value")):
        found.append(("device", "A device, or tag_key and tag_value"))
    if condition["is"] == "*":
        return found
    kind = _kind(condition)
    if kind == "boolean" and condition["is"] not in ("=", "!"):
        found.append(("is", "A boolean is equal or not"))
    low = converted(kind, condition.get("value"))
    if low is None or low in _ENDLESS:
        found.append(("value", f"Must be a {kind}"))
    if condition["is"] == "><":
        high = converted(kind, condition.get("second_value"))
        if high is None or high in _ENDLESS:
            found.append(("second_value", f"Must be a {kind}"))
        elif low is not None and not low < high:
            found.append(("second_value", "Must be greater than value"))
    return found


def _kind(condition: Mapping[str, Any]) -> str:
    """The type that values are compared as: the one that is named, else that of the condition's own value."""
    kind: str = condition.get("value_type") or "*"
    if kind != "*":
        return kind
    value = condition.get("value")
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def converted(kind: str, value: Any) -> Any:
    """Return a value as this kind, None for one that cannot be read so. kind: one of TYPES but `*`."""
    return _CONVERTERS[kind](value) if isinstance(value, int | float | str) else None


def _as_number(value: Value) -> int | float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        return _number(text) if _A_NUMBER(text) else None
    return value


def _as_text(value: Value) -> str | None:
    """A number as JSON writes it: whole ones without a point."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _as_boolean(value: Value) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None


def _number(text: str) -> int | float:
    """Read a number exactly when it is whole. Raises ValueError."""
    return int(text) if len(text) <= _MOST_DIGITS and text.lstrip("+-").isdecimal() else float(text)


_CONVERTERS: Final[Mapping[str, Callable[[Value], Any]]] = {"number": _as_number, "string": _as_text, "boolean": _as_boolean}

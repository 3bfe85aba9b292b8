"""The kinds of values that events take: how each is read from JSON, and from the text of a form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from services.sessions.events.events import Kind, Parameter

LONGEST_TEXT: Final = 10_000  # characters
LARGEST_INTEGER: Final = 2**31 - 1


def text(most: int = LONGEST_TEXT, *, least: int = 0) -> Kind:
    """Return a kind of text with so many characters."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a text, not {_shown(value)}")
        if not least <= len(value) <= most:
            raise ValueError(f"expected {least} to {most} characters, not {len(value)}")
        if "\x00" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):  # no store takes them
            raise ValueError("holds a character that cannot be stored")
        return value

    return Kind("text", read, str, {"type": "string", "minLength": least, "maxLength": most})


def secret(most: int, *, least: int = 0) -> Kind:
    """Return a kind of text that is never shown: what is wrong with it is told without it, and a form hides it."""
    plain = text(most, least=least)

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("expected a text")
        return plain.read(value)

    return Kind("text", read, str, {**plain.schema, "format": "password"})


def integer(least: int = -LARGEST_INTEGER, most: int = LARGEST_INTEGER) -> Kind:
    """Return a kind of whole numbers."""

    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected a whole number, not {_shown(value)}")
        if not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return value

    return Kind("whole number", read, _json_or_text, {"type": "integer", "minimum": least, "maximum": most})


def number(least: float, most: float) -> Kind:
    """Return a kind of finite numbers."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected a number, not {_shown(value)}")
        if not least <= value <= most:  # nor is NaN, nor infinity
            raise ValueError(f"expected a number from {least:g} to {most:g}")
        return float(value)

    return Kind("number", read, _json_or_text, {"type": "number", "minimum": least, "maximum": most})


def choice(words: Sequence[str], shown: Sequence[str] = ()) -> Kind:
    """Return a kind of one of several words, in any case. shown: those that a selection has; all, when it is left out."""
    known = {word.lower(): word for word in words}

    def read(value: Any) -> str:
        found = known.get(value.strip().lower()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"expected one of {', '.join(words)}, not {_shown(value)}")
        return found

    return Kind("choice", read, str, {"type": "string", "enum": list(words)}, tuple(shown or words))


def _read_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {_shown(value)}")
    return value


def _parse_boolean(value: str) -> Any:
    return {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}.get(value.strip().lower(), value)


BOOLEAN: Final = Kind("true or false", _read_boolean, _parse_boolean, {"type": "boolean"}, ("true", "false"))


def value_of(name: str, schema: Mapping[str, Any], read: Callable[[Any], Any]) -> Kind:
    """Return a kind of JSON values of another form; in a form they are written as JSON. read: as `Kind.read`."""
    return Kind(name, read, _json_or_text, schema)


def optional(name: str, kind: Kind, help: str) -> Parameter:
    """Describe a value that may be left out."""
    return Parameter(name, kind, help, optional=True)


def _json_or_text(written: str) -> Any:
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return written


def _shown(value: Any) -> str:
    """Show a value that was sent, shortened."""
    try:
        written = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        written = "this"
    written = written.encode("utf-8", "replace").decode()
    return written if len(written) <= 60 else written[:57] + "..."

"""Reads fields with checks that raise ValueError (`values`); each error becomes a mistake at its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.gateway.definitions.reader import Reader

Value = TypeVar("Value")


def checked(reader: Reader, name: str, text: str, check: Callable[[str], Value], fallback: Value) -> Value:
    """Check the text of a field; `fallback` after a mistake."""
    try:
        return check(text)
    except ValueError as error:
        reader.mistake(name, str(error))
        return fallback


def checked_texts(reader: Reader, name: str, check: Callable[[str], Value]) -> list[Value]:
    """Read a list of strings and check each; those with mistakes are left out."""
    return check_each(reader, reader.texts(name), check)


def check_each(reader: Reader, texts: list[tuple[str, str]], check: Callable[[str], Value]) -> list[Value]:
    """Check strings with their pointers; those with mistakes are left out."""
    found = []
    for text, pointer in texts:
        try:
            found.append(check(text))
        except ValueError as error:
            reader.report.add(pointer, str(error))
    return found


def read_headers(reader: Reader, name: str, check: Callable[[str, str], tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Read a map of header names and values, each checked by `check`."""
    found = []
    for key, value, pointer in reader.mapping(name):
        try:
            if not isinstance(value, str):
                raise ValueError("must be a string")
            found.append(check(key, value))
        except ValueError as error:
            reader.report.add(pointer, str(error))
    return tuple(found)

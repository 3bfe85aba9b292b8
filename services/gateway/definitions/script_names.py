"""Reads what names a script in a definition: its file, and the object or the function in it."""

from __future__ import annotations

import re
from typing import Final

from services.gateway.definitions.reader import Reader

# A dotted name: it is looked up in the globals of the file, and nothing else may be.
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]{0,99}(?:\.[A-Za-z_$][\w$]{0,99}){0,9}", re.ASCII).fullmatch
# What a package may register a function by; it is compared, and never evaluated.
_REGISTERED: Final = re.compile(r"[\w.:-]{1,200}").fullmatch
_LONGEST_PATH: Final = 512


def script_name(reader: Reader, field: str) -> str:
    """Read the name of an object or a function in a script."""
    name = reader.text(field)
    if not name:
        reader.mistake(field, f"{field} is missing: the name in the file is expected")
    elif not _NAME(name):
        reader.mistake(field, "must be the name of a global of the file")
    return name


def registered_name(reader: Reader, field: str) -> str:
    """Read the name by which a package registers a function."""
    name = reader.text(field)
    if not name:
        reader.mistake(field, f"{field} is missing: the name that a package registers its function by is expected, or a path beside it")
    elif not _REGISTERED(name):
        reader.mistake(field, "must be the name that a package registers its function by: letters, digits and . _ : -")
    return name


def is_name(text: str) -> bool:
    """Tell whether a text may be the name of a global."""
    return _NAME(text) is not None


def script_path(reader: Reader, field: str) -> str:
    """Read the path of a script."""
    path = reader.text(field)
    if not path:
        reader.mistake(field, f"{field} is missing: a file below GATEWAY_MIDDLEWARE_PATH is expected")
    elif len(path) > _LONGEST_PATH:
        reader.mistake(field, f"must not be longer than {_LONGEST_PATH} characters")
    return path

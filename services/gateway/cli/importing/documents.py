"""Reads files of another gateway into JSON values: JSON, one JSON object a line, and YAML. Knows nothing of what they mean.

A file is read as strictly as a definition that is saved: no key twice, no depth without end, UTF-8.
"""

from __future__ import annotations

from typing import Any, Final

from services.gateway.cli import yaml_documents
from services.gateway.definitions.reader import Mistake, Mistakes, read_json

_BOM: Final = "\ufeff"
_NUMBERS: Final = {"$numberLong": int, "$numberInt": int, "$numberDouble": float, "$numberDecimal": float}
_TEXTS: Final = frozenset({"$oid", "$date"})


def read_documents(name: str, content: bytes) -> list[Any]:
    """Return the JSON values of a file. name: its ending says whether it is YAML. Raises Mistakes."""
    try:
        text = content.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError:
        raise Mistakes([Mistake("", "is not UTF-8")]) from None
    if name.lower().endswith(yaml_documents.ENDINGS):
        return [_checked(one) for one in yaml_documents.read_yaml(text)]
    try:
        return [_checked(text)]
    except Mistakes:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines):
            raise
        return [_checked(line) for line in lines]


def _checked(text: str) -> Any:
    """Parse one JSON value of any kind, with the checks of a definition. Raises Mistakes."""
    if text.lstrip().startswith("{"):
        return read_json(text)
    value = read_json(f'{{"value": {text}\n}}')
    return value["value"]


def plain(value: Any) -> Any:
    """Return a value of MongoDB's extended JSON as it is meant: `{"$oid": "…"}` is the text, `{"$numberLong": "5"}` the number 5.

    Source: MongoDB's specification of Extended JSON v2.
    """
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(name, inner)] = value.items()
        if name in _TEXTS:
            return plain(inner)
        if name in _NUMBERS and isinstance(inner, str | int | float):
            try:
                return _NUMBERS[name](inner)
            except (ValueError, OverflowError):
                return inner
    return {name: plain(member) for name, member in value.items()}


def is_extended(value: Any) -> bool:
    """Tell whether a document was exported from MongoDB."""
    return isinstance(value, dict) and isinstance(value.get("_id"), dict) and "$oid" in value["_id"]

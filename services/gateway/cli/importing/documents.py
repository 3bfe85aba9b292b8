"""Reads files of another gateway into JSON values: JSON, one JSON object a line, and YAML. Knows nothing of what they mean.

A file is read as strictly as a definition that is saved: no key twice, no depth without end, UTF-8.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any, Final

from services.gateway.definitions.reader import Mistake, Mistakes, read_json

_YAML: Final = (".yaml", ".yml")
_BOM: Final = "\ufeff"
_NUMBERS: Final = {"$numberLong": int, "$numberInt": int, "$numberDouble": float, "$numberDecimal": float}
_TEXTS: Final = frozenset({"$oid", "$date"})


def read_documents(name: str, content: bytes) -> list[Any]:
    """Return the JSON values of a file. name: its ending says whether it is YAML. Raises Mistakes."""
    try:
        text = content.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError:
        raise Mistakes([Mistake("", "is not UTF-8")]) from None
    if name.lower().endswith(_YAML):
        return [_checked(_as_json(one)) for one in _read_yaml(text) if one is not None]
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


def _as_json(value: Any) -> str:
    """Write a value of YAML as JSON. Raises Mistakes."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        raise Mistakes([Mistake("", "holds a value that JSON does not have, such as a date, a set or bytes")]) from None


def _read_yaml(text: str) -> Iterator[Any]:
    """Read YAML as Kubernetes does: dates stay text, and no key may come twice. Raises Mistakes."""
    try:
        # not among the pins of what runs: a gateway needs no YAML, only who comes from the Tyk Operator does
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        said = "is YAML, and PyYAML is not installed here: install it (pip install pyyaml), or write JSON (kubectl get … -o json)"
        raise Mistakes([Mistake("", said)]) from None

    resolvers = {
        first: [(tag, pattern) for tag, pattern in patterns if tag != "tag:yaml.org,2002:timestamp"]
        for first, patterns in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    safe_loader: Any = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})

    def mapping(loader: Any, node: Any) -> dict[str, Any]:
        loader.flatten_mapping(node)
        members: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(loader.construct_object(key_node, deep=True))
            if key in members:
                raise Mistakes([Mistake("", f"is not valid YAML: `{key}` is given twice (line {key_node.start_mark.line + 1})")])
            members[key] = loader.construct_object(value_node, deep=True)
        return members

    safe_loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        yield from yaml.load_all(text, safe_loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise Mistakes([Mistake("", f"is not valid YAML: {getattr(error, 'problem', None) or 'cannot be read'}{where}")]) from None
    except RecursionError:
        raise Mistakes([Mistake("", "is nested too deeply")]) from None
    except (ValueError, KeyError):  # a value that does not fit its tag
        raise Mistakes([Mistake("", "is not valid YAML: a value is not of the type that it should be")]) from None


def _key(key: Any) -> str:
    """Return a key as JSON has it: `1.0:` is the version "1.0"."""
    if isinstance(key, bool):
        return str(key).lower()
    return "null" if key is None else str(key)


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

"""Reads YAML into JSON values. PyYAML is not among the pins of what runs: a gateway needs no YAML, only who imports it does.

A file is read as strictly as a definition that is saved: no key twice, no depth without end, no object of Python. What its aliases stand
for is counted before it is built, so that a small file cannot become a huge one.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from services.gateway.definitions.reader import Mistake, Mistakes

ENDINGS: Final = (".yaml", ".yml")
_MOST_REPEATED: Final = 4_000_000  # characters that aliases may add to a file
_DATES: Final = "tag:yaml.org,2002:timestamp"
_MERGE: Final = "tag:yaml.org,2002:merge"
# What a plain word means beside text: tag, pattern, first characters. Source: the core schema of YAML 1.2, which OpenAPI asks for. It has
# neither `yes` and `no` nor `12:30` as a number.
_CORE: Final = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
    ("merge", r"<<", "<"),
)
_OTHERWISE: Final = "write JSON (kubectl get … -o json)"


def read_yaml(text: str, *, core: bool = False, otherwise: str = _OTHERWISE) -> Iterator[str]:
    """Yield each document of a file as JSON; dates stay text.

    core: words mean what YAML 1.2 says, as in OpenAPI; otherwise what 1.1 says, as in Kubernetes. otherwise: what to do without PyYAML.
    Raises Mistakes.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise _wrong(f"is YAML, and PyYAML is not installed here: install it (pip install pyyaml), or {otherwise}") from None
    try:
        yield from _read(_loader(yaml, core)(text), len(text))
    except yaml.reader.ReaderError as error:  # a character that no file of YAML has
        line = text.count("\n", 0, error.position) + 1
        raise _wrong(f"is not valid YAML: {error.reason} (line {line})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise _wrong(f"is not valid YAML: {getattr(error, 'problem', None) or 'cannot be read'}{where}") from None
    except RecursionError:
        raise _wrong("is nested too deeply") from None
    except TypeError:
        raise _wrong("holds a value that JSON does not have, such as a date, a set or bytes") from None
    except (ValueError, KeyError):  # a value that does not fit its tag
        raise _wrong("is not valid YAML: a value is not of the type that it should be") from None


def _read(loader: Any, length: int) -> Iterator[str]:
    """Yield each document as JSON. length: of the file, in characters. Raises what the loader raises, and Mistakes."""
    try:
        while loader.check_node():
            node = loader.get_node()
            if _checked_size(loader, node, {}) > length + _MOST_REPEATED:
                raise _wrong(f"repeats too much by its aliases (more than {_MOST_REPEATED:,} characters)")
            value = loader.construct_document(node)
            if value is not None:
                yield json.dumps(value)
    finally:
        loader.dispose()


def _wrong(message: str) -> Mistakes:
    return Mistakes([Mistake("", message)])


def _loader(yaml: Any, core: bool) -> Any:
    """Make the class of loaders: PyYAML's safe one, with other words and with objects whose keys are text."""
    words: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    if core:
        for name, pattern, firsts in _CORE:
            for first in firsts.replace("\0", ""):
                words.setdefault(first, []).append((f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})$")))
            if "\0" in firsts:
                words.setdefault("", []).append((f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})$")))
    else:
        for first, patterns in yaml.SafeLoader.yaml_implicit_resolvers.items():
            words[first] = [(tag, pattern) for tag, pattern in patterns if tag != _DATES]
    made: Any = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": words})
    made.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
    made.add_constructor("tag:yaml.org,2002:int", partial(_integer, plain=core))
    return made


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    loader.flatten_mapping(node)  # what is merged comes first, so that the mapping's own members count
    return {_key(loader.construct_object(name, deep=True)): loader.construct_object(value, deep=True) for name, value in node.value}


def _integer(loader: Any, node: Any, *, plain: bool) -> int:
    if not plain:
        return int(loader.construct_yaml_int(node))
    text = loader.construct_scalar(node)
    return int(text, 16) if text.startswith("0x") else int(text)


def _key(key: Any) -> str:
    """Return a key as JSON has it: `1.0:` is the version "1.0"."""
    if isinstance(key, bool):
        return str(key).lower()
    return "null" if key is None else str(key)


def _checked_size(loader: Any, node: Any, known: dict[int, int]) -> int:
    """Count the characters that a node has with all aliases written out. known: of nodes, by `id`.

    Raises Mistakes for a key that comes twice and for a node within itself.
    """
    found = known.get(id(node))
    if found == 0:
        raise _wrong("holds an alias to what it stands in")
    if found is None:
        known[id(node)] = 0
        if isinstance(node.value, str):
            found = len(node.value) + 1
        else:
            pairs = [one for one in node.value if isinstance(one, tuple)]
            _no_key_twice(loader, [key for key, _ in pairs])
            members = [one for pair in pairs for one in pair] or node.value
            found = 1 + sum(_checked_size(loader, one, known) for one in members)
        known[id(node)] = found
    return found


def _no_key_twice(loader: Any, keys: list[Any]) -> None:
    seen = set()
    for node in keys:
        if isinstance(node.value, str) and node.tag != _MERGE:
            key = _key(loader.construct_object(node))
            if key in seen:
                raise _wrong(f"is not valid YAML: `{key}` is given twice (line {node.start_mark.line + 1})")
            seen.add(key)

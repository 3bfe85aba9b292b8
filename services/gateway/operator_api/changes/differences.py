"""What changed between two JSON documents, place by place."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from services.gateway.definitions.reader import join


class Difference(NamedTuple):
    """One place that differs. pointer: RFC 6901. before, after: None where there is nothing."""

    pointer: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def differences(before: Any, after: Any, pointer: str = "") -> Iterator[Difference]:
    """Yield the smallest places that differ, in the order of the documents. Lists are compared element by element."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _member(before, after, name, join(pointer, name))
    elif isinstance(before, list) and isinstance(after, list):
        old, new = dict(enumerate(before)), dict(enumerate(after))
        for index in range(max(len(before), len(after))):
            yield from _member(old, new, index, join(pointer, index))
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Difference(pointer, "changed", before, after)


def _member(before: Mapping[Any, Any], after: Mapping[Any, Any], name: Any, pointer: str) -> Iterator[Difference]:
    if name not in after:
        yield Difference(pointer, "removed", before[name], None)
    elif name not in before:
        yield Difference(pointer, "added", None, after[name])
    else:
        yield from differences(before[name], after[name], pointer)


def whole(raw: Mapping[str, Any] | None, hook_references: list[Any]) -> dict[str, Any] | None:
    """Return what is compared of an API: the definition and its references. raw: None = there was no API."""
    return None if raw is None else {"api_definition": raw, "hook_references": hook_references}


def text(before: Any, after: Any, names: tuple[str, str]) -> str:
    """Return a unified diff of the documents as indented JSON; "" when they are equal.

    The order of members does not count. names: of the two sides.
    """
    sides = (before, _in_the_order_of(before, after))
    old, new = (json.dumps(one, indent=4, ensure_ascii=False).splitlines() if one is not None else [] for one in sides)
    return "\n".join(difflib.unified_diff(old, new, *names, lineterm=""))


def _in_the_order_of(model: Any, value: Any) -> Any:
    """The value with the members of its objects in the order of the model's, new ones last: a member that moved has not changed."""
    if isinstance(model, Mapping) and isinstance(value, Mapping):
        names = [*(name for name in model if name in value), *(name for name in value if name not in model)]
        return {name: _in_the_order_of(model.get(name), value[name]) for name in names}
    if isinstance(model, list) and isinstance(value, list):
        return [_in_the_order_of(model[index] if index < len(model) else None, one) for index, one in enumerate(value)]
    return value

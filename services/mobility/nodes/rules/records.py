"""What may stand in a record: flat data, names of modalities. No framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.mobility import modalities, refusals

DATA_LIMIT: Final = 100_000  # bytes of one record's data, as JSON
_SHOWN: Final = 100  # characters of what was sent, in a message


def read_data(given: object, where: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Check a data object: keys, any text, with JSON scalars, which are kept as they are. where: such as the index of the node.

    Raises Refusal 422.
    """
    if not isinstance(given, dict):
        raise refusals.invalid("'data' must be an object of keys and values", "data-invalid", where)
    for value in given.values():
        if isinstance(value, (dict, list)):
            raise refusals.data_nested(where)
    return given


def to_json(data: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> bytes:
    """Write data as JSON. where: as `read_data`. Raises Refusal 422 when they are too large."""
    found = msgspec.json.encode(data)
    if len(found) > DATA_LIMIT:
        message = f"'data' of a layer on a node has at most {DATA_LIMIT:,} bytes as JSON; these would be {len(found):,}"
        raise refusals.invalid(message, "data-too-large", where)
    return found


def read_modalities(given: object, unknown: str, where: Mapping[str, Any] | None = None) -> int | None:
    """Check names of modalities; return their bits, None when there are none. unknown: begins the message on one. Raises Refusal 422."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise refusals.invalid("'modalities' parameter must be an array.", "modalities-invalid", where)
    for name in given:
        if modalities.bit(name) is None:
            shown = name if isinstance(name, str) else "…" if isinstance(name, (list, dict)) else json.dumps(name)
            raise refusals.invalid(f'{unknown}: "{shown[:_SHOWN]}"', "modalities-invalid", where)
    return modalities.bits(given)

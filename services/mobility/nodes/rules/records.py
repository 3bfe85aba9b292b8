"""What may stand in a record: flat data, names of modalities. No framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.mobility import modalities, refusals

DATA_LIMIT: Final = 100_000  # bytes of one record's data, as JSON


def read_data(given: object, where: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Check a data object: keys with JSON scalars. where: such as the index of the node. Raises Refusal 422."""
    if not isinstance(given, dict):
        raise refusals.invalid("'data' must be an object of keys and values", "data-invalid", where)
    for value in given.values():
        if isinstance(value, (dict, list)):
            raise refusals.data_nested(where)
    return given


def read_modalities(given: object, unknown: str, where: Mapping[str, Any] | None = None) -> int | None:
    """Check names of modalities; return their bits, None when there are none. unknown: begins the message on one. Raises Refusal 422."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise refusals.invalid("'modalities' parameter must be an array.", "modalities-invalid", where)
    wrong = modalities.first_unknown(given)
    if wrong is not None:
        raise refusals.invalid(f'{unknown}: "{wrong}"', "modalities-invalid", where)
    return modalities.bits(given)

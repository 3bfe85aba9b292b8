"""What a client may change of records that are stored (TagoIO: `PUT /data`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from services.devices import refusals
from services.devices.data.rules import fields, shown

MOST: Final = 25  # records of a request


class Change(NamedTuple):
    """What one record becomes. seq: None when no record of the device has this id. values: by column; None empties it."""

    seq: int | None
    values: dict[str, Any]


def read(body: Any, device_no: int) -> list[Change]:
    """Check a request's changes: one object or a list of them, each with an `id`. Raises Refusal 400; in a list with the index, `1.unit`.

    `variable`, `device` and whatever else a record does not let change are ignored. A null empties value, unit, location or metadata.
    """
    alone = isinstance(body, dict)
    items = [body] if alone else body
    if not isinstance(items, list) or not items:
        raise refusals.body_invalid()
    if len(items) > MOST:
        raise refusals.too_many_items(MOST)
    wrong: dict[str, list[str]] = {}
    found = []
    for index, item in enumerate(items):
        prefix = "" if alone else f"{index}."
        if isinstance(item, dict):
            found.append(_change(item, device_no, prefix, wrong))
        else:
            wrong[str(index)] = ["Expected an object"]
    if wrong:
        raise refusals.body_invalid(wrong)
    return found


def _change(item: Mapping[str, Any], device_no: int, prefix: str, wrong: dict[str, list[str]]) -> Change:
    values: dict[str, Any] = {}

    def take(name: str, check: Callable[[Any], Any], column: str) -> None:
        try:
            values[column] = check(item[name])
        except ValueError as error:
            wrong[prefix + name] = [str(error)]

    identity = item.get("id")
    if not isinstance(identity, str):
        wrong[f"{prefix}id"] = ["Required" if identity is None else "Expected string"]
    if "value" in item:
        take("value", fields.value, "value")
        if "value" in values:
            values["number"], values["value"] = values["value"]
    for name, check in (("unit", fields.unit), ("location", fields.location), ("metadata", fields.metadata)):
        if name in item:
            if item[name] is None:
                values[name] = None
            else:
                take(name, check, name)
    if item.get("time") is not None:
        take("time", fields.time, "time")
    group = next((name for name in ("group", "serie") if item.get(name) not in (None, "")), None)
    if group is not None:
        take(group, fields.group, "group")
    return Change(shown.read_id(device_no, identity) if isinstance(identity, str) else None, values)

"""How a list of actions is filtered, sorted and cut: an account has so few that this is done in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.common.clock import isoformat
from services.devices.registry.rules.listing import Columns, Filters, Listing, is_named, show

COLUMNS: Final = Columns(
    known=frozenset(
        {
            "id", "name", "description", "active", "type", "tags", "trigger", "action", "lock", "last_triggered", "created_at",
            "updated_at",
        }
    ),
    shown=("id", "name", "tags"),
    always=("id", "tags"),
    sortable=frozenset({"name", "active", "last_triggered", "created_at", "updated_at"}),
    order="name",
)  # fmt: skip


def listed(actions: Sequence[Mapping[str, Any]], asked: Listing) -> list[dict[str, Any]]:
    """Return a page of the actions. actions: as they are shown in full."""
    chosen = sorted((one for one in actions if _chosen(one, asked.filters)), key=lambda one: str(one["id"]))
    chosen.sort(key=lambda one: _rank(one[asked.order]), reverse=asked.descending)
    begin = (asked.page - 1) * asked.amount
    return [show(one, asked.fields) for one in chosen[begin : begin + asked.amount]]


def _chosen(action: Mapping[str, Any], filters: Filters) -> bool:
    return (
        (filters.ids is None or action["id"] in filters.ids)
        and (filters.name is None or is_named(action["name"], filters.name))
        and (filters.active is None or action["active"] is filters.active)
        and (filters.type is None or action["type"] == filters.type)
        and all(
            any(wanted.key in (None, tag["key"]) and wanted.value in (None, tag["value"]) for tag in action["tags"])
            for wanted in filters.tags
        )
        and all(
            (span.begins is None or isoformat(span.begins) <= action[name]) and (span.ends is None or action[name] <= isoformat(span.ends))
            for name, span in filters.moments.items()
            if name in COLUMNS.known
        )
    )


def _rank(value: Any) -> tuple[bool, Any]:
    """What is not there sorts first."""
    return (value is not None, value.casefold() if isinstance(value, str) else value or False)

"""How a list of actions is asked for, filtered, sorted and cut: an account has so few that this is done in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.devices import refusals

MOST: Final = 1000  # of a page
FIELDS: Final = (
    "id", "name", "description", "active", "type", "tags", "trigger", "action", "lock", "last_triggered", "created_at", "updated_at",
)  # fmt: skip
ALWAYS: Final = ("id", "tags")  # TagoIO answers them, whatever is asked for
SORTABLE: Final = ("id", "name", "active", "type", "last_triggered", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Listing:
    """Which actions, in which order, and what of them. name: `*` stands for any text, in any case. page: from 1."""

    page: int = 1
    amount: int = 20
    fields: tuple[str, ...] = ("id", "name", "tags")
    ids: tuple[str, ...] = ()
    name: str | None = None
    active: bool | None = None
    type: str | None = None
    tags: tuple[tuple[str | None, str | None], ...] = ()
    order: str = "name"
    descending: bool = False


def read(query: Iterable[tuple[str, str]]) -> Listing:
    """Read a query string as the SDKs write it: `fields=id&fields=name` or `fields[0]=id`, `filter[name]=a*`, `orderBy=name,asc`.

    query: its pairs; what is not known is ignored. Raises Refusal 400 with every mistake.
    """
    given: dict[str, Any] = {}
    fields: list[str] = []
    ids: list[str] = []
    tags: dict[str, dict[str, str]] = {}
    wrong: dict[str, list[str]] = {}
    for name, value in query:
        try:
            if name in _PLAIN:
                given.update(_PLAIN[name](value))
            elif re.fullmatch(r"fields(\[\d*\])?", name):
                fields.extend(_field(value))
            elif re.fullmatch(r"filter\[id\](\[\d*\])?", name):
                ids.append(value)
            elif found := re.fullmatch(r"filter\[tags\]\[(\d+)\]\[(key|value)\]", name):
                tags.setdefault(found[1], {})[found[2]] = value
        except ValueError as error:
            wrong.setdefault(name, []).append(str(error))
    if wrong:
        raise refusals.query_invalid(wrong)
    if fields:
        given["fields"] = tuple(fields)
    pairs = tuple((tag.get("key"), tag.get("value")) for tag in tags.values())
    return Listing(**given, ids=tuple(ids), tags=pairs)


def read_page(query: Mapping[str, str]) -> tuple[int, int]:
    """Read `page` and `amount` alone. Raises Refusal 400."""
    listing = read((name, query[name]) for name in ("page", "amount") if name in query)
    return listing.page, listing.amount


def listed(actions: Sequence[Mapping[str, Any]], listing: Listing) -> list[dict[str, Any]]:
    """Return a page of the actions. actions: as they are shown in full."""
    chosen = sorted((one for one in actions if _chosen(one, listing)), key=lambda one: str(one["id"]))
    chosen.sort(key=lambda one: _rank(one[listing.order]), reverse=listing.descending)
    begin = (listing.page - 1) * listing.amount
    shown = [field for field in FIELDS if field in listing.fields or field in ALWAYS]
    return [{field: one[field] for field in shown} for one in chosen[begin : begin + listing.amount]]


def _chosen(action: Mapping[str, Any], listing: Listing) -> bool:
    tags = action["tags"]
    return (
        (not listing.ids or action["id"] in listing.ids)
        and (listing.name is None or _like(listing.name, action["name"]))
        and (listing.active is None or action["active"] is listing.active)
        and (listing.type is None or action["type"] == listing.type)
        and all(
            any((key is None or tag["key"] == key) and (value is None or tag["value"] == value) for tag in tags)
            for key, value in listing.tags
        )
    )


def _like(pattern: str, name: str) -> bool:
    expression = ".*".join(map(re.escape, re.split(r"\*+", pattern.lower())))
    return re.fullmatch(expression, name.lower(), re.DOTALL) is not None


def _rank(value: Any) -> tuple[bool, Any]:
    """What is not there sorts first."""
    return (value is not None, value.lower() if isinstance(value, str) else value or False)


def _whole(name: str, text: str, most: int) -> dict[str, Any]:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:20]) <= most:
        raise ValueError(f"Must be a whole number from 1 to {most}")
    return {name: int(text)}


def _flag(text: str) -> dict[str, Any]:
    found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if found is None:
        raise ValueError("Must be true or false")
    return {"active": found}


def _order(text: str) -> dict[str, Any]:
    field, _, direction = text.partition(",")
    if field not in SORTABLE or direction not in ("asc", "desc", ""):
        raise ValueError(f"Must be one of {', '.join(SORTABLE)}, then `,asc` or `,desc`")
    return {"order": field, "descending": direction == "desc"}


def _field(text: str) -> tuple[str, ...]:
    if text == "*":
        return FIELDS
    if text not in FIELDS:
        raise ValueError(f"Must be of {', '.join(FIELDS)}")
    return (text,)


_PLAIN: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "page": lambda text: _whole("page", text, 1_000_000),
    "amount": lambda text: _whole("amount", text, MOST),
    "orderBy": _order,
    "filter[name]": lambda text: {"name": text},
    "filter[active]": _flag,
    "filter[type]": lambda text: {"type": text},
}

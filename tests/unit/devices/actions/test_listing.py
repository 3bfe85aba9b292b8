"""How lists of actions are asked for and cut."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.common.refusal import Refusal
from services.devices.actions.service.listing import COLUMNS, listed
from services.devices.registry.rules.listing import Listing
from services.devices.registry.rules.listing import read as read_query

NOW = dt.datetime(2026, 1, 3, tzinfo=dt.UTC)


def read(query: list[tuple[str, str]]) -> Listing:
    return read_query(query, COLUMNS, NOW)


def action(name: str, **other: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(COLUMNS.known),
        "id": name,
        "name": name,
        "active": True,
        "type": "condition",
        "tags": [],
        "created_at": "2026-01-01T00:00:00.000Z",
        **other,
    }


ALL = [
    action("b", last_triggered="2026-01-01T00:00:00.000Z"),
    action("A", active=False, tags=[{"key": "k", "value": "v"}]),
    action("a*c", tags=[{"key": "k", "value": "w"}], last_triggered="2026-01-02T00:00:00.000Z"),
    action("abc"),
    action("a%_'"),
]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ([], ["A", "a%_'", "a*c", "abc", "b"]),
        ([("orderBy", "name,desc")], ["b", "abc", "a*c", "a%_'", "A"]),
        ([("orderBy", "last_triggered,desc"), ("amount", "2")], ["a*c", "b"]),
        ([("page", "3"), ("amount", "2")], ["b"]),
        ([("page", "4"), ("amount", "2")], []),
        ([("filter[name]", "a*")], ["A", "a%_'", "a*c", "abc"]),
        ([("filter[name]", "*c")], ["a*c", "abc"]),
        ([("filter[name]", "a%_'")], ["a%_'"]),
        ([("filter[name]", "%")], []),
        ([("filter[name]", "a**")], ["A", "a%_'", "a*c", "abc"]),
        ([("filter[active]", "False")], ["A"]),
        ([("filter[id]", "b"), ("filter[id]", "abc")], ["abc", "b"]),
        ([("filter[id][0]", "b")], ["b"]),
        ([("filter[type]", "interval")], []),
        ([("filter[tags][0][key]", "k")], ["A", "a*c"]),
        ([("filter[tags][0][key]", "k"), ("filter[tags][0][value]", "w")], ["a*c"]),
        ([("filter[tags][0][key]", "k"), ("filter[tags][1][value]", "x")], []),
        ([("filter[created_at]", "3 days")], ["A", "a%_'", "a*c", "abc", "b"]),
        ([("filter[created_at]", "1 day")], []),
        ([("filter[created_at][start]", "2026-01-01"), ("filter[created_at][end]", "2025-12-31")], []),
        ([("unknown", "1"), ("filter[unknown]", "1")], ["A", "a%_'", "a*c", "abc", "b"]),
    ],
)
def test_lists(query: list[tuple[str, str]], names: list[str]) -> None:
    assert [one["name"] for one in listed(ALL, read(query))] == names


def test_fields() -> None:
    """As TagoIO: the id and the tags in any case."""
    assert listed(ALL[:1], read([])) == [{"id": "b", "name": "b", "tags": []}]
    assert listed(ALL[:1], read([("fields", "active"), ("fields", "sealed")])) == [{"id": "b", "active": True, "tags": []}]


def test_mistakes() -> None:
    with pytest.raises(Refusal) as refused:
        read([("page", "0"), ("orderBy", "id"), ("filter[active]", "perhaps"), ("filter[name]", "x")])
    assert refused.value.message == "Error on Query String parameters"
    assert refused.value.fields is not None
    assert refused.value.fields.keys() == {"page", "orderBy", "filter.active"}

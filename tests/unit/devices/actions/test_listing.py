"""How lists of actions are asked for and cut."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.refusal import Refusal
from services.devices.actions.rules.listing import FIELDS, Listing, listed, read


def action(name: str, **other: Any) -> dict[str, Any]:
    return {**dict.fromkeys(FIELDS), "id": name, "name": name, "active": True, "type": "condition", "tags": [], **other}


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
        ([("unknown", "1"), ("filter[unknown]", "1")], ["A", "a%_'", "a*c", "abc", "b"]),
    ],
)
def test_lists(query: list[tuple[str, str]], names: list[str]) -> None:
    assert [one["name"] for one in listed(ALL, read(query))] == names


def test_fields() -> None:
    """As TagoIO: the id and the tags in any case."""
    assert listed(ALL[:1], read([])) == [{"id": "b", "name": "b", "tags": []}]
    assert listed(ALL[:1], read([("fields", "active")])) == [{"id": "b", "active": True, "tags": []}]
    assert read([("fields[0]", "id"), ("fields[1]", "name"), ("fields[]", "type")]).fields == ("id", "name", "type")
    assert read([("fields", "*")]).fields == FIELDS
    assert read([]) == Listing()


def test_mistakes() -> None:
    wrong = [("page", "0"), ("amount", "1001"), ("orderBy", "secret"), ("fields", "sealed"), ("filter[active]", "perhaps")]
    with pytest.raises(Refusal) as refused:
        read([*wrong, ("filter[name]", "x")])
    assert refused.value.message == "Error on Query String parameters"
    assert refused.value.fields is not None
    assert refused.value.fields.keys() == {"page", "amount", "orderBy", "fields", "filter[active]"}
    for text in ("", "-1", "1.5", "٣", "9" * 5000):
        with pytest.raises(Refusal):
            read([("page", text)])

"""Paging: windows, their neighbours, walking there and back."""

from __future__ import annotations

import pytest

from services.tokens.archive.rules import ids
from tests.unit.tokens.archive.conftest import ten
from tests.unit.tokens.conftest import API

PAGES = [
    ("offset=0&count=3", "012", None, 3), ("offset=3&count=3", "345", 2, 6), ("offset=8&count=5", "89", 7, None),
    ("offset=10", "", 9, None),
    ("offset=99", "", None, None), ("offset=-1", "9", 8, None), ("offset=-3&count=5", "789", 6, None), ("offset=-5&count=3", "567", 4, 8),
    ("offset=-11", "", None, 0), ("offset=-12&count=5", "012", None, 3), ("offset=-99", "", None, None),
    ("offset=-2147483648", "", None, None),
    ("start_id=3&count=3", "345", 2, 6), ("end_id=5&count=3", "345", 2, 6), ("end_id=1&count=3", "01", None, 2),
    ("start_id=9&count=3", "9", 8, None),
    ("offset=0&start_id=5&end_id=2", "0", None, 1), ("start_id=5&end_id=2", "5", 4, 6),
]  # fmt: skip


@pytest.mark.parametrize("newest_first", [True, False])
def test_paging(api: API, newest_first: bool) -> None:
    tokens = ten(api)
    if not newest_first:
        tokens.reverse()
    for query, rows, previous, following in PAGES:
        asked = dict(part.split("=") for part in query.split("&"))
        named = {name: tokens[int(value)] if name.endswith("id") else value for name, value in asked.items()}
        page = api.get("/tokens", **named, newest_first=str(newest_first).lower()).json
        assert [row["id"] for row in page["rows"]] == [tokens[int(one)] for one in rows], query
        assert page["prev"] == (None if previous is None else tokens[previous]), query
        assert page["next"] == (None if following is None else tokens[following]), query
        assert page["total_rows"] == 10 and page["newest_first"] is newest_first
        if "offset" in asked:
            assert page["offset"] == int(asked["offset"]), query
        else:
            assert page["offset"] == int(rows[0]), query


def test_ids_between_tokens_begin_at_the_next_one(api: API) -> None:
    tokens = ten(api)
    between = ids.encode(ids.decode(tokens[4]) + 1)  # type: ignore[operator]  newer than 4, older than 3
    assert [row["id"] for row in api.get("/tokens", start_id=between, count=2).json["rows"]] == tokens[4:6]
    assert [row["id"] for row in api.get("/tokens", end_id=between, count=2).json["rows"]] == tokens[2:4]
    assert [row["id"] for row in api.get("/tokens", start_id=between, count=2, newest_first="false").json["rows"]] == [tokens[3], tokens[2]]
    assert [row["id"] for row in api.get("/tokens", end_id=between, count=2, newest_first="false").json["rows"]] == [tokens[5], tokens[4]]
    assert [row["id"] for row in api.get("/tokens", start_id="z" * 32, count=2).json["rows"]] == tokens[:2]
    assert api.get("/tokens", start_id="!", count=2).json["rows"] == []


def test_walk_there_and_back_while_tokens_are_added(api: API) -> None:
    tokens = ten(api)
    seen: list[str] = []
    page = api.get("/tokens", offset=0, count=3).json
    while True:
        seen += [row["id"] for row in page["rows"]]
        api.clock.move(1)
        api.token()
        if page["next"] is None:
            break
        page = api.get("/tokens", start_id=page["next"], count=3).json
    assert seen == tokens
    back = page["rows"]
    while page["prev"] is not None:
        page = api.get("/tokens", end_id=page["prev"], count=3).json
        back = page["rows"] + back
    assert [row["id"] for row in back][-10:] == tokens and len(back) == page["total_rows"]


@pytest.mark.parametrize(("query", "message"), [
    ({}, "need offset, start_id or end_id"), ({"offset": ""}, "need offset, start_id or end_id"),
    ({"count": 5}, "need offset, start_id or end_id"),
    *[({"offset": 0, "count": count}, "count out of range") for count in ("0", "-1", "251", "abc", "2.5", "9" * 400)],
    *[({"offset": offset}, "offset out of range") for offset in ("abc", "1.5", "2147483649", "-2147483649", "9" * 400, "１")],
    ({"offset": 0, "newest_first": "maybe"}, "invalid newest_first"),
])  # fmt: skip
def test_paging_refused(api: API, query: dict[str, object], message: str) -> None:
    answer = api.get("/tokens", **query)
    assert (answer.status_code, answer.json) == (400, {"error": message})


def test_count_defaults_to_one_and_250_is_allowed(api: API) -> None:
    ten(api)
    assert len(api.get("/tokens", offset=0).json["rows"]) == 1
    assert len(api.get("/tokens", offset=0, count=250).json["rows"]) == 10

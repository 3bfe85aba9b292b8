"""How values look on pages."""

from __future__ import annotations

import pytest
from flask import render_template_string

from services.sessions.pages import tables
from tests.unit.sessions.conftest import API
from tests.unit.sessions.pages.reading import Page

SHOWN = '{% from "sessions/values.html" import value with context %}<h1></h1>{{ value(it, tables) }}'


def shown(api: API, it: object) -> str:
    with api.app.test_request_context():
        text = render_template_string(SHOWN, it=it, tables=tables)
    Page(text)
    return text


def test_a_list_of_objects_is_a_table_of_all_their_names() -> None:
    table = tables.table([{"id": 1, "a": 2}, {"id": 2, "b": 3}])
    assert table is not None
    assert (table.columns, table.left) == (("id", "a", "b"), 0)
    assert tables.table([]) is tables.table([1, 2]) is tables.table({"a": 1}) is tables.table("text") is tables.table([{}, 1]) is None


def test_a_long_list_is_cut_and_says_so(sqlite_api: API) -> None:
    text = shown(sqlite_api, [{"id": one} for one in range(tables.MOST_ROWS + 7)])
    assert text.count("<tr>") == tables.MOST_ROWS + 1
    assert "And 7 more" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"><img src=x>'", "\u202eright to left", "x" * 10_000, "a\x00b"])
def test_texts_are_only_texts(sqlite_api: API, name: str) -> None:
    for it in (name, [name], [{"name": name}], {name: name}, {"inner": [{name: [name]}]}, [{"deep": {"deeper": [name]}}]):
        elements = Page(shown(sqlite_api, it)).elements
        assert not {"script", "img"} & set(elements)
    assert len(shown(sqlite_api, [{"name": name}])) < 2000


def test_moments_are_dates() -> None:
    moment = tables.moment("timeMS", 1_767_225_600_000)
    assert moment is not None
    assert moment.isoformat() == "2026-01-01T00:00:00+00:00"
    for name, value in (("id", 1_767_225_600_000), ("timeMS", 5), ("timeMS", True), ("timeMS", 10**30), ("timeMS", "1767225600000")):
        assert tables.moment(name, value) is None


def test_values_of_all_sorts(sqlite_api: API) -> None:
    for it, part in ((None, "null"), (True, "true"), (0, "0"), (1.5, "1.5"), ("", "<bdi></bdi>"), ([], "it is empty"), ({}, "it is empty")):
        assert part in shown(sqlite_api, it)
    assert "[[1, 2]]" in shown(sqlite_api, [{"polygon": [[1, 2]]}])

"""Which entry of a list speaks for a method and a path."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.patterns import PatternList, translate


def table(*entries: tuple[str, Collection[str] | None, int]) -> EndpointTable[int]:
    return EndpointTable([Endpoint(translate(path), methods, value) for path, methods, value in entries], default=-1)


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [("GET", "/a", 0), ("POST", "/a", 2), ("PUT", "/a", 1), ("PATCH", "/a", 2), ("GET", "/b", 2), ("get", "/a", 2), ("GET", "/c", -1)],
)
def test_the_first_whose_path_and_method_match(method: str, path: str, value: int) -> None:
    found = table(("^/a", ("GET",), 0), ("^/a", ("PUT", "GET"), 1), ("^/[ab]", None, 2), ("^/c", (), 3))
    assert found.find(method, path) == value


def test_escapes_are_read_as_an_operator_writes_them() -> None:
    found = table(("^/grün$", None, 1), ("^/a%2Fb$", None, 2))
    assert [found.find("GET", path) for path in ("/gr%C3%BCn", "/gr%FCn", "/a%2Fb", "/a/b")] == [1, -1, 2, -1]
    assert found.find_matching("GET", "/grün") == 1


def test_an_empty_table() -> None:
    assert table().find("GET", "/") == -1
    assert table(("/", (), 1)).find("GET", "/") == -1


METHODS = st.sampled_from(["GET", "POST", "PUT"])
ENTRIES = st.tuples(
    st.sampled_from(["^/a", "/b", "^/[ab]/c$", "/{x}/c", "."]), st.one_of(st.none(), st.lists(METHODS, max_size=2)), st.just(0)
)


@given(st.lists(ENTRIES, max_size=8), st.sampled_from(["GET", "POST", "PUT", "DELETE"]), st.sampled_from(["/a", "/b/c", "/a/c", "/x/y"]))
def test_as_if_the_list_were_read_line_by_line(entries: list[tuple[str, list[str] | None, int]], method: str, path: str) -> None:
    numbered = [(pattern, methods, place) for place, (pattern, methods, _) in enumerate(entries)]
    expected = -1
    for pattern, methods, place in numbered:
        if (methods is None or method in methods) and PatternList([translate(pattern)]).first(path) == 0:
            expected = place
            break
    assert table(*numbered).find(method, path) == expected

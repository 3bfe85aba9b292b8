"""Which entries of a list can never decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.gateway.routing.overlaps import Line, taken
from services.gateway.routing.patterns import MATCHINGS, Matching, PatternList, translate


def found(*paths: str, matching: Matching = "search") -> list[tuple[int, int]]:
    return list(taken([Line(path, None) for path in paths], matching))


@pytest.mark.parametrize(("earlier", "later"), [
    ("^/a", "^/a/b"),
    ("/a", "^/x/a/b$"),
    ("^/users/{id}", "^/users/{name}/posts"),
    ("^/users/", "^/users/{id}$"),
    (".*", "^/a"),
    ("b$", "^/a/b$"),
    ("^/a.b", "^/a\\.b"),
    ("^/[a-z]+/b", "^/a/b"),
])  # fmt: skip
def test_an_entry_behind_one_that_takes_all(earlier: str, later: str) -> None:
    assert found(earlier, later) == [(1, 0)]
    assert found(later, earlier) == []


@pytest.mark.parametrize(("earlier", "later"), [
    ("^/a/b", "^/a"),
    ("^/a$", "^/a"),
    ("^/a", "/a/b"),
    ("^/users/[0-9]+", "^/users/{id}"),
    ("^/a\\.b", "^/a.b"),
    ("^/a\\b", "^/a"),
    ("^/ab?c", "^/[a-z]*"),
])  # fmt: skip
def test_an_entry_that_may_decide(earlier: str, later: str) -> None:
    assert found(earlier, later) == []


def test_a_prefix_takes_whole_segments() -> None:
    assert found("/a", "/a/b", matching="prefix") == [(1, 0)]
    assert found("/a", "/ab", matching="prefix") == []
    assert found("/a", "/a/b", matching="exact") == []
    assert found("/a/{x}", "/a/b", matching="exact") == [(1, 0)]


def test_methods_count() -> None:
    lines = [Line("^/a", ["GET"]), Line("^/a/b", ["GET"]), Line("^/a/b", ["GET", "POST"]), Line("^/a/c", None)]
    assert list(taken(lines, "search")) == [(1, 0)]
    both = [Line("^/a", ["GET"]), Line("^/a", ["POST"]), Line("^/a/b", ["GET", "POST"]), Line("^/a", [])]
    assert list(taken(both, "search")) == [(2, 0)]


def test_case_counts() -> None:
    assert list(taken([Line("^/a", None, True), Line("^/a/b", None)], "search")) == [(1, 0)]
    assert list(taken([Line("^/a", None), Line("^/a/b", None, True)], "search")) == []


PATHS = some.lists(some.sampled_from(["a", "b", "", "A", "a.b"]), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
PARTS = some.sampled_from(["a", "b", "{x}", "a\\.b", "[ab]", ".*", ""])
PATTERNS = some.tuples(
    some.sampled_from(["", "^"]),
    some.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
    some.sampled_from(["", "$"]),
).map("".join)


@given(PATTERNS, PATTERNS, PATHS, some.sampled_from(MATCHINGS))
def test_what_is_found_is_never_wrong(earlier: str, later: str, path: str, matching: Matching) -> None:
    if found(earlier, later, matching=matching) and PatternList([translate(later, matching)]).first(path) == 0:
        assert PatternList([translate(earlier, matching)]).first(path) == 0

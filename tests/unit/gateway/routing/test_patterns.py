"""Path patterns: what operators write means the same on the quick way and on RE2, alone and in a list."""

from __future__ import annotations

import re
import time

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.routing.patterns import Matching, Pattern, PatternError, PatternList, translate


def matches(pattern: str, path: str, matching: Matching = "search", ignore_case: bool = False) -> bool:
    return PatternList([translate(pattern, matching, ignore_case)]).first(path) == 0


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("/a", ["/a", "/x/a", "/ab", "/a/"], ["/", "/b"]),
        ("^/a$", ["/a"], ["/a/", "/x/a", "/ab"]),
        ("/a.b", ["/a.b", "/aXb", "/a/b"], ["/ab"]),
        (r"/a\.b", ["/a.b"], ["/aXb"]),
        ("^/users/{id}$", ["/users/7", "/users/"], ["/users/7/posts", "/users"]),
        ("^/users/{id}/posts", ["/users/7/posts/9"], ["/users/7/8/posts", "/users/posts"]),
        ("/{any}/{thing}/x", ["/a/b/x", "///x"], ["/x", "/a/x"]),
        ("/v{n}/x", ["/v1/x", "/v/x", "/vvv/x"], ["/v1/2/x"]),
        ("/a{2}", ["/aa", "/aaa"], ["/a"]),
        ("/a{2,3}$", ["/aa", "/aaa"], ["/a", "/aaaa"]),
        ("/a{1,}$", ["/a", "/aaaa"], ["/", "/ab"]),
        ("{2}", ["/", ""], []),
        ("/ab?c", ["/ac", "/abc"], ["/abbc"]),
        ("/a|/b", ["/a", "/b"], ["/c"]),
        ("/[ab]{id}$", ["/a", "/bxy"], ["/c", "/a/c"]),
        ("/a/.*", ["/a/", "/a/b/c"], ["/a"]),
        ("/a.*/b", ["/a/b", "/ax/y/b"], ["/a"]),
        (r"/\d+$", ["/123"], ["/", "/a", "/12a"]),
        (r"/\Qa.b(\E", ["/a.b("], ["/aXb("]),
        (r"/\x{61}", ["/a"], ["/b"]),
        (r"/\p{Greek}", ["/α"], ["/a"]),
        (r"/[\]x]", ["/]", "/x"], ["/\\"]),
        ("/[[:digit:]x]$", ["/7", "/x"], ["/:", "/a"]),
        ("(?i)/a", ["/A"], []),
        ("/größe", ["/größe"], ["/grosse"]),
        ("/100%", ["/100%25"], ["/100"]),
        ("/a^b", [], ["/a^b", "/a"]),
        ("/a$b", [], ["/a$b"]),
        ("a&b~c#d-e", ["/a&b~c#d-e"], ["/a&b~c#d"]),
        (".", ["/"], []),
    ],
)
def test_what_patterns_mean(pattern: str, hits: list[str], misses: list[str]) -> None:
    assert [path for path in hits if not matches(pattern, path)] == []
    assert [path for path in misses if matches(pattern, path)] == []


@pytest.mark.parametrize(
    ("matching", "pattern", "hits", "misses"),
    [
        ("prefix", "/a", ["/a", "/a/", "/a/b"], ["/ab", "/x/a", "/"]),
        ("prefix", "a", ["/a", "/a/b"], ["/ab", "/x/a"]),
        ("prefix", "/a/", ["/a", "/a/", "/a/b"], ["/ab"]),
        ("prefix", "^/a", ["/a", "/a/b"], ["/x/a"]),
        ("prefix", "/", ["/", "/a"], []),
        ("prefix", "/a/{id}", ["/a/1", "/a/1/2"], ["/a"]),
        ("prefix", "/(a|b)", ["/a/x", "/b"], ["/ab", "/c"]),
        ("prefix", r"/a\/", ["/a", "/a/b"], ["/ab"]),
        ("prefix", "/a|/b", ["/a", "/b/x"], ["/ab", "/x/b", "/bc"]),
        ("exact", "/a", ["/a"], ["/a/", "/ab", "/x/a"]),
        ("exact", "a", ["/a"], ["/ab"]),
        ("exact", "^/a$", ["/a"], ["/ab"]),
        ("exact", "/a/{id}", ["/a/1", "/a/"], ["/a/1/2", "/a"]),
        ("exact", "/a|/b", ["/a", "/b"], ["/ab", "/x/b", "/a/b"]),
        ("exact", "/", ["/"], ["/a"]),
    ],
)
def test_ways_of_matching(matching: Matching, pattern: str, hits: list[str], misses: list[str]) -> None:
    assert [path for path in hits if not matches(pattern, path, matching)] == []
    assert [path for path in misses if matches(pattern, path, matching)] == []


def test_case_counts_unless_it_does_not() -> None:
    assert not matches("/Größe", "/GRÖSSE")
    assert not matches("/a", "/A")
    assert matches("/a{x}", "/A/", ignore_case=True)
    assert matches("/ÄPFEL", "/äpfel", "exact", ignore_case=True)


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "[", "[a", "*", "a**", "(?=a)", "(?!a)", "(?<=a)", r"(a)\1", "\\", "a{1001}", r"\Z", "(?P<a", "\ud800"],
)
@pytest.mark.parametrize("matching", ["search", "prefix", "exact"])
def test_what_re2_does_not_take(pattern: str, matching: Matching) -> None:
    with pytest.raises(PatternError) as wrong:
        translate(pattern, matching)
    assert str(wrong.value)


def test_a_pattern_cannot_close_the_group_that_anchors_it() -> None:
    """`a)|(b` would be valid between parentheses."""
    for matching in ("search", "prefix", "exact"):
        with pytest.raises(PatternError):
            translate("a)|(b", matching)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "quick"),
    [
        ("/users/{id}/posts$", True), ("^/a.b/c?", True), (r"/a\.json", True), ("/a/.*", True),
        ("/a+", False), ("/a|b", False), ("/[ab]", False), ("/v{n}", False), (r"/\d", False), ("/a{2}", False),
        ("a.*b", False), ("^^a", False),
    ],
)  # fmt: skip
def test_what_runs_on_the_quick_way(pattern: str, quick: bool) -> None:
    assert (translate(pattern).simple is not None) is quick


LETTERS = st.sampled_from(
    [
        "/",
        "/a",
        "a",
        "b",
        ".",
        "?",
        "^",
        "$",
        "{id}",
        "{",
        "}",
        "{2}",
        "\\.",
        "\\/",
        "\\a",
        "-",
        "%",
        ".*",
        "(",
        ")",
        "|",
        "[",
        "]",
        "ü",
        "#",
        "\\",
    ]
)
WRITTEN = st.lists(LETTERS, min_size=1, max_size=7).map("".join)
PIECES = st.sampled_from(["/", "a", "b", ".", "id", "{id}", "ü", "-", "%2F", "aa", "?", "x"])
# Canonical paths hold no empty segment.
PATHS = st.lists(PIECES, max_size=7).map(lambda parts: re.sub("//+", "/", "/" + "".join(parts)))


def _re2(source: str) -> re.Pattern[str]:
    compiled: re.Pattern[str] = re2.compile(source)
    return compiled


@given(WRITTEN, st.lists(PATHS, min_size=1, max_size=6), st.sampled_from(["search", "prefix", "exact"]))
def test_the_quick_way_agrees_with_re2(written: str, paths: list[str], matching: Matching) -> None:
    try:
        pattern = translate(written, matching)
    except PatternError:
        return
    slow = _re2(pattern.source)
    for path in paths:
        assert (PatternList([pattern]).first(path) == 0) is (slow.search(path) is not None), pattern


@given(
    st.lists(st.tuples(WRITTEN, st.booleans()), max_size=6),
    st.lists(PATHS, min_size=1, max_size=4),
    st.sampled_from(["search", "prefix", "exact"]),
)
def test_a_list_answers_the_first_that_matches(written: list[tuple[str, bool]], paths: list[str], matching: Matching) -> None:
    patterns = []
    for text, ignore_case in written:
        try:
            patterns.append(translate(text, matching, ignore_case))
        except PatternError:
            continue
    together = PatternList(patterns)
    for path in paths:
        alone = [index for index, pattern in enumerate(patterns) if PatternList([pattern]).first(path) == 0]
        assert together.first(path) == (alone[0] if alone else -1)


def test_a_later_place_may_match_an_earlier_pattern() -> None:
    found = PatternList([translate("/z"), translate("/a"), translate("[x]")])
    assert [found.first(path) for path in ("/a/z", "/a/a", "/x", "/y")] == [0, 1, 2, -1]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("empty", [".*", "", "b?", "a?.*"])
def test_a_pattern_that_matches_nothing_at_all_ends_the_search(empty: str) -> None:
    """Such as a black list of one path before a white list of everything."""
    assert PatternList([translate("/admin"), translate(empty)]).first("/x") == 1
    assert PatternList([translate("/admin"), translate(empty)]).first("/x/admin") == 0
    assert PatternList([translate("/a"), translate("/b"), translate(empty)]).first("/") == 2


def test_an_empty_list() -> None:
    assert PatternList([]).first("/") == -1


def test_hundreds_of_patterns() -> None:
    patterns = [translate(f"^/route{number}/{{id}}$") if number % 2 else translate(f"^/route{number}/[0-9]+$") for number in range(600)]
    found = PatternList(patterns)
    assert [found.first(f"/route{number}/7") for number in range(600)] == list(range(600))
    assert found.first("/route7/7/7") == -1


def test_too_many_for_one_set() -> None:
    """RE2's sets have a bound of memory; then each pattern is asked on its own."""
    patterns = [translate(f"/(x|y{number}){{900}}[a-z]+{number}$") for number in range(12)]
    found = PatternList(patterns)
    path = "/" + "x" * 900 + "abc"
    assert [found.first(f"{path}{number}") for number in (3, 11)] == [3, 11]
    assert found.first(path) == -1


def test_no_pattern_hangs_a_worker() -> None:
    """Each of them would go on for hours, most of them for ever, where a pattern that does not match is tried in another way."""
    path = "/" + "a" * 16_000 + "!"
    began = time.process_time()
    for written in ("(a+)+$", "(a|aa)+$", "/{a}{b}{c}{d}$x", "/{a}/{b}/{c}x", "(.*)*=", "a?" * 30 + "a{30}$", "/.?.?.?.?.?.?.?.?/{x}z"):
        assert PatternList([translate(written)]).first(path) in (-1, 0)
    assert time.process_time() - began < 60


def test_patterns_are_values() -> None:
    assert translate("/a") == Pattern("/a", "/a")

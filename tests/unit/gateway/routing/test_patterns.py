"""Path patterns: what operators write means what they expect, alone and in a list, in time that grows no faster than the path."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.routing.patterns import LONGEST, Matching, PatternError, PatternList, translate


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
        ("^/{1}$", ["/1", "/7"], ["/1/2", "//"]),
        ("^/{2,3}/x$", ["/a/x"], ["///x"]),
        ("^/{id:[0-9]+}/x$", ["/7/x", "/a/x"], ["/7/8/x"]),
        ("^/{id:[0-9]{4}}/x$", ["/2024/x"], ["/2024}/8/x"]),
        ("^/[0-9]{4}$", ["/2024"], ["/202", "/20240"]),
        ("^/a{1}{id}$", ["/a7"], ["/b7", "/a/7"]),
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


def test_a_pattern_has_a_bound() -> None:
    translate("/" + "a" * (LONGEST - 1))
    with pytest.raises(PatternError, match="longer than"):
        translate("/" + "a" * LONGEST)


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


# What is written, and the same for `re`.
SIMPLE = st.sampled_from(
    [("/", "/"), ("/a", "/a"), ("b", "b"), (".", "."), ("/{id}", "/[^/]*"), ("/{a}{b}", "/[^/]*[^/]*"), ("x?", "x?"), (r"\.", r"\."),
     ("{2}", "{2}"), ("(a|b)", "(?:a|b)"), ("[^a]", "[^a]"), (".*", ".*"), ("ü", "ü"), (r"\Q.?\E", r"\.\?")]
)  # fmt: skip
ENDS = st.sampled_from([("", ""), ("$", r"\Z")])


@given(st.booleans(), st.lists(SIMPLE, min_size=1, max_size=7), ENDS, st.lists(PATHS, min_size=1, max_size=6))
def test_answers_are_those_of_another_engine(anchored: bool, parts: list[tuple[str, str]], end: tuple[str, str], paths: list[str]) -> None:
    written, expected = ("^" * anchored + "".join(part[side] for part in parts) + end[side] for side in (0, 1))
    expected = expected.replace("/{2}", "/[^/]*")  # directly behind a slash it is a segment, not a repetition
    try:
        reference = re.compile(expected)
        pattern = translate(written)
    except (PatternError, re.error):  # such as two repetitions of one thing
        return
    found = PatternList([pattern])
    assert [found.first(path) == 0 for path in paths] == [reference.search(path) is not None for path in paths], written


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


def cost(patterns: Sequence[str], path: str) -> float:
    """Seconds of processor time of one answer: the least of many, so that a busy machine does not count."""
    found = PatternList([translate(written) for written in patterns])
    found.first(path)
    times = []
    for _ in range(15):
        began = time.thread_time()
        for _ in range(20):
            found.first(path)
        times.append(time.thread_time() - began)
    return min(times) / 20


# Each is slow where ways to match are tried one after the other, or where every pattern is tried at every place.
NASTY = [
    ["(a+)+$"], ["(a|aa)+$"], ["/{a}{b}{c}{d}$x"], ["/{a}/{b}/{c}x"], ["(.*)*="], ["/.?.?.?.?.?.?.?.?/{x}z"], ["/{a}b{c}d{e}f$"],
    ["/{a}...../" * 8 + "Q"], ["a?" * 24 + "a" * 24 + "b"], ["/{a}.json$"], ["/never", "/a"], ["/{a}/never", "/{a}/{b}"],
    [f"/a{number}" for number in range(60)], [f"^/{{a}}/{number}$" for number in range(60)],
]  # fmt: skip
UNITS = ["a", "/a", "/aaa/b/c", "a.", "/aab", "b=", "/%2F"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("patterns", NASTY, ids=lambda patterns: patterns[0][:20])
def test_time_grows_with_the_path_and_no_faster(patterns: list[str]) -> None:
    for unit in UNITS:
        short, long = ("/" + (unit * size)[:size] for size in (2_000, 16_000))
        assert cost(patterns, long) < 24 * cost(patterns, short), unit  # 8 would be linear, 64 the square


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("piece", "last", "unit"),
    [("a?", "a", "a"), ("/{a}.....", "Q", "/aaa/b/c/aaa/b/c"), ("{a}-", "!", "a-"), ("(a|aa)", "!", "a"), (".?", "a", "a")],
)
def test_time_grows_with_the_pattern_and_no_faster(piece: str, last: str, unit: str) -> None:
    short, long = (cost([piece * size + last * size], "/" + unit * (size - 1)) for size in (8, 16))
    assert long < 16 * short  # 4 would be linear in both; what doubles with each piece would be 256


@pytest.mark.timeout(120)
@pytest.mark.parametrize("form", ["/route%d", "^/{a}/route%d$", "/{a}/r%d/{b}/x%d", "/x%d/{a}.%d?/{b}/%d$"])
def test_time_grows_with_the_list_and_no_faster(form: str) -> None:
    """The paths are made so that each segment begins some of the patterns."""
    short, long = ([form.replace("%d", str(number)) for number in range(size)] for size in (128, 1024))
    path = "/" + "/".join(f"{'rx'[place % 2]}{place * 7919 % 1024}" for place in range(2_000))
    assert cost(long, path) < 24 * cost(short, path)  # 8 would be linear, 64 the square


@pytest.mark.slow
@pytest.mark.timeout(120)
@settings(max_examples=40)
@given(WRITTEN.filter(lambda text: "(" not in text), st.sampled_from(UNITS))
def test_time_of_any_pattern_grows_with_the_path_and_no_faster(written: str, unit: str) -> None:
    try:
        translate(written)
    except PatternError:
        return
    short, long = ("/" + (unit * size)[:size] for size in (2_000, 16_000))
    assert cost([written], long) < 24 * cost([written], short)

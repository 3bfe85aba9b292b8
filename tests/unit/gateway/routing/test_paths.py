"""The canonical form of paths: one spelling for one place, and nothing that another server could read otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.refusals import BAD_PATH, Refusal
from services.gateway.routing.paths import canonical, canonical_path, matching_form, matching_forms, slash_readings


@pytest.mark.parametrize(
    ("sent", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a/b", "/a/b", ""),
        (b"/a/b/", "/a/b/", ""),
        (b"/a?b=/../c%00&d", "/a", "b=/../c%00&d"),
        (b"/a?", "/a", ""),
        (b"/a??b?", "/a", "?b?"),
        (b"/a?\xfc", "/a", "%FC"),
        ("/a?grün=\N{EURO SIGN}&b".encode(), "/a", "gr%C3%BCn=%E2%82%AC&b"),
        ("/grün?ü".encode(), "/gr%C3%BCn", "%C3%BC"),
        (b"/a?%fc%41%2f%zz\xff", "/a", "%fc%41%2f%zz%FF"),
        (b"/a?\"<>[\\]^`{|}'%", "/a", "\"<>[\\]^`{|}'%"),
        (b"//a///b//", "/a/b/", ""),
        (b"/./a/./b/.", "/a/b/", ""),
        (b"/a/../b", "/b", ""),
        (b"/a/b/..", "/a/", ""),
        (b"/a/..", "/", ""),
        (b"/a//../b", "/b", ""),
        (b"/a/%2e%2E/b", "/b", ""),
        (b"/a/.%2e/b", "/b", ""),
        (b"/.well-known/x", "/.well-known/x", ""),
        (b"/..a/...", "/..a/...", ""),
        (b"/%41%7e%2D%5f", "/A~-_", ""),
        (b"/a%2fb%2F..", "/a%2Fb%2F..", ""),
        (b"/a%3bb%3B", "/a%3Bb%3B", ""),
        (b"/a;b=1,2:3@4!$&'()*+=", "/a;b=1,2:3@4!$&'()*+=", ""),
        (b"/a%20b%25", "/a%20b%25", ""),
        (b"/%252e%252e/a", "/%252e%252e/a", ""),
        ("/grün".encode(), "/gr%C3%BCn", ""),
        (b"/gr%fcn", "/gr%FCn", ""),
        (b"/gr\xfcn", "/gr%FCn", ""),
        (b'/"<>[]^`{|}\\', "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D%5C", ""),
        (b"/a\\..\\b", "/a%5C..%5Cb", ""),
        (b"/%01%7f", "/%01%7F", ""),
    ],
)
def test_one_spelling(sent: bytes, path: str, query: str) -> None:
    assert canonical(sent) == (path, query)


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"a", b"*", b"http://h/", b"?a", b"/..", b"/a/../..", b"/../a", b"/%2e%2e/a", b"/a/..//../b", b"/.././",
        b"/..%2fa", b"/a%2F..%2F..", b"/a/b/..%2F..%2F..%2Fa", b"/..%5Ca", b"/a\\..\\..", b"/a%2F..%5C..", b"/%2F..", b"/%2F%2e%2E",
        b"/a%", b"/a%4", b"/a%4g", b"/%zz", b"/% 1", b"/%00", b"/a%00b", b"/\x00", b"/\x01", b"/\x7f", b"/a b", b"/a\tb", b"/a\r\nb",
        b"/a#b", b"/a?b#c", b"/a?b c", b"/a?\x00", b"/a?\x7f", b"/a?\n", b"/a.b?c\x1f", b"/a\n", b"/a?b\n",
        b"/%c0%af", b"/\xc0\xae\xc0\xae/a", b"/%e0%80%af", b"/%E0%9f%bf", b"/%f0%80%80%af", b"/%c1%9c",
    ],
)  # fmt: skip
def test_what_is_refused(sent: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        canonical(sent)
    assert refused.value.kind is BAD_PATH
    assert refused.value.detail


PIECES = st.sampled_from(
    [b"/", b"//", b".", b"..", b"%2e", b"%2E", b"%2f", b"%2F", b"%41", b"a", b"B", b"~", b"%", b"%c3%bc", b"\xc3\xbc", b"\xff", b"%ff",
     b"%25", b";", b":", b"=", b"?", b"#", b" ", b"%00", b"\\", b"%5c", b"%C0%AF", b"1", b"-", b"$"]
)  # fmt: skip
TARGETS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


@given(TARGETS)
def test_the_form_is_final(target: bytes) -> None:
    """A second server that does the same finds nothing to do, so both speak of one place."""
    try:
        path, query = canonical(target)
    except Refusal:
        return
    assert path.startswith("/")
    assert path.isascii()
    segments = path[1:].removesuffix("/").split("/")
    assert path == "/" or not {"", ".", ".."} & set(segments)
    assert canonical(path.encode()) == (path, "")
    assert canonical(path.encode() + b"?" + query.encode("ascii")) == (path, query)


@given(st.binary(max_size=30))
def test_no_bytes_break_it(target: bytes) -> None:
    try:
        path, query = canonical(b"/" + target)
    except Refusal:
        return
    path.encode("ascii")
    query.encode("ascii")
    matching_forms(path)


@given(TARGETS)
def test_the_quick_way_and_the_whole_way_agree(target: bytes) -> None:
    whole: str | None
    try:
        whole = canonical_path(target.partition(b"?")[0])
    except Refusal:
        whole = None
    try:
        quick: str | None = canonical(target)[0]
    except Refusal:
        quick = None
    if quick is not None:
        assert quick == whole
    elif whole is not None:
        assert b"?" in target, "only the query can be what is wrong then"


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/a/b", "/a/b"),
        ("/gr%C3%BCn%20x", "/grün x"),
        ("/a%2Fb%25c", "/a%2Fb%25c"),
        ("/%252F", "/%252F"),
        ("/%FC%C3%BC", "/%FCü"),
        ("/%E2%82", "/%E2%82"),
        ("/%22%7B", '/"{'),
    ],
)
def test_as_an_operator_writes_it(path: str, form: str) -> None:
    assert matching_form(path) == form


@given(TARGETS, TARGETS)
def test_different_paths_stay_different(one: bytes, other: bytes) -> None:
    try:
        first, second = canonical(one)[0], canonical(other)[0]
    except Refusal:
        return
    assert (first == second) == (matching_form(first) == matching_form(second))


@pytest.mark.parametrize(
    ("path", "readings"),
    [
        ("/a/b", []),
        ("/gr%C3%BCn%25", []),
        ("/a%2Fb", ["/a/b"]),
        ("/a%2F%2Fb", ["/a/b"]),
        ("/a%2F..%2Fb", ["/b"]),
        ("/a/..%2Fb", ["/b"]),
        ("/a%2F", ["/a/"]),
        ("/a%5Cb", ["/a/b"]),
        ("/a%5C..%2Fb", ["/a%5C../b", "/a/..%2Fb", "/b"]),
        ("/a%252Fb", []),
        ("/..%2Fa", None),
        ("/a%2F..%2F..", None),
        ("/a%2F..%5C..", None),
    ],
)
def test_how_servers_read_it_that_take_an_escape_for_a_slash(path: str, readings: list[str] | None) -> None:
    if readings is None:
        with pytest.raises(Refusal) as refused:
            slash_readings(path)
        assert refused.value.kind is BAD_PATH
    else:
        assert slash_readings(path) == readings


def test_the_forms_that_patterns_are_compared_with() -> None:
    assert matching_forms("/gr%C3%BCn%2Fx") == ["/grün%2Fx", "/grün/x"]
    assert matching_forms("/a") == ["/a"]

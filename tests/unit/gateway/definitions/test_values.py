"""Single values of a definition: what is taken, in which form, and what is said of the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.gateway.definitions import values
from services.gateway.definitions.model import TargetUrl


@pytest.mark.parametrize("text", ["a", "A9", "3e5c.x_y~z:1-", "a" * 128])
def test_identifiers(text: str) -> None:
    assert values.identifier(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".", "a b", "a/b", "ä", "a\n", "a" * 129, "a?b", "a#"])
def test_what_is_no_identifier(text: str) -> None:
    with pytest.raises(ValueError, match="letter or digit"):
        values.identifier(text)


@pytest.mark.parametrize("text", ["/a%2Fb", "/a%5Cb/", "/%2F"])
def test_a_listen_path_has_one_reading(text: str) -> None:
    with pytest.raises(ValueError, match="%2F or %5C"):
        values.listen_path(text)


@pytest.mark.parametrize(
    ("text", "form"), [("/", "/"), ("/a", "/a/"), ("/a/b/", "/a/b/"), ("/a%20b", "/a%20b/"), ("/hello/x", "/hello/x/"), ("/hell", "/hell/")]
)
def test_listen_paths(text: str, form: str) -> None:
    assert values.listen_path(text) == form


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must not be empty"),
        ("a", "begin with a slash"),
        ("//", "empty segment"),
        ("/a//b", "empty segment"),
        ("/a/../b", "canonical form, `/b`"),
        ("/a/.", "canonical form, `/a/`"),
        ("/ä", "canonical form, `/%C3%A4`"),
        ("/%61", "canonical form, `/a`"),
        ("/a%2f", "canonical form, `/a%2F`"),
        ("/a?b", "canonical form"),
        ("/..", "climbs above the root"),
        ("/%", "is not a path"),
        ("/%00", "is not a path"),
        ("/a b", "is not a path"),
        ("/a#b", "is not a path"),
        ("/\ud800", "surrogate"),
        ("/hello", "gateway's own"),
        ("/hello/", "gateway's own"),
    ],
)
def test_what_is_no_listen_path(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        values.listen_path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h", TargetUrl("http", "h", 80, "", "")),
        ("https://H.Example/", TargetUrl("https", "h.example", 443, "", "")),
        ("HTTP://h:8080/base/", TargetUrl("http", "h", 8080, "/base", "")),
        ("http://h/a/../b//c?x=1&y=/", TargetUrl("http", "h", 80, "/b/c", "x=1&y=/")),
        ("http://h?x=ü", TargetUrl("http", "h", 80, "", "x=%C3%BC")),
        ("http://[2001:DB8::0:1]:81/", TargetUrl("http", "2001:db8::1", 81, "", "")),
        ("http://grün.example/ü", TargetUrl("http", "xn--grn-ioa.example", 80, "/%C3%BC", "")),
        ("http://127.0.0.1:9/", TargetUrl("http", "127.0.0.1", 9, "", "")),
        ("http://h:/", TargetUrl("http", "h", 80, "", "")),
    ],
)
def test_target_urls(text: str, expected: TargetUrl) -> None:
    assert values.target_url(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must not be empty"),
        ("h", "must begin with http"),
        ("ftp://h/", "must begin with http"),
        ("//h/", "must begin with http"),
        ("http:///a", "no host"),
        ("http://", "no host"),
        ("http://:80/", "no host"),
        ("http://h:0/", "port 0"),
        ("http://h:65536/", "malformed"),
        ("http://h:a/", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://[::1%25eth0]/", "not an IPv6 address"),
        ("http://[v1.a]/", "not an IPv6 address"),
        ("http://a_b-/c d", "space"),
        ("http://h/\n", "space or a control"),
        ("http://h/#a", "fragment"),
        ("http://h/#", "fragment"),
        ("http://h\\x/", "not a host name"),
        ("http://a..b/", "not a host name"),
        ("http://h/%zz", "target_url is not a path"),
        ("http://h/../x", "climbs above the root"),
        ("http://h/%00", "holds a NUL"),
        ("http://h/%c0%af", "overlong"),
        ("http://h/\ud800", "surrogate"),
        ("http://h/?\ud800", "surrogate"),
    ],
)
def test_what_is_no_target(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        values.target_url(text)


@pytest.mark.parametrize(
    "text", ["http://user:s3cret@h/", "http://s3cret@h/", "http://user:s3cret@h:0/", "http://user:s3cret@h:x/", "ftp://u:s3cret@h"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as wrong:
        values.target_url(text)
    assert "s3cret" not in str(wrong.value)


def test_headers() -> None:
    assert values.header("X-A", " \tä b\t") == ("X-A", "ä b")
    assert values.reply_header("Content-Type", "") == ("Content-Type", "")


@pytest.mark.parametrize(
    ("name", "value"), [("", "a"), ("a b", "a"), ("a:", "a"), ("ä", "a"), ("a\n", "a"), ("a", "b\r\nc: d"), ("a", "\x00"), ("a", "\x7f")]
)
def test_what_is_no_header(name: str, value: str) -> None:
    with pytest.raises(ValueError):
        values.header(name, value)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-ENCODING", "Connection", "Upgrade", "TE", "Trailer", "Keep-Alive"])
def test_framing_belongs_to_the_connection(name: str) -> None:
    with pytest.raises(ValueError, match="sets it itself"):
        values.reply_header(name, "1")
    assert values.header(name, "1") == (name, "1")


@pytest.mark.parametrize("text", ["", "-1"])
def test_versions_that_never_end(text: str) -> None:
    assert values.expires(text) is None


def test_the_end_of_a_version_is_in_utc() -> None:
    assert values.expires("2026-02-28 23:59") == datetime(2026, 2, 28, 23, 59, tzinfo=UTC).timestamp()
    assert values.expires("1970-01-01 00:00") == 0


@pytest.mark.parametrize(
    "text",
    [
        "never",
        "0",
        "2026-02-30 00:00",
        "2026-1-1 00:00",
        "2026-01-01",
        "2026-01-01 24:00",
        "2026-01-01 00:00:00",
        "2026-01-01T00:00",
        " 2026-01-01 00:00",
        "2026-01-01 00:00\n",
        "٢٠٢٦-01-01 00:00",
    ],
)
def test_what_is_no_end(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD HH:MM"):
        values.expires(text)

"""Layouts that come often are read by an expression of their own: as every other head is read, only sooner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.refusals import Refusal
from services.gateway.routing.paths import canonical
from services.gateway.wire.heads import grammar, requests, responses
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.grammar import Expressions, Incomplete
from services.gateway.wire.heads.requests import HeaderSection, parse_request
from services.gateway.wire.heads.responses import BadAnswer, ResponseHead, parse_response

# What goes on stands in two runs; some fields do not go on, one can be misread, two speak of the connection.
NAMES = (b"Host", b"X-A", b"x-b", b"Connection", b"User_Name", b"X-Request-Id", b"Accept", b"Content-Length")
ANSWER_NAMES = (b"Server", b"Content-Length", b"Connection", b"ETag", b"X-Request-Id", b"X-A")


class Often(Expressions):
    """Makes an expression for every layout at once."""

    def due(self, came: int, fields: int) -> bool:
        return True


def head(first: bytes, names: tuple[bytes, ...], values: list[bytes]) -> bytes:
    lines = [b"%b:%b" % pair for pair in zip(names, values, strict=True)]
    return b"\r\n".join([first, *lines]) + b"\r\n\r\n"


USUAL = [b" h.example:80", b" 1", b"2\t", b" keep-alive", b" u", b" r", b" */*", b" 0"]
ANSWER_USUAL = [b" s", b" 2", b" keep-alive", b' "1"', b" r", b" a"]


@pytest.fixture(autouse=True, scope="module")
def often() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for where in (requests, responses):
            patch.setattr(where, "_expressions", Often())
            patch.setattr(where, "_layouts", type(where._layouts)(*grammar.LAYOUTS_REMEMBERED))
        yield


def section() -> HeaderSection:
    *_, found, _ = parse_request(head(b"GET /before HTTP/1.1", NAMES, USUAL))
    assert found.layout.whole is not None
    return found


def seen(data: bytes, last: HeaderSection | None) -> Any:
    """Return all that a parsed head says, or how it was refused."""
    try:
        method, target, minor, found, size = parse_request(data, last)
    except BadRequest as error:
        return error.fault, error.detail
    except Incomplete:
        return Incomplete
    said = [found.raw, found.headers, found.fields, found.host, found.length, found.close, found.upgrade, found.expects, found.plain]
    if found.place[0] is target:
        assert canonical(target) == found.place[1:]
    return method, target, minor, size, *said, found.passed_on(), [found.value(name.lower()) for name in NAMES]


LINES = st.sampled_from(
    [b"GET /a HTTP/1.1", b"POST /a/b.c?x=%20'\"y HTTP/1.0", b"GET /.. HTTP/1.1", b"GET //a HTTP/1.1", b"GET /a/%41 HTTP/1.1",
     b"GET /a? HTTP/1.1", b"GET /a#b HTTP/1.1", b"get /a HTTP/1.1", b"GET  /a HTTP/1.1", b"GET /a HTTP/2.0", b"GET /a?\xff HTTP/1.1",
     b"OPTIONS * HTTP/1.1", b"PURGE /a HTTP/1.1", b"GET /a/.b HTTP/1.1", b"GET http://h/ HTTP/1.1", b"GET / HTTP/1.1",
     b"\r\nGET /a HTTP/1.1"]
)  # fmt: skip
VALUES = st.sampled_from(
    [b" 1", b"", b"\t x \t", b" h", b" h:0", b" close", b" upgrade", b" 5", b" -1", b" 5, 5", b"\xfc", b" a\x00", b" a\r\n b", b" a\nb: c",
     b" a\rb", b" X-A: b", b" a\r\nHost: h", b" a\r\nx-b: c"]
)  # fmt: skip


@given(LINES, st.lists(st.tuples(st.integers(0, len(NAMES) - 1), VALUES), max_size=3), st.binary(max_size=6), st.integers(0, 12))
def test_a_request_is_read_as_without_the_expression(line: bytes, changes: list[tuple[int, bytes]], following: bytes, cut: int) -> None:
    values = list(USUAL)
    for place, value in changes:
        values[place] = value
    data = head(line, NAMES, values) + following
    data = data[: len(data) - cut]
    assert seen(data, section()) == seen(data, None)


def test_the_expression_reads_what_is_usual() -> None:
    last = section()
    *_, found, _ = parse_request(head(b"PUT /x/y?z=1 HTTP/1.1", NAMES, [*USUAL[:1], b" other", *USUAL[2:]]), last)
    assert found is not last
    assert found._found is not None, "it was read by the expression"
    assert found.place == (b"/x/y?z=1", "/x/y", "z=1")
    assert found.passed_on() == b"X-A: other\r\nx-b:2\t\r\nAccept: */*\r\nContent-Length: 0\r\n"
    assert found.said is last.said


@pytest.mark.parametrize(
    ("names", "passed_on"),
    [((b"Host",), b""), ((b"Host", b"Accept"), b"Accept: h\r\n"), ((b"Accept", b"Host", b"X-A"), b"Accept: h\r\nX-A: h\r\n")],
)
def test_what_goes_on_stands_in_no_run_in_one_or_in_two(names: tuple[bytes, ...], passed_on: bytes) -> None:
    *_, last, _ = parse_request(head(b"GET /before HTTP/1.1", names, [b" before"] * len(names)))
    *_, found, _ = parse_request(head(b"GET /a HTTP/1.1", names, [b" h"] * len(names)), last)
    assert found._found is not None, "it was read by the expression"
    assert found.passed_on() == passed_on


def answered(data: bytes, last: ResponseHead | None) -> Any:
    try:
        return parse_response(data, last)
    except (BadAnswer, Incomplete) as error:
        return type(error), str(error)


STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 404 ", b"HTTP/1.1 500", b"HTTP/1.1 204 No", b"HTTP/1.1 100 Go on", b"HTTP/2 200 OK", b"HTTP/1.1 20 OK",
     b"HTTP/1.1 200 \x00", b"HTTP/1.2 200 OK", b"HTTP/1.1 200\tOK", b"ICY 200 OK"]
)  # fmt: skip


@given(
    STATUS_LINES, st.lists(st.tuples(st.integers(0, len(ANSWER_NAMES) - 1), VALUES), max_size=3), st.binary(max_size=6), st.integers(0, 12)
)
def test_an_answer_is_read_as_without_the_expression(line: bytes, changes: list[tuple[int, bytes]], following: bytes, cut: int) -> None:
    values = list(ANSWER_USUAL)
    for place, value in changes:
        values[place] = value
    last = parse_response(head(b"HTTP/1.1 201 Made", ANSWER_NAMES, ANSWER_USUAL))
    assert last.layout.whole is not None
    data = head(line, ANSWER_NAMES, values) + following
    data = data[: len(data) - cut]
    assert answered(data, last) == answered(data, None)


def test_an_answer_of_which_nothing_goes_on() -> None:
    last = parse_response(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n")
    assert last.layout.whole is not None
    assert parse_response(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", last).fields == b""


def test_expressions_are_made_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(grammar, "monotonic", lambda: now)
    expressions = Expressions()
    assert not expressions.due(1, 5), "it must come often"
    assert not expressions.due(10**6, 33), "it must not be long"
    assert expressions.due(64, 32)
    assert not expressions.due(10**6, 5), "one a second"
    now = 101.5
    assert expressions.due(65, 5)


def test_a_refused_path_is_not_taken_for_a_usual_one() -> None:
    *_, found, _ = parse_request(head(b"GET /a/../../b HTTP/1.1", NAMES, USUAL), section())
    assert found.place[0] == b""
    with pytest.raises(Refusal):
        canonical(b"/a/../../b")

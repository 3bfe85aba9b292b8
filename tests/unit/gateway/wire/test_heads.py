"""Message heads: read strictly, whole or in pieces; every way to smuggle a request is refused by its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.client_faults import of_head
from services.gateway.refusals import (
    AMBIGUOUS_LENGTH,
    BAD_HEADER,
    BAD_HOST,
    HEAD_TOO_LARGE,
    MALFORMED_REQUEST,
    METHOD_NOT_SUPPORTED,
    TARGET_TOO_LONG,
    UNSUPPORTED_VERSION,
    RefusalKind,
)
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.grammar import Incomplete, named_fields
from services.gateway.wire.heads.requests import parse_request
from services.gateway.wire.heads.responses import BadAnswer, parse_response


def head(*lines: bytes, start: bytes = b"GET /a HTTP/1.1", host: bytes | None = b"Host: h") -> bytes:
    return b"\r\n".join([start, *([] if host is None else [host]), *lines]) + b"\r\n\r\n"


def refused(data: bytes) -> RefusalKind:
    with pytest.raises(BadRequest) as error:
        parse_request(data)
    return of_head(error.value).kind


def test_a_request() -> None:
    method, target, minor, found, size = parse_request(head(b"X-A:  1 \t", b"x-a: 2", b"Empty:", b"Latin: \xfc") + b"GET /next")
    assert (method, target, minor) == ("GET", b"/a", 1)
    assert found.headers == [(b"Host", b"h"), (b"X-A", b"1"), (b"x-a", b"2"), (b"Empty", b""), (b"Latin", b"\xfc")]
    assert found.fields == {b"host": b"h", b"x-a": b"2", b"empty": b"", b"latin": b"\xfc"}
    assert size == len(head(b"X-A:  1 \t", b"x-a: 2", b"Empty:", b"Latin: \xfc"))
    assert (found.length, found.host, found.close, found.upgrade, found.expects) == (0, "h", None, False, False)


def test_lengths_and_encodings() -> None:
    assert parse_request(head(b"Content-Length: 42"))[3].length == 42
    assert parse_request(head(b"content-LENGTH: 0"))[3].length == 0
    for name in (b"chunked", b"Chunked", b"CHUNKED"):
        assert parse_request(head(b"Transfer-Encoding: " + name))[3].length == -1


@pytest.mark.parametrize(
    "start", [b"OPTIONS * HTTP/1.1", b"PURGE /a HTTP/1.0", b"GET http://h/a HTTP/1.1", b"M-SEARCH /?q=%00 HTTP/1.1", b"GET /\xfc HTTP/1.1"]
)
def test_what_the_path_says_is_not_judged_here(start: bytes) -> None:
    method, target, *_ = parse_request(head(start=start))
    assert b"%b %b" % (method.encode(), target) == start[:-9]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (head(b"Content-Length: 5", b"Content-Length: 5"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 5", b"Content-Length: 6"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 5, 5"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: +5"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: -5"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 0x5"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 5 5"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length:"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 5_0"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 99999999999999999999999"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 9223372036854775808"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 18446744073709551621"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 0000000000000000005"), AMBIGUOUS_LENGTH),
        (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked", b"Content-Length: 5"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked", b"Content-Length: 0"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: gzip"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: gzip, chunked"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked, chunked"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked, gzip"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: identity"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked;a=b"), AMBIGUOUS_LENGTH),
        (head(b'Transfer-Encoding: "chunked"'), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: xchunked"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding:"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding: chunked", start=b"GET / HTTP/1.0"), AMBIGUOUS_LENGTH),
        (head(b"Transfer-Encoding : chunked"), BAD_HEADER),
        (head(b"Content-Length : 5"), BAD_HEADER),
        (head(b" Content-Length: 5"), BAD_HEADER),
        (head(b"X-A: 1", b" folded"), BAD_HEADER),
        (head(b"X-A: 1", b"\tfolded"), BAD_HEADER),
        (head(b"X A: 1"), BAD_HEADER),
        (head(b"X-A"), BAD_HEADER),
        (head(b": 1"), BAD_HEADER),
        (head(b"X\x00A: 1"), BAD_HEADER),
        (head(b"X-A: 1\x00"), BAD_HEADER),
        (head(b"X-A: 1\x0b"), BAD_HEADER),
        (head(b"X-A: 1\x7f"), BAD_HEADER),
        (head(b"X-\xc3\xbc: 1"), BAD_HEADER),
        (head(b"X-A: 1\rX-B: 2"), BAD_HEADER),
        (head(b"X-A: 1\nX-B: 2"), BAD_HEADER),
        (head(b"X-A: 1\n\rX-B: 2"), BAD_HEADER),
        (head(b"X(A): 1"), BAD_HEADER),
        (head(b'"X": 1'), BAD_HEADER),
        (head(b"Host: h"), BAD_HOST),
        (head(b"hOST: other"), BAD_HOST),
        (head(start=b"GET  / HTTP/1.1"), MALFORMED_REQUEST),
        (head(start=b"GET /  HTTP/1.1"), MALFORMED_REQUEST),
        (head(start=b"GET /a b HTTP/1.1"), MALFORMED_REQUEST),
        (head(start=b"GET /"), MALFORMED_REQUEST),
        (head(start=b" GET / HTTP/1.1"), MALFORMED_REQUEST),
        (head(start=b"GET\t/ HTTP/1.1"), MALFORMED_REQUEST),
        (head(start=b"GET / HTTP/1.1 "), MALFORMED_REQUEST),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", MALFORMED_REQUEST),
        (b"GET / HTTP/1.1\nHost: h\n\n", BAD_HEADER),
        (b"GET / HTTP/1.1\r\nHost: h\n\r\n", BAD_HEADER),
        (b"GET / HTTP/1.1\nHost: h\r\n\r\n", BAD_HEADER),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\n", BAD_HEADER),
        (head(start=b"PRI * HTTP/2.0"), UNSUPPORTED_VERSION),
        (head(start=b"GET / HTTP/3.0"), UNSUPPORTED_VERSION),
        (head(start=b"CONNECT h:443 HTTP/1.1"), METHOD_NOT_SUPPORTED),
        (head(start=b"TRACE / HTTP/1.1"), METHOD_NOT_SUPPORTED),
    ],
)  # fmt: skip
def test_what_is_refused(data: bytes, kind: RefusalKind) -> None:
    assert refused(data) is kind
    assert refused(data + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n") is kind


@pytest.mark.parametrize("start", [b"G(T / HTTP/1.1", b"GET / http/1.1", b"GET /\x00 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET * HTTP/1.1"])
def test_request_lines_that_are_refused_by_whatever_name(start: bytes) -> None:
    assert refused(head(start=start)).closes


def test_a_missing_host_is_the_front_doors_to_judge() -> None:
    for version in (b"1.0", b"1.1"):
        assert parse_request(head(start=b"GET / HTTP/" + version, host=None))[3].host is None


def test_limits() -> None:
    target = b"/" + b"a" * (16 * 1024 - 1)
    assert parse_request(head(start=b"GET %b HTTP/1.1" % target))[1] == target
    assert refused(head(start=b"GET %ba HTTP/1.1" % target)) is TARGET_TOO_LONG
    assert refused(b"GET /" + b"a" * 17_000) is TARGET_TOO_LONG, "also while it is still coming"
    assert refused(b"GET /" + b"a" * 70_000) is TARGET_TOO_LONG
    assert len(parse_request(head(*(b"X-%d: 1" % number for number in range(199))))[3].headers) == 200
    assert refused(head(*(b"X-%d: 1" % number for number in range(200)))) is HEAD_TOO_LARGE
    room = 64 * 1024 - len(head(b"X: "))
    assert parse_request(head(b"X: " + b"a" * room))[4] == 64 * 1024
    assert refused(head(b"X: " + b"a" * (room + 1))) is HEAD_TOO_LARGE
    assert refused(head(b"X: " + b"a" * 70_000)[:66_000]) is HEAD_TOO_LARGE


NAMES = st.text(st.sampled_from("abcXYZ019-_!#$%&'*+.^`|~"), min_size=1, max_size=8).map(lambda name: b"X" + name.encode())
VALUES = st.binary(max_size=20).map(lambda value: bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F).strip(b" "))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=10), st.binary(max_size=20))
def test_what_is_sound_is_read_as_it_is(headers: list[tuple[bytes, bytes]], following: bytes) -> None:
    written = head(*(b"%b: %b" % pair for pair in headers))
    _, _, _, found, size = parse_request(written + following)
    assert found.headers == [(b"Host", b"h"), *headers]
    assert found.fields == {b"host": b"h", **{name.lower(): value for name, value in headers}}
    assert size == len(written)


@given(st.data())
def test_a_part_of_a_head_is_no_head(data: st.DataObject) -> None:
    whole = head(b"Content-Length: 5", b"X-A: b")
    for end in (data.draw(st.integers(0, len(whole) - 1)), len(whole) - 1):
        with pytest.raises(Incomplete):
            parse_request(whole[:end])


PIECES = st.sampled_from(
    [b"GET", b" ", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host: h", b"Content-Length: 5", b"Transfer-Encoding: chunked",
     b":", b"\t", b"\x00", b"X", b"a", b"\xff", b"Host:", b"\r\n\r\n", b"Connection: close, x"]
)  # fmt: skip


@given(
    st.lists(PIECES, max_size=14).map(b"".join)
    | st.lists(PIECES, max_size=8).map(lambda lines: b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(lines) + b"\r\n\r\n")
)
def test_nothing_passes_that_is_not_one_reading(data: bytes) -> None:
    """What is taken has CR LF line ends only, at most one Host, one way to find the end of its body."""
    try:
        _, _, _, found, size = parse_request(data)
    except (BadRequest, Incomplete):
        return
    taken = data[:size]
    assert taken.endswith(b"\r\n\r\n")
    assert taken.removeprefix(b"\r\n").count(b"\n") == taken.removeprefix(b"\r\n").count(b"\r") == len(found.headers) + 2
    assert [name.lower() for name, _ in found.headers].count(b"host") <= 1
    assert not (b"content-length" in found.fields and b"transfer-encoding" in found.fields)
    assert b"\x00" not in taken


def answer(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *lines]) + b"\r\n\r\n"


def test_an_answer() -> None:
    data = answer(b"Server: x", b"X-A:  1 ", b"Content-Length: 5", b"Set-Cookie: a", b"Set-Cookie: b")
    found = parse_response(data + b"hello")
    assert (found.status, found.reason, found.length, found.chunked, found.close, found.consumed) == (
        200,
        b"OK",
        5,
        False,
        False,
        len(data),
    )
    assert found.lines == [b"Server: x", b"X-A:  1 ", b"Content-Length: 5", b"Set-Cookie: a", b"Set-Cookie: b"]


@pytest.mark.parametrize(
    ("start", "status", "reason", "close"),
    [
        (b"HTTP/1.1 200 ", 200, b"", False),
        (b"HTTP/1.1 404", 404, b"", False),
        (b"HTTP/1.1 599 Very Odd \xfc", 599, b"Very Odd \xfc", False),
        (b"HTTP/1.0 200 OK", 200, b"OK", True),
        (b"HTTP/1.1 100 Continue", 100, b"Continue", False),
    ],
)
def test_status_lines(start: bytes, status: int, reason: bytes, close: bool) -> None:
    found = parse_response(answer(start=start))
    assert (found.status, found.reason, found.close) == (status, reason, close)


@pytest.mark.parametrize(
    ("lines", "kept", "close", "chunked"),
    [
        ([b"Connection: close"], [], True, False),
        ([b"connection: Keep-Alive"], [], False, False),
        ([b"Connection: X-A, close, x-b", b"X-A: 1", b"X-B: 2", b"X-C: 3"], [b"X-C: 3"], True, False),
        ([b"X-A: 1", b"Connection: x-a"], [], False, False),
        ([b"Keep-Alive: timeout=5", b"TE: trailers", b"Proxy-Connection: x", b"Proxy-Authenticate: Basic"], [], False, False),
        ([b"Transfer-Encoding: Chunked"], [], False, True),
        ([b"X-Request-Id: theirs", b"X-A: 1"], [b"X-A: 1"], False, False),
        ([b"Content-Length: 5", b"Content-Length: 5"], [b"Content-Length: 5"], False, False),
    ],
)
def test_fields_of_one_connection_stay_behind(lines: list[bytes], kept: list[bytes], close: bool, chunked: bool) -> None:
    found = parse_response(answer(*lines))
    assert (found.lines, found.close, found.chunked) == (kept, close, chunked)


def test_an_old_server_that_keeps_its_connection() -> None:
    assert parse_response(answer(b"Connection: keep-alive", start=b"HTTP/1.0 200 OK")).close is False


def test_a_switch_of_protocols() -> None:
    found = parse_response(answer(b"Connection: upgrade", b"Upgrade: websocket", b"Via: 1.1 a", b"via: 1.1 b", start=b"HTTP/1.1 101 Go"))
    assert (found.status, found.upgrade, found.via, found.lines) == (101, b"websocket", b"1.1 a, 1.1 b, ", [])


@pytest.mark.parametrize(
    "data",
    [
        answer(b"Content-Length: 5", b"Content-Length: 6"),
        answer(b"Content-Length: 5, 5"),
        answer(b"Content-Length: -1"),
        answer(b"Content-Length:"),
        answer(b"Content-Length: 0x5"),
        answer(b"Content-Length: 1234567890123456789"),
        answer(b"Content-Length: \xc2\xb2"),
        answer(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        answer(b"Transfer-Encoding: gzip, chunked"),
        answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        answer(b"Transfer-Encoding:"),
        answer(b"X-A: 1", b" folded"),
        answer(b"X-A : 1"),
        answer(b"X-A"),
        answer(b": 1"),
        answer(b"X-A: 1\x00"),
        answer(b"X-A: 1\n\nX"),
        answer(b"X-A: 1\nX-B: 2"),
        answer(b"X-A: 1\rX-B: 2"),
        answer(b"X-\xfc: 1"),
        answer(start=b"HTTP/2 200 OK"),
        answer(start=b"HTTP/1.2 200 OK"),
        answer(start=b"HTTP/1.1 20 OK"),
        answer(start=b"HTTP/1.1 2000 OK"),
        answer(start=b"HTTP/1.1 099 OK"),
        answer(start=b"HTTP/1.1 abc"),
        answer(start=b"HTTP/1.1  200 OK"),
        answer(start=b"http/1.1 200 OK"),
        b"HTTP/1.1 200 OK\nX: 1\n\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>",
        b"\x15\x03\x01",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 20_000,
    ],
)
def test_answers_that_are_not_valid_http(data: bytes) -> None:
    with pytest.raises(BadAnswer) as bad:
        parse_response(data)
    assert str(bad.value)


@given(st.integers(0, 60))
def test_a_part_of_an_answer_is_no_answer(end: int) -> None:
    whole = answer(b"Content-Length: 5", b"X-A: b")
    if end < len(whole):
        with pytest.raises(Incomplete):
            parse_response(whole[:end])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=10))
def test_lines_go_on_as_they_were_written(headers: list[tuple[bytes, bytes]]) -> None:
    lines = [b"%b:%b" % pair for pair in headers]
    assert parse_response(answer(*lines)).lines == lines


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reading_of_answers(data: bytes) -> None:
    for sent in (data, b"HTTP/1.1 200 " + data + b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"):
        try:
            found = parse_response(sent)
        except (BadAnswer, Incomplete):
            continue
        assert 100 <= found.status <= 999
        assert b"\n" not in b"".join(found.lines)


def test_names_are_remembered_without_end() -> None:
    for number in range(3000):
        assert parse_response(answer(b"X-%d: 1" % number)).lines == [b"X-%d: 1" % number]


def test_what_a_connection_field_names() -> None:
    assert named_fields(b"close, X-A ,upgrade,, keep-alive,x-B") == {b"x-a", b"x-b"}


def test_fields_that_come_again_are_taken_again() -> None:
    *_, first, _ = parse_request(head(b"X-A: 1"))
    method, target, minor, again, size = parse_request(head(b"X-A: 1", start=b"PUT /b?c HTTP/1.0") + b"body", first)
    assert again is first
    assert (method, target, minor, size) == ("PUT", b"/b?c", 0, len(head(b"X-A: 1", start=b"PUT /b?c HTTP/1.0")))
    assert parse_request(head(b"X-A: 1", start=b"PUT /b?c HTTP/1.0"), first)[:3] == ("PUT", b"/b?c", 0)


@pytest.mark.parametrize("other", [[b"X-A: 2"], [b"x-A: 1"], [b"X-A: 1", b"X-B: 2"], [b"X-A:1"], []])
def test_other_fields_are_read_anew(other: list[bytes]) -> None:
    *_, first, _ = parse_request(head(b"X-A: 1"))
    *_, found, size = parse_request(head(*other), first)
    assert found is not first
    assert found.headers == [(b"Host", b"h"), *((name, value.strip()) for name, _, value in (line.partition(b":") for line in other))]
    assert size == len(head(*other))


def test_what_came_with_the_same_fields_is_judged_by_its_own_line() -> None:
    """A chunked body is fine in HTTP/1.1 and an attack in HTTP/1.0, and every line is read with the same care."""
    *_, first, _ = parse_request(head(b"Transfer-Encoding: chunked"))
    for start, kind in (
        (b"GET /a HTTP/1.0", AMBIGUOUS_LENGTH),
        (b"GET  /a HTTP/1.1", MALFORMED_REQUEST),
        (b"GET /a HTTP/2.0", UNSUPPORTED_VERSION),
        (b"TRACE /a HTTP/1.1", METHOD_NOT_SUPPORTED),
        (b"GET /a\x00 HTTP/1.1", MALFORMED_REQUEST),
    ):
        with pytest.raises(BadRequest) as error:
            parse_request(head(b"Transfer-Encoding: chunked", start=start), first)
        assert of_head(error.value).kind is kind
    assert parse_request(head(b"Transfer-Encoding: chunked"), first)[1] == b"/a"


def test_what_is_remembered_of_a_section_is_bounded() -> None:
    *_, found, _ = parse_request(head())
    *_, found, _ = parse_request(head(), found)
    for number in range(1000):
        found.remember(number, number)
    assert len(found.memo) <= 64
    assert found.memo[999] == 999


def test_a_head_that_comes_again_is_taken_again() -> None:
    first = parse_response(answer(b"Content-Length: 2", b"Connection: keep-alive") + b"ab")
    assert parse_response(answer(b"Content-Length: 2", b"Connection: keep-alive") + b"cd", first) is first
    for other in (
        answer(b"Content-Length: 3", b"Connection: keep-alive"),
        answer(b"Content-Length: 2", b"Connection: close"),
        answer(b"Content-Length: 2", b"Connection: keep-alive", b"X: 1"),
        answer(b"Content-Length: 2", b"Connection: keep-alive", start=b"HTTP/1.1 201 OK"),
    ):
        assert parse_response(other, first) == parse_response(other)
        assert parse_response(other, first) is not first


@pytest.mark.parametrize("method", [b"get", b"Get", b"gET", b"post", b"trace", b"connect", b"x", b"m-SEARCH", b"GETs"])
def test_methods_in_lower_case_are_refused(method: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        parse_request(head(start=method + b" /a HTTP/1.1"))
    assert of_head(error.value).kind is MALFORMED_REQUEST
    assert "upper case" in str(of_head(error.value).detail)


@pytest.mark.parametrize("method", [b"PROPFIND", b"M-SEARCH", b"X", b"VERSION2", b"A_B", b"!#$%&'*+.^`|~0"])
def test_other_methods_pass(method: bytes) -> None:
    assert parse_request(head(start=method + b" /a HTTP/1.1"))[0] == method.decode()


@pytest.mark.parametrize("status", [100, 101, 103, 199, 204])
@pytest.mark.parametrize("lines", [[b"Content-Length: 0"], [b"content-length:5", b"X-A: 1"], [b"Content-Length: 0", b"Content-Length: 0"]])
def test_an_answer_that_cannot_have_content_has_no_length(status: int, lines: list[bytes]) -> None:
    """RFC 9110, 8.6."""
    data = b"\r\n".join([b"HTTP/1.1 %d Said" % status, b"Date: now", *lines]) + b"\r\n\r\n"
    first = parse_response(data)
    for found in (first, parse_response(data, first)):
        assert b"content-length" not in found.fields.lower()
        assert found.fields.startswith(b"Date: now\r\n")
        assert found.length >= 0, "the gateway itself has to know that something strange may follow"


@pytest.mark.parametrize("status", [200, 205, 304])
def test_other_answers_keep_their_length(status: int) -> None:
    found = parse_response(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status)
    assert found.fields == b"Content-Length: 0\r\n"

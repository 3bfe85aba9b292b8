"""What is refused before it reaches an upstream: ambiguous framing, malformed heads, sizes. The connection ends with the refusal."""

from __future__ import annotations

import pytest

from tests.support.gateway import Gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until

# What a smuggled second request would look like to an upstream.
SMUGGLED = b"GET /odd/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST /odd/attack HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def _post(*fields: bytes) -> bytes:
    return b"POST /odd/attack HTTP/1.1\r\nHost: h\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def _get(*fields: bytes, line: bytes = b"GET /odd/attack HTTP/1.1") -> bytes:
    return line + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


HEADS = {
    "length and chunked": _post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked and length": _post(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n",
    "two lengths": _post(b"Content-Length: 5", b"Content-Length: 6") + b"abcdef",
    "two equal lengths": _post(b"Content-Length: 5", b"Content-Length: 5") + b"abcde",
    "list of lengths": _post(b"Content-Length: 5, 5") + b"abcde",
    "length with a sign": _post(b"Content-Length: +5") + b"abcde",
    "negative length": _post(b"Content-Length: -5") + b"abcde",
    "hexadecimal length": _post(b"Content-Length: 0x5") + b"abcde",
    "empty length": _post(b"Content-Length: "),
    "length with a space": _post(b"Content-Length: 5 5"),
    "length beyond 64 bits": _post(b"Content-Length: 18446744073709551621") + b"abcde",
    "length with an underscore": _post(b"Content-Length: 1_0") + b"abcde",
    "unknown coding": _post(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "chunked not last": _post(b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "chunked twice": _post(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "two codings": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + b"0\r\n\r\n",
    "coding twice": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "empty coding": _post(b"Transfer-Encoding: ") + b"0\r\n\r\n",
    "coding after a vertical tab": _post(b"Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
    "quoted coding": _post(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "coding with a space before the colon": _post(b"Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "coding on HTTP/1.0": b"POST /odd/attack HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"GET /odd/attack HTTP/1.1\nHost: h\n\n",
    "bare LF after the request line": b"GET /odd/attack HTTP/1.1\nHost: h\r\n\r\n",
    "bare LF between fields": b"GET /odd/attack HTTP/1.1\r\nHost: h\r\nA: 1\nTransfer-Encoding: chunked\r\n\r\n",
    "bare LF at the end": b"GET /odd/attack HTTP/1.1\r\nHost: h\r\n\n",
    "folded field": _get(b"Host: h", b"A: 1", b" folded"),
    "folded with a tab": _get(b"Host: h", b"A: 1", b"\tfolded"),
    "folded first field": _get(b" Host: h"),
    "space before the colon": _get(b"Host : h"),
    "space in a name": _get(b"Host: h", b"A B: 1"),
    "empty name": _get(b"Host: h", b": 1"),
    "no colon": _get(b"Host: h", b"nonsense"),
    "brackets in a name": _get(b"Host: h", b"A(b): 1"),
    "bytes beyond ASCII in a name": _get(b"Host: h", b"\xc3\xa4: 1"),
    "NUL in a name": _get(b"Host: h", b"A\x00b: 1"),
    "NUL in a value": _get(b"Host: h", b"A: a\x00b"),
    "bare CR in a value": _get(b"Host: h", b"A: a\rB: b"),
    "control byte in a value": _get(b"Host: h", b"A: a\x01b"),
    "DEL in a value": _get(b"Host: h", b"A: a\x7fb"),
    "no Host": _get(b"A: 1"),
    "empty Host": _get(b"Host: "),
    "two Hosts": _get(b"Host: h", b"Host: g"),
    "two equal Hosts": _get(b"Host: h", b"host: h"),
    "Host with a path": _get(b"Host: h/odd"),
    "Host with a user": _get(b"Host: u@h"),
    "Host with a list": _get(b"Host: h, g"),
    "other authority": _get(b"Host: h", line=b"GET http://g/odd/attack HTTP/1.1"),
    "other port": _get(b"Host: h", line=b"GET http://h:81/odd/attack HTTP/1.1"),
    "space in the target": _get(b"Host: h", line=b"GET /odd/attack x HTTP/1.1"),
    "two spaces": _get(b"Host: h", line=b"GET  /odd/attack HTTP/1.1"),
    "tab in the request line": _get(b"Host: h", line=b"GET\t/odd/attack HTTP/1.1"),
    "control byte in the target": _get(b"Host: h", line=b"GET /odd/attack\x01 HTTP/1.1"),
    "NUL in the target": _get(b"Host: h", line=b"GET /odd/attack%00 HTTP/1.1"),
    "target above the root": _get(b"Host: h", line=b"GET /odd/../../attack HTTP/1.1"),
    "fragment": _get(b"Host: h", line=b"GET /odd/attack#x HTTP/1.1"),
    "brackets in the method": _get(b"Host: h", line=b"G(T /odd/attack HTTP/1.1"),
    "HTTP/0.9": b"GET /odd/attack\r\n\r\n",
    "lower-case protocol": _get(b"Host: h", line=b"GET /odd/attack http/1.1"),
    "no method": _get(b"Host: h", line=b" /odd/attack HTTP/1.1"),
    "TLS on the plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(60)) + b"\r\n\r\n",
}

BODIES = {
    "size with a LF only": b"3\nabc\n0\n\n",
    "size with a space before it": b" 3\r\nabc\r\n0\r\n\r\n",
    "size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with an underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "empty size": b"\r\nabc\r\n0\r\n\r\n",
    "negative size": b"-1\r\nabc\r\n0\r\n\r\n",
    "size beyond 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": b"3;a=\rb\r\nabc\r\n0\r\n\r\n",
    "bare LF in an extension": b"3;a=\nb\r\nabc\r\n0\r\n\r\n",
    "data longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "data without CR LF": b"3\r\nabc0\r\n\r\n",
    "data ended by LF": b"3\r\nabc\n0\r\n\r\n",
    "folded trailer": b"3\r\nabc\r\n0\r\nA: 1\r\n b\r\n\r\n",
    "trailer without colon": b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n",
    "trailer with a LF only": b"3\r\nabc\r\n0\r\nA: 1\n\r\n",
    "endless extension": b"3;" + b"a" * 10_000 + b"\r\nabc\r\n0\r\n\r\n",
    "too many trailers": b"0\r\n" + b"A: 1\r\n" * 500 + b"\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_malformed_heads(name: str, client: RawClient, odd_upstream: OddUpstream) -> None:
    before = len(odd_upstream.seen)
    client.send(HEADS[name] + SMUGGLED)
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (400, "close")
    assert answer.json()["code"]
    assert client.closed()
    assert len(odd_upstream.seen) == before


@pytest.mark.parametrize("name", BODIES)
def test_malformed_chunks(name: str, client: RawClient, odd_upstream: OddUpstream) -> None:
    """The upstream may have seen the request's head; it never sees a whole request, and nothing that follows."""
    whole: list[bytes] = []
    odd_upstream.on("/attack", lambda asked: whole.append(asked.body()))
    client.send(CHUNKED + BODIES[name] + SMUGGLED)
    answer = client.answer()
    assert (answer.status, answer.field("connection"), answer.json()["code"]) == (400, "close", "malformed-request")
    assert client.closed()
    assert not whole
    assert not odd_upstream.count("/smuggled")
    assert not odd_upstream.count("/odd/smuggled")


def test_a_bad_chunk_late_in_the_body(client: RawClient, odd_upstream: OddUpstream) -> None:
    ended: list[str] = []

    def body(asked: object) -> None:
        try:
            asked.body()  # type: ignore[attr-defined]
            ended.append("whole")
        except OSError:
            ended.append("broken")

    odd_upstream.on("/late", body)
    client.send(b"POST /odd/late HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    wait_until(lambda: odd_upstream.count("/late"), what="the upstream's request")
    client.send(b"zz\r\nabc\r\n0\r\n\r\n" + SMUGGLED)
    assert client.answer().status == 400
    assert client.closed()
    wait_until(lambda: ended, what="the end of the upstream's request")
    assert ended == ["broken"]


def test_the_attack_is_in_the_log(wire_gateway: Gateway, client: RawClient) -> None:
    client.send(HEADS["length and chunked"])
    assert client.answer().status == 400
    wire_gateway.logged(status=400, refused="ambiguous-length", client="127.0.0.1")


@pytest.mark.parametrize(
    ("name", "head", "status", "code"),
    [
        ("head above 64 KB", _get(b"Host: h", *[b"A%d: %b" % (n, b"a" * 8000) for n in range(9)]), 431, "head-too-large"),
        ("one field above 64 KB", _get(b"Host: h", b"A: " + b"a" * 70_000), 431, "head-too-large"),
        ("201 fields", _get(b"Host: h", *[b"A: 1"] * 200), 431, "head-too-large"),
        ("target above 16 KB", _get(b"Host: h", line=b"GET /odd/" + b"a" * 16_384 + b" HTTP/1.1"), 414, "target-too-long"),
        ("endless target", b"GET /odd/" + b"a" * 80_000, 414, "target-too-long"),
        ("endless method", b"G" * 80_000, 414, "target-too-long"),
        ("query above 16 KB", _get(b"Host: h", line=b"GET /odd/?" + b"a" * 16_384 + b" HTTP/1.1"), 414, "target-too-long"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported-http-version"),
        ("CONNECT", b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 501, "method-not-supported"),
        ("unknown expectation", _post(b"Expect: the-unexpected", b"Content-Length: 1"), 417, "expectation-failed"),
        ("body above the definition's limit", b"POST /small/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413, "body-too-large"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_limits(name: str, head: bytes, status: int, code: str, client: RawClient, odd_upstream: OddUpstream) -> None:
    before = len(odd_upstream.seen)
    client.send(head)
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert len(odd_upstream.seen) == before


def test_just_inside_the_limits(client: RawClient) -> None:
    assert client.get("/odd/" + "a" * 16_300).status == 200
    assert client.get("/odd/x", *[b"A: 1"] * 198).status == 200
    assert client.get("/odd/x", *[b"A%d: %b" % (n, b"a" * 8000) for n in range(8)]).status == 200


def test_a_chunked_body_above_the_limit(client: RawClient, odd_upstream: OddUpstream) -> None:
    whole: list[bytes] = []
    odd_upstream.on("/grown", lambda asked: whole.append(asked.body()))
    client.send(b"POST /middling/grown HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nc800\r\n" + b"a" * 51200 + b"\r\n")
    wait_until(lambda: odd_upstream.count("/grown"), what="the upstream's request")
    client.send(b"c800\r\n" + b"a" * 51200 + b"\r\n0\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (413, "body-too-large")
    assert client.closed()
    assert not whole


def test_a_small_chunked_body_above_the_limit_never_reaches_the_upstream(client: RawClient, odd_upstream: OddUpstream) -> None:
    client.send(b"POST /small/outgrown HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n" + b"a" * 512 + b"\r\n")
    client.send(b"200\r\n" + b"a" * 512 + b"\r\n0\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (413, "body-too-large")
    assert client.closed()
    assert not odd_upstream.count("/outgrown")


def test_a_refused_body_does_not_become_the_next_request(client: RawClient, odd_upstream: OddUpstream) -> None:
    """A refusal of the chain comes before the body is read: the body's bytes must not be taken for a request."""
    client.send(request("/keyed/x", method="POST", body=SMUGGLED) + request("/odd/after"))
    assert client.answer().status == 401
    assert client.answer().json()["target"] == "/after"
    assert not odd_upstream.count("/smuggled")


def test_a_large_refused_body_ends_the_connection_after_the_answer(client: RawClient) -> None:
    body = b"x" * 4_000_000
    client.send(b"POST /keyed/x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body), body)
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (401, "close")
    assert client.closed()


def test_a_head_in_single_bytes(client: RawClient) -> None:
    for byte in request("/odd/slow", b"X-Slow: yes"):
        client.send(bytes([byte]))
    assert client.answer().json()["target"] == "/slow"


def test_an_empty_line_before_a_request_is_let_pass(client: RawClient) -> None:
    client.send(b"\r\n" + request("/odd/x") + b"\r\n" + request("/odd/x", method="POST", body=b"a") + b"\r\n" + request("/odd/x"))
    assert [client.answer().status for _ in range(3)] == [200, 200, 200]


def test_a_client_that_closes_in_the_middle_of_a_head_harms_nobody(wire_gateway: Gateway, client: RawClient) -> None:
    with RawClient(wire_gateway.port) as other:
        other.send(b"GET /odd/x HTTP/1.1\r\nHo")
    assert client.get("/odd/x").status == 200


@pytest.mark.parametrize("method", ["get", "Get", "pOST", "propfind"])
def test_methods_in_lower_case(method: str, client: RawClient) -> None:
    client.send(request("/odd/lower", method=method))
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (400, "malformed-request")
    assert "upper case" in answer.json()["detail"]
    assert client.closed()


@pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "PURGE", "A_B.C"])
def test_methods_that_are_not_common_pass(method: str, client: RawClient) -> None:
    assert client.get("/odd/other", method=method).json()["method"] == method

"""Answers on their way from upstream to client: interim ones, framing, connections that end early."""

from __future__ import annotations

import threading

import pytest

from tests.support.gateway import Gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until


def _goes_on(client: RawClient) -> None:
    assert client.get("/odd/next").json()["target"] == "/next"


def test_interim_answers_are_passed_on(client: RawClient, odd_upstream: OddUpstream) -> None:
    def early_hints(request: Request) -> None:
        request.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        request.answer(b"hi")

    odd_upstream.on("/hints", early_hints)
    client.send(request("/odd/hints"))
    first, second, last = client.answer(), client.answer(), client.answer()
    assert (first.status, first.field("link")) == (103, "</a>")
    assert second.status == 102
    assert (last.status, last.body) == (200, b"hi")
    _goes_on(client)


def test_a_client_of_http_1_0_gets_no_interim_answer(client: RawClient, odd_upstream: OddUpstream) -> None:
    def early_hints(request: Request) -> None:
        request.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        request.answer(b"hi")

    odd_upstream.on("/hints-1.0", early_hints)
    client.send(b"GET /odd/hints-1.0 HTTP/1.0\r\nHost: h\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.body) == (200, b"hi")
    assert client.closed()


def test_head_keeps_the_length(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/file", lambda asked: asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"))
    answer = client.get("/odd/file", method="HEAD")
    assert (answer.status, answer.field("content-length")) == (200, "1234")
    _goes_on(client)


def test_304_keeps_its_length_and_has_no_body(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/same", lambda asked: asked.send(b'HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: "x"\r\n\r\n'))
    answer = client.get("/odd/same")
    assert (answer.status, answer.field("content-length"), answer.field("etag")) == (304, "50", '"x"')
    _goes_on(client)


def test_head_of_a_chunked_answer(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/chunked-file", lambda asked: asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    assert client.get("/odd/chunked-file", method="HEAD").status == 200
    _goes_on(client)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_body_where_none_may_be_reaches_nobody(status: bytes, client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/bodiless", lambda asked: asked.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\nevil"))
    assert client.get("/odd/bodiless").status == int(status[:3])
    _goes_on(client)
    _goes_on(client)


def test_a_client_of_http_1_0_may_keep_its_connection(client: RawClient) -> None:
    for _ in range(2):
        client.send(b"GET /odd/x HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.field("connection")) == (200, "keep-alive")
    client.send(b"GET /odd/x HTTP/1.0\r\n\r\n")  # neither Host nor keep-alive is needed
    assert client.answer().status == 200
    assert client.closed()


def test_a_client_that_asks_for_the_end_gets_it(client: RawClient) -> None:
    client.send(request("/odd/x", b"Connection: close") + request("/odd/never-read"))
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (200, "close")
    assert client.closed()


def test_pipelined_requests_are_answered_in_order(client: RawClient) -> None:
    client.send(b"".join(request(f"/odd/p{number}") for number in range(20)))
    assert [client.answer().json()["target"] for _ in range(20)] == [f"/p{number}" for number in range(20)]


def test_a_request_pipelined_behind_an_upload(client: RawClient) -> None:
    client.send(request("/odd/first", method="POST", body=b"x" * 1000) + request("/odd/second"))
    assert client.answer().json()["length"] == 1000
    assert client.answer().json()["target"] == "/second"


def test_a_body_that_ends_too_early_looks_broken_to_the_client(client: RawClient, odd_upstream: OddUpstream) -> None:
    def cut(request: Request) -> bool:
        request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        return False

    odd_upstream.on("/cut", cut)
    answer = client.get("/odd/cut")
    assert (answer.status, answer.body, answer.whole) == (200, b"short", False)


def test_a_chunked_body_that_ends_too_early_looks_broken(client: RawClient, odd_upstream: OddUpstream) -> None:
    def cut(request: Request) -> bool:
        request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
        return False

    odd_upstream.on("/cut-chunks", cut)
    answer = client.get("/odd/cut-chunks")
    assert (answer.status, answer.body, answer.whole) == (200, b"short", False)


def test_a_broken_chunk_looks_broken(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/bad-chunk", lambda asked: asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\nno\r\n"))
    answer = client.get("/odd/bad-chunk")
    assert not answer.whole
    assert b"no" not in answer.body


def test_an_answer_that_ends_with_its_connection_is_framed(client: RawClient, odd_upstream: OddUpstream) -> None:
    def until_close(request: Request) -> bool:
        request.send(b"HTTP/1.1 200 OK\r\n\r\nto ", b"the end")
        return False

    odd_upstream.on("/eof", until_close)
    answer = client.get("/odd/eof")
    assert (answer.status, answer.body, answer.whole) == (200, b"to the end", True)
    assert answer.field("transfer-encoding") == "chunked"
    _goes_on(client)


def test_an_answer_that_ends_with_its_connection_for_http_1_0(client: RawClient, odd_upstream: OddUpstream) -> None:
    def until_close(request: Request) -> bool:
        request.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        return False

    odd_upstream.on("/eof-1.0", until_close)
    client.send(b"GET /odd/eof-1.0 HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert (answer.body, answer.field("transfer-encoding")) == (b"to the end", None)


def test_chunks_are_framed_anew_and_trailers_pass(client: RawClient, odd_upstream: OddUpstream) -> None:
    def chunks(request: Request) -> None:
        request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        request.send(b"4;ext=1\r\nabc0\r\n", b"00000004\r\nabc1\r\n", b"4\r\nab", b"c2\r\n0\r\nX-Sum: 7\r\nContent-Length: 99\r\n\r\n")

    odd_upstream.on("/chunks", chunks)
    answer = client.get("/odd/chunks")
    assert (answer.body, answer.whole) == (b"abc0abc1abc2", True)
    assert answer.trailers == [b"X-Sum: 7"]
    assert answer.field("trailer") == "X-Sum"
    _goes_on(client)


def test_repeated_fields_stay_apart(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/cookies", lambda asked: asked.answer(b"", b"Set-Cookie: a=1, x", b"Set-Cookie: b=2"))
    answer = client.get("/odd/cookies")
    assert [value for name, value in answer.fields if name == "set-cookie"] == ["a=1, x", "b=2"]


def test_hop_by_hop_fields_of_an_answer_end_here(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/hops", lambda asked: asked.answer(b"", b"Connection: X-Own", b"X-Own: 1", b"Keep-Alive: timeout=5", b"X-Kept: 1"))
    answer = client.get("/odd/hops")
    assert (answer.field("x-own"), answer.field("keep-alive"), answer.field("x-kept")) == (None, None, "1")
    assert "gatehouse" in (answer.field("via") or "")
    _goes_on(client)


def test_connection_cannot_name_the_length_of_an_answer(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/named", lambda asked: asked.answer(b"body", b"Connection: Content-Length, X-Own", b"X-Own: 1"))
    answer = client.get("/odd/named")
    assert (answer.body, answer.field("content-length"), answer.field("x-own")) == (b"body", "4", None)
    _goes_on(client)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"",
    ],
    ids=["no-http", "status", "two-lengths", "length-and-chunks", "folded", "bare-lf", "nul", "huge-head", "unasked-switch", "nothing"],
)
def test_broken_answers_are_502(raw: bytes, client: RawClient, odd_upstream: OddUpstream) -> None:
    def broken(request: Request) -> bool:
        request.send(raw)
        return False

    odd_upstream.on("/broken", broken)
    answer = client.get("/odd/broken")
    assert (answer.status, answer.json()["code"]) == (502, "upstream-broken")
    assert answer.json()["error"] == "There was a problem proxying the request"
    _goes_on(client)


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_stale_upstream_connection_costs_what_can_be_repeated_nothing(method: str, client: RawClient, odd_upstream: OddUpstream) -> None:
    """The upstream closes kept-alive connections exactly when the next request arrives."""
    used: dict[int, int] = {}

    def second_is_dropped(request: Request) -> bool | None:
        used[request.connection] = used.get(request.connection, 0) + 1
        if used[request.connection] > 1:
            return False
        request.answer(b"ok")
        return None

    odd_upstream.on(f"/stale-{method}", second_is_dropped)
    for _ in range(5):
        assert client.get(f"/odd/stale-{method}", method=method).body == b"ok"
    assert len(odd_upstream.requests(f"/stale-{method}")) > 5  # some came twice


def test_a_post_is_never_sent_twice(client: RawClient, odd_upstream: OddUpstream) -> None:
    def dropped(request: Request) -> bool:
        request.body()
        return False

    odd_upstream.on("/order", dropped)
    for body in (None, b"", b"one book"):
        _goes_on(client)  # leaves a kept-alive connection
        before = odd_upstream.count("/order")
        client.send(request("/odd/order", method="POST", body=body))
        answer = client.answer()
        assert (answer.status, answer.json()["code"]) == (502, "upstream-broken")
        assert odd_upstream.count("/order") == before + 1


def test_a_get_on_a_new_connection_is_not_sent_twice(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/never", lambda _: False)
    with RawClient(wire_gateway.port) as client:
        answer = client.get("/odd/never")
        assert (answer.status, answer.json()["code"]) == (502, "upstream-broken")
    assert odd_upstream.count("/never") <= 2


def test_an_idle_upstream_connection_that_closes_is_forgotten(client: RawClient, odd_upstream: OddUpstream) -> None:
    def once(request: Request) -> bool:
        request.answer(b"ok")
        return False

    odd_upstream.on("/once", once)
    for _ in range(3):
        assert client.get("/odd/once").body == b"ok"
    _goes_on(client)


def test_bytes_after_an_answer_are_given_to_nobody(client: RawClient, odd_upstream: OddUpstream) -> None:
    first, second = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    odd_upstream.on("/extra", lambda asked: asked.send(first + second))
    for _ in range(3):
        assert client.get("/odd/extra").body == b"ok"
        _goes_on(client)


def test_30_kb_heads_pass_both_ways(client: RawClient, odd_upstream: OddUpstream) -> None:
    def big(request: Request) -> None:
        request.answer(b"ok", b"X-Big: " + b"b" * 30_000, b"X-Got: %d" % len(request.field("x-big") or ""))

    odd_upstream.on("/big-heads", big)
    answer = client.get("/odd/big-heads", b"X-Big: " + b"q" * 30_000)
    assert (answer.field("x-big"), answer.field("x-got"), answer.body) == ("b" * 30_000, "30000", b"ok")


def test_a_client_that_leaves_ends_the_upstream_call(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    ended: list[bytes] = []

    def hang(request: Request) -> bool:
        ended.append(request.more())
        return False

    odd_upstream.on("/hang", hang)
    client = RawClient(wire_gateway.port)
    client.send(request("/odd/hang"))
    wait_until(lambda: odd_upstream.count("/hang"), what="the upstream's request")
    client.close()
    wait_until(lambda: ended, 30, "the end of the upstream call")
    assert ended == [b""]
    wire_gateway.logged(path="/odd/hang", status=499)


@pytest.mark.parametrize("path", ["/odd", "/small"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_client_that_leaves_after_its_body_ends_the_upstream_call(
    wire_gateway: Gateway, odd_upstream: OddUpstream, path: str, chunked: bool
) -> None:
    """Its body came while nobody waited for it, behind a request that was still being answered."""
    name = f"/hang{path}-{chunked}"
    may_answer = threading.Event()
    ended: list[bytes] = []

    def hold(request: Request) -> None:
        may_answer.wait(30)
        request.answer(b"held")

    def hang(request: Request) -> bool:
        request.body()
        ended.append(request.more())
        return False

    odd_upstream.on(f"/held{name}", hold)
    odd_upstream.on(name, hang)
    body = b"1\r\na\r\n" * 500 + b"0\r\n\r\n" if chunked else b"a" * 500
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 500"
    client = RawClient(wire_gateway.port)
    client.send(request(f"/odd/held{name}"))
    wait_until(lambda: odd_upstream.count(f"/held{name}"), what="the first request at the upstream")
    client.send(f"POST {path}{name} HTTP/1.1\r\nHost: h\r\n".encode() + framing + b"\r\n\r\n" + body)
    with RawClient(wire_gateway.port) as other:  # afterwards the gateway has seen what was sent before
        assert other.get("/odd/x").status == 200
    may_answer.set()
    assert client.answer().body == b"held"
    wait_until(lambda: odd_upstream.count(name), what="the second request at the upstream")
    client.close()
    wait_until(lambda: ended, 10, "the end of the upstream call")
    assert ended == [b""]
    wire_gateway.logged(path=f"{path}{name}", status=499)


def test_a_client_that_leaves_during_an_answer_ends_the_upstream_call(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    ended: list[str] = []

    def endless(request: Request) -> bool:
        request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                request.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        except OSError as error:
            ended.append(type(error).__name__)
        return False

    odd_upstream.on("/endless", endless)
    client = RawClient(wire_gateway.port)
    client.send(request("/odd/endless"))
    assert client.exactly(500_000)
    client.reset()
    wait_until(lambda: ended, 30, "the end of the upstream call")


@pytest.mark.parametrize("status", [b"204 No Content", b"204 "])
def test_204_has_no_length(status: bytes, client: RawClient, odd_upstream: OddUpstream) -> None:
    """RFC 9110, 8.6; the same answer twice, because the second is taken from the first."""
    odd_upstream.on("/nothing", lambda asked: asked.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nX-Kept: 1\r\n\r\n" % status))
    for method in ("GET", "GET", "DELETE", "HEAD"):
        answer = client.get("/odd/nothing", method=method)
        assert (answer.status, answer.field("content-length"), answer.field("x-kept")) == (204, None, "1")
    _goes_on(client)


def test_interim_answers_have_no_length(client: RawClient, odd_upstream: OddUpstream) -> None:
    def early_hints(request: Request) -> None:
        request.send(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\nLink: </a>\r\n\r\n")
        request.answer(b"hi")

    odd_upstream.on("/hints-with-length", early_hints)
    client.send(request("/odd/hints-with-length"))
    interim, last = client.answer(), client.answer()
    assert interim.fields == [("link", "</a>")]
    assert last.body == b"hi"
    _goes_on(client)

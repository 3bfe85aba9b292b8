"""Requests on their way from client to upstream: heads, uploads, `Expect`, who asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import OPERATOR_KEY, Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until


def _fields(told: dict[str, Any], name: str) -> list[str]:
    return [value for sent, value in told["fields"] if sent.lower() == name]


# Heads.


def test_names_order_and_repeats_are_kept(client: RawClient) -> None:
    told = client.get("/odd/x", b"X-API-key: 1", b"Cookie: a=1", b"x-two: 1", b"X-Two: 2", b"X-Empty:").json()
    sent = [(name, value) for name, value in told["fields"] if name.lower() in ("x-api-key", "cookie", "x-two", "x-empty")]
    assert sent == [("X-API-key", "1"), ("Cookie", "a=1"), ("x-two", "1"), ("X-Two", "2"), ("X-Empty", "")]


@pytest.mark.parametrize("target", ["/a%2Fb/c?x=%20y&&z", "/a/?", "/~user/%E2%82%AC", "/a;b=c/d,e:f@g", "/?q=/../x"])
def test_the_target_arrives_as_sent(target: str, client: RawClient) -> None:
    assert client.get("/odd" + target).json()["target"].rstrip("?") == target.rstrip("?")


def test_the_absolute_form_of_the_same_authority(client: RawClient) -> None:
    client.send(b"GET http://Gateway.test/odd/abs?x=1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    assert client.answer().json()["target"] == "/abs?x=1"


def test_heads_that_come_in_pieces_do_not_meet(client: RawClient, wire_gateway: Gateway) -> None:
    """Many wait for the rest of a head at once; some go on in another order, some cannot be read, some end."""
    clients = [RawClient(wire_gateway.port) for _ in range(12)]
    try:
        for number, one in enumerate(clients):
            one.send(f"GET /odd/{number} HTTP/1.1\r\nHost: h\r\n".encode())
        assert client.get("/odd/x").status == 200  # the pieces have arrived
        for one in clients[2::3]:
            one.close()
        for number, one in reversed(list(enumerate(clients))):
            if number % 3 == 0:
                one.send(b"X-One: 1\r\n\r\n")
                assert one.answer().json()["target"] == f"/{number}"
            elif number % 3 == 1:
                one.send(b"no field\r\n\r\n")
                assert one.answer().status == 400
        assert clients[0].get("/odd/again").json()["target"] == "/again"
    finally:
        for one in clients:
            one.close()


def test_a_head_that_comes_often_and_of_which_nothing_goes_on(client: RawClient) -> None:
    for number in range(80):  # from the 64th on it may be read in another way
        client.send(f"GET /odd/{number} HTTP/1.1\r\nHost: h\r\nX-Request-Id: {number}\r\n\r\n".encode())
        assert client.answer().json()["target"] == f"/{number}"


def test_hop_by_hop_fields_end_here(client: RawClient) -> None:
    told = client.get(
        "/odd/x",
        *(b"Connection: keep-alive, X-Mine, Authorization", b"X-Mine: 1", b"Keep-Alive: 5", b"TE: trailers"),
        *(b"Proxy-Authorization: Basic eA==", b"Proxy-Connection: keep-alive", b"Upgrade: h2c", b"X-Kept: 1"),
    ).json()
    names = {name.lower() for name, _ in told["fields"]}
    assert names.isdisjoint({"connection", "x-mine", "keep-alive", "te", "proxy-authorization", "proxy-connection", "upgrade"})
    assert "x-kept" in names


@pytest.mark.parametrize("named", [b"Content-Length", b"content-length, Transfer-Encoding", b"Host", b"X-Forwarded-For", b"Via"])
def test_connection_cannot_name_what_frames_or_routes(named: bytes, client: RawClient, odd_upstream: OddUpstream) -> None:
    """A length that was dropped would leave the body behind as the next request."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    client.send(request("/odd/naming", b"Connection: keep-alive, " + named, method="POST", body=body) + request("/odd/next"))
    told = client.answer().json()
    assert told["length"] == len(body)
    assert {name.lower() for name, _ in told["fields"]} >= {"host", "content-length", "x-forwarded-for", "via"}
    assert client.answer().json()["target"] == "/next"
    assert not odd_upstream.count("/smuggled")


def test_who_asked_is_told(wire_gateway: Gateway, client: RawClient, odd_upstream: OddUpstream) -> None:
    told = client.get("/odd/x").json()
    assert _fields(told, "host") == [f"127.0.0.1:{odd_upstream.port}"]
    assert _fields(told, "x-forwarded-for") == ["127.0.0.1"]
    assert _fields(told, "x-forwarded-proto") == ["http"]
    assert _fields(told, "x-forwarded-host") == ["gateway.test"]
    assert _fields(told, "x-forwarded-prefix") == ["/odd"]
    assert _fields(told, "forwarded") == ['for=127.0.0.1;host="gateway.test";proto=http']
    assert _fields(told, "via") == ["1.1 gatehouse"]
    assert len(_fields(told, "x-request-id")) == 1


CLAIMS = (
    b"X-Forwarded-For: 203.0.113.7",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil.test",
    b"X-Forwarded-Prefix: /evil",
    b"Forwarded: for=203.0.113.7",
    b"Via: 1.0 before",
    b"X-Request-Id: chosen-by-the-client",
)


def test_claims_of_a_stranger_are_not_believed(client: RawClient) -> None:
    told = client.get("/odd/x", *CLAIMS).json()
    assert _fields(told, "x-forwarded-for") == ["203.0.113.7, 127.0.0.1"]
    assert _fields(told, "x-forwarded-proto") == ["http"]
    assert _fields(told, "x-forwarded-host") == ["gateway.test"]
    assert _fields(told, "x-forwarded-prefix") == ["/odd"]
    assert _fields(told, "forwarded") == ['for=127.0.0.1;host="gateway.test";proto=http']
    assert _fields(told, "via") == ["1.0 before, 1.1 gatehouse"]
    assert _fields(told, "x-request-id") != ["chosen-by-the-client"]


@pytest.fixture(scope="module")
def trusting_gateway(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    definitions = [
        definition("odd", f"{odd_upstream.url}/"),
        definition("walled", f"{odd_upstream.url}/", enable_ip_whitelisting=True, allowed_ips=["203.0.113.7"]),
    ]
    env = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}
    with gateway(tmp_path_factory.mktemp("trusting"), definitions, env) as running:
        yield running


def test_claims_of_a_trusted_proxy_are_passed_on(trusting_gateway: Gateway) -> None:
    with RawClient(trusting_gateway.port) as client:
        answer = client.get("/odd/x", *CLAIMS)
    told = answer.json()
    assert _fields(told, "x-forwarded-for") == ["203.0.113.7, 127.0.0.1"]
    assert _fields(told, "x-forwarded-proto") == ["https"]
    assert _fields(told, "x-forwarded-host") == ["evil.test"]
    assert _fields(told, "x-forwarded-prefix") == ["/evil/odd"]
    assert _fields(told, "forwarded") == ['for=203.0.113.7, for=127.0.0.1;host="gateway.test";proto=http']
    assert _fields(told, "x-request-id") == ["chosen-by-the-client"]
    assert answer.field("x-request-id") == "chosen-by-the-client"
    trusting_gateway.logged(request_id="chosen-by-the-client", client="203.0.113.7")


@pytest.mark.parametrize(
    ("chain", "status"),
    [
        (b"203.0.113.7", 200),
        (b"203.0.113.7, 10.1.2.3", 200),
        (b"203.0.113.7, 198.51.100.1", 403),  # the last stranger is the client; what he says of others counts for nothing
        (b"198.51.100.1, 203.0.113.7, 10.0.0.1, 127.0.0.9", 200),
        (b"10.0.0.1", 403),
        (b"nonsense", 403),
    ],
)
def test_the_client_is_the_last_stranger(chain: bytes, status: int, trusting_gateway: Gateway) -> None:
    with RawClient(trusting_gateway.port) as client:
        assert client.get("/walled/x", b"X-Forwarded-For: " + chain).status == status


def test_a_log_line_has_no_query_and_no_key(wire_gateway: Gateway, client: RawClient) -> None:
    answer = client.get("/keyed/private?authorization=secret-in-the-query&x=1", b"Authorization: secret-in-the-head")
    assert answer.status == 403
    request_id = answer.field("x-request-id")
    line = wire_gateway.logged(request_id=request_id, method="GET", path="/keyed/private", status=403, client="127.0.0.1", api="keyed")
    assert line["bytes"] > 0
    assert line["ms"] >= 0
    text = wire_gateway.access_log.read_text()
    assert "secret-in" not in text
    assert "secret-in" not in wire_gateway.process.text()


# Uploads.


def test_an_upload_in_pieces(client: RawClient) -> None:
    client.send(b"PUT /odd/up HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", *[b"z" * 1000] * 100)
    assert client.answer().json()["length"] == 100_000


def test_a_chunked_upload_is_framed_anew_with_its_trailers(client: RawClient, odd_upstream: OddUpstream) -> None:
    got: list[tuple[bytes, list[bytes]]] = []

    def keep(asked: Request) -> None:
        body = asked.body()
        got.append((body, asked.trailers))
        asked.answer(b"ok")

    odd_upstream.on("/chunked-upload", keep)
    client.send(b"POST /odd/chunked-upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n")
    client.send(b"5", b";ext=1\r", b"\nab", b"cde\r\n00000A\r\n0123456789\r\n0\r\n", b"X-Sum: 7\r\nAuthorization: none\r\n", b"\r\n")
    assert client.answer().body == b"ok"
    assert got == [(b"abcde0123456789", [b"X-Sum: 7"])]
    asked = odd_upstream.requests("/chunked-upload")[0]
    assert (asked.field("transfer-encoding"), asked.field("content-length"), asked.field("trailer")) == ("chunked", None, "X-Sum")
    assert client.get("/odd/next").status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_a_body_passes_with_any_method(method: str, client: RawClient) -> None:
    client.send(request("/odd/any", method=method, body=b"12345"))
    told = client.answer().json()
    assert (told["method"], told["length"]) == (method, 5)


def test_100_continue_comes_from_the_upstream(client: RawClient, odd_upstream: OddUpstream) -> None:
    def knows(asked: Request) -> None:
        assert asked.field("expect") == "100-continue"
        asked.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        asked.answer(b"got %d" % len(asked.body()))

    odd_upstream.on("/expects", knows)
    client.send(b"PUT /odd/expects HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.answer().status == 100
    client.send(b"12345")
    assert client.answer().body == b"got 5"


def test_100_continue_for_an_upstream_that_does_not_know_it(client: RawClient) -> None:
    client.send(b"PUT /odd/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.answer().status == 100
    client.send(b"12345")
    assert client.answer().json()["length"] == 5


def test_a_refused_upload_that_waited_for_100_is_never_sent(client: RawClient) -> None:
    client.send(b"PUT /keyed/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (401, "close")
    assert client.closed()


def test_an_early_answer_reaches_a_client_that_still_uploads(client: RawClient, odd_upstream: OddUpstream) -> None:
    def early(asked: Request) -> bool:
        asked.answer(b"big", b"Connection: close", status=b"413 Too Large")
        return False

    odd_upstream.on("/early", early)
    client.send(b"PUT /odd/early HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n", b"z" * 1000)
    answer = client.answer()
    assert (answer.status, answer.body, answer.field("connection")) == (413, b"big", "close")


def test_an_early_answer_is_not_lost_when_the_upstream_resets(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    """The upstream closes with unread bytes of the upload, which resets its connection; the client sends all before it reads."""

    def early(asked: Request) -> bool:
        asked.more()
        asked.answer(b"big", b"Connection: close", status=b"413 Too Large")
        return False

    odd_upstream.on("/early-reset", early)
    for _ in range(20):
        with RawClient(wire_gateway.port) as client:
            client.send(b"PUT /odd/early-reset HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n", *[b"z" * 100_000] * 80)
            answer = client.answer()
            assert (answer.status, answer.body) == (413, b"big")


def test_a_client_that_leaves_during_its_upload(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    ended: list[str] = []

    def read(asked: Request) -> bool:
        try:
            asked.body()
            ended.append("whole")
        except OSError:
            ended.append("broken")
        return False

    odd_upstream.on("/left", read)
    with RawClient(wire_gateway.port) as client:
        client.send(b"PUT /odd/left HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", b"z" * 10)
        wait_until(lambda: odd_upstream.count("/left"), what="the upstream's request")
    wait_until(lambda: ended, 30, "the end of the upstream call")
    assert ended == ["broken"]


def test_a_client_of_http_1_0_is_never_told_to_continue(client: RawClient, odd_upstream: OddUpstream) -> None:
    """Neither by the upstream nor by the gateway, and its `Expect` means nothing to either (RFC 9110, 10.1.1)."""

    def told_to_continue(asked: Request) -> None:
        asked.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        asked.answer(asked.body() + (b" expected" if asked.field("expect") else b""))

    odd_upstream.on("/old-upload", told_to_continue)
    head = b"POST /odd/old-upload HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 4\r\nExpect: %b\r\n\r\n"
    for expectation in (b"100-continue", b"something-else"):
        client.send(head % expectation, b"body")
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"body")


def test_a_slow_client_of_http_1_0_is_not_told_to_continue_by_the_gateway(client: RawClient, wire_gateway: Gateway) -> None:
    """The upstream does not know `Expect`; the gateway speaks in its place when a client waits. Who came later is told first."""
    head = b"POST /odd/slow HTTP/1.%d\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    client.send(head % 0)
    with RawClient(wire_gateway.port) as other:
        assert other.get("/hello").status == 200
        other.send(head % 1)
        assert other.answer().status == 100
    client.send(b"body")
    answer = client.answer()
    assert (answer.status, answer.json()["length"]) == (200, 4)


@pytest.fixture(scope="module")
def batch_gateway(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(
        tmp_path_factory.mktemp("batched"), [definition("batched", f"{odd_upstream.url}/", enable_batch_request_support=True)]
    ) as running:
        yield running


@pytest.mark.parametrize("minor", [0, 1])
def test_where_the_gateway_itself_takes_a_body(minor: int, batch_gateway: Gateway) -> None:
    """Only a client of HTTP/1.1 is told to continue, by batches and by the operator's port."""
    body = b'{"requests": []}'
    for port, path, fields in (
        (batch_gateway.port, b"/batched/tyk/batch/", b""),
        (batch_gateway.operator_port, b"/tyk/keys/create", b"x-tyk-authorization: %b\r\n" % OPERATOR_KEY.encode()),
    ):
        with RawClient(port) as client, RawClient(batch_gateway.port) as other:
            lines = b"Host: h\r\nContent-Length: %d\r\nExpect: 100-continue\r\n%b\r\n" % (len(body), fields)
            client.send(b"POST %b HTTP/1.%d\r\n%b" % (path, minor, lines))
            if minor:
                assert client.answer().status == 100
            else:  # when the worker answers somebody who came later, it has said to this client what it would
                assert other.get("/hello").status == 200
            client.send(body)
            assert client.answer().status in (200, 400)


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (b"/a?x=gr\xc3\xbcn", "/a?x=gr%C3%BCn"),
        (b"/a?\xff\xfe=%ff", "/a?%FF%FE=%ff"),
        (b"/gr\xfcn?x=\xe2\x82\xac&y", "/gr%FCn?x=%E2%82%AC&y"),
        (b"/a?\"<>\\^`{|}[]'%zz", "/a?\"<>\\^`{|}[]'%zz"),
    ],
)
def test_bytes_beyond_ascii_in_a_query_are_escaped_and_nothing_else(sent: bytes, arrives: str, client: RawClient) -> None:
    for _ in range(2):  # the second time it is remembered
        client.send(b"GET /odd%b HTTP/1.1\r\nHost: h\r\n\r\n" % sent)
        assert client.answer().json()["target"] == arrives


@pytest.mark.timeout(60)
def test_a_trailer_of_spaces_is_no_work(client: RawClient) -> None:
    """It was read for minutes, while nobody else was served."""
    client.send(b"POST /odd/spaces HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX:" + b" " * 4000 + b"\x01\r\n\r\n")
    assert client.answer().status == 400

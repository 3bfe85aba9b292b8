"""What one client may have of the gateway: others are served meanwhile, whatever it sends and however slowly."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import OPERATOR_KEY, Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

OTHER = "127.0.0.2"


class Held:
    """Requests that an upstream keeps until `go`."""

    def __init__(self, upstream: OddUpstream, path: str) -> None:
        self._upstream, self._path = upstream, path
        self._may_answer = threading.Event()
        upstream.on(path, self._hold)

    def _hold(self, asked: Request) -> None:
        asked.body()
        self._may_answer.wait(60)
        asked.answer(b"held")

    def wait_for(self, number: int) -> None:
        wait_until(lambda: self._upstream.count(self._path) == number, 30, f"{number} requests at the upstream")

    def go(self) -> None:
        self._may_answer.set()


# Pipelining.


@pytest.mark.parametrize("target", ["/hello", "/nobody/listens", "/keyed/x"])
def test_requests_without_end_on_one_connection_leave_others_their_turn(wire_gateway: Gateway, target: str) -> None:
    """Order, not time: an answer to somebody else comes before most of those that were asked for earlier."""
    total = 40_000
    got = threading.Semaphore(0)
    answered = 0

    def read(greedy: RawClient) -> None:
        nonlocal answered
        tail = b""
        with contextlib.suppress(OSError):
            while data := greedy.socket.recv(1024 * 1024):
                answered += (tail + data).count(b"HTTP/1.1 ")
                tail = data[-8:]
                got.release()

    def write(greedy: RawClient) -> None:
        with contextlib.suppress(OSError):
            greedy.send(request(target) * total)

    with RawClient(wire_gateway.port) as greedy, RawClient(wire_gateway.port) as ordinary:
        assert ordinary.get("/hello").status == 200
        reader = threading.Thread(target=read, args=(greedy,))
        reader.start()
        writer = threading.Thread(target=write, args=(greedy,))
        writer.start()
        assert got.acquire(timeout=60)
        places = []
        for _ in range(5):
            assert ordinary.get("/odd/x").status == 200
            places.append(answered)
        greedy.socket.shutdown(socket.SHUT_RDWR)
        writer.join()
        reader.join()
        assert places[-1] < total / 2, places


def test_who_pipelines_and_reads_nothing_is_not_read_either(wire_gateway: Gateway) -> None:
    """The memory of the worker does not hold what it has not answered."""
    before = wire_gateway.memory()
    with RawClient(wire_gateway.port, timeout=1, receive_buffer=4096) as greedy:
        with contextlib.suppress(TimeoutError):
            greedy.send(*[request("/hello") * 1000] * 1000)
        with RawClient(wire_gateway.port) as ordinary:
            assert ordinary.get("/odd/x").status == 200
        assert wire_gateway.memory() - before < 16 * 1024 * 1024
        greedy.reset()


# Slow bodies.


def test_a_small_body_is_here_before_its_upstream_hears_of_it(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    with RawClient(wire_gateway.port) as slow, RawClient(wire_gateway.port) as ordinary:
        slow.send(b"POST /odd/slow HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", b"ab")
        assert ordinary.get("/odd/x").status == 200
        assert odd_upstream.count("/slow") == 0
        slow.send(b"cde")
        assert slow.answer().json()["length"] == 5
        assert slow.get("/odd/x").status == 200


def test_a_small_body_that_comes_with_the_next_request(wire_gateway: Gateway) -> None:
    with RawClient(wire_gateway.port) as client:
        client.send(b"POST /odd/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + request("/odd/next"))
        assert client.answer().json()["length"] == 3
        assert client.answer().json()["target"] == "/next"


@pytest.mark.parametrize("sent", ["at once", "byte by byte"])
def test_chunks_are_a_small_body_where_the_definition_allows_no_large_one(
    wire_gateway: Gateway, odd_upstream: OddUpstream, sent: str
) -> None:
    path = f"/chunks-{sent.replace(' ', '-')}"
    body = b"3\r\nabc\r\n2\r\nde\r\n0\r\nDigest: 1\r\n\r\n"
    with RawClient(wire_gateway.port) as slow, RawClient(wire_gateway.port) as ordinary:
        slow.send(f"POST /small{path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        slow.send(*([body[:-1]] if sent == "at once" else [body[place : place + 1] for place in range(len(body) - 1)]))
        assert ordinary.get("/odd/x").status == 200
        assert odd_upstream.count(path) == 0
        slow.send(body[-1:], request("/odd/next"))
        answer = slow.answer().json()
        assert (answer["length"], odd_upstream.requests(path)[0].trailers) == (5, [b"Digest: 1"])
        assert slow.answer().json()["target"] == "/next"
        slow.send(f"POST /small{path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"3e9\r\n" + b"a" * 1001)
        assert slow.answer().json()["code"] == "body-too-large"


@pytest.mark.parametrize(
    ("framing", "body"), [(b"Content-Length: 5", b"abcde"), (b"Transfer-Encoding: chunked", b"5\r\nabcde\r\n0\r\n\r\n")]
)
def test_who_waits_for_leave_to_send_a_small_body_holds_nothing_either(
    wire_gateway: Gateway, odd_upstream: OddUpstream, framing: bytes, body: bytes
) -> None:
    path = "/leave-" + framing.partition(b":")[0].decode().lower()
    with RawClient(wire_gateway.port) as slow, RawClient(wire_gateway.port) as ordinary:
        slow.send(b"POST /small%b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n%b\r\n\r\n" % (path.encode(), framing))
        assert slow.answer().status == 100
        assert ordinary.get("/odd/x").status == 200
        assert odd_upstream.count(path) == 0
        slow.send(body)
        answer = slow.answer()
        assert (answer.status, answer.json()["length"]) == (200, 5)
        assert odd_upstream.requests(path)[0].field("expect") is None


@pytest.mark.parametrize(
    "head", [b"Content-Length: 1000", b"Content-Length: 1000000", b"Transfer-Encoding: chunked"], ids=["small", "large", "chunked"]
)
@pytest.mark.parametrize(
    "limits",
    [{"GATEWAY_BODY_TIMEOUT": "1", "GATEWAY_BODY_LEAST_RATE": "0"}, {"GATEWAY_BODY_LEAST_RATE": "1000000"}],
    ids=["whole time", "least rate"],
)
def test_a_body_that_comes_byte_by_byte_ends_in_time(
    odd_upstream: OddUpstream, tmp_path: Path, head: bytes, limits: dict[str, str]
) -> None:
    odd_upstream.on("/drip", lambda asked: asked.body() and False)
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], limits) as running, RawClient(running.port) as slow:
        slow.send(b"POST /odd/drip HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % head)
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.05):
                    slow.send(b"1\r\na\r\n" if b"chunked" in head else b"a")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            answer = slow.answer()
        finally:
            over.set()
            dripping.join()
        assert (answer.status, answer.json()["code"]) == (408, "request-timeout")


def test_one_address_has_so_many_uploads_at_a_time(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    held = Held(odd_upstream, "/upload")
    upload = b"PUT /odd/upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    limits = {"GATEWAY_MAX_UPLOADS_PER_ADDRESS": "2"}
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], limits) as running, contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(RawClient(running.port)) for _ in range(3))
        other = stack.enter_context(RawClient(running.port, source=OTHER))
        first.send(upload)
        second.send(upload)
        held.wait_for(2)
        third.send(upload)
        answer = third.answer()
        assert (answer.status, answer.json()["code"]) == (429, "too-many-from-address")
        other.send(upload)
        held.wait_for(3)
        with RawClient(running.port) as small:
            small.send(request("/odd/x", method="POST", body=b"small"))
            assert small.answer().status == 200
        held.go()
        assert [client.answer().body for client in (first, second, other)] == [b"held"] * 3
        first.send(upload)
        assert first.answer().status == 200


# Connections.


def test_one_address_has_so_many_connections(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    limits = {"GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "3"}
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], limits) as running, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(running.port)) for _ in range(3)]
        assert {client.get("/odd/x").status for client in clients} == {200}
        with RawClient(running.port) as one_more:
            assert one_more.answer().status == 503
        with RawClient(running.port, source=OTHER) as other:
            assert other.get("/odd/x").status == 200
        clients[0].close()

        def free() -> bool:
            with RawClient(running.port) as client, contextlib.suppress(OSError):
                client.send(request("/odd/x"))
                return client.answer().status == 200
            return False

        wait_until(free, 30, "a free place")


def test_idle_connections_of_the_greediest_make_room(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    limits = {"GATEWAY_MAX_CONNECTIONS": "40"}
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], limits) as running, contextlib.ExitStack() as stack:
        mine = [stack.enter_context(RawClient(running.port)) for _ in range(3)]
        assert {client.get("/odd/x").status for client in mine} == {200}
        greedy = [stack.enter_context(RawClient(running.port, source=OTHER)) for _ in range(37)]

        def served() -> bool:
            with RawClient(running.port) as newcomer, contextlib.suppress(OSError):
                newcomer.send(request("/odd/x"))
                return newcomer.answer().status == 200
            return False

        # 40 are the most; whoever comes finds a place, because some of the 37 go.
        for _ in range(10):
            wait_until(served, 30, "a place for a newcomer")
        assert {client.get("/odd/x").status for client in mine} == {200}
        closed, _, _ = select.select([client.socket for client in greedy], [], [], 0)
        assert closed


def test_a_client_behind_a_trusted_proxy_has_so_many_requests_under_way(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    held = Held(odd_upstream, "/poll")
    limits = {"GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "2", "GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"}
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], limits) as running, contextlib.ExitStack() as stack:
        proxied = [stack.enter_context(RawClient(running.port)) for _ in range(4)]
        for client in proxied[:2]:
            client.send(request("/odd/poll", b"X-Forwarded-For: 192.0.2.1"))
        held.wait_for(2)
        answer = proxied[2].get("/odd/x", b"X-Forwarded-For: 192.0.2.1")
        assert (answer.status, answer.json()["code"]) == (429, "too-many-from-address")
        assert proxied[3].get("/odd/x", b"X-Forwarded-For: 192.0.2.2").status == 200
        held.go()
        assert [client.answer().body for client in proxied[:2]] == [b"held"] * 2
        assert proxied[3].get("/odd/x", b"X-Forwarded-For: 192.0.2.1").status == 200


# Memory.


@pytest.mark.parametrize("as_batch", [False, True])
def test_interim_answers_without_end_are_a_broken_answer(odd_upstream: OddUpstream, tmp_path: Path, as_batch: bool) -> None:
    sent = 0

    def without_end(asked: Request) -> bool:
        nonlocal sent
        with contextlib.suppress(OSError):
            while sent < 200_000:
                asked.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * 100)
                sent += 100
        return False

    odd_upstream.on("/hints", without_end)
    definitions = [definition("odd", f"{odd_upstream.url}/", enable_batch_request_support=True)]
    with gateway(tmp_path, definitions) as running, RawClient(running.port) as client:
        if as_batch:
            body = json.dumps({"requests": [{"relative_url": "hints"}]}).encode()
            client.send(request("/odd/tyk/batch/", method="POST", body=body))
            (entry,) = client.answer().json()
            assert (entry["code"], json.loads(entry["body"])["code"]) == (502, "upstream-broken")
        else:
            client.send(request("/odd/hints"))
            answers = [client.answer()]
            while answers[-1].status == 103:
                answers.append(client.answer())
            assert len(answers) == 21
            assert (answers[-1].status, answers[-1].json()["code"]) == (502, "upstream-broken")
    assert sent < 200_000


def test_twenty_interim_answers_are_not_too_many(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    def hints(asked: Request) -> None:
        asked.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * 20)
        asked.answer(b"at last")

    odd_upstream.on("/twenty-hints", hints)
    with RawClient(wire_gateway.port) as client:
        client.send(request("/odd/twenty-hints"))
        assert [client.answer().status for _ in range(20)] == [103] * 20
        assert client.answer().body == b"at last"


@pytest.mark.parametrize(
    ("path", "status"), [("/tyk/apis/", 403), ("/api/apis", 401), ("/api/keys", 401), ("/health", 405), ("/none", 404)]
)
@pytest.mark.parametrize("key", [b"", b"wrong"])
def test_the_operator_port_reads_no_body_of_a_stranger(wire_gateway: Gateway, path: str, status: int, key: bytes) -> None:
    """The answer comes although not a byte of the body was sent."""
    with RawClient(wire_gateway.operator_port) as client:
        client.send(
            b"POST %b HTTP/1.1\r\nHost: h\r\nX-Tyk-Authorization: %b\r\nAuthorization: %b\r\nContent-Length: 10000000\r\n\r\n"
            % (path.encode(), key, key)
        )
        answer = client.answer()
        assert (answer.status, answer.field("connection")) == (status, "close")


def test_the_operator_port_reads_what_the_operator_sends(wire_gateway: Gateway) -> None:
    with RawClient(wire_gateway.operator_port) as client:
        key = OPERATOR_KEY.encode()
        for path, field in (
            ("/tyk/apis/", b"X-Tyk-Authorization: "),
            ("/api/apis", b"Authorization: "),
            ("/api/apis", b"Authorization: Bearer "),
        ):
            client.send(request(path, field + key, b"Content-Type: application/json", method="POST", body=b"{nonsense"))
            answer = client.answer()
            assert (b"malformed-body" in answer.body, answer.field("connection")) == (True, None), (path, answer.body)


# Batches.


@pytest.fixture(scope="module")
def batching(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    shared: dict[str, Any] = {"enable_batch_request_support": True}
    definitions = [
        definition("open", f"{odd_upstream.url}/", **shared),
        definition("closed", f"{odd_upstream.url}/", enable_ip_whitelisting=True, allowed_ips=["192.0.2.1"], **shared),
        definition("locked", f"{odd_upstream.url}/", use_keyless=False, **shared),
    ]
    with gateway(tmp_path_factory.mktemp("batches"), definitions) as running:
        yield running


def key_of(running: Gateway, **members: Any) -> str:
    rights = {"locked": {"api_id": "locked", "api_name": "locked", "versions": ["Default"]}}
    session = {"rate": 0, "per": 0, "quota_max": -1, "access_rights": rights, **members}
    status, made = running.operator("POST", "/tyk/keys/create", session)
    assert status == 200, made
    return str(made["key"])


def envelope(*paths: str, key: str = "", padding: int = 0) -> bytes:
    headers = {"authorization": key} if key else {}
    return json.dumps({"requests": [{"relative_url": path, "headers": headers} for path in paths], "note": "x" * padding}).encode()


@pytest.mark.parametrize("head", [b"Content-Length: 10000000", b"Content-Length: 70000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize(("api", "status", "code"), [("closed", 403, "ip-refused"), ("locked", 401, "key-missing")])
def test_a_large_envelope_of_a_stranger_is_not_read(batching: Gateway, head: bytes, api: str, status: int, code: str) -> None:
    """The answer comes although not a byte of it was sent."""
    with RawClient(batching.port) as client:
        client.send(b"POST /%b/tyk/batch/ HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % (api.encode(), head))
        answer = client.answer()
        assert (answer.status, answer.json()["code"]) == (status, code)


def test_a_small_envelope_of_a_refused_address_is_not_read_either(batching: Gateway) -> None:
    with RawClient(batching.port) as client:
        client.send(b"POST /closed/tyk/batch/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
        assert client.answer().json()["code"] == "ip-refused"


def test_a_small_envelope_needs_no_key_but_its_entries_do(batching: Gateway) -> None:
    with RawClient(batching.port) as client:
        client.send(request("/locked/tyk/batch/", method="POST", body=envelope("a", key=key_of(batching))))
        assert [entry["code"] for entry in client.answer().json()] == [200]
        client.send(request("/locked/tyk/batch/", method="POST", body=envelope("a")))
        assert [entry["code"] for entry in client.answer().json()] == [401]


def test_a_large_envelope_is_charged_like_a_request(batching: Gateway) -> None:
    key = key_of(batching, quota_max=3, quota_renewal_rate=3600)
    large = request("/locked/tyk/batch/", b"Authorization: " + key.encode(), method="POST", body=envelope("a", key=key, padding=70_000))
    with RawClient(batching.port) as client:
        client.send(large)
        assert [entry["code"] for entry in client.answer().json()] == [200]
        client.send(large)  # the envelope is the third
        assert [entry["code"] for entry in client.answer().json()] == [403]
        client.send(large)
        answer = client.answer()
        assert (answer.status, answer.json()["code"]) == (403, "quota-exceeded")


def test_all_batches_of_a_worker_have_one_budget(batching: Gateway) -> None:
    """Envelopes that are not complete hold their bytes; one that finds no room is told so, and the room comes back."""
    size = 9_900_000
    head = b"POST /open/tyk/batch/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
    with contextlib.ExitStack() as stack:
        holding = [stack.enter_context(RawClient(batching.port)) for _ in range(3)]
        for client in holding:
            client.send(head, b" " * (size - 1))
        with RawClient(batching.port) as one_more:

            def refused() -> bool:
                one_more.send(head, b" " * (size - 1))
                return one_more.answer().json()["code"] == "batches-busy"

            assert refused()
        for client in holding:
            client.send(b" ")
            assert client.answer().json()["code"] == "batch-malformed"
        with RawClient(batching.port) as later:
            later.send(request("/open/tyk/batch/", method="POST", body=envelope("a", padding=size - 200)))
            assert [entry["code"] for entry in later.answer().json()] == [200]

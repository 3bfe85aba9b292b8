"""Time-outs and dead upstreams; streams, events and upgrades."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until

# Time-outs and dead upstreams.


def _logged(gateway: Gateway, path: str) -> dict[str, Any] | None:
    """The first line of the access log for a path."""
    lines = (json.loads(line) for line in gateway.access_log.read_text().splitlines())
    return next((line for line in lines if line.get("path") == path), None)


def _never(asked: Request) -> bool:
    asked.body()
    asked.more()
    return False


@pytest.mark.parametrize("body", [None, b"12345"], ids=["without-body", "with-body"])
def test_no_first_byte_in_time_is_504(body: bytes | None, client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/silent", _never)
    begun = time.monotonic()
    client.send(request("/hasty/silent", method="PUT", body=body))
    answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (504, "upstream-timeout")
    assert answer.json()["error"] == "There was a problem proxying the request"
    limit = "within 1 second, set by `proxy.timeouts.first_byte` in the API's definition."
    assert answer.json()["detail"] == f"The upstream did not begin its answer {limit}"
    assert time.monotonic() - begun > 0.9
    assert client.get("/odd/next").status == 200


def test_silence_in_the_middle_of_an_answer_looks_broken(wire_gateway: Gateway, client: RawClient, odd_upstream: OddUpstream) -> None:
    """The access log says which upstream it was and which limit."""

    def half(asked: Request) -> bool:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        return _never(asked)

    odd_upstream.on("/half", half)
    answer = client.get("/hasty/half")
    assert (answer.status, answer.body, answer.whole) == (200, b"half", False)
    line = wait_until(lambda: _logged(wire_gateway, "/hasty/half"), 20, "the line of the access log")
    upstream = odd_upstream.url.removeprefix("http://")
    assert (line["status"], line["refused"], line["upstream"], line["limit"]) == (504, "upstream-timeout", upstream, "idle")


def test_a_client_that_takes_nothing_is_not_an_upstream_that_fails(wire_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    """Its time is that between two pieces, too, because it is the upstream that waits."""
    odd_upstream.on("/too-much", lambda asked: asked.answer(b"x" * 32_000_000))
    with RawClient(wire_gateway.port, receive_buffer=4096) as client:
        client.send(request("/hasty/too-much"))
        line = wait_until(lambda: _logged(wire_gateway, "/hasty/too-much"), 30, "the line of the access log")
    assert line["status"] == 499
    assert "refused" not in line


def test_an_answer_that_keeps_coming_may_take_longer(client: RawClient, odd_upstream: OddUpstream) -> None:
    """The time between two pieces is limited, not the whole: the second piece goes out when the client has the first, four times."""
    go_on = threading.Semaphore(1)

    def slow(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            go_on.acquire(timeout=5)
            asked.send(b"x")

    odd_upstream.on("/slow", slow)
    client.send(request("/hasty/slow"))
    client.head()
    begun = time.monotonic()
    for step in range(8):
        assert client.exactly(1) == b"x"
        if step < 7:  # not a wait: the pieces are held back so that all together take longer than the time-out of 1 s, each far less
            threading.Timer(0.2, go_on.release).start()
    assert time.monotonic() - begun > 1.2


def test_a_connection_that_is_not_accepted_in_time_is_504(tmp_path: Path) -> None:
    """A listener whose queue is full lets further connections wait. The API's own time-out counts: who has the usual 5 s waits longer."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        target = f"http://127.0.0.1:{port}/"
        definitions = [definition("usual", target), definition("hasty", target, proxy={"timeouts": {"connect": 0.3}})]
        running = stack.enter_context(gateway(tmp_path, definitions))
        patient, client = (stack.enter_context(RawClient(running.port)) for _ in range(2))
        patient.send(request("/usual/x"))
        begun = time.monotonic()
        answer = client.get("/hasty/x")
        assert select.select([patient.socket], [], [], 0)[0] == []
        assert (answer.status, answer.json()["code"]) == (504, "upstream-timeout")
        limit = "within 0.3 seconds, set by `proxy.timeouts.connect` in the API's definition."
        assert answer.json()["detail"] == f"The upstream accepted no connection {limit}"
        assert time.monotonic() - begun > 0.25
        line = wait_until(lambda: _logged(running, "/hasty/x"), 20, "the line of the access log")
        assert (line["refused"], line["upstream"], line["limit"]) == ("upstream-timeout", f"127.0.0.1:{port}", "connect")


def test_a_hard_timeout_names_itself_and_an_entry_of_a_batch_hears_of_a_pause(
    client: RawClient, odd_upstream: OddUpstream, wire_gateway: Gateway
) -> None:
    definitions = {"use_extended_paths": True, "extended_paths": {"hard_timeouts": [{"path": "/late", "method": "GET", "timeout": 0.3}]}}
    odd_upstream.on("/late", _never)

    def half(asked: Request) -> bool:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        return _never(asked)

    odd_upstream.on("/pause", half)
    document = definition(
        "limits", f"{odd_upstream.url}/", version=definitions, proxy={"timeouts": {"idle": 0.3}}, enable_batch_request_support=True
    )
    status, said = wire_gateway.operator("POST", "/api/apis", {"api_definition": document})
    assert status == 200, said
    answer = client.get("/limits/late")
    limit = "within 0.3 seconds, set by `extended_paths.hard_timeouts` of the version `Default` in the API's definition."
    assert (answer.status, answer.json()["detail"]) == (504, f"The upstream did not begin its answer {limit}")
    batch = {"requests": [{"method": "GET", "relative_url": "pause", "headers": {}, "body": ""}]}
    client.send(request("/limits/tyk/batch/", method="POST", body=json.dumps(batch).encode()))
    entry = client.answer().json()[0]
    limit = "within 0.3 seconds, set by `proxy.timeouts.idle` in the API's definition."
    assert entry["code"] == 504
    assert json.loads(entry["body"])["detail"] == f"The upstream sent nothing more of its answer {limit}"


def test_a_dead_upstream_is_502(client: RawClient) -> None:
    for method, body in (("GET", None), ("POST", b"12345")):
        client.send(request("/dead/x", method=method, body=body))
        answer = client.answer()
        assert (answer.status, answer.json()["code"]) == (502, "upstream-unreachable")
        assert answer.json()["error"] == "There was a problem proxying the request"
        assert "127.0.0.1" not in answer.body.decode()
    assert client.get("/odd/next").status == 200


def test_a_client_that_stops_in_its_body_is_told(wire_gateway: Gateway, client: RawClient) -> None:
    """A half head times out by itself; here the connection ends in the middle, and the worker goes on."""
    client.send(b"POST /odd/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12")
    client.close()
    with RawClient(wire_gateway.port) as other:
        assert other.get("/odd/x").status == 200


# Streams and upgrades.


def test_server_sent_events_arrive_one_by_one(client: RawClient, odd_upstream: OddUpstream) -> None:
    """An event goes out only when the client has had the one before: buffering would end in silence."""
    go_on = threading.Semaphore(0)

    def events(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            event = b"data: %d\n\n" % number
            asked.send(b"%x\r\n%b\r\n" % (len(event), event))
            assert go_on.acquire(timeout=10)
        asked.send(b"0\r\n\r\n")

    odd_upstream.on("/events", events)
    client.send(request("/odd/events", b"Accept: text/event-stream"))
    assert client.head().field("content-type") == "text/event-stream"
    for number in range(5):
        assert client.until(b"\n\n").endswith(b"data: %d\n\n" % number)
        go_on.release()
    client.until(b"0\r\n\r\n")
    assert client.get("/odd/next").status == 200


def test_both_directions_flow_at_once(client: RawClient, odd_upstream: OddUpstream) -> None:
    """An upstream that answers each piece of a body as it comes."""

    def echo(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        asked.take_body(lambda piece: asked.send(b"%x\r\n%b\r\n" % (len(piece), piece)))
        asked.send(b"0\r\n\r\n")

    odd_upstream.on("/duplex", echo)
    client.send(b"POST /odd/duplex HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"3\r\none\r\n")
    assert client.head().status == 200
    assert client.until(b"one\r\n")
    client.send(b"3\r\ntwo\r\n")
    assert client.until(b"two\r\n")
    client.send(b"0\r\n\r\n")
    client.until(b"0\r\n\r\n")


def test_a_websocket_through_the_tunnel(wire_gateway: Gateway, client: RawClient, odd_upstream: OddUpstream) -> None:
    ended: list[bytes] = []

    def websocket(asked: Request) -> bool:
        assert (asked.field("upgrade"), (asked.field("connection") or "").lower()) == ("websocket", "upgrade")
        assert asked.field("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ=="
        asked.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x07welcome"
        )
        while data := asked.more():
            asked.send(b"echo:" + data)
        ended.append(b"closed")
        return False

    odd_upstream.on("/ws", websocket)
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    client.send(request("/odd/ws", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", key, b"Sec-WebSocket-Version: 13"))
    answer = client.head()
    assert (answer.status, answer.field("upgrade"), answer.field("connection")) == (101, "websocket", "Upgrade")
    assert answer.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert client.until(b"welcome") == b"\x81\x07welcome"
    for number in range(3):
        frame = b"\x81\x85\x00\x00\x00\x00ping%d" % number
        client.send(frame)
        assert client.exactly(len(frame) + 5) == b"echo:" + frame
    client.close()
    wait_until(lambda: ended, 30, "the end of the tunnel")
    wire_gateway.logged(path="/odd/ws", status=101)


def test_the_upstream_ends_a_tunnel(client: RawClient, odd_upstream: OddUpstream) -> None:
    def websocket(asked: Request) -> bool:
        asked.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        asked.more()
        asked.send(b"bye")
        return False

    odd_upstream.on("/ws-bye", websocket)
    client.send(request("/odd/ws-bye", b"Connection: Upgrade", b"Upgrade: websocket"))
    assert client.head().status == 101
    client.send(b"hello")
    assert client.rest() == b"bye"


def test_an_upgrade_that_is_refused_is_an_ordinary_answer(client: RawClient) -> None:
    assert client.get("/odd/no-ws", b"Connection: Upgrade", b"Upgrade: websocket").status == 200
    assert client.get("/odd/next").status == 200

"""Upstreams that fail: weights and least connections, retries only where they are safe, circuit breakers, uptime tests; WebSocket through
all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.waiting import free_port, wait_until

BREAKERS = {
    "use_extended_paths": True,
    "extended_paths": {
        "circuit_breakers": [
            {"path": path, "method": "GET", "threshold_percent": 1, "samples": 2, "return_to_service_after": 600, **more}
            for path, more in (
                ("^/fails", {"disable_half_open_state": True}),
                ("^/recovers", {}),
                ("^/gone", {}),
                ("^/ws", {}),
                ("^/hints", {}),
            )
        ]
    },
}


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[OddUpstream, OddUpstream]]:
    pair = OddUpstream(), OddUpstream()
    yield pair
    for one in pair:
        one.close()


@pytest.fixture(scope="module")
def faulty(upstreams: tuple[OddUpstream, OddUpstream], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    first, second = (f"{one.url}/" for one in upstreams)
    nowhere = f"http://127.0.0.1:{free_port()}/"

    log = {"handler_name": "eh_log_handler", "handler_meta": {"prefix": "heard"}}

    def balanced(*targets: str, **more: Any) -> dict[str, Any]:
        return {"enable_load_balancing": True, "target_list": targets, **more}

    definitions = [
        definition("weighted", "", proxy=balanced(first, first, second)),
        definition("least", "", proxy=balanced(first, second, balancing="least_connections")),
        definition("both", "", proxy=balanced(first, second), version=BREAKERS),
        definition("breaker", first, version=BREAKERS),
        definition("dead", nowhere, version=BREAKERS),
        definition("live", first.replace("http://", "ws://")),
        definition(
            "tested",
            "",
            proxy=balanced(first, second, check_host_against_uptime_tests=True),
            uptime_tests={"check_list": [f"{first}health", {"url": f"{second}health", "method": "HEAD", "timeout": 2}]},
            event_handlers={"events": {"HostDown": [log], "HostUp": [log]}},
        ),
    ]
    settings = {"GATEWAY_UPTIME_WAIT": "0.1", "GATEWAY_UPTIME_FAILURES": "2"}
    with gateway(tmp_path_factory.mktemp("faulty"), definitions, settings) as running:
        yield running


@pytest.fixture
def client(faulty: Gateway) -> Iterator[RawClient]:
    with RawClient(faulty.port) as one:
        yield one


def counts(upstreams: tuple[OddUpstream, OddUpstream], path: str) -> list[int]:
    return [one.count(path) for one in upstreams]


def test_a_target_that_is_listed_twice_gets_twice_as_many(faulty: Gateway, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    """Over several connections of clients, too."""
    for _ in range(3):
        with RawClient(faulty.port) as client:
            assert [client.get("/weighted/w").status for _ in range(2)] == [200, 200]
    assert counts(upstreams, "/w") == [4, 2]


def open_websocket(client: RawClient, target: str) -> None:
    client.send(request(target, b"Connection: Upgrade", b"Upgrade: websocket"))
    assert client.head().status == 101
    client.send(b"ping")
    assert client.exactly(4) == b"ping"


def websocket(asked: Request) -> bool:
    """Answer an upgrade, and send back whatever comes."""
    asked.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while data := asked.more():
        asked.send(data)
    return False


def test_a_target_of_websockets_is_served(faulty: Gateway, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    """Other requests reach it as well."""
    upstreams[0].on("/live-ws", websocket)
    with RawClient(faulty.port) as tunnel, RawClient(faulty.port) as client:
        open_websocket(tunnel, "/live/live-ws")
        assert client.get("/live/plain").status == 200


def test_the_target_with_fewer_websockets_gets_the_requests(faulty: Gateway, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    for one in upstreams:
        one.on("/ws", websocket)
    with RawClient(faulty.port) as tunnel, RawClient(faulty.port) as client:
        open_websocket(tunnel, "/least/ws")
        assert [client.get("/least/other").status for _ in range(4)] == [200] * 4
        busy = counts(upstreams, "/ws").index(1)
        assert counts(upstreams, "/other")[busy] == 0
        assert counts(upstreams, "/other")[1 - busy] == 4


@pytest.mark.parametrize(("method", "body", "expected"), [("GET", None, 200), ("PUT", b"x", 502), ("POST", None, 502)])
def test_only_what_is_safe_is_sent_again(
    method: str, body: bytes | None, expected: int, client: RawClient, upstreams: tuple[OddUpstream, OddUpstream]
) -> None:
    """Each upstream ends a connection when it is asked for the second time on it, and says nothing."""
    path = f"/hangs-up-{method}"
    warmed: set[tuple[int, int]] = set()

    def hang_up(asked: Request) -> bool:
        asked.body()
        known = (id(asked.link), asked.connection) in warmed
        warmed.add((id(asked.link), asked.connection))
        if known:
            return False
        asked.answer()
        return True

    for one in upstreams:
        one.on(path, hang_up)
    assert [client.get(f"/both{path}").status for _ in range(2)] == [200, 200]
    before = sum(counts(upstreams, path))
    client.send(request(f"/both{path}", method=method, body=body))
    answer = client.answer()
    assert answer.status == expected, answer.body
    assert sum(counts(upstreams, path)) == before + (2 if expected == 200 else 1)
    if expected != 200:
        assert answer.json()["code"] == "upstream-broken"


def fail(asked: Request) -> None:
    asked.answer(b"no", status=b"500 Internal Server Error")


def test_an_endpoint_that_fails_is_not_asked_again(client: RawClient, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    upstream = upstreams[0]
    upstream.on("/fails", fail)
    assert [client.get("/breaker/fails").status for _ in range(2)] == [500, 500]
    refused = client.get("/breaker/fails")
    assert (refused.status, refused.json()["code"], refused.json()["error"]) == (503, "circuit-open", "Service temporarily unavailable.")
    assert 590 <= int(refused.field("retry-after") or 0) <= 600
    assert upstream.count("/fails") == 2
    assert client.get("/breaker/others").status == 200
    assert client.get("/breaker/fails", method="PUT").status == 500


def test_it_is_asked_from_time_to_time_and_recovers(client: RawClient, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    upstream = upstreams[0]
    upstream.on("/recovers", fail)
    assert [client.get("/breaker/recovers").status for _ in range(3)] == [500, 500, 503]
    upstream.on("/recovers", lambda asked: asked.answer())
    wait_until(lambda: client.get("/breaker/recovers").status == 200, 20, "a request that is let through")
    assert client.get("/breaker/recovers").status == 200


def test_an_upstream_that_cannot_be_reached_opens_it(client: RawClient) -> None:
    assert [client.get("/dead/gone").json()["code"] for _ in range(3)] == ["upstream-unreachable"] * 2 + ["circuit-open"]


def test_an_interim_answer_is_not_the_end(client: RawClient, upstreams: tuple[OddUpstream, OddUpstream]) -> None:
    def early(asked: Request) -> None:
        asked.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        fail(asked)

    upstreams[0].on("/hints", early)
    for expected in (103, 500, 103, 500):
        if expected == 103:
            client.send(request("/breaker/hints"))
        assert client.answer().status == expected
    assert client.get("/breaker/hints").status == 503


def test_websockets_pass_breakers_and_balancing_and_open_them(
    client: RawClient, faulty: Gateway, upstreams: tuple[OddUpstream, OddUpstream]
) -> None:
    for one in upstreams:
        one.on("/ws", websocket)
    for _ in range(3):
        with RawClient(faulty.port) as tunnel:
            open_websocket(tunnel, "/both/ws")
    for one in upstreams:
        one.on("/ws", fail)
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
    assert [client.get("/both/ws", *upgrade).status for _ in range(3)] == [500, 500, 503]


def test_a_target_whose_uptime_tests_fail_is_left_out_until_they_succeed(
    client: RawClient, faulty: Gateway, upstreams: tuple[OddUpstream, OddUpstream]
) -> None:
    first, second = upstreams
    wait_until(lambda: first.count("/health") > 1 and second.count("/health") > 1, 20, "tests of both")
    assert [client.get("/tested/well").status for _ in range(4)] == [200] * 4
    assert counts(upstreams, "/well") == [2, 2]
    second.on("/health", fail)
    wait_until(lambda: "heard:HostDown:Uptime test failed" in faulty.process.text(), 20, "the event")
    assert [client.get("/tested/ill").status for _ in range(4)] == [200] * 4
    assert counts(upstreams, "/ill") == [4, 0]
    assert [client.get("/weighted/ill-elsewhere").status for _ in range(3)] == [200] * 3
    assert counts(upstreams, "/ill-elsewhere") == [2, 1]
    second.on("/health", lambda asked: asked.answer(b""))
    wait_until(lambda: "heard:HostUp:Uptime test succeeded" in faulty.process.text(), 20, "the event")
    assert [client.get("/tested/again").status for _ in range(4)] == [200] * 4
    assert counts(upstreams, "/again") == [2, 2]

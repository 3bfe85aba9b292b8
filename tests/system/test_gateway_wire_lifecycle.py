"""Reload, stop and crash under load; the limit of connections; idle connections."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.load import Load
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.stores import Valkey
from tests.support.waiting import wait_until


def _replaced(running: Gateway, before: list[int], count: int) -> bool:
    now = running.workers()
    return len(now) == count and not set(now) & set(before)


def _reload(running: Gateway) -> None:
    before = running.workers()
    running.signal(signal.SIGHUP)
    wait_until(lambda: _replaced(running, before, len(before)), 30, "the new workers")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_under_load_loses_no_request(workers: int, odd_upstream: OddUpstream, valkey: Valkey, tmp_path: Path) -> None:
    env = {"GATEWAY_WORKERS": str(workers), "VALKEY_URL": valkey.url}
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], env) as running, Load(running.port, "/odd/load") as load:
        for _ in range(2):
            load.answered(200)
            _reload(running)
        load.answered(200)
    assert load.failures == []
    assert set(load.done) == {200}
    assert load.resent == 0


def test_a_slow_request_survives_a_reload(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert go_on.wait(30)
        asked.send(b"later")

    odd_upstream.on("/slow-over-reload", slow)
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")]) as running, RawClient(running.port) as client:
        client.send(request("/odd/slow-over-reload"))
        client.head()
        assert client.exactly(5) == b"first"
        before = running.workers()
        running.signal(signal.SIGHUP)
        wait_until(lambda: set(running.workers()) - set(before), 30, "the new worker")

        def new_answers() -> bool:
            with RawClient(running.port) as other:
                return other.get("/odd/x").field("connection") is None

        wait_until(new_answers, 20, "an answer of the new worker")
        assert set(before) <= set(running.workers())  # the old one waits for its request
        go_on.set()
        assert client.exactly(5) == b"later"
        wait_until(lambda: _replaced(running, before, 1), 20, "the end of the old worker")


def test_a_stop_under_load_ends_every_request_first(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """After TERM connections are refused, and nothing that was accepted is lost."""
    go_on = threading.Event()

    def held(asked: Request) -> None:
        assert go_on.wait(30)
        asked.answer(b"held")

    odd_upstream.on("/held", held)
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")]) as running:
        with RawClient(running.port) as waiting, RawClient(running.port) as idle, Load(running.port, "/odd/load") as load:
            assert idle.get("/odd/x").status == 200
            waiting.send(request("/odd/held"))
            wait_until(lambda: odd_upstream.count("/held") and load.total > 100, 20, "load")
            running.signal(signal.SIGTERM)
            wait_until(lambda: any("refused" in failure for failure in load.failures), 20, "connections being refused")
            assert running.process.alive()
            go_on.set()
            answer = waiting.answer()
            assert (answer.status, answer.body, answer.field("connection")) == (200, b"held", "close")
            assert idle.closed()
            wait_until(lambda: not running.process.alive(), 30, "the end")
        assert running.process.child.returncode == 0
        assert [failure for failure in load.failures if "refused" not in failure] == []
        assert set(load.done) == {200}


def test_a_killed_worker_is_replaced(odd_upstream: OddUpstream, postgresql_url: str, valkey: Valkey, tmp_path: Path) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url, "GATEWAY_DATABASE_URL": postgresql_url}
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], env) as running, Load(running.port, "/odd/load", 16) as load:
        load.answered(300)
        first, second = running.workers()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(running.workers()) == 2 and first not in running.workers(), 30, "a new worker")
        assert second in running.workers()
        load.answered(300)
        status, _ = running.operator("GET", "/health")
        assert status == 200
    assert set(load.done) == {200}
    # Only what the killed worker had in its hands: one request of each of its clients, which those sent again.
    assert len(load.failures) + load.resent <= 16
    assert load.failures == []


def test_above_the_limit_of_connections_there_is_503(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], {"GATEWAY_MAX_CONNECTIONS": "20"}) as running:
        may_answer = threading.Event()
        odd_upstream.on("/crowd", lambda asked: may_answer.wait(60) and asked.answer(b"held"))
        clients: list[RawClient] = []
        try:
            for number in range(1, 21):
                clients.append(RawClient(running.port))
                clients[-1].send(request("/odd/crowd"))
                wait_until(lambda number=number: odd_upstream.count("/crowd") == number, 30, "requests under way")
            with RawClient(running.port) as one_more:
                answer = one_more.answer()
                assert (answer.status, answer.field("retry-after"), answer.field("connection")) == (503, "1", "close")
                assert answer.json()["code"] == "overloaded"
                assert one_more.closed()
            assert running.operator("GET", "/health")[0] == 200  # operators still get in
            clients.pop().close()

            def free() -> bool:
                with RawClient(running.port) as client:
                    client.send(request("/odd/x"))
                    return client.answer().status == 200

            wait_until(free, 30, "a free place")
            may_answer.set()
            for client in clients:
                assert client.answer().body == b"held"
        finally:
            for client in clients:
                client.close()


@pytest.fixture(scope="module")
def impatient(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(
        tmp_path_factory.mktemp("impatient"), [definition("odd", f"{odd_upstream.url}/")], {"GATEWAY_KEEPALIVE_TIMEOUT": "1"}
    ) as running:
        yield running


def test_an_idle_connection_is_closed_in_silence(impatient: Gateway) -> None:
    begun = time.monotonic()
    with RawClient(impatient.port) as used, RawClient(impatient.port) as unused:
        assert used.get("/odd/x").status == 200
        assert used.closed()
        assert unused.closed()
        assert time.monotonic() - begun > 0.9
    with RawClient(impatient.port) as other:
        assert other.get("/odd/x").status == 200


def test_a_connection_in_use_is_not_idle(impatient: Gateway, odd_upstream: OddUpstream) -> None:
    go_on = threading.Event()

    def long(asked: Request) -> None:
        assert go_on.wait(20)
        asked.answer(b"long")

    odd_upstream.on("/long", long)
    with RawClient(impatient.port) as busy, RawClient(impatient.port) as idle:
        busy.send(request("/odd/long"))
        assert idle.closed()
        go_on.set()
        assert busy.answer().body == b"long"


def test_half_a_head_is_timed_out_without_harm(impatient: Gateway) -> None:
    """Fifteen seconds for a head, however little of it came; the others are served meanwhile."""
    with RawClient(impatient.port, timeout=25) as one, RawClient(impatient.port, timeout=25) as little:
        one.send(b"GET /odd/x HTTP/1.1\r\nHo")
        little.send(b"G")
        with RawClient(impatient.port) as other:
            assert other.get("/odd/x").status == 200
        for slow in (one, little):
            answer = slow.answer()
            assert (answer.status, answer.json()["code"]) == (408, "request-timeout")
            assert slow.closed()

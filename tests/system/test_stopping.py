"""A process that is told to stop loses no request, not one that must not be repeated: under load, with a full queue, again and again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.posts import Posts
from tests.support.processes import Process, migrate, running
from tests.support.raw_client import RawClient, request
from tests.support.stores import SQLite
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.slow

SECRET = "a secret of more than thirty-two bytes"
FIELDS = (b"Authorization: Bearer " + jwt.encode({"sub": "exhibition"}, SECRET, "HS256").encode(),)
QUEUED = 60


class Tokens:
    """Two processes of the service on one database, each of which can be stopped and started again."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._env = {
            "TOKENS_DATABASE_URL": database_url,
            "TOKENS_JWT_SECRET": SECRET,
            "TOKENS_PNG_CACHE": str(folder / "png"),
            "TOKENS_QUEUE_LIMIT": "10000",
            "AUTH_URL": "http://127.0.0.1:9",
        }
        self._folder = folder
        self._database = Path(database_url.removeprefix("sqlite:///"))
        self._blocks: dict[int, contextlib.ExitStack] = {}
        self.processes: dict[int, Process] = {}
        migrate("tokens", self._env)
        self.ports = (free_port(), free_port())
        for port in self.ports:
            self.start(port)

    def start(self, port: int) -> None:
        block = self._blocks[port] = contextlib.ExitStack()
        _, self.processes[port] = block.enter_context(running("tokens", self._env, self._folder, port=port, migrated=True))

    @contextlib.contextmanager
    def starting(self, port: int) -> Iterator[Process]:
        """Start one, and do not wait until it serves."""
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.tokens.wsgi:app"]
        process = Process(command, {**self._env, "TOKENS_BIND": f"127.0.0.1:{port}"}, self._folder / "starting.log")
        try:
            yield process
        finally:
            process.stop()

    def stop(self, port: int) -> None:
        self._blocks.pop(port).close()

    def close(self) -> None:
        for port in list(self._blocks):
            self.stop(port)

    def requested(self) -> set[str]:
        """The interactions that are stored, by their ids."""
        with contextlib.closing(sqlite3.connect(self._database)) as database:
            return {row[0] for row in database.execute("SELECT id FROM interactions")}


@pytest.fixture
def tokens(sqlite: SQLite, tmp_path: Path) -> Iterator[Tokens]:
    both = Tokens(sqlite.new_database(), tmp_path)
    yield both
    both.close()


def _each_was_answered_once(load: Posts, tokens: Tokens) -> None:
    assert load.failures == []
    assert Counter(answer.status for answer in load.answers.values()) == {200: len(load.answers)}
    given = [answer.json()["id"] for answer in load.answers.values()]
    assert len(given) == len(set(given))
    assert set(given) == tokens.requested()  # so none was sent twice either


def test_behind_a_gateway_a_service_restarts_under_load(tokens: Tokens, tmp_path: Path) -> None:
    targets = {"enable_load_balancing": True, "target_list": [f"http://127.0.0.1:{port}/" for port in tokens.ports]}
    with gateway(tmp_path, [definition("tokens", "", proxy=targets)]) as front:
        with Posts([front.port], "/tokens/request_interaction", fields=FIELDS) as load:
            for port in tokens.ports * 2:
                load.answered(50)
                tokens.stop(port)
                load.answered(50)
                tokens.start(port)
            load.answered(50)
        _each_was_answered_once(load, tokens)


def test_a_service_restarts_under_load_of_its_own_clients(tokens: Tokens) -> None:
    with Posts(tokens.ports, "/request_interaction", fields=FIELDS) as load:
        for port in tokens.ports * 2:
            load.answered(50)
            tokens.stop(port)
            load.answered(50)
            tokens.start(port)
        load.answered(50)
    assert load.refused
    _each_was_answered_once(load, tokens)


@pytest.fixture
def gateways(odd_upstream: OddUpstream, tmp_path: Path) -> Iterator[list[Gateway]]:
    """Two before one upstream, which answers `/back` with what it was sent."""

    def back(asked: Request) -> None:
        asked.answer(asked.body())

    odd_upstream.on("/back", back)
    with contextlib.ExitStack() as block:
        yield [block.enter_context(gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")])) for _ in range(2)]


def test_gateways_restart_under_load(gateways: list[Gateway]) -> None:
    def body(number: int) -> bytes:
        return json.dumps({"number": number}).encode()

    with Posts([one.port for one in gateways], "/odd/back", body=body) as load:
        for one in gateways * 3:
            load.answered(200)
            assert one.stop() == 0
            load.answered(200)
            one.start()
        load.answered(200)
    assert load.refused
    assert load.failures == []
    wrong = [number for number, answer in load.answers.items() if (answer.status, answer.body) != (200, body(number))]
    assert wrong == []


@contextlib.contextmanager
def _frozen(worker: int) -> Iterator[None]:
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def _connected(port: int) -> RawClient | None:
    with contextlib.suppress(ConnectionRefusedError):
        return RawClient(port)
    return None


def _refuses(port: int) -> bool:
    client = _connected(port)
    if client is not None:
        client.close()
    return client is None


def _queue_is_answered(process: Process, port: int, asked: bytes) -> None:
    """Fill the queue of a process that accepts nothing, tell it to stop, let it go on: all in the queue must be answered."""
    (worker,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    with contextlib.ExitStack() as block:
        with _frozen(worker):
            queue = [block.enter_context(RawClient(port)) for _ in range(QUEUED)]
            for client in queue:
                client.send(asked)
            process.signal(signal.SIGTERM)
            wait_until(lambda: _refuses(port), 10, "new connections being refused")
        for client in queue:
            assert client.answer().status == 200
    wait_until(lambda: not process.alive(), 20, "the end")
    assert process.child.returncode == 0


def test_what_is_queued_at_a_service_is_answered(tokens: Tokens) -> None:
    port = tokens.ports[0]
    _queue_is_answered(tokens.processes[port], port, request("/request_interaction", *FIELDS, method="POST", body=b""))
    assert len(tokens.requested()) == QUEUED


def test_who_connects_while_a_service_starts_is_answered_before_it_stops(tokens: Tokens) -> None:
    """Told to stop while it still loads, it serves those who have connected, and ends."""
    port = tokens.ports[0]
    tokens.stop(port)
    with tokens.starting(port) as process:
        with wait_until(lambda: _connected(port), 60, "the listener") as client:
            client.send(request("/request_interaction", *FIELDS, method="POST", body=b""))
            process.signal(signal.SIGTERM)
            assert client.answer().status == 200
        wait_until(lambda: not process.alive(), 20, "the end")
        assert process.child.returncode == 0


def test_what_is_queued_at_a_gateway_is_answered(gateways: list[Gateway]) -> None:
    one = gateways[0]
    _queue_is_answered(one.process, one.port, request("/odd/back", method="POST", body=b"queued"))

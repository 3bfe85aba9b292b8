"""The operator's port: what asks whether the worker is well is answered while every thread waits for something."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from services.common.app import create_app
from services.gateway.operator_door import OperatorDoor
from services.gateway.request_ids import RequestIds
from services.gateway.threads import Threads
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.sockets import Sockets

Ask = Callable[[str], Awaitable[bytes]]


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def app(gate: threading.Event) -> Flask:
    made = create_app("gateway", version="1", documented=False)

    @made.get("/hello")
    def hello() -> dict[str, str]:
        return {"thread": threading.current_thread().name}

    @made.get("/waits")
    def waits() -> dict[str, str]:
        gate.wait(30)
        return {}

    return made


def with_a_door(app: Flask, work: Callable[[Ask, int], Awaitable[None]]) -> None:
    """Runs `work`, which asks by a path, or at the port itself; the door has two threads."""
    gateway: Any = SimpleNamespace(
        settings=SimpleNamespace(operator_bind=SimpleNamespace(host="127.0.0.1", port=1)), operator_key="key", request_ids=RequestIds()
    )

    async def run() -> None:
        loop = asyncio.get_running_loop()
        sockets, threads = Sockets(loop), Threads(2, "operator")
        door = OperatorDoor(gateway, app, threads)
        server = await loop.create_server(lambda: ClientConnection(sockets, door.serve), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def ask(line: str) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: mine\r\n\r\n".encode())
            try:
                return await asyncio.wait_for(reader.read(), 30)
            finally:
                writer.close()

        try:
            await work(ask, port)
        finally:
            server.close()
            threads.shutdown(cancel_futures=True)

    asyncio.run(run())


def test_while_every_thread_waits(app: Flask, gate: threading.Event) -> None:
    async def work(ask: Ask, port: int) -> None:
        waiting = [asyncio.ensure_future(ask("GET /waits")) for _ in range(5)]
        while sum(thread.name.startswith("operator") for thread in threading.enumerate()) != 2:
            await asyncio.sleep(0.001)
        for path in ("/health", "/health?x=1", "/hello", "/metrics"):
            answer = await ask(f"GET {path}")
            assert answer.startswith(b"HTTP/1.1 200"), path
            assert b"X-Request-Id: mine\r\n" in answer
        head = await ask("HEAD /health")
        assert head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n")
        assert (await ask("POST /health")).startswith(b"HTTP/1.1 405")
        assert not any(one.done() for one in waiting)
        gate.set()
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in await asyncio.gather(*waiting))

    with_a_door(app, work)


def test_they_are_answered_by_the_application_on_the_loop_and_counted(app: Flask) -> None:
    async def work(ask: Ask, port: int) -> None:
        assert threading.current_thread().name.encode() in await ask("GET /hello")
        await ask("GET /health")
        metrics = await ask("GET /metrics")
        assert b'http_requests_total{method="GET",route="/health",status="200"} 1.0' in metrics
        assert b'http_requests_total{method="GET",route="/hello",status="200"} 1.0' in metrics
        assert b'route="/metrics",status="200"} 1.0' in await ask("GET /metrics")

    with_a_door(app, work)


def test_idle_connections_make_room_and_busy_ones_do_not(app: Flask, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.operator_door._MOST_CONNECTIONS", 3)

    async def work(ask: Ask, port: int) -> None:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in connections:
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await reader.readuntil(b"}")
        for _, writer in connections[1:]:
            writer.write(b"GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
        while sum(thread.name.startswith("operator") for thread in threading.enumerate()) != 2:
            await asyncio.sleep(0.001)
        assert (await ask("GET /health")).startswith(b"HTTP/1.1 200")
        assert (await asyncio.wait_for(connections[0][0].read(), 30)).strip() == b"", "closed"
        more = asyncio.ensure_future(ask("GET /waits"))
        while not (await ask("GET /health")).startswith(b"HTTP/1.1 503"):
            await asyncio.sleep(0.001)
        gate.set()
        assert (await more).startswith(b"HTTP/1.1 200")
        for reader, writer in connections[1:]:
            assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"{}"), 30)
            writer.close()
        connections[0][1].close()

    with_a_door(app, work)


def test_many_requests_of_one_client_at_once_take_turns_with_others(app: Flask) -> None:
    async def work(ask: Ask, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        await reader.readexactly(1)
        assert (await ask("GET /health")).startswith(b"HTTP/1.1 200")
        answers = await asyncio.wait_for(reader.readexactly(1), 30)
        metrics = (await ask("GET /metrics")).decode()
        told = re.search(r'route="/health",status="200"} ([0-9.]+)', metrics)
        assert told is not None and answers
        assert float(told[1]) < 300, "they were answered in one turn"
        writer.close()

    with_a_door(app, work)

"""The room of a worker's batches: whatever becomes of a batch, all of it is free again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.batch.batches import Batches
from services.gateway.exchange import Exchange, Reply
from services.gateway.live import Live
from services.gateway.loops import Loops
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.heads.requests import HeaderSection
from services.gateway.wire.sockets import Sockets

LOOPS = Loops(Live(Any, Any))  # type: ignore[arg-type]  # no entry asks for another API
API: Any = SimpleNamespace(listen_path="/a/", named_segments=0, api_id="a", batch=True)


class Court:
    """As much of a judge as a batch uses. decide: what becomes of an entry, by its path."""

    def __init__(self, decide: dict[str, Callable[[], Any]]) -> None:
        self._decide = decide
        self.batch = json.dumps({"requests": [{"relative_url": path.removeprefix("/a/")} for path in decide]}).encode()

    async def decide(self, exchange: Exchange) -> Reply:
        exchange.api = API
        reply: Reply = await self._decide[exchange.path]()
        return reply


async def answer(judge: Any, reached: asyncio.Event, later: asyncio.Event | None) -> tuple[Reply | BaseException, int]:
    """The answer of a batch, or what it raised, and what is not free of its room in the end.

    reached: when the slowest entry is under way; later: lets it go on, None = the client goes instead.
    """
    forwarder: Any = SimpleNamespace(body_limits=None)
    batches = Batches(judge, LOOPS, forwarder, lambda *_: None)
    section = HeaderSection.of([(b"Content-Length", b"%d" % len(judge.batch))])
    envelope = Exchange("POST", "/a/tyk/batch/", "", section, "127.0.0.1", "127.0.0.1", "id", 0.0)
    envelope.api = API
    connection = ClientConnection(Sockets(asyncio.get_running_loop()), SimpleNamespace())  # type: ignore[arg-type]
    connection.buffer = judge.batch
    asking = asyncio.ensure_future(batches.answer(envelope, connection))
    await reached.wait()
    if later is None:
        asking.cancel()
    else:
        later.set()
    (result,) = await asyncio.gather(asking, return_exceptions=True)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    return result, batches._room.spent


async def said() -> Reply:
    return Reply(200, [], b"x" * 1000)


@pytest.mark.parametrize("end", ["answered", "failed", "cancelled"])
def test_all_room_is_free_again(end: str) -> None:
    async def test() -> None:
        reached, later = asyncio.Event(), asyncio.Event()

        async def slow() -> Reply:
            reached.set()
            await later.wait()
            await asyncio.sleep(0)
            return await said()

        async def fails() -> Reply:
            if end == "failed":
                raise RuntimeError("a stage has a fault")
            return await said()

        judge = Court({"/a/fast": said, "/a/fails": fails, "/a/slow": slow})
        async with asyncio.timeout(20):
            result, held = await answer(judge, reached, None if end == "cancelled" else later)
        expected = {"answered": Reply, "failed": RuntimeError, "cancelled": asyncio.CancelledError}
        assert isinstance(result, expected[end])
        assert held == 0

    asyncio.run(test())


@pytest.mark.parametrize(
    ("own", "carried"),
    [
        ({}, [(b"traceparent", b"of-the-envelope"), (b"tracestate", b"e=1")]),
        ({"Traceparent": "of-the-entry"}, [(b"traceparent", b"of-the-entry")]),
    ],
)
def test_entries_belong_to_the_trace_of_their_envelope(own: dict[str, str], carried: list[tuple[bytes, bytes]]) -> None:
    seen: list[Exchange] = []
    logged: list[int] = []

    class Judge:
        async def decide(self, exchange: Exchange) -> Reply:
            seen.append(exchange)
            exchange.api = API
            return await said()

    async def test() -> None:
        batch = json.dumps({"requests": [{"method": "POST", "relative_url": "x", "headers": own, "body": "abc"}]}).encode()
        forwarder: Any = SimpleNamespace(body_limits=None)
        judge: Any = Judge()
        batches = Batches(judge, LOOPS, forwarder, lambda *noted: logged.append(noted[3].received))
        fields = [(b"Content-Length", b"%d" % len(batch)), (b"Traceparent", b"of-the-envelope"), (b"tracestate", b"e=1")]
        envelope = Exchange("POST", "/a/tyk/batch/", "", HeaderSection.of(fields), "127.0.0.1", "127.0.0.1", "id", 0.0)
        envelope.api = API
        connection = ClientConnection(Sockets(asyncio.get_running_loop()), SimpleNamespace())  # type: ignore[arg-type]
        connection.buffer = batch
        await batches.answer(envelope, connection)

    asyncio.run(test())
    assert [(name.lower(), value) for name, value in seen[0].headers if name.lower().startswith(b"trace")] == carried
    assert logged == [3]

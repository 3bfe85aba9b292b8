"""No connection has more than its share of a turn of the loop: others come in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from services.gateway.wire.bodies import Budget, ChunkedBody, LengthBody, Tunnel
from services.gateway.wire.connection import Connection
from services.gateway.wire.pace import Limits
from services.gateway.wire.reading import read_whole
from services.gateway.wire.sockets import NEVER, Sockets
from services.gateway.wire.upstream_connection import UpstreamConnection

ONE_BYTE_CHUNKS = b"1\r\na\r\n" * 5000
END = b"0\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written, and whether it is read. full: writes beyond this size ask the source to wait."""

    def __init__(self, full: int | None = None) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.protocol: Connection | None = None
        self._full = full

    def write(self, data: Any) -> None:
        self.written += data
        if self._full is not None and len(self.written) > self._full and self.protocol is not None and not self.protocol.full:
            self.protocol.pause_writing()

    def room(self) -> None:
        """The other end took everything."""
        self._full = None
        assert self.protocol is not None
        self.protocol.resume_writing()

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


def connected(sockets: Sockets, full: int | None = None) -> tuple[UpstreamConnection, Transport]:
    connection, transport = UpstreamConnection(sockets), Transport(full)
    transport.protocol = connection
    connection.connection_made(transport)
    return connection, transport


def run(test: Callable[[Sockets], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await test(Sockets(asyncio.get_running_loop()))

    asyncio.run(main())


def test_one_byte_chunks_go_on_a_few_at_a_time_and_nothing_is_read_meanwhile() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, of_upstream) = connected(sockets), connected(sockets)
        body = ChunkedBody(False)
        assert not client.start_pipe(upstream, body)
        client.data_received(ONE_BYTE_CHUNKS)
        assert 0 < len(of_upstream.written) <= 256
        assert not of_client.reading
        turns = 0
        while len(of_upstream.written) < 5000:
            before = len(of_upstream.written)
            await asyncio.sleep(0)
            assert len(of_upstream.written) - before <= 256
            turns += 1
        assert turns >= 5000 // 256
        await asyncio.sleep(0)
        assert of_client.reading
        client.data_received(END + b"GET")
        assert body.done
        assert (of_upstream.written, client.buffer) == (b"a" * 5000, b"GET")

    run(test)


def test_what_is_at_hand_when_a_body_begins_has_no_more_of_the_turn() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, of_upstream) = connected(sockets), connected(sockets)
        client.buffer = ONE_BYTE_CHUNKS + END
        assert not client.start_pipe(upstream, ChunkedBody(False))
        assert len(of_upstream.written) <= 256
        await client.finish_pipe()
        assert of_upstream.written == b"a" * 5000
        assert of_client.reading  # nothing waits, and that the client goes must be heard while it waits for its answer

    run(test)


def test_a_body_that_waits_for_its_turn_and_for_room_loses_nothing() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, of_upstream) = connected(sockets), connected(sockets, full=1000)
        client.start_pipe(upstream, ChunkedBody(False))
        client.data_received(ONE_BYTE_CHUNKS)
        for _ in range(100):
            await asyncio.sleep(0)
        stopped_at = len(of_upstream.written)
        assert 1000 < stopped_at <= 1000 + 256
        assert not of_client.reading
        of_upstream.room()
        for _ in range(100):
            await asyncio.sleep(0)
        assert of_upstream.written == b"a" * 5000
        assert of_client.reading

    run(test)


def test_an_upstream_that_closes_while_its_answer_waits_for_its_turn_is_still_whole() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, _) = connected(sockets), connected(sockets)
        body = ChunkedBody(False)
        upstream.start_pipe(client, body)
        upstream.data_received(ONE_BYTE_CHUNKS + END)
        assert not body.done
        upstream.connection_lost(None)
        assert body.done
        assert of_client.written == b"a" * 5000
        await upstream.finish_pipe()

    run(test)


def test_a_body_that_is_collected_lets_others_have_their_turns() -> None:
    async def test(sockets: Sockets) -> None:
        client, _ = connected(sockets)
        client.buffer = ONE_BYTE_CHUNKS + END
        turns = 0
        collecting = asyncio.ensure_future(read_whole(client, ChunkedBody(False), budget=Budget(10_000)))
        while not collecting.done():
            turns += 1
            await asyncio.sleep(0)
        assert b"".join(await collecting) == b"a" * 5000
        assert turns >= 5000 // 256

    run(test)


def test_the_next_request_waits_unread_behind_a_body() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, _) = connected(sockets), connected(sockets)
        client.buffer = ONE_BYTE_CHUNKS + END + b"GET"
        client.start_pipe(upstream, ChunkedBody(False))
        await client.finish_pipe()
        assert client.buffer == b"GET"
        assert not of_client.reading

    run(test)


def test_a_body_that_ends_while_its_sink_is_full_leaves_its_source_readable() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, of_upstream) = connected(sockets), connected(sockets, full=1000)
        client.start_pipe(upstream, LengthBody(2000))
        client.data_received(b"x" * 2000)
        assert client.sink is None
        assert upstream.full
        assert of_client.reading
        of_upstream.room()
        assert of_client.reading

    run(test)


def test_what_came_before_it_was_collected_leaves_its_source_readable() -> None:
    async def test(sockets: Sockets) -> None:
        client, of_client = connected(sockets)
        client.data_received(b"abc")  # somebody was asked about the head meanwhile
        assert not of_client.reading
        assert await read_whole(client, LengthBody(3), budget=Budget(10)) == [b"abc"]
        assert of_client.reading

    run(test)


@pytest.mark.parametrize("size", [10, 300_000])
def test_what_comes_while_nobody_waits_stops_the_reading(size: int) -> None:
    async def test(sockets: Sockets) -> None:
        client, of_client = connected(sockets)
        client.data_received(b"x" * size)
        assert not of_client.reading
        client.buffer = b""
        waiting = asyncio.ensure_future(client.more())
        await asyncio.sleep(0)
        assert of_client.reading
        client.data_received(b"y")
        await waiting
        assert client.buffer == b"y"

    run(test)


def test_a_full_read_of_a_long_body_is_the_last_of_its_turn() -> None:
    """The socket is read up to 32 times in a turn as long as each read fills the buffer."""

    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, of_upstream) = connected(sockets), connected(sockets)
        client.start_pipe(upstream, LengthBody(10_000_000))
        client.data_received(b"x" * 256_000)
        assert not of_client.reading
        await asyncio.sleep(0)
        assert of_client.reading
        client.data_received(b"x" * 1000)
        assert of_client.reading
        assert len(of_upstream.written) == 257_000

    run(test)


def test_a_slow_body_has_its_pace_and_time_without_room_is_not_its_own() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, of_upstream) = connected(sockets), connected(sockets, full=0)
        start = sockets.now
        client.limit_body(Limits(idle=60, whole=600, least_rate=100))
        client.start_pipe(upstream, LengthBody(10_000))
        assert client.deadline == start + 10
        client.data_received(b"x" * 100)
        assert client.deadline == start + 11
        assert not of_client.reading
        sockets.now += 50
        of_upstream.room()
        assert client.deadline == start + 11 + 50
        client.data_received(b"x" * 9_900)
        assert client.deadline == NEVER

    run(test)


def test_time_before_a_body_is_not_taken_out_of_its_account() -> None:
    async def test(sockets: Sockets) -> None:
        (client, of_client), (upstream, _) = connected(sockets), connected(sockets)
        client.data_received(b"x")  # the body's first byte, while the answer before takes its time
        sockets.now += 500
        client.limit_body(Limits(idle=60, whole=600, least_rate=100))
        start = sockets.now
        client.start_pipe(upstream, LengthBody(10_000))
        assert of_client.reading
        assert client.deadline <= start + 10.01

    run(test)


def test_full_reads_of_one_side_of_a_tunnel_keep_the_other_alive() -> None:
    async def test(sockets: Sockets) -> None:
        (client, _), (upstream, _) = connected(sockets), connected(sockets)
        client.start_pipe(upstream, Tunnel())
        upstream.start_pipe(client, Tunnel())
        sockets.now += 50
        client.data_received(b"x" * 256_000)
        assert upstream.deadline == client.deadline == sockets.now + client.idle_timeout

    run(test)

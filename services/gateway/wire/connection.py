"""One socket, to a client or to an upstream: its bytes, its deadline, and the pipe that moves a body to another connection.

What arrives waits in `buffer` to be read (reading.py), or moves on (`start_pipe`). Bodies move inside the protocol's callbacks, with
back-pressure both ways: a connection that cannot write makes its source stop reading.

No connection has more than its share of a turn of the loop: what arrives while nobody waits for it stops the reading, and a body of many
small pieces goes on in the next turn.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from services.gateway.wire.bodies import BadBody, Body, BodyTooLarge, Tunnel
from services.gateway.wire.driving import Signal
from services.gateway.wire.pace import Limits, Pace
from services.gateway.wire.sockets import NEVER, Sockets

# A read that fills uvloop's buffer (UV_STREAM_RECV_BUF_SIZE) is repeated up to 32 times in the same turn.
FULL_READ: Final = 256_000


class Closed(Exception):
    """The other end closed the connection before what was awaited had come. late: the deadline that broke it off, None = none."""

    def __init__(self, late: TimedOut | None = None) -> None:
        super().__init__()
        self.late = late


class TimedOut(Exception):
    """A deadline has passed. connection: the one that was waited for."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("timed out")
        self.connection = connection


class Connection(asyncio.Protocol):
    """What connections to clients and to upstreams have in common.

    peer: the address of a client; name and port of an upstream, for logs. buffer: what has come and nobody has taken. sink: where the body
    that comes in goes; source: whose body comes here. deadline: when `expired` is called. idle: nothing is under way, and the connection
    waits for its next use. idle_timeout: seconds between two pieces of a body; pace: further limits of the body that comes in, None = none.
    first_byte: seconds for the answer once a body that is moved here has gone out, 0 = no limit. broken: something went wrong that the
    coroutine waiting here must be told. full: what was written waits for the other end.
    """

    __slots__ = (
        "_blocked_at", "_drained", "_fault", "_goes_on", "_paused_at", "arrived", "body", "broken", "buffer", "deadline", "first_byte",
        "full", "idle", "idle_timeout", "lost", "pace", "paused", "peer", "sink", "sockets", "source", "transport",
    )  # fmt: skip

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.transport: Any = None
        self.buffer = b""
        self.sink: Connection | None = None
        self.source: Connection | None = None
        self.body: Body | None = None
        self.peer = ""
        self.deadline = NEVER
        self.idle_timeout = 60.0
        self.first_byte = 0.0
        self.lost = self.broken = self.full = self.idle = self.paused = False
        self.pace: Pace | None = None
        self._goes_on = False
        self._paused_at = 0.0
        self._blocked_at = -1
        self._fault: Exception | None = None
        self.arrived = Signal(sockets.loop)
        self._drained: asyncio.Future[None] | None = None

    # The transport's side. `connection_lost` is that of the client or the upstream; so is `data_received`, although most of it is the same:
    # CPython's inline caches know one class, and taking turns in one method costs 0.15 µs a request.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.sockets.connections.add(self)

    def eof_received(self) -> bool:
        return False

    def _lose(self) -> None:
        """Note that the connection has ended."""
        self.lost = self.broken = True
        self.deadline = NEVER
        self.sockets.connections.discard(self)

    def _end_moving(self, error: Exception | None) -> None:
        """End the body that the end of the connection ends, and what waits for room."""
        if self.sink is not None and self.body is not None and error is None:
            last = self.body.ended_by_close()
            if last is not None:
                if last:
                    self.sink.write(last)
                self._end_pipe(b"")
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def pause_writing(self) -> None:
        self.full = True
        if self.source is not None:
            self.source.pause()

    def resume_writing(self) -> None:
        self.full = False
        if self.source is not None:
            self.source.resume()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # The sweep's side.

    def expired(self) -> None:
        """End what the connection waits for: its deadline has passed."""
        if (self._drained is not None and not self._drained.done()) or self.transport.is_closing():
            # What was written still waits: the other end has its time as long as it takes something.
            if not self._takes_something(self.transport):
                self.transport.abort()
        elif self.idle:
            self.transport.close()
        elif self.paused and self.sink is not None:
            # The other side takes nothing: it has its time as long as it takes something.
            if not self._takes_something(self.sink.transport):
                self._tell(TimedOut(self.sink))
        else:
            self._tell(TimedOut(self))

    def _takes_something(self, transport: Any) -> bool:
        """Whether less waits at a transport than the last time; then a new idle time begins."""
        waiting = transport.get_write_buffer_size()
        if 0 <= self._blocked_at <= waiting:
            return False
        self._blocked_at = waiting
        self.deadline = self.sockets.now + self.idle_timeout
        return True

    def _tell(self, error: Exception) -> None:
        """Tell the coroutine, which waits here or at the connection that gets this one's body."""
        self.deadline = NEVER
        if not self.arrived.awaited and self.sink is not None:
            self.sink.fail(error)
        else:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Make what waits here, or will wait here, raise `error`."""
        self._fault = error
        self.broken = True
        self.arrived.set()

    # The coroutine's side.

    def write(self, data: bytes) -> None:
        """Send `data`; nothing when the connection is lost."""
        if not self.lost:
            self.transport.write(data)

    def pause(self) -> None:
        """Stop reading."""
        if not self.paused and not self.lost:
            self.paused = True
            self._paused_at = self.sockets.now
            self._blocked_at = -1
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again, after what is left of a body has gone out."""
        if self.paused and not self.lost:
            if self.sink is not None:
                if self.buffer:  # of this body, and first
                    self._go_on_later()
                    return
                if self.pace is not None:
                    self.pace.not_counted(self.sockets.now - self._paused_at)
                self.await_piece()
            self.paused = False
            self.transport.resume_reading()

    def notice_end(self) -> None:
        """Read on unless the buffer holds something: a paused connection does not notice that the other end has gone."""
        if self.paused and not self.buffer:
            self.resume()

    def limit_body(self, limits: Limits, size: int = 0) -> None:
        """Set how long the body that comes in now may take. size: bytes of it that have come."""
        self.idle_timeout = limits.idle
        self.pace = Pace(limits, self.sockets.now, size)
        self._paused_at = self.sockets.now  # what was paused before is not part of it

    def await_piece(self, size: int = 0) -> None:
        """Set the deadline of the next piece of a body, after one of `size` bytes."""
        now, pace = self.sockets.now, self.pace
        self.deadline = now + self.idle_timeout if pace is None else pace.deadline(now, size)

    async def more(self) -> None:
        """Wait for bytes in `buffer`. Raises Closed, TimedOut."""
        if self.lost:
            raise Closed
        if self.paused and self.sink is None:
            self.resume()
        await self.arrived
        if self.broken:
            self.raise_fault()

    def raise_fault(self) -> None:
        """Raise what went wrong here: Closed unless there is still something to read, TimedOut, and what a body raises."""
        fault, self._fault = self._fault, None
        self.broken = self.lost
        if fault is not None:
            raise fault
        if self.lost and not self.buffer:
            raise Closed

    def take(self, size: int) -> bytes:
        """Cut `size` bytes from the front of the buffer."""
        data = self.buffer
        if len(data) == size:
            self.buffer = b""
            return data
        self.buffer = data[size:]
        return data[:size]

    def start_pipe(self, sink: Connection, body: Body, first: bytes = b"") -> bool:
        """Begin to move a body from here to `sink`, after `first`. True when all of it was already here."""
        self.body = body
        self.sink = sink
        sink.source = self
        data, self.buffer = self.buffer, b""
        rest = data
        if data and not body.done:
            try:
                out, rest = body.feed(data)
            except (BadBody, BodyTooLarge):
                if first:
                    sink.write(first)
                raise
            first += out
        self.await_piece(len(data) - len(rest))
        if first:
            sink.write(first)
        if body.done:
            self._end_pipe(rest)
            return True
        if rest:
            self.buffer = rest
            self.pause()
            self._go_on_later()
        elif self.paused and not sink.full:
            self.resume()
        elif sink.full:
            self.pause()
        return False

    async def finish_pipe(self) -> None:
        """Wait for the end of the body. Raises Closed, TimedOut, BadBody, BodyTooLarge."""
        while self.sink is not None:
            if self._fault is not None:
                self.raise_fault()
            if self.lost:
                raise Closed
            await self.arrived
        if self._fault is not None:
            self.raise_fault()

    def _move(self, data: bytes) -> None:
        sink, body = self.sink, self.body
        assert sink is not None
        assert body is not None
        try:
            out, rest = body.feed(data)
        except (BadBody, BodyTooLarge) as error:
            self.pause()
            self._tell(error)
            return
        if out:
            sink.write(out)
        self.await_piece(len(data) - len(rest))
        if type(body) is Tunnel:
            sink.deadline = self.deadline
        if body.done:
            self._end_pipe(rest)
        elif rest or len(data) >= FULL_READ:
            self.buffer = rest
            self.pause()
            self._go_on_later()

    def _go_on_later(self) -> None:
        """Go on with the body in the next turn of the loop: others come first."""
        if not self._goes_on:
            self._goes_on = True
            self.sockets.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        sink = self.sink
        if sink is None or self.lost or sink.full:
            return  # it ended, or goes on when the sink has room
        if self.buffer:
            data, self.buffer = self.buffer, b""
            self._move(data)
        if self.sink is not None and not (self._goes_on or sink.full or self.broken or sink.broken):
            self.resume()

    def _end_pipe(self, rest: bytes) -> None:
        sink = self.sink
        self.sink = None
        self.pace = None
        self.buffer = rest
        if self._drained is None or self._drained.done():
            self.deadline = NEVER
        self.notice_end()
        if sink is not None:
            sink.source = None
            if sink.first_byte:
                # The upstream has the whole request: now it has its time to answer.
                sink.deadline = self.sockets.now + sink.first_byte
        self.arrived.set()

    def break_pipe(self) -> None:
        """Stop moving a body that is not wanted any more."""
        if self.sink is not None:
            self.sink.source = None
            self.sink = None

    def close(self) -> None:
        """Close the connection when everything is sent."""
        self.break_pipe()
        if not self.lost:
            self.transport.close()
            # It stays until everything is sent: an end that takes nothing must not hold it for ever.
            self._blocked_at = self.transport.get_write_buffer_size()
            self.deadline = self.sockets.now + self.idle_timeout

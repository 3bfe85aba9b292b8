"""One socket, either side of the gateway: `head()` waits for a message head, `start_pipe()` moves a body to the other side.

Bodies move inside the protocol's callbacks, with back-pressure both ways: who cannot write makes its source stop reading. Deadlines are
numbers that one sweep compares four times a second (a timer for each would cost more than parsing a head).

No connection has more than its share of a turn of the loop: what arrives while nobody waits for it stops the reading, and a body of many
small pieces goes on in the next turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from services.gateway.wire.bodies import BadBody, Body, BodyTooLarge, Budget, Tunnel
from services.gateway.wire.driving import Driver, Signal
from services.gateway.wire.heads.grammar import LARGEST_HEAD, Incomplete
from services.gateway.wire.heads.requests import LONGEST_TARGET, HeaderSection
from services.gateway.wire.heads.responses import ResponseHead
from services.gateway.wire.pace import Limits, Pace

T = TypeVar("T")

NEVER: Final = float("inf")
SWEEP: Final = 0.25
# A read that fills uvloop's buffer (UV_STREAM_RECV_BUF_SIZE) is repeated up to 32 times in the same turn.
_FULL_READ: Final = 256_000
_LINGER: Final = 2.0
_NOWHERE: Final[deque[Any]] = deque()


class Closed(Exception):
    """The other end closed the connection before what was awaited had come."""


class TimedOut(Exception):
    """A deadline has passed. connection: the one that was waited for."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("timed out")
        self.connection = connection


class Sockets:
    """All connections of a worker and the clock of their deadlines.

    now: the loop's time, at most `SWEEP` ahead, so that no deadline passes early.
    """

    __slots__ = ("connections", "loop", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.now = loop.time()
        self.connections: set[Connection] = set()

    def sweep(self) -> None:
        """Ends what has waited too long. To be called every `SWEEP` seconds."""
        now = self.loop.time()
        self.now = now + SWEEP
        for connection in [one for one in self.connections if one.deadline < now]:
            if connection.deadline < now:  # what ended before it in this sweep may have changed that
                connection.expired()


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The other end's address; `local` for one without (a Unix socket)."""
    name = transport.get_extra_info("peername")
    return name[0] if isinstance(name, tuple) else "local"


class Connection(asyncio.Protocol):
    """A connection to a client (`serve` given: the coroutine that answers it) or to an upstream.

    peer: the address of a client; name and port of an upstream, for logs. deadline: when `expired` is called. idle_timeout: seconds between
    two pieces of a body; pace: further limits of the body that comes in, None = none. home: where a connection to an upstream waits for its
    next use; pool: the same while it waits there, None while it is used. broken: something went wrong that whoever waits must hear of.
    section, answer: what the last request, the last answer here began with. client: whom the rules speak of, where that does not change
    from request to request. forwarded: what tells the upstream of this client.
    """

    __slots__ = (
        "_blocked_at",
        "_drained",
        "_fault",
        "_goes_on",
        "_paused_at",
        "_serve",
        "answer",
        "answered",
        "arrived",
        "body",
        "broken",
        "buffer",
        "client",
        "deadline",
        "discarding",
        "driver",
        "first_byte",
        "forwarded",
        "full",
        "home",
        "idle",
        "idle_timeout",
        "lost",
        "pace",
        "paused",
        "peer",
        "pool",
        "section",
        "sent",
        "sink",
        "sockets",
        "source",
        "transport",
    )

    def __init__(self, sockets: Sockets, serve: Callable[[Connection], Coroutine[Any, Any, None]] | None = None) -> None:
        self.sockets = sockets
        self._serve = serve
        self.transport: Any = None
        self.buffer = b""
        self.sink: Connection | None = None
        self.source: Connection | None = None
        self.body: Body | None = None
        self.driver: Driver | None = None
        self.pool: deque[Connection] | None = None
        self.home: deque[Connection] = _NOWHERE
        self.peer = ""
        self.section: HeaderSection | None = None
        self.answer: ResponseHead | None = None
        self.client = ""
        self.forwarded: Any = None
        self.sent = 0
        self.deadline = NEVER
        self.idle_timeout = 60.0
        self.first_byte = 0.0
        self.lost = self.broken = self.full = self.idle = self.discarding = self.answered = False
        self.paused = False
        self.pace: Pace | None = None
        self._goes_on = False
        self._paused_at = 0.0
        self._blocked_at = -1
        self._fault: Exception | None = None
        self.arrived = Signal(sockets.loop)
        self._drained: asyncio.Future[None] | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.sockets.connections.add(self)
        if self._serve is not None:
            self.peer = peer_of(transport)
            self.driver = Driver(self._serve(self), self.sockets.loop)
            self.driver.step()

    def data_received(self, data: bytes) -> None:
        arrived = self.arrived
        driver = arrived.driver
        if driver is not None and self.sink is None:  # a head is waited for; `arrived.set`, written out
            self.buffer = self.buffer + data if self.buffer else data
            arrived.driver = None
            driver.step()
        elif self.sink is not None:
            self._move(data)
        elif self.discarding:
            if len(data) >= _FULL_READ:
                self.pause()
                self.sockets.loop.call_soon(self.resume)
        elif self.pool is not None:
            self.transport.close()  # nobody asked for anything
        else:
            self.buffer += data
            if arrived.awaited:
                arrived.set()
            else:  # what is under way comes first
                self.pause()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = self.broken = True
        self.deadline = NEVER
        self.sockets.connections.discard(self)
        if self.pool is not None and self in self.pool:
            self.pool.remove(self)
        if error is not None and self._serve is None and self.sink is None and self.transport.get_extra_info("sslcontext") is None:
            self._last_words()
        while self._serve is None and error is None and self.buffer and self.sink is not None:
            data, self.buffer = self.buffer, b""
            self._move(data)
        if self.sink is not None and self.body is not None and error is None:
            last = self.body.ended_by_close()
            if last is not None:
                if last:
                    self.sink.write(last)
                self._end_pipe(b"")
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.driver is not None:
            self.driver.cancel()
        else:
            self.arrived.set()

    def _last_words(self) -> None:
        """Reads what came before the other end reset the connection: an upstream may refuse an upload and not wait for its end."""
        with contextlib.suppress(OSError):
            self.buffer += os.read(self.transport.get_extra_info("socket").fileno(), LARGEST_HEAD)

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
        if self.discarding:
            self.transport.abort()
        elif (self._drained is not None and not self._drained.done()) or self.transport.is_closing():
            # What was written still waits: the other end has its time as long as it takes something.
            waiting = self.transport.get_write_buffer_size()
            if self._blocked_at < 0 or waiting < self._blocked_at:
                self._blocked_at = waiting
                self.deadline = self.sockets.now + self.idle_timeout
            else:
                self.transport.abort()
        elif self.idle or self.pool is not None:
            self.transport.close()
        elif self.paused and self.sink is not None:
            # The other side takes nothing: it has its time as long as it takes something.
            waiting = self.sink.transport.get_write_buffer_size()
            if self._blocked_at < 0 or waiting < self._blocked_at:
                self._blocked_at = waiting
                self.deadline = self.sockets.now + self.idle_timeout
            else:
                self._trouble(TimedOut(self.sink))
        else:
            self._trouble(TimedOut(self))

    def _trouble(self, error: Exception) -> None:
        """Tells the coroutine: it waits at this connection or at the one that gets this one's body."""
        self.deadline = NEVER
        if not self.arrived.awaited and self.sink is not None:
            self.sink.fail(error)
        else:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Makes what waits here, or will wait here, raise `error`."""
        self._fault = error
        self.broken = True
        self.arrived.set()

    # The coroutine's side.

    def write(self, data: bytes) -> None:
        if not self.lost:
            self.sent += len(data)
            self.transport.write(data)

    def pause(self) -> None:
        if not self.paused and not self.lost:
            self.paused = True
            self._paused_at = self.sockets.now
            self._blocked_at = -1
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.paused and not self.lost:
            if self.sink is not None:
                if self.buffer:  # of this body, and first
                    self._go_on_later()
                    return
                if self.pace is not None:
                    self.pace.not_counted(self.sockets.now - self._paused_at)
                self._await_piece()
            self.paused = False
            self.transport.resume_reading()

    def notice_end(self) -> None:
        """Reads on unless something waits to be looked at: otherwise nobody would hear that the other end has gone."""
        if self.paused and not self.buffer:
            self.resume()

    def limit_body(self, limits: Limits) -> None:
        """Sets how long the body that comes in now may take."""
        self.idle_timeout = limits.idle
        self.pace = Pace(limits, self.sockets.now)
        self._paused_at = self.sockets.now  # what was paused before is no part of it

    def _await_piece(self, size: int = 0) -> None:
        """Sets the deadline of the next piece of a body, after one of `size` bytes."""
        now, pace = self.sockets.now, self.pace
        self.deadline = now + self.idle_timeout if pace is None else pace.deadline(now, size)

    async def head(self, parse: Callable[[bytes], T], head_timeout: float = NEVER) -> T:
        """The next head, parsed; it stays in `buffer`. head_timeout: seconds it may take once it has begun.

        Raises Closed, TimedOut, and what `parse` raises besides Incomplete.
        """
        begun = False
        while True:
            if self._fault is not None:
                self.raise_fault()
            if self.buffer:
                try:
                    return parse(self.buffer)
                except Incomplete:
                    if not begun and head_timeout is not NEVER:
                        begun = True
                        self.idle = False
                        self.deadline = self.sockets.now + head_timeout
                    await self._rest_of_head()
                    continue
            # As `more`, written out: this is where every answer is waited for.
            if self.lost:
                raise Closed
            if self.paused and self.sink is None:
                self.resume()
            await self.arrived
            if self.lost and not self.buffer:
                raise Closed

    async def _rest_of_head(self) -> None:
        """Waits until the buffer may hold a whole head: looking again at every byte would make slow senders expensive."""
        while True:
            scanned = max(0, len(self.buffer) - 3)
            await self.more()
            data = self.buffer
            if len(data) > LARGEST_HEAD or data.find(b"\n\r\n", scanned) >= 0 or data.find(b"\n\n", scanned) >= 0:
                return
            if len(data) > LONGEST_TARGET and b"\n" not in data:
                return

    async def more(self) -> None:
        """Waits for bytes in `buffer`. Raises Closed, TimedOut."""
        if self.lost:
            raise Closed
        if self.paused and self.sink is None:
            self.resume()
        await self.arrived
        if self.broken:
            self.raise_fault()

    def raise_fault(self) -> None:
        """Raises what went wrong here: Closed unless there is still something to read, TimedOut, and what a body raises."""
        fault, self._fault = self._fault, None
        self.broken = self.lost
        if fault is not None:
            raise fault
        if self.lost and not self.buffer:
            raise Closed

    def take(self, size: int) -> bytes:
        """Cuts `size` bytes from the front of the buffer."""
        data = self.buffer
        if len(data) == size:
            self.buffer = b""
            return data
        self.buffer = data[size:]
        return data[:size]

    def start_pipe(self, sink: Connection, body: Body, first: bytes = b"") -> bool:
        """Begins to move a body from here to `sink`, after `first`. True when all of it was already here."""
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
        self._await_piece(len(data) - len(rest))
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
        """Waits for the end of the body. Raises Closed, TimedOut, BadBody, BodyTooLarge."""
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
            self._trouble(error)
            return
        if out:
            sink.write(out)
        self._await_piece(len(data) - len(rest))
        if type(body) is Tunnel:
            sink.deadline = self.deadline
        if body.done:
            self._end_pipe(rest)
        elif rest or len(data) >= _FULL_READ:
            self.buffer = rest
            self.pause()
            self._go_on_later()

    def _go_on_later(self) -> None:
        """Goes on with the body in the next turn of the loop: others come first."""
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
        """Stops moving a body that nobody wants any more."""
        if self.sink is not None:
            self.sink.source = None
            self.sink = None

    async def collect(self, body: Body, budget: Budget) -> bytes:
        """Reads a body as a whole. Raises Closed, TimedOut, BadBody, BodyTooLarge; then what it had of the budget is free again."""
        return b"".join(await self.collect_pieces(body, budget))

    async def collect_pieces(self, body: Body, budget: Budget) -> list[bytes]:
        """As `collect`; joining megabytes is left to who can do it elsewhere than on the loop."""
        pieces: list[bytes] = []
        held = 0
        try:
            while not body.done:
                if not self.buffer:
                    self._await_piece()
                    try:
                        await self.more()
                    except Closed:
                        last = body.ended_by_close()
                        if last is None:
                            raise
                        break
                data, self.buffer = self.buffer, b""
                piece, self.buffer = body.feed(data)
                if not budget.spend(len(piece)):
                    raise BodyTooLarge
                held += len(piece)
                pieces.append(piece)
                if self.pace is not None:
                    self.pace.deadline(self.sockets.now, len(data) - len(self.buffer))
                if self.buffer and not body.done:
                    await asyncio.sleep(0)
        except BaseException:
            budget.give_back(held)
            raise
        finally:
            self.pace = None
        self.deadline = NEVER
        self.notice_end()
        return pieces

    async def drained(self) -> None:
        """Waits until the other end has taken enough of what was written."""
        while self.full and not self.lost:
            self._blocked_at = self.transport.get_write_buffer_size()
            self.deadline = self.sockets.now + self.idle_timeout
            self._drained = self.sockets.loop.create_future()
            await self._drained
        if self.sink is None:
            self.deadline = NEVER
        else:
            self._await_piece()

    def linger(self) -> None:
        """Closes so that the last answer arrives although the other end may still be sending: half first, the rest when it is done."""
        if self.lost or self.discarding:
            return
        self.break_pipe()
        self.discarding = True
        self.buffer = b""
        self.resume()
        self.deadline = self.sockets.now + _LINGER + SWEEP
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        self.break_pipe()
        if not self.lost:
            self.transport.close()
            # It stays until everything is sent: who takes nothing must not hold it for ever.
            self._blocked_at = self.transport.get_write_buffer_size()
            self.deadline = self.sockets.now + self.idle_timeout

"""A small client of Valkey and Redis for the event loop (RESP 2): one connection, all commands of one loop turn in one write.

It is built for callers that must not wait: while there is no connection, commands fail at once; one that is not answered within 240 ms
fails, and its connection with it. A new connection is tried with growing pauses in the background; one that stands is asked every second
whether it still serves. `nodes.py` knows what to do in a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from services.common import logging as logs

log = logs.get(__name__)

ANSWER_S: Final = 0.22
GRACE_S: Final = 0.02
CONNECT_S: Final = 2.0
PULSE_S: Final = 1.0
SHORTEST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
UNCOUNTED: Final = "requests passed uncounted"
_PLAIN: Final = frozenset({"redis", "valkey"})
_TLS: Final = frozenset({"rediss", "valkeys"})
_TURNED_AWAY: Final = ("LOADING", "MASTERDOWN", "NOAUTH", "NOPERM", "READONLY", "WRONGPASS")


class Away(Exception):
    """The server cannot be reached, or does not answer in time."""


class ServerError(Exception):
    """The server's answer to one command was an error; the first word of the text is its kind."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is. path: of a Unix socket, then host and port mean nothing."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `redis://`, `rediss://` (TLS), `valkey://` or `valkeys://[user][:password@]host[:port][/database]`, or `unix://path?db=0`.

        Query: `ssl_ca_certs` (file), `ssl_cert_reqs=none` (the certificate is not checked). Raises ValueError, without the password.
        """
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        database = query.get("db", "0") if parts.scheme == "unix" else parts.path.strip("/") or query.get("db", "0")
        try:
            port = parts.port or 6379
        except ValueError:
            raise ValueError("Valkey URL: the port is not a number between 1 and 65535") from None
        if parts.scheme not in _PLAIN | _TLS | {"unix"}:
            raise ValueError("Valkey URL: must begin with redis://, rediss://, valkey://, valkeys:// or unix://")
        if not database.isdecimal():
            raise ValueError(f"Valkey URL: the database must be a number, not {database!r}")
        return cls(
            host=parts.hostname or "localhost",
            port=port,
            path=unquote(parts.path) if parts.scheme == "unix" else None,
            database=int(database),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else query.get("password"),
            tls=_tls(query) if parts.scheme in _TLS else None,
        )


def _tls(query: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=query.get("ssl_ca_certs"))
    except OSError as error:
        raise ValueError(f"Valkey URL: ssl_ca_certs cannot be read: {error.strerror or error}") from None
    if query.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Receiver:
    """Who waits for the answer to one command."""

    __slots__ = ()

    def receive(self, reply: Any) -> None:
        """Take the answer, in the turn of the loop that brought it; a ServerError or an Away in its place. Called once. Never raises."""
        raise NotImplementedError


class _Future(Receiver):
    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def receive(self, reply: Any) -> None:
        if self._future.done():  # its caller has gone
            return
        if isinstance(reply, Exception):
            self._future.set_exception(reply)
        else:
            self._future.set_result(reply)


class Link(asyncio.Protocol):
    """One connection: commands out in order, answers back in the same order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: Any = None
        self._outgoing: list[bytes] = []
        self._asked: deque[tuple[float, Receiver]] = deque()  # deadline, who waits
        self._watch: asyncio.TimerHandle | None = None
        self.up = True
        self.why = ""  # why it is not up any more
        self.gone = asyncio.Event()  # the socket is closed too

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def call(self, packed: bytes) -> asyncio.Future[Any]:
        """Send one command in the form of the wire; the future of its answer raises Away or ServerError."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self.up and not self._outgoing:
            self._loop.call_soon(self.flush)
        self.ask(packed, _Future(answer))
        return answer

    def ask(self, packed: bytes, receiver: Receiver) -> None:
        """Take one command in the form of the wire, which `flush` sends. The receiver has Away at once while there is no connection."""
        if not self.up:
            receiver.receive(Away(self.why))
            return
        self._outgoing.append(packed)
        self._asked.append((self._loop.time() + ANSWER_S, receiver))
        if self._watch is None:
            self._watch = self._loop.call_later(ANSWER_S, self._check)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while self.up:
            try:
                reply = self._reader.gets()
                if reply is False:
                    return
                receiver = self._asked.popleft()[1]
            except (hiredis.ProtocolError, IndexError):
                self.close("it does not speak RESP")
                return
            if isinstance(reply, hiredis.ReplyError):
                text = str(reply)
                receiver.receive(ServerError(text))
                if text.startswith(_TURNED_AWAY):
                    self.close(text)
            else:
                receiver.receive(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.close(str(error) if error else "it closed the connection")
        self.gone.set()

    def close(self, why: str) -> None:
        """Close the connection; all who wait for an answer get Away at once."""
        if not self.up:
            return
        self.up = False
        self.why = why
        if self._watch is not None:
            self._watch.cancel()
        while self._asked:
            self._asked.popleft()[1].receive(Away(why))
        self._outgoing.clear()
        if self._transport is not None:
            self._transport.abort()

    def flush(self) -> None:
        """Send what was asked, in one write."""
        if self._outgoing:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    def _check(self) -> None:
        """Look whether the oldest command is too late. One timer does for all: the first in the row has waited longest."""
        self._watch = None
        if not self._asked:
            return
        left = self._asked[0][0] - self._loop.time()
        if left <= 0:
            # if it was this loop that stood still, the answers have come and only have to be read
            self._watch = self._loop.call_later(GRACE_S, self._give_up, self._asked[0][1])
        else:
            self._watch = self._loop.call_later(left, self._check)

    def _give_up(self, late: Receiver) -> None:
        if self._asked and self._asked[0][1] is late:
            self.close(f"no answer within {(ANSWER_S + GRACE_S) * 1000:.0f} ms")
        else:
            self._check()


class Client:
    """Keeps one connection up. Use it on one event loop."""

    def __init__(self, address: Address, prepare: Callable[[Link], Awaitable[None]], meanwhile: str = UNCOUNTED) -> None:
        """Connect to nothing yet. prepare: what to do on a new connection before it is used, and then every second, so that a dead one is
        noticed; when it raises Away or ServerError the connection is given up. meanwhile: what happens without it, for the log.
        """
        self._address = address
        self._meanwhile = meanwhile
        self._prepare = prepare
        self._task: asyncio.Task[None] | None = None
        self.link: Link | None = None

    async def start(self) -> None:
        """Connect, and keep connected in the background. Returns when it is connected, has failed once or is stopped."""
        tried = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(tried), name="valkey-connection")
        self._task.add_done_callback(lambda _: _tell(tried))  # it may be stopped before
        await tried

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self, tried: asyncio.Future[None]) -> None:
        pause = SHORTEST_PAUSE_S
        reported = False
        while True:
            link: Link | None = None
            stopped: asyncio.CancelledError | None = None
            try:
                async with asyncio.timeout(CONNECT_S):
                    link = await self._connect()
                    await self._greet(link)
                self.link = link
                log.info("Valkey connected", address=str(self._address))
                connected_at = asyncio.get_running_loop().time()
                _tell(tried)
                reported = False
                await self._hold(link)
                why = link.why
                if asyncio.get_running_loop().time() - connected_at > LONGEST_PAUSE_S:
                    pause = SHORTEST_PAUSE_S  # not after one that broke at once
            except Exception as error:  # whatever it is, the next attempt may do better
                why = str(error) or "no connection in time"
            except asyncio.CancelledError as cancelled:
                why, stopped = "stopped", cancelled
            self.link = None
            if link is not None:
                link.close(why)
                await link.gone.wait()
            if stopped is not None:
                raise stopped
            if not reported:
                log.warning(f"Valkey unreachable; {self._meanwhile}", address=str(self._address), reason=why)
                reported = True
            _tell(tried)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  spreads the nodes' attempts, no secret
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _hold(self, link: Link) -> None:
        """Wait until the connection is gone, and look every second whether it still serves."""
        while not link.gone.is_set():
            try:
                async with asyncio.timeout(PULSE_S):  # `wait_for` would lose a `stop` that comes together with the end of the connection
                    await link.gone.wait()
                return
            except TimeoutError:
                pass
            try:
                await self._prepare(link)
            except (Away, ServerError) as error:
                link.close(str(error))

    async def _connect(self) -> Link:
        loop = asyncio.get_running_loop()
        at = self._address
        if at.path is not None:
            _, link = await loop.create_unix_connection(Link, at.path)
        else:
            _, link = await loop.create_connection(Link, at.host, at.port, ssl=at.tls)
        return link

    async def _greet(self, link: Link) -> None:
        at = self._address
        if at.password is not None:
            await link.call(pack("AUTH", at.user, at.password) if at.user else pack("AUTH", at.password))
        if at.database:
            await link.call(pack("SELECT", at.database))
        await self._prepare(link)


def _tell(tried: asyncio.Future[None]) -> None:
    if not tried.done():
        tried.set_result(None)


def pack(*command: str | bytes | int) -> bytes:
    """Write a command in the form of the wire."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one only
    return packed

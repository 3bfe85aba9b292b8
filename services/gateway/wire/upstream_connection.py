"""A connection to an upstream: used by one request after the other, and waiting in a pool meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import Any, Final

from services.gateway.wire.connection import Connection
from services.gateway.wire.heads.grammar import LARGEST_HEAD
from services.gateway.wire.heads.responses import ResponseHead
from services.gateway.wire.proxying import AbsoluteForm
from services.gateway.wire.sockets import Sockets


class Pool:
    """The connections to one upstream. idle: those that wait, the last used at the end. open: how many there are, with those being made."""

    __slots__ = ("idle", "open")

    def __init__(self) -> None:
        self.idle: deque[UpstreamConnection] = deque()
        self.open = 0

    @property
    def in_use(self) -> int:
        return self.open - len(self.idle)


_NOWHERE: Final = Pool()


class UpstreamConnection(Connection):
    """A connection to an upstream. home: the pool where it waits for its next use. answer: the head of the last answer. absolute: writes
    requests for the proxy that it is made to, None = there is none, or it is a tunnel. memo: what others derived from this connection.
    """

    __slots__ = ("absolute", "answer", "home", "memo")

    def __init__(self, sockets: Sockets) -> None:
        super().__init__(sockets)
        self.home = _NOWHERE
        self.answer: ResponseHead | None = None
        self.absolute: AbsoluteForm | None = None
        self.memo: Any = None

    def data_received(self, data: bytes) -> None:
        arrived = self.arrived
        driver = arrived.driver
        if driver is not None and self.sink is None:  # a head is waited for
            self.buffer = self.buffer + data if self.buffer else data
            arrived.driver = None  # `arrived.set`, written out: 0.03 µs
            driver.step()
        elif self.sink is not None:
            self._move(data)
        elif self.idle:
            self.transport.close()  # nothing was asked for
        else:
            self.buffer += data
            if arrived.awaited:
                arrived.set()
            else:  # what is under way comes first
                self.pause()

    def connection_lost(self, error: Exception | None) -> None:
        self._lose()
        home = self.home
        if home is not _NOWHERE:
            home.open -= 1
            if self.idle and self in home.idle:
                home.idle.remove(self)
        if error is None:
            while self.buffer and self.sink is not None:
                data, self.buffer = self.buffer, b""
                self._move(data)
        elif self.sink is None and self.transport.get_extra_info("sslcontext") is None:
            self._last_words()
        self._end_moving(error)
        self.arrived.set()

    def _last_words(self) -> None:
        """Read what came before the upstream reset the connection: it may refuse an upload and not wait for its end."""
        with contextlib.suppress(OSError):
            self.buffer += os.read(self.transport.get_extra_info("socket").fileno(), LARGEST_HEAD)

"""A connection to Valkey for threads that may wait (RESP 2). The event loop has a client of its own, `counters/resp.py`.

In a cluster it goes to the node that holds what it asks for: all keys of the announcements share a slot, so it moves at most once.
"""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from math import inf
from typing import Any, Final

import hiredis

from services.gateway.announcements.port import Unreachable
from services.gateway.counters.resp import Address, pack

CONNECT_S: Final = 2.0
ANSWER_S: Final = 5.0


class Moved(Unreachable):
    """Another node of a cluster holds the key."""

    def __init__(self, answer: str) -> None:
        """answer: `MOVED SLOT HOST:PORT`; a node that does not know its name leaves the host empty."""
        super().__init__("MOVED")
        self.host, _, port = answer.split(" ")[2].rpartition(":")
        self.port = int(port)


class Link:
    """For one thread. Every method raises Unreachable: no connection, no answer in time, an error for an answer.

    within: seconds that everything together may take, from now on.
    """

    def __init__(self, address: Address, within: float = inf) -> None:
        self._ends = time.monotonic() + within
        self._connect(address)

    def _connect(self, address: Address) -> None:
        self._address = address
        self._reader = hiredis.Reader()
        try:
            self._socket = _connected(address, self._at_most(CONNECT_S))
        except OSError as error:
            raise Unreachable(type(error).__name__) from None
        try:
            if address.password is not None:
                self.call("AUTH", *((address.user, address.password) if address.user else (address.password,)))
            if address.database:
                self.call("SELECT", address.database)
        except Unreachable:
            self.close()
            raise

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(self, *command: str | bytes | int, wait: float = ANSWER_S) -> Any:
        """Send a command and return its answer. wait: seconds that it may take."""
        try:
            return self._call(command, wait)
        except Moved as error:
            self.close()
            self._connect(replace(self._address, host=error.host or self._address.host, port=error.port, path=None, database=0))
            return self._call(command, wait)

    def _call(self, command: tuple[str | bytes | int, ...], wait: float) -> Any:
        self.send(*command)
        answer = self.next(wait)
        if answer is None:
            raise Unreachable("no answer in time")
        return answer[0]

    def send(self, *command: str | bytes | int) -> None:
        try:
            self._socket.settimeout(self._at_most(ANSWER_S))
            self._socket.sendall(pack(*command))
        except OSError as error:
            raise Unreachable(type(error).__name__) from None

    def next(self, wait: float) -> tuple[Any] | None:
        """Return the next message, in a tuple because it may be nil; None when none comes in `wait` seconds."""
        try:
            while (message := self._reader.gets()) is False:
                self._socket.settimeout(self._at_most(wait))
                data = self._socket.recv(65536)
                if not data:
                    raise Unreachable("it closed the connection")
                self._reader.feed(data)
        except TimeoutError:
            return None
        except (OSError, hiredis.ProtocolError) as error:
            raise Unreachable(type(error).__name__) from None
        if isinstance(message, hiredis.ReplyError):
            if str(message).startswith("MOVED "):
                raise Moved(str(message))
            raise Unreachable(str(message).partition(" ")[0])  # its kind: the rest may hold what was sent
        return (message,)

    def _at_most(self, wait: float) -> float:
        left = min(wait, self._ends - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left


def _connected(address: Address, wait: float) -> socket.socket:
    if address.path is not None:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(wait)
        try:
            made.connect(address.path)
        except OSError:
            made.close()
            raise
        return made
    plain = socket.create_connection((address.host, address.port), wait)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.tls is None:
        return plain
    try:
        return address.tls.wrap_socket(plain, server_hostname=address.host)
    except OSError:
        plain.close()
        raise

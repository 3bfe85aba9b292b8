"""Upstreams that close, or speak, before they were asked: told to the client at once and as what they are."""

from __future__ import annotations

import collections
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.gateway import definition, gateway
from tests.support.raw_client import RawClient

_REQUESTS = 300
_AT_ONCE = 50


class Listener:
    """Does one thing to every connection, as soon as it is there."""

    def __init__(self, act: Callable[[socket.socket], None]) -> None:
        self._act = act
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._links: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            self._links.append(link)
            self._act(link)

    def close(self) -> None:
        self._socket.close()
        for link in self._links:
            link.close()


def resets(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def speaks(link: socket.socket) -> None:
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly")


@pytest.mark.parametrize(
    ("act", "expected"), [(socket.socket.close, {502}), (resets, {502}), (speaks, {200, 502})], ids=["closes", "resets", "speaks"]
)
def test_an_upstream_that_does_not_wait_for_the_request(act: Callable[[socket.socket], None], expected: set[int], tmp_path: Path) -> None:
    upstream = Listener(act)
    timeouts = {"connect": 10, "first_byte": 10, "idle": 10}
    try:
        with gateway(tmp_path, [definition("hasty", upstream.url, proxy={"timeouts": timeouts})]) as running:

            def ask(_: int) -> int:
                with RawClient(running.port) as client:
                    return client.get("/hasty/").status

            with ThreadPoolExecutor(_AT_ONCE) as clients:
                seen = collections.Counter(clients.map(ask, range(_REQUESTS)))
    finally:
        upstream.close()
    assert set(seen) <= expected, seen

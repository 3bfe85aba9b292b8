"""Large bodies and slow peers: everything arrives, and the worker's memory stays flat because nothing is collected."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.waiting import wait_until

MB = 1024 * 1024
SIZE = 64 * MB
PIECE = bytes(range(256)) * 1024
PIECES = SIZE // len(PIECE)
DIGEST = hashlib.blake2b(PIECE * PIECES).hexdigest()
MEMORY_GROWTH = 32 * MB


@pytest.fixture(scope="module")
def bulk_gateway(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("bulk"), [definition("odd", f"{odd_upstream.url}/")]) as running:
        yield running


@pytest.fixture
def flat_memory(bulk_gateway: Gateway) -> Iterator[None]:
    """The most memory that the worker has ever had grows by less than a body."""
    before = bulk_gateway.memory("VmRSS")
    yield
    most = bulk_gateway.memory("VmHWM")
    print(f"memory of the worker: {before // MB} MB before, {most // MB} MB at most")
    assert most - before < MEMORY_GROWTH


def _take(digest: hashlib.blake2b, client: RawClient, size: int) -> None:
    left = size
    digest.update(client.buffer)
    left -= len(client.buffer)
    client.buffer = b""
    while left:
        data = client.socket.recv(min(left, MB))
        assert data, f"ended {left} bytes early"
        digest.update(data)
        left -= len(data)


def _take_chunks(digest: hashlib.blake2b, client: RawClient) -> None:
    while size := int(client.until(b"\r\n"), 16):
        digest.update(client.exactly(size))
        assert client.exactly(2) == b"\r\n"
    assert client.exactly(2) == b"\r\n"


@pytest.mark.usefixtures("flat_memory")
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_large_download(chunked: bool, bulk_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    def send(asked: Request) -> None:
        if chunked:
            asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(PIECES):
                asked.send(b"%x\r\n" % len(PIECE), PIECE, b"\r\n")
            asked.send(b"0\r\n\r\n")
        else:
            asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE, *[PIECE] * PIECES)

    odd_upstream.on("/bulk", send)
    digest = hashlib.blake2b()
    with RawClient(bulk_gateway.port) as client:
        client.send(request("/odd/bulk"))
        assert client.head().status == 200
        if chunked:
            _take_chunks(digest, client)
        else:
            _take(digest, client, SIZE)
        assert digest.hexdigest() == DIGEST
        assert client.get("/odd/next").status == 200


@pytest.mark.usefixtures("flat_memory")
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_large_upload(chunked: bool, bulk_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    def take(asked: Request) -> None:
        digest = hashlib.blake2b()
        asked.take_body(digest.update)
        asked.answer(digest.hexdigest().encode())

    odd_upstream.on("/upload", take)
    with RawClient(bulk_gateway.port, timeout=30) as client:
        if chunked:
            client.send(b"PUT /odd/upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(PIECES):
                client.send(b"%x\r\n" % len(PIECE), PIECE, b"\r\n")
            client.send(b"0\r\n\r\n")
        else:
            client.send(b"PUT /odd/upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % SIZE, *[PIECE] * PIECES)
        assert client.answer().body.decode() == DIGEST
        assert client.get("/odd/next").status == 200


class Counter:
    """Bytes that a peer could send; `settled` = no more for a moment, which is what being held back looks like from outside."""

    def __init__(self) -> None:
        self.sent = 0
        self._seen = -1
        self._since = 0.0

    def settled(self) -> bool:
        if self.sent != self._seen:
            self._seen, self._since = self.sent, time.monotonic()
        return self.sent > 0 and time.monotonic() - self._since > 0.4


@pytest.mark.usefixtures("flat_memory")
def test_slow_clients_hold_their_upstream_back(bulk_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    sent = Counter()

    def send(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(PIECES):
            asked.send(PIECE)
            sent.sent += len(PIECE)

    odd_upstream.on("/slow-client", send)
    clients = [RawClient(bulk_gateway.port, receive_buffer=4096) for _ in range(10)]
    try:
        for client in clients:
            client.send(request("/odd/slow-client"))
        wait_until(sent.settled, 20, "the upstream being held back")
        assert sent.sent < 0.5 * SIZE * len(clients)  # the rest is in the buffers of the kernel
        with RawClient(bulk_gateway.port) as other:
            assert other.get("/odd/next").status == 200
        digest = hashlib.blake2b()
        clients[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MB)
        assert clients[0].head().status == 200
        _take(digest, clients[0], SIZE)
        assert digest.hexdigest() == DIGEST
    finally:
        for client in clients:
            client.close()


@pytest.mark.usefixtures("flat_memory")
def test_a_slow_upstream_holds_the_client_back(bulk_gateway: Gateway, odd_upstream: OddUpstream) -> None:
    go_on = threading.Event()
    sent = Counter()

    def take(asked: Request) -> None:
        assert go_on.wait(30)
        digest = hashlib.blake2b()
        asked.take_body(digest.update)
        asked.answer(digest.hexdigest().encode())

    odd_upstream.on("/slow-upstream", take)
    with RawClient(bulk_gateway.port, timeout=30) as client:

        def upload() -> None:
            client.send(b"PUT /odd/slow-upstream HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(PIECES):
                client.send(PIECE)
                sent.sent += len(PIECE)

        uploading = threading.Thread(target=upload)
        uploading.start()
        wait_until(sent.settled, 20, "the client being held back")
        assert sent.sent < SIZE
        go_on.set()
        assert client.answer().body.decode() == DIGEST
        uploading.join()


@pytest.mark.usefixtures("flat_memory")
def test_many_requests_leave_nothing_behind(bulk_gateway: Gateway) -> None:
    """Pipelined requests of a client that does not read their answers wait, too."""
    sent = Counter()
    one = request("/odd/flood", b"X-Padding: " + b"a" * 4000)

    with RawClient(bulk_gateway.port, receive_buffer=4096) as client:

        def flood() -> None:
            for _ in range(8000):
                try:
                    client.send(one)
                except OSError:
                    return
                sent.sent += len(one)

        flooding = threading.Thread(target=flood)
        flooding.start()
        wait_until(sent.settled, 30, "the client being held back")
        assert sent.sent < 8000 * len(one)
        client.socket.shutdown(socket.SHUT_RDWR)
        flooding.join()

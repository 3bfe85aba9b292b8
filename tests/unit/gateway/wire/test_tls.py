"""TLS loses nothing at its ends, and a client that connects and says nothing costs little."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from services.gateway.wire import tls
from services.gateway.wire.bodies import Budget, CloseBody
from services.gateway.wire.client_certificates import ServerTls
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import Closed, Connection
from services.gateway.wire.reading import read_whole
from services.gateway.wire.sockets import Sockets
from services.gateway.wire.tls import Handshakes
from tests.support import certificates
from tests.support.certificates import Certificates

LARGE = bytes(range(256)) * 1024


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def of_server(own: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    return context


def present(own: Certificates) -> Callable[[], ServerTls]:
    served = ServerTls(of_server(own))
    return lambda: served


def of_client(own: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(own.authority))


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, threading.Thread]]:
    """A port whose first client `serve` answers in a thread, which has ended when the block has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def first() -> None:
            link, _ = listener.accept()
            link.settimeout(20)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                serve(link)
            link.close()

        thread = threading.Thread(target=first)
        thread.start()
        yield listener.getsockname()[1], thread
        thread.join()


def run(work: Coroutine[Any, Any, None]) -> None:
    """On the loop that serves."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work, 30))


async def turns(number: int = 100) -> None:
    """Lets the loop look at its sockets so often."""
    for _ in range(number):
        await asyncio.sleep(0)


def test_the_tail_of_what_a_slow_client_takes_is_not_lost_when_the_upstream_closes(own: Certificates) -> None:
    def sends_and_goes(link: socket.socket) -> None:
        with of_server(own).wrap_socket(link, server_side=True) as secure:
            secure.sendall(LARGE[:1000])
            assert secure.recv(10) == b"more"
            for start in range(1000, 200_000, 10_000):
                secure.sendall(LARGE[start : start + 10_000])

    async def work() -> None:
        connection = await tls.connect(Sockets(asyncio.get_running_loop()), "127.0.0.1", port, of_client(own))
        while len(connection.buffer) < 1000:
            await connection.more()
        connection.pause()
        connection.write(b"more")
        await asyncio.to_thread(thread.join)
        await turns()
        assert len(connection.buffer) == 1000
        connection.resume()
        assert len(b"".join(await read_whole(connection, CloseBody(False), budget=Budget(1 << 20)))) == 201_000
        with pytest.raises(Closed):
            await connection.more()

    with listening(sends_and_goes) as (port, thread):
        run(work())


def test_what_an_upstream_says_before_it_resets_the_connection_is_read(own: Certificates) -> None:
    def refuses_an_upload(link: socket.socket) -> None:
        with of_server(own).wrap_socket(link, server_side=True) as secure:
            assert secure.recv(4) == b"head"
            secure.sendall(b"refused")

    async def work() -> None:
        connection = await tls.connect(Sockets(asyncio.get_running_loop()), "127.0.0.1", port, of_client(own))
        connection.pause()  # so that it is not read before
        connection.write(b"head" + LARGE)
        await asyncio.to_thread(thread.join)
        while not connection.lost:
            connection.write(b"more")
            await asyncio.sleep(0.01)
        assert connection.buffer == b"refused"

    with listening(refuses_an_upload) as (port, thread):
        run(work())


def test_what_is_said_before_the_handshake_is_nobodys_answer(own: Certificates) -> None:
    def answers_unasked(link: socket.socket) -> None:
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        with of_server(own).wrap_socket(link, server_side=True) as secure:
            secure.recv(1)

    async def work() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        connection: Connection | None = None
        with contextlib.suppress(OSError):
            connection = await tls.connect(sockets, "127.0.0.1", port, of_client(own))
        await turns()
        assert connection is None or not connection.buffer
        for one in list(sockets.connections):
            one.close()
        await turns()

    with listening(answers_unasked) as (port, _):
        run(work())


def test_an_upstream_that_never_shakes_hands_leaves_nothing_behind(own: Certificates) -> None:
    def silent(link: socket.socket) -> None:
        while link.recv(65536):
            pass

    async def work() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        context = of_client(own)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await tls.connect(sockets, "127.0.0.1", port, context)
        await asyncio.to_thread(thread.join)  # it saw the end
        assert not sockets.connections

    with listening(silent) as (port, thread):
        run(work())


class Public:
    """A port that shakes hands. answered: its connections; plain: those without TLS. refused: addresses that may not enter; inside: those
    that have.
    """

    def __init__(self, own: Certificates, most: int) -> None:
        self.answered: list[ClientConnection] = []
        self.plain: list[ClientConnection] = []
        self.refused: set[str] = set()
        self.inside: list[str] = []
        self.sockets = Sockets(asyncio.get_running_loop())
        self.handshakes = Handshakes(self.sockets, self._serve, self._turn_back, present(own), most, self._enter, self.inside.remove)

    def _enter(self, address: str) -> bool:
        if address in self.refused:
            return False
        self.inside.append(address)
        return True

    async def _serve(self, connection: ClientConnection) -> None:
        self.answered.append(connection)
        connection.write(LARGE * 16)
        connection.driver = None
        connection.close()

    async def _turn_back(self, connection: ClientConnection) -> None:
        self.plain.append(connection)
        connection.driver = None
        connection.write(b"this is TLS")
        connection.linger()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await self.sockets.loop.create_server(self.handshakes.protocol, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()


def takes_all(port: int, context: ssl.SSLContext) -> tuple[int, bool]:
    """How much a client gets, and whether the end of it was said (close_notify)."""
    plain = socket.create_connection(("127.0.0.1", port), 20)
    with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as link:
        size = 0
        try:
            while data := link.recv(65536):
                size += len(data)
        except ssl.SSLEOFError:
            return size, False
        return size, True


def test_a_client_gets_everything_and_its_end_and_need_not_say_farewell(own: Certificates) -> None:
    async def work() -> None:
        public = Public(own, 10)
        async with public.open() as port:
            assert await asyncio.to_thread(takes_all, port, of_client(own)) == (16 * len(LARGE), True)
            while not public.answered[0].lost:
                await asyncio.sleep(0.01)
            assert public.handshakes.under_way == 0
            assert public.inside == []

    run(work())


def test_an_address_that_may_not_enter_is_dropped_before_its_handshake(own: Certificates) -> None:
    async def work() -> None:
        public = Public(own, 10)
        public.refused.add("127.0.0.1")
        async with public.open() as port:
            with pytest.raises(OSError):
                await asyncio.to_thread(takes_all, port, of_client(own))
            assert (public.answered, public.handshakes.under_way) == ([], 0)

    run(work())


def test_a_client_that_waits_after_the_end_is_not_waited_for(own: Certificates) -> None:
    """Not even one that took its time, so that at `close` much was still to be sent."""

    async def work() -> None:
        public = Public(own, 10)
        async with public.open() as port:
            plain = socket.create_connection(("127.0.0.1", port), 20)

            def takes_all_and_stays() -> ssl.SSLSocket:
                link = of_client(own).wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
                assert sum(iter(lambda: len(link.recv(65536)), 0)) == 16 * len(LARGE)
                return link

            with await asyncio.to_thread(takes_all_and_stays):
                while not public.answered[0].lost:
                    await asyncio.sleep(0.01)

    run(work())


def test_what_comes_together_with_the_end_of_the_handshake_is_not_lost(own: Certificates) -> None:
    """More than one read of the socket takes (256 KiB), so that the loop reads on before anybody has heard of the handshake."""

    async def work() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        served: list[ClientConnection] = []

        async def serve(connection: ClientConnection) -> None:
            served.append(connection)
            while len(connection.buffer) < 2 * len(LARGE):
                await connection.more()
            connection.driver = None

        gateways, clients = socket.socketpair()
        with clients:
            for link in (gateways, clients):
                link.setblocking(False)
            clients.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(LARGE))
            handshakes = Handshakes(sockets, serve, serve, present(own), 1, lambda _: True, lambda _: None)
            await sockets.loop.connect_accepted_socket(handshakes.protocol, gateways)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = of_client(own).wrap_bio(incoming, outgoing, server_hostname="localhost")
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    clients.send(outgoing.read())
                    incoming.write(await sockets.loop.sock_recv(clients, 65536))
            client.write(LARGE + LARGE)
            await sockets.loop.sock_sendall(clients, outgoing.read())
            while not served or len(served[0].buffer) < 2 * len(LARGE):
                await asyncio.sleep(0.01)
            assert served[0].buffer == LARGE + LARGE
            served[0].transport.abort()
            await turns()

    run(work())


@pytest.mark.parametrize("eof", [False, True])
@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"P", b"PROPFIND / HT", b"POST / HTTP/1.1\r\n\r\n" + LARGE * 4])
def test_a_client_that_speaks_plain_http_is_told(own: Certificates, sent: bytes, eof: bool) -> None:
    async def work() -> None:
        public = Public(own, 10)
        async with public.open() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            if eof:
                writer.write_eof()
            assert await reader.read() == b"this is TLS"
            writer.close()
            while public.sockets.connections:
                await asyncio.sleep(0.01)
            assert public.answered == []
            assert (public.handshakes.under_way, public.inside) == (0, [])
            assert public.plain[0].buffer == b""
            assert await asyncio.to_thread(takes_all, port, of_client(own)) == (16 * len(LARGE), True)

    run(work())


@pytest.mark.parametrize("sent", [b"\x16\x03\x01", b"SSH-2.0-Client\r\n", b"get / HTTP/1.1\r\n", b"\x00" * 40])
def test_what_is_neither_tls_nor_http_is_dropped(own: Certificates, sent: bytes) -> None:
    async def work() -> None:
        public = Public(own, 10)
        async with public.open() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            writer.write_eof()
            answer = b""
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
            assert answer[:1] in (b"", b"\x15")  # nothing, or an alert of TLS
            writer.close()
            while public.handshakes.under_way:
                await asyncio.sleep(0.01)
            assert (public.answered, public.plain, public.inside) == ([], [], [])

    run(work())


def test_a_client_that_does_not_shake_hands_is_dropped(own: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_OF_CLIENTS", 0.1)

    async def work() -> None:
        public = Public(own, 10)
        async with public.open() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            assert public.handshakes.under_way == 0
            assert not public.sockets.connections

    run(work())


@pytest.mark.parametrize("said", [b"hello\r\n\r\n", b"\x16\x03\x01\x00\x02\x01"], ids=["no TLS", "half a hello"])
def test_a_handshake_that_breaks_off_leaves_nothing_behind(said: bytes, own: Certificates) -> None:
    async def work() -> None:
        public = Public(own, 10)
        async with public.open() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            writer.write_eof()
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
            assert public.handshakes.under_way == 0
            assert not public.sockets.connections

    run(work())


def test_more_handshakes_than_may_be_are_not_begun(own: Certificates) -> None:
    async def work() -> None:
        public = Public(own, 2)
        async with public.open() as port:
            (_, first), (_, second) = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            while public.handshakes.under_way < 2:
                await asyncio.sleep(0.01)
            reader, third = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            assert public.handshakes.under_way == 2
            first.close()
            while public.handshakes.under_way == 2:
                await asyncio.sleep(0.01)
            assert (await asyncio.to_thread(takes_all, port, of_client(own)))[0] == 16 * len(LARGE)
            second.close()
            third.close()

    run(work())

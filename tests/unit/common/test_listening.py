"""A listening socket that refuses new connections keeps those that were made, and lets handshakes under way end."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from services.common.listening import queued, refuse_new, refuses_new

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing refuses")

_ADDRESSES = [(socket.AF_INET, "127.0.0.1"), *([(socket.AF_INET6, "::1")] if socket.has_dualstack_ipv6() else [])]


@pytest.fixture(params=_ADDRESSES, ids=lambda param: param[1])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, address = request.param
    with socket.create_server((address, 0), family=family) as listening:
        listening.settimeout(10)
        yield listening


def _connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname()[:2], timeout=10)


def test_what_is_queued_is_accepted_and_what_is_new_is_refused(listener: socket.socket) -> None:
    with _connect(listener) as client:
        client.sendall(b"asked before")
        assert (queued(listener), refuses_new(listener)) == (1, False)
        refuse_new(listener)
        assert (queued(listener), refuses_new(listener)) == (1, True)
        with pytest.raises(ConnectionRefusedError):
            _connect(listener)
        accepted, _ = listener.accept()
        with accepted:
            assert queued(listener) == 0
            assert accepted.recv(100) == b"asked before"
            accepted.sendall(b"answered")
            assert client.recv(100) == b"answered"
            listener.close()
            client.sendall(b"more")
            assert accepted.recv(100) == b"more"


def test_a_handshake_under_way_ends(listener: socket.socket) -> None:
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 10)  # the kernel ends it when the client says something
    with _connect(listener) as client:
        assert queued(listener) == 0
        refuse_new(listener)
        client.sendall(b"said afterwards")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b"said afterwards"


def test_its_address_can_be_used_again(listener: socket.socket) -> None:
    address = listener.getsockname()[:2]
    refuse_new(listener)
    listener.close()
    with socket.create_server(address, family=listener.family), socket.create_connection(address, timeout=10):
        pass


def test_a_process_that_shares_the_socket_refuses_too(listener: socket.socket) -> None:
    with listener.dup() as other:
        refuse_new(other)
    assert refuses_new(listener)
    with pytest.raises(ConnectionRefusedError):
        _connect(listener)


def test_a_unix_socket_stays_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        refuse_new(listener)
        assert (queued(listener), refuses_new(listener)) == (0, False)
        client.connect(path)

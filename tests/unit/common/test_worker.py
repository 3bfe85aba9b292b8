"""The end of a connection, and of the worker: whoever has connected is answered, and nobody waits for a client that does not close."""

from __future__ import annotations

import logging
import selectors
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from services.common.listening import refuse_new
from services.common.worker import _MOST_UNREAD, Worker


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def worker(listener: socket.socket) -> Iterator[Any]:
    """As it is when it begins to serve, with connections in the place of threads. accepted: those."""
    worker: Any = Worker(1, 0, [listener], None, 30, Config(), logging.getLogger("test"))
    worker.accepted = []
    worker.enqueue_req = worker.accepted.append
    worker.wsgi = SimpleNamespace(extensions={})
    worker._accepts_until, worker._ends = float("inf"), {}
    worker.poller = selectors.DefaultSelector()
    worker.method_queue.init()
    worker.poller.register(worker.method_queue.fileno(), selectors.EVENT_READ, worker.method_queue.run_callbacks)
    worker.set_accept_enabled(True)
    yield worker
    for conn in worker.accepted:
        conn.close()
    worker.poller.close()
    worker.method_queue.close()
    worker.tmp.close()


def _ending(worker: Any) -> tuple[TConn, socket.socket]:
    """A connection whose last answer is sent, and its client."""
    client, sock = socket.socketpair()
    conn = TConn(worker.cfg, sock, "", "")
    worker.nr_conns += 1
    sent: Future[bool] = Future()
    sent.set_result(False)
    sock.send(b"the answer")
    worker.finish_request(conn, sent)
    client.settimeout(10)
    assert client.recv(100) == b"the answer"
    assert client.recv(100) == b""
    return conn, client


def test_a_client_that_does_not_close_is_not_waited_for(worker: Any) -> None:
    conn, client = _ending(worker)
    with client:
        assert worker.nr_conns == 1
        client.send(b"more")
        worker.wait_for_and_dispatch_events(10)
        worker.murder_pending()
        assert conn.sock.fileno() >= 0
        conn.timeout = 0.0  # its time is over
        worker.murder_pending()
        assert (conn.sock.fileno(), worker.nr_conns) == (-1, 0)


def test_a_client_that_closes_is_gone_at_once(worker: Any) -> None:
    conn, client = _ending(worker)
    client.close()
    worker.wait_for_and_dispatch_events(10)
    assert (conn.sock.fileno(), worker.nr_conns) == (-1, 0)


def test_a_client_that_sends_on_is_cut_off(worker: Any) -> None:
    conn, client = _ending(worker)
    with client:
        sent = 0
        while conn.sock.fileno() >= 0:
            assert sent <= 2 * _MOST_UNREAD
            sent += client.send(bytes(16 * 1024))
            worker.wait_for_and_dispatch_events(10)
        assert worker.nr_conns == 0


def test_a_worker_that_is_told_to_stop_accepts_what_is_queued(worker: Any, listener: socket.socket) -> None:
    """Then it listens no more; told again, it gets no more time."""
    address = listener.getsockname()
    clients = [socket.create_connection(address) for _ in range(5)]
    refuse_new(listener)
    worker.handle_exit(signal.SIGTERM, None)
    until = worker._accepts_until
    worker.handle_exit(signal.SIGTERM, None)
    assert worker._accepts_until == until
    worker._accepts_until = 0.0  # the moment is over, as it is for a process that was frozen
    worker.wait_for_and_dispatch_events(10)
    assert not worker.alive
    assert len(worker.accepted) == 5
    assert listener.fileno() == -1
    for client in clients:
        client.close()


def test_until_then_it_serves_as_before(worker: Any, listener: socket.socket) -> None:
    worker.handle_exit(signal.SIGTERM, None)
    worker._accepts_until = float("1e12")
    with socket.create_connection(listener.getsockname()):
        while not worker.accepted:
            worker.wait_for_and_dispatch_events(10)
        assert worker.alive

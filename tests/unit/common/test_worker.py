"""The end of a connection, and of the worker: whoever has connected is answered, and nobody waits for a client that does not close."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
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
    worker._ends = {}
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


def test_a_worker_that_stops_accepts_what_is_queued(worker: Any, listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it was frozen, and listens no more."""
    monkeypatch.setattr("services.common.worker.STILL_ACCEPTS_S", 0.0)
    address = listener.getsockname()
    with contextlib.ExitStack() as block:
        for _ in range(5):
            block.enter_context(socket.create_connection(address))
        refuse_new(listener)
        worker.handle_exit(signal.SIGTERM, None)
        worker.set_accept_enabled(False)
        assert len(worker.accepted) == 5
        assert listener.fileno() == -1
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_a_worker_that_stops_waits_for_handshakes_under_way(worker: Any, listener: socket.socket) -> None:
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 10)  # the kernel ends them when the client says something
    with socket.create_connection(listener.getsockname()) as client:
        refuse_new(listener)
        worker.handle_exit(signal.SIGTERM, None)
        waited = worker.wait_for_and_dispatch_events

        def later(timeout: float) -> None:
            if not worker.accepted:
                client.send(b"a request")
            waited(timeout)

        worker.wait_for_and_dispatch_events = later
        worker.set_accept_enabled(False)
        assert len(worker.accepted) == 1


def test_a_worker_whose_master_was_killed_stops_as_if_it_were_told(
    worker: Any, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep the port, and those who wait in it, from the next master otherwise."""
    monkeypatch.setattr("services.common.worker.STILL_ACCEPTS_S", 0.0)
    closed = threading.Event()
    worker.wsgi.extensions["wakeups"] = SimpleNamespace(close=closed.set)
    assert worker.ppid != os.getppid()
    assert not worker.is_parent_alive()
    worker.set_accept_enabled(False)
    assert listener.fileno() == -1
    assert closed.wait(10)

"""What the thread that watches the connections lives through: whatever ends it ends all polls of the process."""

from __future__ import annotations

import errno
import resource
import selectors
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from services.sessions import serving
from services.sessions.serving import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    """One that does not run: its rounds are the test's."""
    config = Config()
    config.set("threads", 2)
    made = Worker(0, 0, [], None, 30, config, _Log())
    made._door, made._used_up = None, False
    made.tpool, made.poller = made.get_thread_pool(), selectors.DefaultSelector()
    made.method_queue.init()
    yield made
    made.tpool.shutdown()
    made.poller.close()
    made.method_queue.close()
    made.tmp.close()


class _Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str, *values: Any) -> None:
        self.warnings.append(text % values)

    def debug(self, *_: Any) -> None: ...

    def access(self, *_: Any) -> None: ...


def connected(worker: Worker) -> tuple[Any, socket.socket]:
    """A connection that is watched, and its client's end."""
    ours, theirs = socket.socketpair()
    conn = TConn(worker.cfg, ours, "", "")
    conn.fresh = False
    worker.nr_conns += 1
    worker.poller.register(ours, selectors.EVENT_READ, partial(worker._on_readable, conn))
    return conn, theirs


def test_a_connection_that_was_closed_in_this_round_ends_nothing(worker: Worker) -> None:
    """Its client goes away while its poll is answered: the selector has told of both."""
    conn, theirs = connected(worker)
    theirs.close()
    ((key, _),) = worker.poller.select(10)
    worker._close(serving._Waiting(conn, b""))
    key.data(key.fileobj)
    assert worker.nr_conns == 0


def test_a_connection_that_a_thread_has_since_this_round_is_left_to_it(worker: Worker) -> None:
    conn, theirs = connected(worker)
    theirs.send(b"x")
    ((key, _),) = worker.poller.select(10)
    worker.poller.unregister(conn.sock)
    key.data(key.fileobj)
    assert worker.tpool._work_queue.empty()
    conn.close()
    theirs.close()


def test_a_client_that_reads_nothing_keeps_no_thread(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_STUCK_S", 1)
    closed = []

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 65536

        def close(self) -> None:
            closed.append(True)

    def answer(environ: Any, start: Any) -> Endless:
        start("200 OK", [("Content-Type", "text/plain")])
        return Endless()

    worker.wsgi = answer
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        worker.accept(listener)
        conn = worker.pending_conns.pop()
        conn.data_ready = True
        assert worker.handle(conn) is False
        assert closed == [True]
        conn.close()


class _Listener(socket.socket):
    def accept(self) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")


def test_a_lack_of_files_ends_nothing(worker: Worker) -> None:
    with _Listener() as listener:
        for _ in range(3):
            worker.accept(listener)
    assert worker.log.warnings == ["no connection accepted: Too many open files"]
    assert worker.nr_conns == 0


def test_there_are_no_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert serving._connections_possible() == 4096 - 256
    assert limits[-1] == (4096, 4096)

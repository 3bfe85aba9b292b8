"""Stores that do not answer: a PostgreSQL behind a pipe that can be closed, an SQLite file that another process has locked."""

from __future__ import annotations

import contextlib
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.stores import PostgreSQL

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
for statement in sys.argv[2:]:
    connection.execute(statement)
print("locked", flush=True)
sys.stdin.read()
"""


class Pipe:
    """A Unix socket that passes everything on to PostgreSQL's. Frozen, it takes what it gets and passes nothing on, as a stopped server."""

    def __init__(self, url: str, folder: Path) -> None:
        """url: as `PostgreSQL.new_database` gives it. folder: for the socket."""
        parts = urlsplit(url)
        (real,) = parse_qs(parts.query)["host"]
        self.url = f"postgresql://postgres:@{parts.path}?host={folder}"
        self._target = f"{real}/.s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.5432")
        self._listener.listen(200)
        self._flows = threading.Event()
        self._flows.set()
        self._ends: dict[socket.socket, socket.socket] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def _pass_on(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._closing:
                for key, _ in selector.select(0.05):
                    self._flows.wait()
                    source = key.fileobj
                    if source is self._listener:
                        self._accept(selector)
                    elif isinstance(source, socket.socket) and source in self._ends:
                        self._pass(selector, source)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        for one, other in ((client, server), (server, client)):
            self._ends[one] = other
            selector.register(one, selectors.EVENT_READ)

    def _pass(self, selector: selectors.BaseSelector, source: socket.socket) -> None:
        target = self._ends[source]
        data = b""
        with contextlib.suppress(OSError):
            data = source.recv(65536)
            target.sendall(data)
        if not data:
            for one in (source, target):
                del self._ends[one]
                selector.unregister(one)
                one.close()

    def close(self) -> None:
        self._closing = True
        self.thaw()
        self._thread.join(10)
        for one in (self._listener, *self._ends):
            one.close()


@contextlib.contextmanager
def hanging(server: PostgreSQL) -> Iterator[None]:
    """Stop all processes of the server for the length of the block."""
    server.hang()
    try:
        yield
    finally:
        server.go_on()


@contextlib.contextmanager
def locked(database: Path, *, exclusive: bool = False) -> Iterator[None]:
    """Let another process hold the write lock of the SQLite file. exclusive: no other process can even read it."""
    statements = ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"] if exclusive else ["BEGIN IMMEDIATE"]
    command = [sys.executable, "-S", "-c", _LOCK, str(database), *statements]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        yield
    finally:
        child.communicate("", timeout=30)

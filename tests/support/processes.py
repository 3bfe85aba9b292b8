"""Run the real programs: gunicorn processes of a service on free ports, ended with the test whatever happens.

They run on this machine, or, as `tests.support.containers` says, in containers of the images.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg

from tests.support import containers
from tests.support.waiting import free_port

ROOT = Path(__file__).resolve().parents[2]
# GATEWAY_COMPILED: by it a run of tests says which data plane it is about.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "GATEWAY_COMPILED")


class Process:
    """A child with its log; a process group of its own, so that its children end with it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._file = log.open("ab")
        self._container = containers.Container(command, env, log) if containers.TAG else None
        self.child = subprocess.Popen(
            self._container.command if self._container else command,
            cwd=ROOT,
            env=None if self._container else _clean(env),
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The id of the program; 0 when it ran in a container that has ended."""
        return self._container.pid(lambda: not self.alive()) if self._container else self.child.pid

    def signal(self, number: int) -> None:
        if not self._container:
            self.child.send_signal(number)
        elif self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def alive(self) -> bool:
        return self.child.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, timeout: float = 15.0) -> int:
        """TERM, then KILL after `timeout`; the exit status."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(timeout)
        self.kill()
        return self.child.returncode

    def kill(self) -> None:
        """KILL the whole group; a container ends with its first process."""
        if self._container:
            self.signal(signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self._file.close()


def _clean(env: Mapping[str, str]) -> dict[str, str]:
    return {**{name: os.environ[name] for name in KEPT if name in os.environ}, **env}


def run_program(command: Sequence[str], env: Mapping[str, str], timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a program of a service to its end. env: the whole of its environment. Raises subprocess.TimeoutExpired."""
    given: Mapping[str, str] | None = env
    if containers.TAG:
        command, given = containers.Container(command, env).command, None
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=timeout, check=False)


_migrated: dict[str, tuple[bytes, list[int]]] = {}  # by service: what its program makes of no SQLite database; modes of file and folder
_templates: dict[tuple[str, str], str] = {}  # by service and server: a PostgreSQL database that its program has migrated


def migrate(service: str, env: Mapping[str, str]) -> None:
    """Bring a service's database to the newest migration, by its program.

    A database without anything in it is a copy of the first one of this process: the program takes a second of a processor.
    """
    url = env.get(f"{service.upper()}_DATABASE_URL", "")
    scheme, _, rest = url.partition("://")
    if containers.TAG or scheme not in ("sqlite", "postgresql"):
        _run_migrate(service, env)
    elif scheme == "sqlite":
        _migrate_sqlite(service, env, Path(rest[1:]))
    else:
        _migrate_postgresql(service, env, url)


def _run_migrate(service: str, env: Mapping[str, str]) -> None:
    done = run_program([sys.executable, "-m", "services.common.migrate", service], _clean(env))
    assert done.returncode == 0, done.stderr


def _migrate_sqlite(service: str, env: Mapping[str, str], file: Path) -> None:
    if file.exists() or not file.parent.is_dir():
        _run_migrate(service, env)
    elif service in _migrated:
        content, modes = _migrated[service]
        file.write_bytes(content)
        for path, mode in zip((file, file.parent), modes, strict=True):
            path.chmod(mode)
    else:
        _run_migrate(service, env)
        _migrated[service] = file.read_bytes(), [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)]


def _migrate_postgresql(service: str, env: Mapping[str, str], url: str) -> None:
    before, _, name = url.partition("?")[0].rpartition("/")
    admin = f"{before}/postgres?{url.partition('?')[2]}"
    if not _is_empty(url):
        _run_migrate(service, env)
        return
    template = _templates.get((service, admin))
    if template is None:
        _run_migrate(service, env)
        template = _templates[service, admin] = f"migrated_{service}_{name}"
        new, like = template, name
    else:
        new, like = name, template
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{new}"')
        connection.execute(f'CREATE DATABASE "{new}" TEMPLATE "{like}" STRATEGY FILE_COPY')


def _is_empty(url: str) -> bool:
    """Whether a database of the tests' own superuser holds nothing; another one's may have owners and settings that a copy would lose."""
    if not url.startswith("postgresql://postgres:@/"):
        return False
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchone() is None


def get(port: int, path: str, timeout: float = 30.0) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(port: int, path: str = "/health") -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return get(port, path, 2.0)[0] == 200
    return False


@contextlib.contextmanager
def running(
    service: str,
    env: Mapping[str, str],
    folder: Path,
    *,
    port: int | None = None,
    configuration: str = "deploy/gunicorn.service.py",
    arguments: Sequence[str] = (),
    migrated: bool = False,
) -> Iterator[tuple[str, Process]]:
    """Run a service under gunicorn on a free port: (base URL, process). Fails with the log when it does not start in 60 s.

    migrated: its database is already, which saves most of a second.
    """
    port = port or free_port()
    full = {f"{service.upper()}_BIND": f"127.0.0.1:{port}", **env}
    if not migrated:
        migrate(service, full)
    log = folder / f"{service}-{port}.log"
    command = [sys.executable, "-m", "gunicorn", "-c", configuration, *arguments, f"services.{service}.wsgi:app"]
    process = Process(command, full, log)
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if not process.alive() or time.monotonic() > deadline:
                raise AssertionError(f"{service} did not start:\n{process.text()[-4000:]}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.stop()

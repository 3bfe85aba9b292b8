"""Run the real programs: gunicorn processes of a service on free ports, ended with the test whatever happens."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.waiting import free_port

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")


class Process:
    """A child with its log; a process group of its own, so that its children end with it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._file = log.open("ab")
        clean = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean, **env},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.child.pid

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def alive(self) -> bool:
        return self.child.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, timeout: float = 15.0) -> int:
        """TERM, then KILL after `timeout`; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.child.terminate()
        try:
            self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        return self.child.returncode

    def kill(self) -> None:
        """KILL the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self._file.close()


def migrate(service: str, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.common.migrate", service],
        cwd=ROOT,
        env={**{name: os.environ[name] for name in KEPT if name in os.environ}, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


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

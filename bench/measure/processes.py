"""Start servers for a measurement, read their CPU and memory, and end them whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

PINNED = shutil.which("taskset") is not None and (os.cpu_count() or 1) >= 2


class Servers:
    """A set of child processes with one log file; all of them end with the `with` block."""

    def __init__(self, log: Path) -> None:
        self._log: IO[bytes] = log.open("ab")
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, core: int | None = None, cwd: Path | None = None
    ) -> psutil.Process:
        """Start `command`, pinned to processor `core` where the machine can do that."""
        pin = ["taskset", "-c", str(core)] if core is not None and PINNED else []
        child = subprocess.Popen(
            [*pin, *command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._children.append(child)
        return psutil.Process(child.pid)

    def close(self) -> None:
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, number)
            deadline = time.monotonic() + patience
            for child in self._children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.05, deadline - time.monotonic()))
        self._log.close()


@contextlib.contextmanager
def servers(log: Path) -> Iterator[Servers]:
    """Run servers that end with the block, also after an error or Ctrl-C."""
    group = Servers(log)
    try:
        yield group
    finally:
        group.close()


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def cpu_seconds(process: psutil.Process) -> tuple[float, float]:
    """(user, system) seconds that a process and its children have used so far."""
    user = system = 0.0
    for one in _tree(process):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            user += times.user
            system += times.system
    return user, system


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of the largest process of the tree, in MB."""
    sizes = [0.0]
    for one in _tree(process):
        with contextlib.suppress(psutil.Error):
            sizes.append(one.memory_info().rss / 1e6)
    return max(sizes)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int, seconds: float = 30.0) -> bool:
    """Wait; say whether something listens on the loopback port before the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        time.sleep(0.05)
    return False

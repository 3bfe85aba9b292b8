"""The whole house as a user starts it, with `./dev up`, and what is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import KEPT, ROOT
from tests.support.waiting import free_ports

PORTS = (0, 1, 21, 22, 23, 24, 25)  # public, operator, the services, counted from the base


def port_base() -> int:
    """Find a base whose ports are all free, and no other test's."""
    return free_ports(PORTS)


class House:
    """One `./dev up --json`. `where` is what it printed; None until it is healthy."""

    def __init__(self, data: Path, base: int, *arguments: str, env: Mapping[str, str] | None = None, starter: Sequence[str] = ()) -> None:
        self.data, self.base = data, base
        self.where: dict[str, Any] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in `close`
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        command = [*starter, "./dev", "up", "--json", "--data", str(data), "--port-base", str(base), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**kept, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._family: set[psutil.Process] = set()

    def healthy(self) -> House:
        """Wait until it has printed where everything is."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.told()
        self.where = json.loads(line)
        self.family()
        return self

    def family(self) -> set[psutil.Process]:
        """Return everything that it started, also what is not its child any longer."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._family |= set(psutil.Process(self.process.pid).children(recursive=True))
        return self._family

    def left(self) -> list[psutil.Process]:
        """Return what still runs of its family."""
        found = []
        for one in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def told(self) -> str:
        """Return what it said besides the one line, so far."""
        self._errors.seek(0)
        return self._errors.read()

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit status and all that it said."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return the exit status and all that it said."""
        self.process.wait(60)
        return self.process.returncode, self.told()

    def close(self) -> None:
        self.family()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for one in self.left():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._errors.close()
        assert self.process.stdout is not None
        self.process.stdout.close()


def free(ports: Sequence[int]) -> bool:
    """Say whether all of them can be listened on."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        for port in ports:
            opened.enter_context(socket.create_server(("127.0.0.1", port)))
        return True
    return False


@contextlib.contextmanager
def house(data: Path, base: int, *arguments: str, env: Mapping[str, str] | None = None, starter: Sequence[str] = ()) -> Iterator[House]:
    """Start a house that ends with the block, whatever happens. starter: a program that becomes it."""
    started = House(data, base, *arguments, env=env, starter=starter)
    try:
        yield started
    finally:
        started.close()

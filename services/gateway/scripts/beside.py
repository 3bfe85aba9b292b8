"""Runs scripts of one API beside the loop, in a process that can be killed.

The process starts with the first run (50 ms) and ends after a minute without one. A run that takes too long is answered at once, and the
process takes no more runs: it is killed when its other runs have ended, each by its own limit. Another process takes the next runs. So
an endless loop, or an endless regular expression, costs its own API waiting and the machine some processor time of low priority.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.common import logging as logs
from services.common.threads import call_in_thread
from services.gateway.scripts import frames
from services.gateway.scripts.program import Program
from services.gateway.threads import in_thread

log = logs.get(__name__)

THREADS: Final = 8
MOST_WAITING: Final = 64
_MOST_PROCESSES: Final = 2  # of one API: one that ends, and the one that follows it
_IDLE: Final = 60.0
_ROOT: Final = Path(__file__).resolve().parents[3]
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "TMPDIR", "PYTHONPATH")

# (what is asked, its arguments) → the answer, or a ValueError whose text says why there is none
Ask = Callable[[str, list[str]], Awaitable[Any]]


class Busy(Exception):
    """Too many runs wait."""


class Crashed(Exception):
    """The process ended in the middle of a run."""


class RunTimeOut(Exception):
    """A run took longer than it may."""


class _Run(NamedTuple):
    """A run that has not ended. timer: of its time limit; it also counts when the client has gone and nobody waits any more."""

    future: asyncio.Future[str]
    timer: asyncio.TimerHandle


class _Process:
    """One process and the runs in it. usable: whether it takes more. settled: called when a run has ended."""

    def __init__(self, hello: dict[str, Any], ask: Ask, settled: Callable[[], None]) -> None:
        self._hello = hello
        self._ask = ask
        self._settled = settled
        self._child: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._unsent: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: dict[int, _Run] = {}
        self._last = 0
        self.usable = True
        self.ended = False

    @property
    def runs(self) -> int:
        return len(self._runs)

    def run(self, entry: int, request: str, session: str, seconds: float) -> asyncio.Future[str]:
        """Start a run; the future gets what the script gives. Its exceptions: RunTimeOut, Crashed. Raises TooLarge."""
        number = self._last + 1
        data = frames.write({"run": number, "entry": entry, "session": session, "seconds": seconds}, request)
        self._last = number
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        self._runs[number] = _Run(future, loop.call_later(seconds, self._run_out, number))
        if self._writer is not None:
            self._writer.write(data)
        else:
            self._unsent.append(data)
            if number == 1:
                self._start_task(self._serve())
        return future

    def _run_out(self, number: int) -> None:
        self.usable = False
        self._settle(number, RunTimeOut())

    def _settle(self, number: int, result: str | Exception) -> None:
        run = self._runs.pop(number, None)
        if run is None:
            return
        run.timer.cancel()
        if not run.future.done():
            if isinstance(result, str):
                run.future.set_result(result)
            else:
                run.future.set_exception(result)
                run.future.exception()  # known, also when the client has gone and nobody waits
        if not self.usable and not self._runs:
            self.end()
        self._settled()

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        """Start the process and read what it says, until it ends."""
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                self._child = await in_thread(spawn, theirs.fileno())
            if self.ended:
                self._kill()
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._writer.writelines([frames.write(self._hello), *self._unsent])
            self._unsent.clear()
            while True:
                message = await _message(reader)
                if "ask" in message:
                    self._start_task(self._answer(message, self._writer))
                else:
                    self._settle(message["run"], message["text"])
        except (OSError, EOFError, ValueError, frames.TooLarge) as error:
            if not self.ended:
                log.error("process of scripts ended", reason=type(error).__name__)
        finally:
            self.end()
            if self._writer is not None:
                self._writer.close()

    async def _answer(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        try:
            answer = {"value": await self._ask(message["ask"], message["arguments"])}
        except ValueError as error:
            answer = {"error": str(error)}
        except Exception as error:
            log.error("script not answered", asked=message["ask"], error=type(error).__name__)
            answer = {"error": "the gateway cannot answer now"}
        with contextlib.suppress(OSError):
            writer.write(frames.write({"run": message["run"], "answer": answer}))

    def end(self) -> None:
        """Kill the process. What still waits for it is told that it crashed."""
        if not self.ended:
            self.ended, self.usable = True, False
            self._kill()
            for number in list(self._runs):
                self._settle(number, Crashed("the process ended"))

    def _kill(self) -> None:
        if self._child is not None:
            if self._child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)  # also what a script started, which leads no group of its own
            call_in_thread(self._child.wait)


async def _message(reader: asyncio.StreamReader) -> dict[str, Any]:
    size = frames.length(await reader.readexactly(4))
    return frames.read(await reader.readexactly(size))


def spawn(descriptor: int) -> subprocess.Popen[bytes]:
    """Start a process that reads from a socket. It has none of the gateway's environment, and leads a group of its own."""
    environ = {name: value for name in _PASSED_ON if (value := os.environ.get(name)) is not None}
    return subprocess.Popen(
        [sys.executable, "-s", "-m", "services.gateway.scripts.child", str(descriptor)],
        cwd=_ROOT, env=environ, pass_fds=(descriptor,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


class Beside:
    """The processes of one API. memory: bytes of each context. allowed: link-local networks that scripts may call. seconds: of a run."""

    def __init__(self, api_id: str, program: Program, ask: Ask, *, memory: int, allowed: list[str], seconds: float) -> None:
        self._api_id = api_id
        self._hello = {"program": program.as_json(), "memory": memory, "allowed": allowed, "threads": THREADS}
        self._ask = ask
        self._seconds = seconds
        self._processes: list[_Process] = []
        self._ending: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, entry: int, request: str, session: str) -> str:
        """Run a script; return the JSON that it gives. Raises Busy, RunTimeOut, Crashed."""
        self._loop = asyncio.get_running_loop()
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        try:
            return await self._process().run(entry, request, session, self._seconds)
        except RunTimeOut:
            log.warning("script stopped", api_id=self._api_id, reason=f"it ran longer than {self._seconds:g} seconds")
            raise
        except frames.TooLarge:
            raise Crashed("the request is larger than a script may get") from None

    def _settled(self) -> None:
        if self._loop is not None and self._ending is None and not any(one.runs for one in self._processes):
            self._ending = self._loop.call_later(_IDLE, self.end)

    def _process(self) -> _Process:
        self._processes = [one for one in self._processes if not one.ended]
        for process in self._processes:
            if process.usable:
                if process.runs >= MOST_WAITING:
                    raise Busy
                return process
        if len(self._processes) >= _MOST_PROCESSES:
            raise Busy
        self._processes.append(_Process(self._hello, self._ask, self._settled))
        return self._processes[-1]

    def end(self) -> None:
        """Kill the processes."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.end()
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def end_soon(self) -> None:
        """As `end`, from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the processes with it
                self._loop.call_soon_threadsafe(self.end)

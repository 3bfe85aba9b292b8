"""Runs scripts of one API beside the loop, in a process that can be killed.

The process starts with the first run (50 ms) and ends after a minute without one. A run that takes too long is answered at once, and the
process takes no more runs: it is killed when its other runs have ended, each by its own limit. Another process takes the next runs. So
an endless loop, or an endless regular expression, costs its own API waiting and the machine some processor time of low priority.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

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
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "TMPDIR")

# (what is asked, its arguments) → the answer, or a ValueError whose text says why there is none
Ask = Callable[[str, list[str]], Awaitable[Any]]


class Busy(Exception):
    """Too many runs wait."""


class Crashed(Exception):
    """The process ended in the middle of a run."""


class RunTimeOut(Exception):
    """A run took longer than it may."""


class _Process:
    """One process and the runs in it. usable: whether it takes more."""

    def __init__(self, hello: dict[str, Any], ask: Ask) -> None:
        self._hello = hello
        self._ask = ask
        self._started: asyncio.Task[asyncio.StreamWriter] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._last = 0
        self.usable = True
        self.ended = False

    @property
    def runs(self) -> int:
        return len(self._waiting)

    async def run(self, entry: int, request: str, session: str, seconds: float) -> str:
        """Return what the script gives. Raises RunTimeOut, Crashed."""
        self._last += 1
        number = self._last
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        if self._started is None:
            self._started = asyncio.ensure_future(self._start())
        try:
            async with asyncio.timeout(seconds):
                writer = await asyncio.shield(self._started)
                message = {"run": number, "entry": entry, "request": request, "session": session, "seconds": seconds}
                writer.write(frames.write(message))
                return await future
        except TimeoutError:
            self.usable = False
            raise RunTimeOut from None
        except (OSError, frames.TooLarge) as error:
            self.usable = False
            raise Crashed(type(error).__name__) from None
        finally:
            self._waiting.pop(number, None)
            if not self.usable and not self._waiting:
                self.end()

    async def _start(self) -> asyncio.StreamWriter:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = await in_thread(_spawn, theirs.fileno())
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(frames.write(self._hello))
        self._reading = asyncio.ensure_future(self._read(reader, writer))
        if self.ended:
            self._kill()
        return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                message = await _message(reader)
                if "ask" in message:
                    asking = asyncio.ensure_future(self._answer(message, writer))
                    self._asking.add(asking)
                    asking.add_done_callback(self._asking.discard)
                    continue
                future = self._waiting.get(message["run"])
                if future is not None and not future.done():
                    future.set_result(message["out"])
        except (OSError, EOFError, ValueError, frames.TooLarge):
            pass
        finally:
            self.usable = False
            writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Crashed("the process ended"))
            self.end()

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

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            call_in_thread(self._child.wait)


async def _message(reader: asyncio.StreamReader) -> dict[str, Any]:

    size = frames.length(await reader.readexactly(4))
    found: dict[str, Any] = json.loads(await reader.readexactly(size))
    return found


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
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
        process = self._process()
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        try:
            return await process.run(entry, request, session, self._seconds)
        except RunTimeOut:
            log.warning("script stopped", api_id=self._api_id, reason=f"it ran longer than {self._seconds:g} seconds")
            raise
        finally:
            if not any(one.runs for one in self._processes) and self._ending is None:
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
        self._processes.append(_Process(self._hello, self._ask))
        return self._processes[-1]

    def end(self) -> None:
        """Kill the processes."""
        self._ending = None
        for process in self._processes:
            process.end()
        self._processes = []

    def end_soon(self) -> None:
        """As `end`, from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the processes with it
                self._loop.call_soon_threadsafe(self.end)

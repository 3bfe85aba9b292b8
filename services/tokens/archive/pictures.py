"""PNGs of tokens: a child process draws each once, within limits of time, memory and size; a folder keeps them.

Several processes may share the folder, and anybody may empty it at any time. Of several requests for the same picture one draws and the
others wait for it. An SVG that could not be drawn is not tried again for a while.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path

from services.common import logging as logs
from services.common.clock import Clock
from services.common.secret_file import write_private
from services.tokens import refusals
from services.tokens.archive import render
from services.tokens.settings import Settings

log = logs.get(__name__)

LARGEST_PNG = 32 * 1024 * 1024  # bytes
FAILURE_KEPT_S = 600.0
FAILURES_KEPT = 1000
WAITING = 16  # requests that may wait for a free renderer
_PROGRAM = Path(render.__file__).resolve()
_SWEEP_EVERY = 50  # new pictures between two looks at the folder's size

Key = tuple[str, int, int]


class Failed(Exception):
    """The SVG could not be drawn."""


class NoRenderer(Exception):
    """This machine has no library that draws."""


class Pictures:
    """Draws pictures and keeps them. Thread-safe."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._folder = settings.png_cache
        self._limit = settings.png_cache_mb * 1_000_000
        self._seconds = settings.render_seconds
        self._memory = settings.render_memory_mb
        self._clock = clock
        self._lock = threading.Lock()
        self._renderers = threading.Semaphore(settings.renders)
        self._places = settings.renders + WAITING
        self._running: dict[Key, Future[bytes]] = {}
        self._failures: OrderedDict[Key, float] = OrderedDict()
        self._made = 0

    def png(self, name: str, rules: int, svg: str, width: int) -> bytes:
        """Draw the token `name`, unless its picture is kept. width: in pixels. Raises Refusal 500, 501, 503."""
        key = (name, rules, width)
        kept = self.kept(*key)
        if kept is not None:
            return kept[:]
        with self._lock:
            if self._failures.get(key, 0.0) > self._clock.monotonic():
                raise refusals.not_renderable()
            running = self._running.get(key)
            mine = running is None
            if running is None:
                if len(self._running) >= self._places:
                    raise refusals.renderer_busy()
                running = self._running[key] = Future()
        if mine:
            self._draw(key, svg, running)
        try:
            return running.result(2 * self._seconds + 5)
        except Failed:
            raise refusals.not_renderable() from None
        except NoRenderer:
            raise refusals.renderer_missing() from None
        except TimeoutError:
            raise refusals.renderer_busy() from None

    def kept(self, name: str, rules: int, width: int) -> mmap.mmap | None:
        """Find a kept picture: its file, mapped and not read into memory. None when there is none."""
        path = self._path((name, rules, width))
        try:
            with path.open("rb") as file:
                found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # an empty file cannot be mapped
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the sweep removes first what nobody has asked for longest
        return found

    def forget(self, name: str = "*") -> None:
        """Remove the kept pictures of one token, or of all."""
        for path in self._folder.glob(f"{name}-*.png"):
            path.unlink(missing_ok=True)

    def _draw(self, key: Key, svg: str, result: Future[bytes]) -> None:
        try:
            if not self._renderers.acquire(timeout=self._seconds):
                raise TimeoutError
            try:
                png = self._run(key, svg)
            finally:
                self._renderers.release()
            self._keep(key, png)
            result.set_result(png)
        except Failed as error:
            with self._lock:
                self._failures[key] = self._clock.monotonic() + FAILURE_KEPT_S
                while len(self._failures) > FAILURES_KEPT:
                    self._failures.popitem(last=False)
            result.set_exception(error)
        except BaseException as error:
            result.set_exception(error)
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _run(self, key: Key, svg: str) -> bytes:
        """Run the program that draws. Raises Failed, NoRenderer."""
        name, _, width = key
        command = [sys.executable, "-I", str(_PROGRAM), str(width), str(max(1, round(self._seconds))), str(self._memory)]
        try:
            done = subprocess.run(
                command,
                input=svg.encode(),
                capture_output=True,
                timeout=self._seconds,
                check=False,
                env={"PATH": os.environ.get("PATH", ""), "HOME": tempfile.gettempdir(), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            log.warning("token not drawn: out of time", token=name, seconds=self._seconds)
            raise Failed from None
        if done.returncode == render.NO_RENDERER:
            log.error("no renderer: install the cairo library (libcairo2)")
            raise NoRenderer
        if done.returncode != 0 or not done.stdout.startswith(b"\x89PNG") or len(done.stdout) > LARGEST_PNG:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
            log.warning("token not drawn", token=name, status=done.returncode, reason=last)
            raise Failed
        return done.stdout

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key[0]}-{key[1]}-{key[2]}.png"

    def _keep(self, key: Key, png: bytes) -> None:
        """Write the whole picture or nothing. Without the folder the service goes on, only slower."""
        try:
            write_private(self._path(key), png)
        except OSError as error:
            log.warning("picture not kept", error=type(error).__name__)
            return
        with self._lock:
            self._made += 1
            sweeping = self._made % _SWEEP_EVERY == 1
        if sweeping:
            self._sweep()

    def _sweep(self) -> None:
        """Keep the folder below its size: remove first what nobody has asked for longest."""
        files = []
        for path in self._folder.glob("*.p*"):
            with contextlib.suppress(OSError):
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size

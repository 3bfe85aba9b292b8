"""The access log: one JSON line for each request, written by a thread, so that a slow disk or pipe never holds up a request.

A line has no query and no header: keys travel in both. A path is cut after 2,048 characters, and the secrets in it that auth handed out are
masked. When the writer cannot follow, lines are dropped and counted rather than kept without end. A file that was moved away or deleted is
created again: no signal is needed to rotate it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Final

from services.common import logging as logs
from services.common.private_files import open_log
from services.gateway.exchange import Exchange

log = logs.get(__name__)

# Batches that wait for the writer, and lines in one: a writer that hangs costs at most some 40 MB.
_MOST_WAITING: Final = 100
_LARGEST_BATCH: Final = 1000
_LONGEST_PATH: Final = 2048
_LAST_WRITE: Final = 5.0


class AccessLog:
    """`write` collects lines, `flush` hands them to the thread. path: a file, "-" = standard output, None = no log."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._lines: list[str] = []
        self._batches: queue.Queue[list[str] | None] = queue.Queue(_MOST_WAITING)
        # Renewed by `flush`: at most a quarter of a second old, and each line has its own duration.
        self._time = _now()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        if path is None:
            self.write = self._nothing  # type: ignore[method-assign]  # a request does not ask whether there is a log

    def start(self) -> None:
        """Open the file and start the thread. Raises OSError."""
        if self._path is None:
            return
        if self._path == "-":
            descriptor = os.dup(sys.stdout.fileno())
        else:
            descriptor = open_log(Path(self._path))
        self._thread = threading.Thread(target=self._run, args=(descriptor,), name="access-log", daemon=True)
        self._thread.start()

    def write(self, exchange: Exchange, status: int, size: int, spent: float) -> None:
        """Note one answered request. size: bytes sent to the client, heads included. spent: seconds. A canonical path holds nothing that
        JSON escapes.
        """
        api, key = exchange.api, exchange.key
        path = exchange.path[:_LONGEST_PATH]
        # A canonical path has `_` escaped only behind an escaped `%`. One character is looked for far quicker than three.
        if ("_" in path and "gh_" in path) or ("%" in path and "%25" in path) or "/token/" in path or "/resolve/" in path:
            path = logs.mask_secrets(path)
        refused = _refused(exchange) if exchange.refused else ""
        lines = self._lines
        lines.append(
            f'{{"time":"{self._time}","method":"{exchange.method}","path":"{path}","status":{status},"bytes":{size},'
            f'"ms":{spent * 1000:.2f},"client":"{exchange.client}","api":"{api.api_id if api else ""}",'
            f'"key":"{key.id if key else ""}"{refused},"request_id":"{exchange.request_id}"}}\n'
        )
        if len(lines) >= _LARGEST_BATCH:
            self.flush()

    def _nothing(self, exchange: Exchange, status: int, size: int, spent: float) -> None:
        """Do nothing, as `write` of a log that is switched off."""

    def write_early(self, peer: str, status: int, refused: str) -> None:
        """Note a request that could not be read."""
        if self._path is not None:
            self._lines.append(f'{{"time":"{self._time}","status":{status},"client":"{peer}","refused":"{refused}"}}\n')

    def flush(self) -> None:
        """Hand what was collected to the writer. To be called several times a second."""
        self._time = _now()
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._batches.put_nowait(lines)
        except queue.Full:
            if not self.dropped:
                log.warning("access log lines dropped", reason="the writer is too slow", lines=len(lines))
            self.dropped += len(lines)

    def stop(self) -> None:
        """Write what is left; give up on a disk or pipe that takes nothing for 5 s to make room and 5 s to write."""
        self.flush()
        if self._thread is not None:
            try:
                self._batches.put(None, timeout=_LAST_WRITE)
            except queue.Full:
                log.error("last access log lines lost")
            else:
                self._thread.join(_LAST_WRITE)

    def _run(self, descriptor: int) -> None:
        told = False
        while (lines := self._batches.get()) is not None:
            data = "".join(lines).encode("utf-8", "replace")
            try:
                descriptor = self._current(descriptor)
                while data:
                    data = data[os.write(descriptor, data) :]
            except OSError as error:  # a full disk must not end the thread
                self.dropped += len(lines)
                if not told:
                    log.error("access log not written", error=error.strerror)
                told = True
        os.close(descriptor)

    def _current(self, descriptor: int) -> int:
        """Return the file that has the name now. Raises OSError; then `descriptor` is still open."""
        if self._path is None or self._path == "-":
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), os.fstat(descriptor)):
                return descriptor
        opened = open_log(Path(self._path))
        os.close(descriptor)
        return opened


def _refused(exchange: Exchange) -> str:
    upstream = f',"upstream":"{exchange.upstream}"' if exchange.upstream else ""
    limit = f',"limit":"{exchange.limit}"' if exchange.limit else ""
    return f',"refused":"{exchange.refused}"{upstream}{limit}'


def _now() -> str:
    """Return the time in UTC, to the millisecond."""
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"

"""The access log: one JSON line for each request, written by a thread, so that a slow disk or pipe never holds up a request.

A line has no query and no header: keys travel in both. Only when it is asked for, it has the user agent and the referer, that without its
query. A path is cut after 2,048 characters, and the secrets in it that auth handed out are masked. `docs/operating.md` describes each
member. When the writer cannot follow, lines are dropped and counted rather than kept without end. A file that was moved away or deleted is
created again: no signal is needed to rotate it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
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
_LONGEST_HOST: Final = 255
_LONGEST_AGENT: Final = 512
# By whether it came over TLS, and the minor version of HTTP.
_PROTOCOLS: Final = [[f'"protocol":"HTTP/1.{minor}","scheme":"{scheme}"' for minor in (0, 1)] for scheme in ("http", "https")]
# Milliseconds as they are written, by their hundredths: writing a float costs 0.13 µs, and a line has three of them.
_HUNDREDTHS: Final = 100_000  # in a second
_MS: Final = [f"{hundredths / 100:.2f}" for hundredths in range(2002)]
_LONGEST_READY: Final = 0.02
_LAST_WRITE: Final = 5.0


class AccessLog:
    """`write` collects lines, `flush` hands them to the thread. path: a file, "-" = standard output, None = no log. agent: whether lines
    have the referer and the user agent.
    """

    def __init__(self, path: str | None, *, agent: bool = False) -> None:
        self._path = path
        self._agent = agent
        self._lines: list[str] = []
        self._batches: queue.Queue[list[str] | None] = queue.Queue(_MOST_WAITING)
        # Renewed by `flush`: at most a quarter of a second old, and each line has its own duration.
        self._time = _now()
        self._writer: threading.Thread | None = None
        self.dropped = 0

    def start(self) -> None:
        """Open the file and start the thread. Raises OSError."""
        if self._path is None:
            return
        if self._path == "-":
            descriptor = os.dup(sys.stdout.fileno())
        else:
            descriptor = open_log(Path(self._path))
        self._writer = threading.Thread(target=self._run, args=(descriptor,), name="access-log", daemon=True)
        self._writer.start()

    def write(self, exchange: Exchange, status: int, size: int, received: int, now: float) -> None:
        """Note one answered request. size: bytes sent to the client, heads included. received: bytes of its body. now: on `perf_counter`.

        Canonical paths, hosts, methods and addresses hold nothing that JSON escapes.
        """
        if self._path is None:
            return
        section = exchange.section
        known = section.memo.get(self)
        if (
            known is not None
            and known[0] is section.request[0]
            and known[1] is exchange.api
            and known[2] is exchange.key
            and known[3] == exchange.path  # a script may move the same request to another path each time
        ):
            asked_for = known[4]
        else:
            asked_for = self._asked_for(exchange)
        asked, first, spent = exchange.asked, exchange.first_byte, now - exchange.started
        more = ""
        if first and spent < _LONGEST_READY:  # the usual one
            ms = _MS[int(spent * _HUNDREDTHS + 0.5)]
            upstream_ms = _MS[int((now - asked) * _HUNDREDTHS + 0.5)]
            first_ms = _MS[int((first - asked) * _HUNDREDTHS + 0.5)]
            more = f',"upstream":"{exchange.upstream}","upstream_ms":{upstream_ms},"upstream_first_byte_ms":{first_ms}'
        else:
            ms = f"{spent * 1000:.2f}"
            if asked:
                more = f',"upstream":"{exchange.upstream}","upstream_ms":{(now - asked) * 1000:.2f}'
            if first:
                more = f'{more},"upstream_first_byte_ms":{(first - asked) * 1000:.2f}'
        if exchange.inner is not None and exchange.inner.api is not None:
            more = f'{more},"looped_to":"{exchange.inner.api.api_id}"'
        if exchange.connecting:
            more = f'{more},"upstream_connect_ms":{exchange.connecting * 1000:.2f}'
        if exchange.refused:
            more = f'{more},"refused":"{exchange.refused}"'
            if exchange.limit:
                more = f'{more},"limit":"{exchange.limit}"'
        if exchange.trace is not None:
            more = f'{more},"trace_id":"{exchange.trace.id:032x}"'
        lines = self._lines
        lines.append(
            f'{{"time":"{self._time}",{asked_for},"status":{status},"bytes":{size},"received":{received},"ms":{ms}{more},'
            f'"request_id":"{exchange.request_id}"}}\n'
        )
        if len(lines) >= _LARGEST_BATCH:
            self.flush()

    def _asked_for(self, exchange: Exchange) -> str:
        """Write what follows from the head of a request, its path, its API and its key: it repeats."""
        api, key = exchange.api, exchange.key
        path = exchange.path[:_LONGEST_PATH]
        # A canonical path has `_` escaped only behind an escaped `%`. One character is looked for far quicker than three.
        if ("_" in path and "gh_" in path) or ("%" in path and "%25" in path) or "/token/" in path or "/resolve/" in path:
            path = logs.mask_secrets(path)
        members = (
            f'"method":"{exchange.method}","host":"{exchange.host[:_LONGEST_HOST]}","path":"{path}",'
            f'{_PROTOCOLS[exchange.secure][exchange.minor]},"client":"{exchange.client}","api":"{api.api_id if api else ""}",'
            f'"key":"{key.id if key else ""}"'
        )
        if exchange.peer != exchange.client:
            members = f'{members},"peer":"{exchange.peer}"'
        if self._agent:
            members += _agent(exchange)
        section = exchange.section
        if section.again and section.request[0]:
            section.remember(self, (section.request[0], api, key, exchange.path, members))
        return members

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
        if self._writer is not None:
            try:
                self._batches.put(None, timeout=_LAST_WRITE)
            except queue.Full:
                log.error("last access log lines lost")
            else:
                self._writer.join(_LAST_WRITE)

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


def _agent(exchange: Exchange) -> str:
    """Write the referer and the user agent, which strangers choose."""
    section = exchange.section
    referer, agent = section.value(b"referer") or b"", section.value(b"user-agent") or b""
    given = {"referer": re.split(rb"[?#]", referer, maxsplit=1)[0], "user_agent": agent}
    shown = logs.redact({name: value.decode("utf-8", "replace") for name, value in given.items()})
    members = json.dumps({name: value[:_LONGEST_AGENT] for name, value in shown.items()}, ensure_ascii=False, separators=(",", ":"))
    return "," + members[1:-1]


def _now() -> str:
    """Return the time in UTC, to the millisecond."""
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"

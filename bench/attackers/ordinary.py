"""Ordinary clients: each asks at fixed moments, whatever the answers take, so that a stall counts for all who would have come meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

TIMEOUT_S = 10.0
CONNECTIONS = 32  # of one client, at most; who finds none free waits, and the wait counts
ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    due: when it began, on the monotonic clock. ms: from then to the whole answer, with the wait for a free connection. error: what went
    wrong, or None.
    """

    due: float
    ms: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What a client saw in one part of the run. Milliseconds over the good answers and those that never came; None without any."""

    asked: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum(self.errors.values())


def share(samples: Iterable[Sample], begin: float, end: float) -> Share:
    """Summarise what was due between two moments. A request that was refused at once does not count as a fast answer."""
    chosen = [one for one in samples if begin <= one.due < end]
    times = sorted(one.ms for one in chosen if one.error in (None, "timeout"))
    errors = dict(Counter(one.error for one in chosen if one.error is not None))
    if not times:
        return Share(len(chosen), None, None, None, errors)
    return Share(len(chosen), times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))], times[-1], errors)


class Client:
    """One ordinary client of the gateway. fresh: a new connection for every request. requests are sent in turn."""

    def __init__(self, name: str, port: int, requests: list[bytes], *, rate: float, fresh: bool = False) -> None:
        self.name = name
        self.samples: list[Sample] = []
        self._port = port
        self._requests = requests
        self._rate = rate
        self._fresh = fresh
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(CONNECTIONS)

    async def ask_until(self, stop: asyncio.Event) -> None:
        """Ask at the fixed rate until told to stop, then hear those out that are under way."""
        asking: set[asyncio.Task[None]] = set()
        started, number = time.monotonic(), 0
        while not stop.is_set():
            due = started + number / self._rate
            delay = due - time.monotonic()
            if delay > 0:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), delay)
                    break
            asking.add(task := asyncio.create_task(self._ask(due, self._requests[number % len(self._requests)])))
            task.add_done_callback(asking.discard)
            number += 1
        await asyncio.gather(*asking)
        for _, writer in self._free:
            writer.close()

    async def _ask(self, due: float, request: bytes) -> None:
        error = None
        due = max(due, time.monotonic())  # the delay of this process does not count
        try:
            async with asyncio.timeout(TIMEOUT_S), self._places:
                error = await self._exchange(request)
        except TimeoutError:
            error = "timeout"
        except (OSError, EOFError, asyncio.LimitOverrunError) as fault:
            error = "refused" if isinstance(fault, ConnectionRefusedError) else "broken"
        self.samples.append(Sample(due, (time.monotonic() - due) * 1000, error))

    async def _exchange(self, request: bytes) -> str | None:
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(ADDRESS, 0))
        kept = False
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = head.lower()
            length = next((int(line[15:]) for line in fields.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            if b"transfer-encoding: chunked" in fields:
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    await reader.readexactly(size + 2)
                await reader.readexactly(2)
            elif length:
                await reader.readexactly(length)
            kept = not self._fresh and b"connection: close" not in fields
        finally:
            if kept:
                self._free.append((reader, writer))
            else:
                writer.close()
        return None if head[9:10] == b"2" else head[9:12].decode()

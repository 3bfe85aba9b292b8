"""Attackers: many connections of one process, each of which sends what its `Plan` says. `python -m bench.attackers.flood` is that process.

It runs in the scheduler's idle class: it gets the time that nobody else on its processor wants, so that what an ordinary client beside it
feels comes from the gateway and not from a lack of processors.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

BUSY = "busy"
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_LEAVE = 0  # among the timers
_PIECE = 256 * 1024
_OPENED_A_TURN = 50  # connections begun in one turn of the loop, at most
_OPENED_A_SECOND = 5_000
_REOPENED_A_SECOND = 200  # connections made again for those that were closed: this is not a flood of connections
_GIVE_UP_OPENING_S = 6.0
_BIND_ADDRESS_NO_PORT = 24  # of Linux: the port is found by connect, which is much faster with thousands


@dataclass(frozen=True, slots=True)
class Plan:
    """What each of `connections` does: send `opening` once, then `repeat` again and again.

    limit: bytes of `repeat`, after which the connection only waits; 0 = no end. pace: seconds between two `repeat`; 0 = as fast as it goes.
    read: whether answers are read. read_every: seconds between two reads of 16 KB; 0 = as fast as they come. stay: seconds after which a
    connection is closed and made again; 0 = it stays.
    """

    port: int
    connections: int
    opening: bytes = b""
    repeat: bytes = b""
    limit: int = 0
    pace: float = 0.0
    read: bool = True
    read_every: float = 0.0
    stay: float = 0.0


@dataclass(slots=True)
class Report:
    """What a process of attackers has done.

    opened: connections; again: connections made after another was closed; closed: by the other side.
    first_answers: how often each status was the first of a connection.
    """

    wanted: int = 0
    opened: int = 0
    again: int = 0
    closed: int = 0
    sent: int = 0
    read: int = 0
    first_answers: dict[str, int] = field(default_factory=dict)


class _Link:
    """One connection. `rest`: what is still to be sent now."""

    __slots__ = ("answered", "connected", "events", "left", "life", "opened", "plan", "rest", "socket", "source")

    def __init__(self, plan: Plan, source: str) -> None:
        self.plan = plan
        self.source = source
        self.opened = False
        self.life = 0
        self.reset()

    def reset(self) -> None:
        self.socket: socket.socket | None = None
        self.life += 1  # timers of an earlier one no longer count
        self.events = 0
        self.connected = False
        self.answered = False
        self.rest = memoryview(self.plan.opening)
        self.left = self.plan.limit or -1


class Flood:
    """All attackers of one process."""

    def __init__(self, plans: list[Plan], sources: list[str]) -> None:
        turn = itertools.cycle(sources)
        self._links = [_Link(plan, next(turn)) for plan in plans for _ in range(plan.connections)]
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, _Link, int, int]] = []
        self._numbers = itertools.count()
        self._scratch = bytearray(_PIECE)
        self.report = Report(wanted=len(self._links))
        self.stopped = False

    @property
    def ready(self) -> bool:
        """Whether every connection was there at some time."""
        return self.report.opened >= self.report.wanted

    def run(self, seconds: float, on_ready: Path | None = None) -> None:
        """Attack for `seconds`, or until `stopped`. on_ready: a file that is made as soon as `ready`, or when it takes too long."""
        started = time.monotonic()
        waiting = self._links[::-1]
        again: deque[_Link] = deque()
        begun = 0
        while not self.stopped and (now := time.monotonic()) < started + seconds:
            if on_ready is not None and (self.ready or now > started + _GIVE_UP_OPENING_S):
                on_ready.touch()
                on_ready = None
            allowed = min(_OPENED_A_TURN, int((now - started) * _OPENED_A_SECOND) + 1 - begun)
            for _ in range(min(allowed, len(waiting))):
                begun += 1
                self._open(waiting.pop(), again)
            if again and self.report.again < (now - started) * _REOPENED_A_SECOND:
                self.report.again += 1
                self._open(again.popleft(), again)
            while self._timers and self._timers[0][0] <= now:
                _, _, link, life, event = heapq.heappop(self._timers)
                if link.socket is None or link.life != life:
                    continue
                if event == _LEAVE:
                    self._close(link)
                    again.append(link)
                else:
                    self._watch(link, link.events | event)
            until = self._timers[0][0] - now if self._timers else 0.05
            for key, events in self._selector.select(0.0 if waiting and allowed else max(0.0, min(0.05, until))):
                link = key.data
                try:
                    if events & _WRITE:
                        self._send(link)
                    if events & _READ:
                        self._receive(link)
                except BlockingIOError:
                    pass
                except OSError:
                    self._closed(link, again)
        for link in self._links:
            if link.socket is not None:
                link.socket.close()

    def _open(self, link: _Link, again: deque[_Link]) -> None:
        link.reset()
        opened = link.socket = socket.socket()
        opened.setblocking(False)
        try:
            if sys.platform == "linux":
                opened.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            opened.bind((link.source, 0))
            opened.connect_ex(("127.0.0.1", link.plan.port))
        except OSError:
            opened.close()
            link.socket = None
            again.append(link)
            return
        link.events = _WRITE
        self._selector.register(opened, _WRITE, link)

    def _watch(self, link: _Link, events: int) -> None:
        assert link.socket is not None
        if events == link.events:
            return
        if not link.events:
            self._selector.register(link.socket, events, link)
        elif not events:
            self._selector.unregister(link.socket)
        else:
            self._selector.modify(link.socket, events, link)
        link.events = events

    def _later(self, link: _Link, event: int, seconds: float) -> None:
        """Wait for an event of the socket only after a pause; or leave then."""
        self._watch(link, link.events & ~event)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), link, link.life, event))

    def _send(self, link: _Link) -> None:
        assert link.socket is not None
        plan = link.plan
        if not link.connected:
            fault = link.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if fault:
                raise OSError(fault, "not connected")
            link.connected = True
            if not link.opened:
                link.opened = True
                self.report.opened += 1
            if plan.read:
                self._watch(link, _READ | _WRITE)
            if plan.stay:
                self._later(link, _LEAVE, plan.stay)
        if not link.rest:
            link.rest = memoryview(plan.repeat) if link.left < 0 else memoryview(plan.repeat)[: link.left]
        if link.rest:
            size = link.socket.send(link.rest[:_PIECE])
            self.report.sent += size
            link.rest = link.rest[size:]
            if link.left >= 0:
                link.left = max(0, link.left - size)
        if link.rest:
            return
        if not plan.repeat or link.left == 0:
            self._watch(link, link.events & ~_WRITE)
        elif plan.pace:
            self._later(link, _WRITE, plan.pace)

    def _receive(self, link: _Link) -> None:
        assert link.socket is not None
        slow = link.plan.read_every
        size = link.socket.recv_into(self._scratch, 16 * 1024 if slow else _PIECE)
        if not size:
            raise ConnectionError("closed")
        self.report.read += size
        if not link.answered:
            link.answered = True
            status = self._scratch[9:12].decode("latin-1")
            self.report.first_answers[status] = self.report.first_answers.get(status, 0) + 1
        if slow:
            self._later(link, _READ, slow)

    def _close(self, link: _Link) -> None:
        assert link.socket is not None
        self._watch(link, 0)
        link.socket.close()
        link.socket = None

    def _closed(self, link: _Link, again: deque[_Link]) -> None:
        self._close(link)
        self.report.closed += 1
        if not link.plan.limit:
            again.append(link)


def stand_back() -> None:
    """Take only the time that no other process on this processor wants."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


def main() -> None:
    """Run the plans of one attack; write the report when it ends."""
    from bench.attackers.attacks import ATTACKS, Places

    parser = argparse.ArgumentParser()
    parser.add_argument("attack", help=f"its name, or {BUSY!r} for work that touches nobody")
    parser.add_argument("--places", type=json.loads, default=None)
    parser.add_argument("--seconds", type=float, required=True, help="ends after so long, whatever happens")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--ready", type=Path)
    given = parser.parse_args()
    stand_back()
    places = Places(**given.places)
    flood = Flood([] if given.attack == BUSY else ATTACKS[given.attack].plans(places), places.sources)

    def stop(number: int, frame: object) -> None:
        flood.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if given.attack == BUSY:
        given.ready.touch()
        until = time.monotonic() + given.seconds
        while not flood.stopped and time.monotonic() < until:
            sum(range(1000))
    else:
        flood.run(given.seconds, given.ready)
    given.report.write_text(json.dumps(asdict(flood.report)))


if __name__ == "__main__":
    main()

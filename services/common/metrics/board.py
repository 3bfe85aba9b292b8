"""The metrics of all processes of a service, so that whichever answers `/metrics` tells of all of them.

gunicorn's master makes a board and its workers inherit it: a file without a name in memory, with a slot for each process. The process that
is asked puts up a question; the others, who look four times a second, write down their metrics in answer. So each process counts for
itself, with no lock and no call of the system. What it has counted stays in its slot when it ends, and the next process that takes
the slot counts on from there: a sum never falls as long as the master lives. A process that is killed takes with it what it has counted
since the last question.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter

from services.common import logging as logs
from services.common.metrics.families import Families, unpacked

log = logs.get(__name__)

LOOK_S: Final = 0.25
PATIENCE_S: Final = 1.0  # for the answers of the others, whose loops or threads may be busy
_PAUSE_S: Final = 0.01
_SLOTS: Final = 256
_QUESTION: Final = struct.Struct("=Q")  # time.monotonic_ns(), which is the same in all processes
_HEADER: Final = struct.Struct("=QQIB")  # when the answer was begun, its length, its checksum, which of two places it is in
_ROOM: Final = 64 << 20  # bytes of a slot: one page for the header, two places. What nobody has written takes no memory.
_PAGE: Final = 4096
_PLACE: Final = (_ROOM - _PAGE) // 2


class Board:
    """Of one master and its workers."""

    def __init__(self) -> None:
        self._file = os.memfd_create("metrics")

    def join(self, registry: CollectorRegistry, refresh: Callable[[], None] | None = None) -> Seat | None:
        """Take a slot for this process, after the fork, and answer questions from now on. None when all are taken.

        refresh: called before each answer; must not block.
        """
        for slot in range(_SLOTS):
            try:
                # A lock of POSIX belongs to the process and ends with it, whatever way it ends.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place_of(slot))
            except OSError:
                continue
            return Seat(self, slot, registry, refresh)
        log.warning("metrics not shared", reason="too many processes")
        return None

    def ask(self) -> int:
        """Put up a question; return its time."""
        asked = time.monotonic_ns()
        os.pwrite(self._file, _QUESTION.pack(asked), 0)
        return asked

    def asked(self) -> int:
        """Return the time of the last question, 0 = nobody has asked."""
        asked: int = _QUESTION.unpack(os.pread(self._file, _QUESTION.size, 0).ljust(_QUESTION.size, b"\0"))[0]
        return asked

    def write(self, slot: int, begun: int, families: Families) -> None:
        """Write an answer beside the last one, which may be being read."""
        data = families.packed()
        if len(data) > _PLACE:
            log.warning("metrics not shared", reason="they are too long", bytes=len(data))
            return
        place = 1 - self._header(slot)[3]
        os.pwrite(self._file, data, _place_of(slot) + _PAGE + place * _PLACE)
        os.pwrite(self._file, _HEADER.pack(begun, len(data), zlib.crc32(data), place), _place_of(slot))

    def read(self, slot: int) -> tuple[int, Families]:
        """Return the last answer of a slot and when it was begun; 0 and nothing when there is none."""
        for _ in range(3):  # another answer may be written over it meanwhile
            begun, length, checksum, place = self._header(slot)
            data = os.pread(self._file, length, _place_of(slot) + _PAGE + place * _PLACE)
            if length and len(data) == length and zlib.crc32(data) == checksum:
                return begun, unpacked(data)
        return 0, Families()

    def others(self, own: int) -> Iterator[tuple[int, bool]]:
        """Return the slots that were ever written, except one's own, and whether a process has each."""
        size = os.fstat(self._file).st_size
        for slot in range(_SLOTS):
            if _place_of(slot) >= size:
                return
            if slot == own:
                continue
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place_of(slot))
            except OSError:
                yield slot, True
            else:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place_of(slot))
                yield slot, False

    def begun(self, slot: int) -> int:
        """Return when the last answer of a slot was begun."""
        return self._header(slot)[0]

    def _header(self, slot: int) -> tuple[int, int, int, int]:
        begun, length, checksum, place = _HEADER.unpack(os.pread(self._file, _HEADER.size, _place_of(slot)).ljust(_HEADER.size, b"\0"))
        return begun, length, checksum, place


class Seat:
    """The place of one process at its board. Thread-safe."""

    def __init__(self, board: Board, slot: int, registry: CollectorRegistry, refresh: Callable[[], None] | None) -> None:
        self._board = board
        self._slot = slot
        self._registry = registry
        self._refresh = refresh
        self._before = board.read(slot)[1]
        self._answered = 0
        self._writing = threading.Lock()
        self._left = threading.Event()
        Counter("service_processes_started", "Processes that were started, since gunicorn's master was.", registry=registry).inc()
        self._write()  # from now on others know of it
        atexit.register(self.leave)
        threading.Thread(target=self._keep_on, name="metrics-board", daemon=True).start()

    def text(self) -> bytes:
        """Return the metrics of all processes, in Prometheus' text format."""
        return self.families().text()

    def families(self) -> Families:
        """Return the metrics of all processes; within PATIENCE_S, without those that do not answer."""
        asked = self._board.ask()
        found = Families()
        found.add(self._write(), str(self._slot))
        others = dict(self._board.others(self._slot))
        deadline = time.monotonic() + PATIENCE_S
        while any(alive and self._board.begun(slot) < asked for slot, alive in others.items()) and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
        for slot, alive in others.items():
            begun, families = self._board.read(slot)
            found.add(families, str(slot) if alive and begun >= asked else None)
        return found

    def _own(self) -> Families:
        own = Families(self._registry.collect())
        own.add(self._before, None)
        return own

    def _write(self) -> Families:
        """Write down the metrics of this process, and return them."""
        with self._writing:
            self._answered = time.monotonic_ns()
            own = self._own()
            self._board.write(self._slot, self._answered, own)
            return own

    def _keep_on(self) -> None:
        while not self._left.wait(LOOK_S):
            try:
                if self._board.asked() > self._answered:
                    if self._refresh is not None:
                        self._refresh()
                    self._write()
            except Exception:  # a metric that fails once must not end the telling of all others
                log.exception("metrics not shared")

    def leave(self) -> None:
        """Leave the counts in the slot, at the end of the process."""
        atexit.unregister(self.leave)
        self._left.set()
        try:
            self._write()
        except Exception as error:
            log.warning("metrics not shared", reason="the process ends", error=type(error).__name__)


def _place_of(slot: int) -> int:
    return _PAGE + slot * _ROOM


# Made when gunicorn's configuration is read, in the master; it outlives a HUP.
_BOARD: Final = Board()


def share(extensions: dict[str, Any]) -> None:
    """Have `/metrics` tell of all processes of this master. After the fork. extensions: of an application that `create_app` made."""
    if "metrics" in extensions:
        extensions["seat"] = _BOARD.join(extensions["metrics"], extensions["checks"].refresh)

"""Clients at work beside a test: threads that begin with a block and are told to stop at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Self


class Clients:
    """One thread for each of `work`, which looks at `_stop` between two requests. What they note is guarded by `_lock`.

    A subclass that is given work of its own calls `__init__` last.
    """

    _ends_within = 30.0  # seconds that a thread is waited for

    def __init__(self, work: Iterable[Callable[[], None]]) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(self._ends_within)

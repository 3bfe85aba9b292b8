"""What is wrong in a file that is imported: the import stops at the first of it, or leaves it out and tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

_TOLD: Final = 10  # of each kind


class Stopped(Exception):
    """The import cannot go on: the text says why and what to do."""


class Problems:
    """Counts by kind. skip: go on without what is wrong. tell: takes a line for people."""

    def __init__(self, skip: bool, tell: Callable[[str], None]) -> None:
        self._skip = skip
        self._tell = tell
        self.left_out: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def wrong(self, kind: str, message: str) -> None:
        """Leave something out. kind: a plural, under which it is counted. message: where and what. Raises Stopped, unless it is to skip."""
        if not self._skip:
            raise Stopped(f"{message}; correct it, or leave out what is wrong with --on-error skip")
        self._count(self.left_out, kind, f"left out: {message}")

    def note(self, kind: str, message: str) -> None:
        """Tell what the file's author may not expect, which stops nothing."""
        self._count(self.notes, kind, message)

    def _count(self, counter: Counter[str], kind: str, message: str) -> None:
        counter[kind] += 1
        if counter[kind] <= _TOLD:
            self._tell(message)
        elif counter[kind] == _TOLD + 1:
            self._tell(f"more {kind} follow; only their number is told at the end")

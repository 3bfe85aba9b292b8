"""Tells workers of each other, through their master: whether a younger one is ready, and whether all of them end.

A worker that was told to stop goes on taking connections until its successor is ready; when the master ends, none comes.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final

_AGE: Final = struct.Struct("=Q")
_ENDING: Final = _AGE.size  # the place of the byte that says so


class Succession:
    """Created by the master, shared with its workers: they are forked, and this is memory that a fork does not copy."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _AGE.size + 1)

    def ready(self, age: int) -> None:
        """Note that the worker of this age (the younger the higher) is about to take connections."""
        # Two at once may leave the lower of both: it is higher than the age of those that they succeed.
        _AGE.pack_into(self._shared, 0, max(age, self._youngest()))

    def succeeded(self, age: int) -> bool:
        """Whether a worker of this age need not wait for a successor."""
        return self._youngest() > age or self._shared[_ENDING] != 0

    def end(self) -> None:
        """Note that all workers end."""
        self._shared[_ENDING] = 1

    def _youngest(self) -> int:
        age: int = _AGE.unpack_from(self._shared, 0)[0]
        return age

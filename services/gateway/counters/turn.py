"""One worker counts at a time: the next one waits until its predecessor has handed its windows over."""

from __future__ import annotations

import asyncio
import fcntl
import tempfile
import time
from typing import Final

PATIENCE_S: Final = 5.0
_LOOK_S: Final = 0.005


class Turn:
    """Created by the master, inherited by its workers. The kernel ends the turn of a process that dies.

    It is a lock of POSIX on a file without a name: such a lock belongs to a process, not to the file that a fork shares.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  held as long as the process lives

    def take(self) -> bool:
        """Take the turn if it is free; return whether this process has it now."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    async def wait(self) -> bool:
        """Take the turn, as soon as the predecessor gives it. False after 5 s: one that hangs must not keep its successor from serving."""
        end = time.monotonic() + PATIENCE_S
        while not self.take():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def give(self) -> None:
        """End this process's turn."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

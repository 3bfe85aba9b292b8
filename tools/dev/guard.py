"""Ends what `./dev up` started when that is gone without a word, as after `kill -9`.

`Guard` starts this file as a program and tells it, line by line through a pipe, which process groups there are. The pipe ends with the
process that holds its other end, however that dies and on every system. Standard library only: it starts in a few milliseconds and holds
little memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from typing import Final

PATIENCE_S: Final = 3.0  # between TERM and KILL


class Guard:
    """The other end of the pipe. What is watched here ends within about `PATIENCE_S` seconds after this process."""

    def __init__(self, keep: Iterable[int] = ()) -> None:
        """keep: descriptors that the program holds as well."""
        import subprocess  # not needed by the program below

        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            bufsize=0,  # nothing is left to be written when somebody has ended it
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=tuple(keep),
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Watch a group no longer: it has ended, and its number may soon be another's."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody ended it
            self._process.stdin.write(line.encode())


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal(groups: Iterable[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    _signal(groups, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and any(map(group_alive, groups)):
        time.sleep(0.05)
    _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""Children of `./dev up`: each in a process group of its own, with a log file, watched, ended together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.common.private_files import open_log
from tools.dev.guard import group_alive

STOP_DEADLINE_S = 15.0
_LOUD = frozenset({"warning", "warn", "error", "critical", "exception"})
_SHOWN_APART = frozenset({"event", "level", "service", "time", "logger", "exception"})
_output = threading.Lock()
_quiet_output = False


def say(text: str) -> None:
    """Write one whole line at a time, whichever thread writes. A terminal that is gone is not an error."""
    with _output, contextlib.suppress(OSError):
        print(text, file=sys.stderr if _quiet_output else sys.stdout, flush=True)


def leave_standard_output(left: bool) -> None:
    """Choose the standard error for what is said, because a program reads the standard output."""
    global _quiet_output
    _quiet_output = left


class Child:
    """A running program. What it writes goes to `log`; what is loud also to the terminal.

    verbose: everything to the terminal. foreign: it does not log in the house's format, so nothing of it counts as loud. keep: descriptors
    that it inherits.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        root: Path,
        *,
        verbose: bool,
        foreign: bool = False,
        keep: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._verbose = verbose
        self.foreign = foreign
        self.settled = False  # until it is, only its own log lines are shown: when it dies, the rest is told with its end
        self._file = os.fdopen(open_log(log), "ab")
        self._began_at = self._file.tell()
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(keep),
            umask=0o077 if foreign else -1,  # ours see to the modes of their files themselves
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        loud = False
        with self._file, self._process.stdout:
            for line in self._process.stdout:
                self._file.write(line)
                self._file.flush()
                text = line.decode(errors="replace").rstrip()
                # the lines of a stack trace or of a list of mistakes follow the line that they belong to
                loud = not self.foreign and (loud if text.startswith((" ", "\t")) else self._is_loud(text))
                if text and (loud or self._verbose):
                    say(f"{self.name:>8} | {readable(text)}")

    def _is_loud(self, text: str) -> bool:
        return is_loud(text) and (self.settled or _parsed(text) is not None)

    @property
    def group(self) -> int:
        """The process group that it leads."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the group, so that workers whose parent is gone get it too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def group_alive(self) -> bool:
        self._process.poll()
        return group_alive(self.group)

    def tail(self, lines: int = 20) -> str:
        """Return the end of what it logged in this run, after everything that it wrote has arrived."""
        self._reader.join(2)
        with contextlib.suppress(OSError):
            written = self.log.read_bytes()[self._began_at :].decode(errors="replace")
            return "\n".join(f"    {readable(line)}" for line in written.splitlines()[-lines:])
        return ""


def stop(children: Sequence[Child], deadline: float = STOP_DEADLINE_S, hurried: Callable[[], bool] = lambda: False) -> list[str]:
    """Send TERM to all, wait for all, KILL what is left after `deadline` seconds; return the names of those that had to be killed.

    The services go first, then the foreign programs that they use, so that none complains about the loss of another. hurried: whether to
    wait no longer.
    """
    own, foreign = [one for one in children if not one.foreign], [one for one in children if one.foreign]
    return _stop_together(own, deadline, hurried) + _stop_together(foreign, deadline, lambda: False)


def _stop_together(children: Sequence[Child], deadline: float, hurried: Callable[[], bool]) -> list[str]:
    for child in children:
        child.signal(signal.SIGTERM)
    until = time.monotonic() + deadline
    while time.monotonic() < until and not hurried() and any(child.group_alive() for child in children):
        time.sleep(0.05)
    killed = [child.name for child in children if child.group_alive()]
    for child in children:
        child.signal(signal.SIGKILL)
    return killed


def _parsed(line: str) -> dict[str, Any] | None:
    if line.startswith("{"):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return None


def is_loud(line: str) -> bool:
    """Say whether a log line is a warning or worse. What is not in the house's format is loud, except gunicorn's own lower levels."""
    event = _parsed(line)
    if event is not None:
        return str(event.get("level", "")).lower() in _LOUD
    return not any(f"[{level}]" in line for level in ("INFO", "DEBUG"))


def readable(line: str) -> str:
    """Write a JSON line for people: level, event, name=value."""
    event = _parsed(line)
    if event is None:
        return line
    rest = " ".join(f"{name}={value}" for name, value in event.items() if name not in _SHOWN_APART)
    head = f"{event.get('level', '')}: {event['event']} " if "event" in event else ""  # a line of the access log has none
    text = f"{head}{rest}".rstrip()
    return f"{text}\n{event['exception']}" if event.get("exception") else text

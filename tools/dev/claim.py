"""One `./dev up` for one data folder. Two locks tell what runs, and both are gone with their processes, however these end.

One is on a file: `./dev up` alone holds it, and the file says who that is. The other is on the folder of the logs, and all that was
started inherits it: it is free when everything has ended, and never earlier.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from services.common.private_files import private_folder
from tools.dev.guard import PATIENCE_S, group_alive

NAME = "dev.lock"
_WAIT_S = PATIENCE_S + 3.0


class Taken(Exception):
    """Something else runs with this data folder; the text says what, and how to end it."""


class Claim:
    """The right to start on a data folder, from `take` to `give_back`, or to the end of all that inherited `descriptor`."""

    def __init__(self, data: Path) -> None:
        """Raises OSError when there can be no file in the folder."""
        self._shared = data / "log"
        private_folder(self._shared)
        self._own = os.open(data / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        self.descriptor = os.open(self._shared, os.O_RDONLY)
        self._facts: dict[str, Any] = {}

    def take(self, addresses: Mapping[str, str], say: Callable[[str], None], stopped: Callable[[], None]) -> None:
        """Take it. Raises Taken at once when another `./dev up` runs, and when what an earlier one left does not end within seconds.

        stopped: is called while waiting, to raise when the user does not want to wait.
        """
        earlier = self._read()
        if not _locked(self._own):
            raise Taken(_running(self._read()))
        now = dt.datetime.now().isoformat(timespec="seconds")
        self._facts = {"pid": os.getpid(), "since": now, "addresses": dict(addresses), "groups": {}}
        self._write(self._facts)
        try:
            self._wait_for_the_earlier(earlier, say, stopped)
        except BaseException:
            self._write(earlier)
            raise

    def _wait_for_the_earlier(self, earlier: Mapping[str, Any], say: Callable[[str], None], stopped: Callable[[], None]) -> None:
        if _locked(self.descriptor):
            return
        say("an earlier start was killed; waiting for the end of what it ran")
        deadline = time.monotonic() + _WAIT_S
        while not _locked(self.descriptor):
            if time.monotonic() > deadline:
                raise Taken(_left(earlier, self._shared))
            stopped()
            time.sleep(0.05)

    def add(self, name: str, group: int) -> None:
        """Note a process group that inherited the lock."""
        self._facts["groups"][name] = group
        self._write(self._facts)

    def give_back(self) -> None:
        os.ftruncate(self._own, 0)
        os.close(self.descriptor)
        os.close(self._own)

    def _write(self, facts: Mapping[str, Any]) -> None:
        text = json.dumps(facts).encode()
        os.pwrite(self._own, text, 0)
        os.ftruncate(self._own, len(text))

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            found = json.loads(os.pread(self._own, 65536, 0))
            if isinstance(found, dict):
                return found
        return {}


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _since(holder: Mapping[str, Any]) -> str:
    """As a clock shows it, with the day when that is another one."""
    try:
        began = dt.datetime.fromisoformat(holder["since"])
    except (KeyError, TypeError, ValueError):
        return ""
    return f"since {began:%H:%M}" if began.date() == dt.datetime.now().date() else f"since {began:%Y-%m-%d %H:%M}"


def _running(holder: Mapping[str, Any]) -> str:
    if "pid" not in holder:  # it has just begun, or is about to end
        return "another ./dev up runs on this data folder. End it with Ctrl-C, or start beside it: ./dev up --data DIR --port-base N"
    where = ", ".join(f"{name} {address}" for name, address in holder["addresses"].items())
    return (
        f"another ./dev up runs on this data folder (pid {holder['pid']}, {_since(holder)}): {where}\n"
        f"End it with Ctrl-C or kill {holder['pid']}, or start beside it: ./dev up --data DIR --port-base N"
    )


def _left(holder: Mapping[str, Any], held: Path) -> str:
    groups = {name: group for name, group in holder.get("groups", {}).items() if group_alive(group)}
    if not groups:
        return f"something of an earlier start still runs and holds {held}. Find it with: fuser {held}"
    named = ", ".join(f"{name} (pid {group})" for name, group in groups.items())
    # each with its group: a worker may have outlived its master
    return f"an earlier start still runs, {_since(holder)}: {named}\nEnd it: kill -- {' '.join(str(-group) for group in groups.values())}"

"""Tells which process a worker's name stands for, so that workers on the same machine know at once when it is dead."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_STATE, _STARTED = 0, 19  # of the fields behind the name in /proc/PID/stat


def identity(pid: int) -> str:
    """Return `PLACE.PID.STARTED`: the machine's boot and process namespace, and the process's start time; "" where they are not known."""
    place = _place()
    fields = _stat(pid)
    return f"{place}.{pid}.{fields[_STARTED]}" if place and fields else ""


def is_dead(identity: str) -> bool:
    """Whether that process has ended. False for processes of other machines and containers: nothing is known of them here."""
    place, _, rest = identity.partition(".")
    pid, _, started = rest.partition(".")
    if not place or place != _place() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass  # another user's
    fields = _stat(int(pid))
    # A killed process stays as a zombie until its parent has looked; an id may be given to another process. Where `/proc`
    # does not show it, or no further file can be opened, it counts as alive.
    return bool(fields) and (fields[_STATE] in ("Z", "X") or fields[_STARTED] != started)


def _place() -> str:
    """Return where process ids are valid: one boot of one machine, and one namespace."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:12]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name, which may hold anything; empty when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()

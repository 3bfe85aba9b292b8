"""Folders and files that only their owner reads: data folders 0700, databases 0600, logs 0640; for secrets see `secret_file.py`.

What is created here has its mode from the first moment, whatever the umask is. What an earlier start left open is closed, with a line in
the log: a file when it belongs to this user; a folder when, besides, everything in it was plainly made by Gatehouse. So a `/tmp`, a
home or a project never changes because a setting names it.

Nothing but the standard library: the task runner uses it, too.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import stat
import tempfile
import threading
from pathlib import Path
from typing import Final

from services.common import logging as logs

log = logs.get(__name__)

_FOLDER: Final = 0o700
_FILE: Final = 0o600
# Log shippers read through the group; who may get there is for the folder to say.
_LOG: Final = 0o640

WITH_A_DATABASE: Final = ("", "-wal", "-shm", "-journal")
# Names that Gatehouse chooses itself: pictures, certificates or logs of others do not make a folder ours.
# Rotated files, copies and drafts have more behind the suffix.
_MADE_HERE: Final = re.compile(
    r"\.?(?:(?:operator|master)\.key|auth\.secret|admin\.password|service-clients|(?:valkey|access)\.log|dev\.lock)(?:[.-]\w+)*"
    r"|\.?[0-9a-z]+-[0-9]+-[0-9]+\.png(?:\.[0-9a-f]{16})?|tmp\w+\.part|log|valkey|png"
)
_OF_A_SERVICE: Final = re.compile(r"\.?(\w+)\.(?:db|log)(?:[.-]\w+)*")
_ROOT: Final = Path(__file__).resolve().parents[2]
_creating = threading.Lock()


def private_folder(path: Path, *, close: bool = True, also: str = "") -> None:
    """Create a folder, and every one above it that is missing, as 0700. Raises OSError.

    close: also close one that is there, if it is ours alone. also: the name of a file that was made by Gatehouse, whatever it is called.
    """
    missing = []
    there = path
    while not there.exists():
        missing.append(there)
        there = there.parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, _FOLDER)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if close and path not in missing:
        _close_folder(os.path.realpath(path), also)


def create_database(path: Path) -> None:
    """Create an SQLite file as 0600 before SQLite does, empty, unless it is there. Best effort."""
    with _creating, contextlib.suppress(OSError):  # what keeps it from being created is SQLite's to say
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE))


def close_database(path: Path) -> None:
    """Close an SQLite file to others, with the files beside it. Best effort. Only for what SQLite has found to be a database.

    SQLite gives the files beside it (-wal, -shm, -journal) the mode of the database. Nothing that exists is opened: closing it again would
    take away the locks that SQLite holds in this process (POSIX locks end with any descriptor of the file).
    """
    for suffix in WITH_A_DATABASE:
        close_file(f"{path}{suffix}", _FILE)


def open_log(path: Path) -> int:
    """Open a descriptor that appends to a log, 0640. An existing file keeps what its group may read. Raises OSError.

    A folder that is there is left as it is: who rotates and ships logs says who gets to them.
    """
    private_folder(path.parent, close=False)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _LOG)
    close_file(str(path), _LOG)
    return descriptor


def close_file(path: str, allowed: int = 0) -> None:
    """Take from a regular file of ours every permission that is not in `allowed`, besides the owner's. Best effort."""
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            _close(path, found, allowed | stat.S_IRWXU)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("file not closed to others", path=path, error=error.strerror)


def _close_folder(path: str, also: str) -> None:
    try:
        found = os.stat(path)
        if found.st_mode & ~_FOLDER & 0o777 == 0:
            return
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX or _is_a_place(path):
            return
        if all(_made_here(name, also) for name in os.listdir(path)):
            _close(path, found, _FOLDER)
    except OSError as error:
        log.warning("folder not closed to others", path=path, error=error.strerror)


def _close(path: str, found: os.stat_result, allowed: int) -> None:
    before = stat.S_IMODE(found.st_mode)
    if before & ~allowed & 0o777:
        os.chmod(path, before & (allowed | 0o7000))
        log.info("closed to others", path=path, before=f"{before:04o}", after=f"{before & allowed:04o}")


def _is_a_place(path: str) -> bool:
    """Whether others live there, whatever it holds now: the root, what is directly below it, a home, the project, and all above these."""
    if len(Path(path).parts) < 3:
        return True
    places = (os.path.expanduser("~"), os.getcwd(), tempfile.gettempdir(), str(_ROOT))
    return any(Path(os.path.realpath(place)).is_relative_to(path) for place in places)


def _made_here(name: str, also: str) -> bool:
    if _MADE_HERE.fullmatch(name) or name in _services() or (also and name.startswith(also)):
        return True
    found = _OF_A_SERVICE.fullmatch(name)
    return found is not None and found[1] in _services()


@functools.cache
def _services() -> frozenset[str]:
    return frozenset(entry.name for entry in (_ROOT / "services").iterdir() if entry.is_dir())

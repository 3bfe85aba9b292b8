"""Files that only their owner reads (0600), written whole or not at all: secrets, and other private files.

A file is written under another name beside its own (a draft) and takes its place by one rename or link. Nothing but the standard library:
the task runner uses it, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from services.common.private_files import WITH_A_DATABASE, close_file, private_folder

_FILE: Final = 0o600
_RANDOM: Final = 8  # bytes in the name of a draft


def secret_file(path: Path, make: Callable[[], str]) -> str:
    """Read a file that only its owner reads, without spaces around its text; create it with what `make` gives when it is not there.

    Several processes that start at once read the same text: it is written whole under another name and then linked, so exactly one wins.
    Raises OSError, UnicodeDecodeError.
    """
    if not path.exists():
        private_folder(path.parent)
        with draft(path) as file, contextlib.suppress(FileExistsError):
            _write(file, (make(),))
            os.link(file.name, path)
    close_file(str(path))
    return path.read_text().strip()


def write_secret(path: Path, text: str | Iterable[str]) -> None:
    """Write a file that only its owner reads, whole or not at all, in the place of one that is there. Raises OSError.

    text: or its lines, asked for one after the other, so that a long one is never in memory as a whole; what they raise is raised. Drafts
    of this file are removed whose writers were killed.
    """
    private_folder(path.parent)
    remove_abandoned(path)
    with draft(path) as file:
        _write(file, (text,) if isinstance(text, str) else text)
        os.replace(file.name, path)


def write_private(path: Path, content: bytes) -> None:
    """Write a private file that can be created again, in the place of one that is there. Raises OSError.

    It may be lost or empty after a power cut, because the disk is not waited for. A draft whose writer was killed stays.
    """
    private_folder(path.parent)
    with draft(path) as file:
        file.write(content)
        file.flush()
        os.replace(file.name, path)


@contextlib.contextmanager
def draft(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path`, locked as long as somebody is at work with it; gone at the end. Raises OSError."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(_RANDOM)}")
    try:
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, _FILE)) as file:
            with contextlib.suppress(OSError):  # a file system without locks: what is abandoned stays there
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    finally:
        new.unlink(missing_ok=True)


def _write(file: BinaryIO, lines: Iterable[str]) -> None:
    """Write lines, and wait for the disk."""
    for line in lines:
        file.write(f"{line}\n".encode())
    file.flush()
    os.fsync(file.fileno())


def remove_abandoned(path: Path) -> None:
    """Remove the drafts of `path` that nobody holds locked, with what SQLite has left beside them.

    One that is locked only now is lost to its writer, who gets an OSError.
    """
    a_draft = re.compile(re.escape(f".{path.name}.") + f"[0-9a-f]{{{2 * _RANDOM}}}")
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if a_draft.fullmatch(name):
                with contextlib.suppress(OSError), (path.parent / name).open("ab") as abandoned:
                    fcntl.flock(abandoned, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    for suffix in WITH_A_DATABASE:
                        Path(f"{abandoned.name}{suffix}").unlink(missing_ok=True)

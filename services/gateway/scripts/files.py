"""Reads scripts: files below one folder, and blobs that a definition holds as base64."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

LARGEST: Final = 256 * 1024


class BadFile(Exception):
    """A script cannot be read. The text says why."""


class ReadFile(NamedTuple):
    """A file or a folder as it was when it was read, by which a change is seen: a reload reads it again. stamp: None = it was not there."""

    path: str
    stamp: tuple[int, int, int] | None

    @classmethod
    def of(cls, path: str) -> ReadFile:
        """Return what is there now."""
        try:
            return cls(path, _stamp(os.stat(path)))
        except OSError:
            return cls(path, None)

    def has_changed(self) -> bool:
        """Tell whether it is another one now, gone, or there where nothing was."""
        return ReadFile.of(self.path).stamp != self.stamp


def read(folder: Path, name: str) -> tuple[str, ReadFile]:
    """Read a file below the folder, to which neither `..` nor a link leads out. Raises BadFile.

    name: as in the definition. Tyk's is below its working directory: a leading `/`, `./` or `middleware/` does not count.
    """
    wanted = name.replace("\\", "/").lstrip("/").removeprefix("./")
    root = folder.resolve()
    found = root / wanted
    if not found.exists() and wanted.startswith("middleware/"):
        found = root / wanted.removeprefix("middleware/")
    try:
        real = found.resolve(strict=True)
        if not real.is_relative_to(root):
            raise BadFile("leads out of GATEWAY_MIDDLEWARE_PATH")
        # A pipe would be waited for; and what replaces the file meanwhile must not be followed.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadFile("is not a file")
            stamp = _stamp(os.fstat(file.fileno()))
            content = file.read(LARGEST + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (getattr(error, "strerror", None) or "is not a path").lower()
        raise BadFile(f"cannot be read below GATEWAY_MIDDLEWARE_PATH: {reason}") from None
    return text(content), ReadFile(str(real), stamp)


def decoded(blob: str) -> str:
    """Return the text of a blob. Raises BadFile."""
    try:
        return text(base64.b64decode("".join(blob.split()), validate=True))
    except ValueError:
        raise BadFile("is not base64") from None


def text(content: bytes) -> str:
    """Return the text of a script. Raises BadFile."""
    if len(content) > LARGEST:
        raise BadFile(f"is larger than {LARGEST // 1024} KB")
    try:
        found = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile("is not UTF-8") from None
    if "\0" in found:
        raise BadFile("holds a NUL, so it is no text")
    return found


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino

"""What definitions take from files: `secrets://NAME` and `file://PATH`, below the one folder that the operator names.

An orchestrator mounts secrets as files. Nothing outside the folder is ever read, whatever a name or a link says, and no message repeats
what a file holds.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

FOLDER: Final = "GATEWAY_SECRETS_PATH"  # a setting
LARGEST: Final = 64 * 1024
_SECRET: Final = re.compile(r"secrets://([^/?#]*)(.*)", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


def of_file(reference: str, folder: str) -> str:
    """Return what a reference stands for: the text of a file without its last line break, and for `secrets://` what follows the name.

    Raises ValueError, which names the reference and not the content.
    """
    secret = _SECRET.fullmatch(reference)
    if secret is None:
        return _read(_below(reference.removeprefix("file://"), folder), folder)
    name, rest = secret.groups()
    if not _NAME.fullmatch(name):
        raise ValueError("secrets:// has to be followed by a name of letters, digits and . _ -")
    return continued(_read((name,), folder), rest)


def continued(base: str, rest: str) -> str:
    """Return an address with what a definition writes behind it."""
    return base.rstrip("/") + rest if rest.startswith("/") else base + rest


def _below(path: str, folder: str) -> tuple[str, ...]:
    """Return the names of a path, which may also begin with the folder itself. Raises ValueError."""
    if folder and path.startswith("/"):
        whole, place = Path(path), Path(folder)
        if ".." in whole.parts or not whole.is_relative_to(place):
            raise ValueError(f"file:// reads files below the folder of {FOLDER} only")
        path = str(whole.relative_to(place))
    names = tuple(path.split("/"))
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError(f"file:// has to be followed by a path below the folder of {FOLDER}, with names of letters, digits and . _ -")
    return names


def _read(names: tuple[str, ...], folder: str) -> str:
    shown = "/".join(names)
    if not folder:
        raise ValueError(f"`{shown}` would be a file in the folder of {FOLDER}, which is not set")
    try:
        place = Path(folder).resolve(strict=True)
        path = place.joinpath(*names).resolve(strict=True)
        if not path.is_relative_to(place):
            raise ValueError(f"`{shown}` is a link out of the folder of {FOLDER}")
        # A pipe or a device would make the gateway wait, or never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError(f"`{shown}` in the folder of {FOLDER} is not a file")
            content = file.read(LARGEST + 1)
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "links go round in circles"
        raise ValueError(f"`{shown}` in the folder of {FOLDER} cannot be read: {reason}") from None
    if len(content) > LARGEST:
        raise ValueError(f"`{shown}` in the folder of {FOLDER} is larger than {LARGEST // 1024} KB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"`{shown}` in the folder of {FOLDER} is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"`{shown}` in the folder of {FOLDER} is empty")
    return text

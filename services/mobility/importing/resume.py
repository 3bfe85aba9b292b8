"""Where an import stopped: a small file for each import, which a later one with `--resume` goes on from.

It holds counts and names of files, nothing secret. Its name is a digest of what is imported: the content of the files, the layer, the
address and the options that change the nodes. As ids make a write idempotent, an older count does no harm: nodes are written again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from services.common.secret_file import write_private

_CHUNK: Final = 1 << 20


def digest(options: Mapping[str, Any], files: Iterable[tuple[str, Callable[[], BinaryIO]]]) -> str:
    """Return the name of an import. files: name and how to open it. Raises OSError."""
    found = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for name, open_file in files:
        found.update(f"\n{name}\n".encode("utf-8", "surrogateescape"))
        with open_file() as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    return found.hexdigest()[:32]


class State:
    """How many nodes of one import the service has confirmed. None as folder: nothing is kept, as in a dry run."""

    def __init__(self, folder: Path | None, name: str, about: Mapping[str, Any]) -> None:
        """about: names for people who look into the file."""
        self._path = folder / f"{name}.json" if folder is not None else None
        self._about = about

    def load(self) -> int:
        """Return the confirmed nodes; 0 when there is no file or it is not one of these."""
        if self._path is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                done = json.loads(self._path.read_text())["done"]
                if isinstance(done, int) and done > 0:
                    return done
        return 0

    def save(self, done: int) -> None:
        """Note the confirmed nodes, whole or not at all. Raises OSError."""
        if self._path is not None:
            write_private(self._path, (json.dumps({**self._about, "done": done}, indent=1) + "\n").encode())

    def finish(self) -> None:
        """Forget the import: all of it is there."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

"""The copy of the definitions beside the database: what a worker serves that starts while the database is away.

One file: a line of JSON for each definition, one that tells what they are (the format, the database and its migration, the generation), and
the SHA-256 of all these. It is written whole or not at all, and refused when anything of that is not as it should be. It holds what the
table `definitions` holds, so it is as private as the database; what webhooks are signed with is in neither.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.common.migrations import head_revision
from services.common.private_files import write_secret
from services.gateway.live import Snapshot, Stored
from services.gateway.stores.definitions import StoredDefinition
from services.gateway.threads import in_thread

log = logs.get(__name__)

FORMAT: Final = 1
# Of the names that private_files knows as made here.
_NAME: Final = "gateway.db.definitions"
_LOOK_S: Final = 1.0
_AFTER_A_FAILURE_S: Final = 5.0
# Of its time, a thread that writes one copy after the other rests so many parts for each that it works.
_RESTS: Final = 20


class CopyUnusable(Exception):
    """There is a copy that must not be served; the text says why."""


class Copied(NamedTuple):
    """What a copy holds. written_at: in UTC, as it is shown."""

    definitions: list[StoredDefinition]
    generation: int
    written_at: str


class _Unchanged(Exception):
    """The copy that is there says the same."""


def copy_path(database: CoreDatabase, folder: Path) -> Path:
    """Where the copy of a database lies: beside an SQLite file, else in `folder`."""
    if database.dialect != "sqlite":
        return folder / _NAME
    file = Path(database.engine.url.database or "").absolute()
    return file.with_name(f"{file.name}.definitions")


class DefinitionCopy:
    """Reads and writes the copy of one database."""

    def __init__(self, database: CoreDatabase, path: Path) -> None:
        self.path = path
        # An SQLite file may be moved, its copy beside it.
        where = "" if database.dialect == "sqlite" else database.engine.url.set(username=None, password=None).render_as_string()
        self._of = {"format": FORMAT, "database": hashlib.sha256(where.encode()).hexdigest()[:16], "migration": head_revision("gateway")}

    def write(self, definitions: Iterable[Stored], generation: int) -> bool:
        """generation: of the database, which the definitions stand for. False when the copy says the same already. Raises OSError."""
        try:
            write_secret(self.path, self._lines(definitions, generation))
        except _Unchanged:
            return False
        return True

    def _lines(self, definitions: Iterable[Stored], generation: int) -> Iterator[str]:
        checksum = hashlib.sha256()
        for one in sorted(definitions, key=lambda one: one.id):
            line = json.dumps({"id": one.id, "api_id": one.api_id, "revision": one.revision, "raw": one.raw})
            checksum.update(f"{line}\n".encode())
            yield line
        if self._holds(checksum.hexdigest(), generation):
            raise _Unchanged
        written_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        told = json.dumps({**self._of, "generation": generation, "written_at": written_at})
        checksum.update(f"{told}\n".encode())
        yield told
        yield checksum.hexdigest()

    def _holds(self, checksum: str, generation: int) -> bool:
        """Whether the copy that is there has these definitions."""
        try:
            found = self._checked()
        except (CopyUnusable, OSError):
            return False
        return found is not None and (hashlib.sha256(found[0]).hexdigest(), found[1]["generation"]) == (checksum, generation)

    def read(self) -> Copied | None:
        """What the copy holds; None when there is no copy. Raises CopyUnusable."""
        try:
            found = self._checked()
        except OSError as error:
            raise CopyUnusable(f"it cannot be read: {error.strerror}") from None
        if found is None:
            return None
        body, told = found
        items = [json.loads(line) for line in body.split(b"\n") if line]
        definitions = [StoredDefinition(item["id"], item["api_id"], item["revision"], item["raw"]) for item in items]
        return Copied(definitions, told["generation"], told["written_at"])

    def _checked(self) -> tuple[bytes, dict[str, Any]] | None:
        """The lines of the definitions, and what is told of them. Raises CopyUnusable, OSError."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        end = data.rfind(b"\n", 0, -1) + 1
        if hashlib.sha256(data[:end]).hexdigest().encode() != data[end:].strip():
            raise CopyUnusable("it is damaged: its checksum is wrong")
        start = data.rfind(b"\n", 0, end - 1) + 1
        told: dict[str, Any] = json.loads(data[start:end])
        for name, mine in self._of.items():
            if told.get(name) != mine:
                raise CopyUnusable(f"it is of another {name}")
        return data[:start], told


class CopyKeeper:
    """One thread that writes the copy a moment after the definitions have changed. No request and no save waits for it.

    served: gives what is served now, another object whenever that is other definitions.
    """

    def __init__(self, copy: DefinitionCopy, served: Callable[[], Snapshot]) -> None:
        self._copy = copy
        self._served = served
        self._copied: Snapshot | None = None
        self._told = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="definitions-copy", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Write what has changed last."""
        self._stopping.set()
        if self._thread.ident is not None:  # it was started
            await in_thread(self._thread.join)

    def _run(self) -> None:
        rest, ending = 0.0, False
        while not ending:
            ending = self._stopping.wait(max(rest, _LOOK_S))
            served = self._served()
            if served is self._copied or not served.number:
                continue
            began = time.monotonic()
            try:
                self._copy.write(served.stored(), served.generation)
            except Exception as error:  # a full disk, say: tried again
                rest = _AFTER_A_FAILURE_S
                if not self._told:
                    why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
                    log.warning("the copy of the definitions cannot be written", path=str(self._copy.path), error=why)
                self._told = True
            else:
                self._copied, self._told = served, False
                rest = (time.monotonic() - began) * _RESTS

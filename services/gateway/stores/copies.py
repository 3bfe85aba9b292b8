"""The copy of the definitions beside the database: a worker that starts while the database is away serves it.

One file: a line of JSON for each definition, a line that says what they are (the format, the database and its migration, the generation),
and the SHA-256 of all these. It is written whole or not at all, and refused when any of this is wrong. It holds what the table
`definitions` holds, so it is as private as the database; the secrets that sign webhooks are in neither.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.common.migrations import head_revision
from services.common.secret_file import write_secret
from services.gateway.live import Snapshot, Stored
from services.gateway.stores.definition_model import StoredDefinition
from services.gateway.threads import in_thread

log = logs.get(__name__)

_T = TypeVar("_T")

FORMAT: Final = 1
# One of the names that services/common/private_files.py takes for files of ours.
_NAME: Final = "gateway.db.definitions"
_LOOK_S: Final = 1.0
_AFTER_A_FAILURE_S: Final = 5.0
# A thread that writes one copy after the other rests this many times as long as it works.
_RESTS: Final = 20
# This many definitions take 0.2 ms, less than the turn that Python gives a thread (`worker.py`).
_BITE: Final = 16
_PAUSE_S: Final = 0.0005


class CopyUnusable(Exception):
    """The copy must not be served; the text says why."""


class Copied(NamedTuple):
    """What a copy holds. written_at: in UTC, as it is shown."""

    definitions: list[StoredDefinition]
    generation: int
    written_at: str


class _Found(NamedTuple):
    """A sound copy. checksum: of the lines of its definitions. told: what it says of them."""

    checksum: str
    told: dict[str, Any]


class _Unchanged(Exception):
    """The copy says the same already."""


def copy_path(database: CoreDatabase, folder: Path) -> Path:
    """Return where the copy of a database lies: beside an SQLite file, else in `folder`."""
    if database.dialect != "sqlite":
        return folder / _NAME
    file = Path(database.engine.url.database or "").absolute()
    return file.with_name(f"{file.name}.definitions")


def identity(database: CoreDatabase) -> dict[str, Any]:
    """Return what a copy must say of itself to be one of this database. An SQLite file may be moved, its copies beside it."""
    where = "" if database.dialect == "sqlite" else database.engine.url.set(username=None, password=None).render_as_string()
    return {"format": FORMAT, "database": hashlib.sha256(where.encode()).hexdigest()[:16], "migration": head_revision("gateway")}


class DefinitionCopy:
    """Reads and writes the copy of one database."""

    def __init__(self, database: CoreDatabase, path: Path) -> None:
        self.path = path
        self._of = identity(database)

    def write(self, definitions: Iterable[Stored], generation: int) -> bool:
        """Write the copy; return False when it says the same already. generation: which the definitions stand for. Raises OSError."""
        try:
            write_secret(self.path, self._lines(definitions, generation))
        except _Unchanged:
            return False
        return True

    def _lines(self, definitions: Iterable[Stored], generation: int) -> Iterator[str]:
        checksum = hashlib.sha256()
        for one in _in_bites(sorted(definitions, key=lambda one: one.id)):
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
            found = self._checked(lambda line: None)
        except (CopyUnusable, OSError):
            return False
        return found is not None and (found.checksum, found.told["generation"]) == (checksum, generation)

    def read(self) -> Copied | None:
        """Return what the copy holds, None = there is no copy. Raises CopyUnusable."""
        lines: list[bytes] = []
        try:
            found = self._checked(lines.append)
        except OSError as error:
            raise CopyUnusable(f"it cannot be read: {error.strerror}") from None
        if found is None:
            return None
        items = map(json.loads, lines)
        definitions = [StoredDefinition(item["id"], item["api_id"], item["revision"], item["raw"]) for item in items]
        return Copied(definitions, found.told["generation"], found.told["written_at"])

    def _checked(self, take: Callable[[bytes], None]) -> _Found | None:
        """Give the line of each definition to `take`. Raises CopyUnusable, OSError; then what was taken must not be used.

        Nothing is done in one step for all of them: requests would wait for it.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return None
        checksum = hashlib.sha256()
        ahead: deque[bytes] = deque()  # the last two lines are not of definitions
        with file:
            for line in _in_bites(file):
                if len(ahead) == 2:
                    one = ahead.popleft()
                    checksum.update(one)
                    take(one)
                ahead.append(line)
        of_definitions = checksum.hexdigest()
        last = ahead.pop() if ahead else b""
        checksum.update(b"".join(ahead))
        if not ahead or checksum.hexdigest().encode() != last.strip():
            raise CopyUnusable("it is damaged: its checksum is wrong")
        told: dict[str, Any] = json.loads(ahead[0])
        for name, mine in self._of.items():
            if told.get(name) != mine:
                raise CopyUnusable(f"it is of another {name}")
        return _Found(of_definitions, told)


def _in_bites(items: Iterable[_T]) -> Iterator[_T]:
    """Yield the items, with a pause after every few.

    Beside a thread that computes without a pause, every step of a request would wait until Python takes the turn from that thread.
    """
    for count, item in enumerate(items, 1):
        yield item
        if count % _BITE == 0:
            time.sleep(_PAUSE_S)


class CopyKeeper:
    """One thread that writes the copy a moment after the definitions have changed. No request and no save waits for it.

    served: returns what is served now; a new object whenever the definitions are others.
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
            except Exception as error:  # such as a full disk: tried again
                rest = _AFTER_A_FAILURE_S
                if not self._told:
                    why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
                    log.warning("copy of the definitions not written", path=str(self._copy.path), error=why)
                self._told = True
            else:
                self._copied, self._told = served, False
                rest = (time.monotonic() - began) * _RESTS

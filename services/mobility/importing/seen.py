"""The ids of a run, so that two that are one are found before they are sent. On disk: a file may have millions."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from services.common.refusal import Refusal
from services.mobility.importing.problems import Problems
from services.mobility.nodes.rules import ids

_CACHE_KIB: Final = 32 * 1024
_KIND: Final = "ids that are not unique"


def scratch(path: Path) -> sqlite3.Connection:
    """Open a database that lives as long as the run: nothing in it outlives a crash."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", f"cache_size=-{_CACHE_KIB}"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("BEGIN")
    return database


class Seen:
    """Ids by the cdk_id that they get."""

    def __init__(self, folder: Path) -> None:
        self._database = scratch(folder / "ids.sqlite")
        self._database.execute("CREATE TABLE ids (cdk_id TEXT PRIMARY KEY, id TEXT, place TEXT) WITHOUT ROWID")

    def add(self, layer: str, given: str, where: str, problems: Problems) -> bool:
        """Note an id; say whether it is new. Reports one that is not, and one that gets no cdk_id. Raises Stopped."""
        try:
            made = ids.of_text(layer, given, {})
        except Refusal as error:
            problems.wrong(_KIND, f"{where}: {error.message}")
            return False
        written = (made, given.encode("utf-8", "surrogatepass"), where.encode("utf-8", "surrogatepass"))
        if self._database.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", written).rowcount:
            return True
        first, place = self._database.execute("SELECT id, place FROM ids WHERE cdk_id = ?", (made,)).fetchone()
        other = first.decode("utf-8", "surrogatepass")
        same = "the id" if other == given else f"the id {given!r} becomes the same cdk_id {made} as {other!r}, which"
        problems.wrong(_KIND, f"{where}: {same} is taken by {place.decode('utf-8', 'surrogatepass')}")
        return False

    def close(self) -> None:
        self._database.close()

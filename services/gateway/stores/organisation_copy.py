"""The copy of the sessions of organisations beside the database: a worker that starts while the database is away goes by it.

One file of two lines: what it is of and the sessions, and the SHA-256 of that. As the copy of the definitions, it is written whole or not
at all, and is as private as the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.common.core_database import CoreDatabase
from services.common.secret_file import write_secret
from services.gateway.stores.copies import identity

# One of the names that services/common/private_files.py takes for files of ours.
_NAME: Final = "gateway.db.organisations"


class OrganisationCopy:
    """Of one database. folder: where it lies, unless it is beside an SQLite file."""

    def __init__(self, database: CoreDatabase, folder: Path) -> None:
        file = Path(database.engine.url.database or "").absolute()
        self._path = file.with_name(f"{file.name}.organisations") if database.dialect == "sqlite" else folder / _NAME
        self._of = identity(database)

    def write(self, sessions: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the copy, unless it says the same already. Raises OSError."""
        line = json.dumps({**self._of, "organisations": dict(sorted(sessions.items()))})
        text = f"{line}\n{_checksum(line)}\n"
        if not self._path.exists() or self._path.read_text(errors="replace") != text:
            write_secret(self._path, text.splitlines())

    def read(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Return the sessions, None = there is no copy. Raises OSError; ValueError for one that is damaged or of something else."""
        try:
            line, _, checksum = self._path.read_text(errors="replace").partition("\n")
        except FileNotFoundError:
            return None
        if checksum.strip() != _checksum(line):
            raise ValueError("it is damaged: its checksum is wrong")
        told: dict[str, Any] = json.loads(line)
        for name, mine in self._of.items():
            if told.get(name) != mine:
                raise ValueError(f"it is of another {name}")
        found: Mapping[str, Mapping[str, Any]] = told["organisations"]
        return found


def _checksum(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()

"""`python -m services.common.restore SERVICE FILE`: put a copy in the place of a service's SQLite database, which nobody uses."""

from __future__ import annotations

import sys
from pathlib import Path

from services.common import backup
from services.common.backups import database_file, restore


def main(arguments: list[str]) -> int:
    """Do as the command line says; return the exit status."""
    return backup.run("restore", arguments, _restore)


def _restore(service: str, url: str, file: Path) -> str:
    database = database_file(service, url)
    return f"{database} is {file}, at migration {restore(service, file, database)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

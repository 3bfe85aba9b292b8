"""`python -m services.common.backup SERVICE FILE`: copy a service's SQLite database while it is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from services.common import logging as logs
from services.common import startup
from services.common.backups import Unusable, back_up, database_file
from services.common.migrations import migrations_folder
from services.common.settings import load_or_exit


def main(arguments: list[str]) -> int:
    """Do as the command line says; return the exit status."""
    return run("backup", arguments, _back_up)


def run(command: str, arguments: list[str], work: Callable[[str, str, Path], str]) -> int:
    """Do `work` with the service, the URL of its database and the file that the command line names; print what it returns."""
    if len(arguments) != 2:
        sys.stderr.write(f"usage: python -m services.common.{command} SERVICE FILE\n")
        return 2
    service, file = arguments
    if not migrations_folder(service).is_dir():
        sys.stderr.write(f"{service}: no such service\n")
        return 2
    logs.configure(service, "WARNING")
    settings = load_or_exit(service, importlib.import_module(f"services.{service}.settings").load)
    try:
        sys.stdout.write(f"{service}: {work(service, settings.database_url, Path(file).absolute())}\n")
    except Unusable as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 1
    except startup.FAILURES as error:
        sys.stderr.write(f"{service}: {startup.in_a_line(service, error)}\n")
        return 1
    return 0


def _back_up(service: str, url: str, backup: Path) -> str:
    revision = back_up(service, database_file(service, url), backup)
    return f"{backup}, {backup.stat().st_size:,} bytes at migration {revision}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

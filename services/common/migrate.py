"""`python -m services.common.migrate SERVICE`: bring a service's database to the newest migration."""

from __future__ import annotations

import importlib
import sys

from services.common import logging as logs
from services.common import migrations
from services.common.settings import SettingsError, stop


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m services.common.migrate SERVICE\n")
        return 2
    service = arguments[0]
    if not migrations.migrations_folder(service).is_dir():
        sys.stderr.write(f"{service}: no such service, or it has no migrations\n")
        return 2
    try:
        settings = importlib.import_module(f"services.{service}.settings").load()
    except SettingsError as error:
        stop(service, error.mistakes)
    logs.configure(service)
    try:
        migrations.migrate(service, settings.database_url)
    except migrations.NewerDatabase as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 1
    except Exception as error:  # the operator needs the reason, not the trace
        sys.stderr.write(f"{service}: the database could not be migrated: {type(error).__name__}: {_first_line(error)}\n")
        return 1
    return 0


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.splitlines()[0] if text else "no reason given"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

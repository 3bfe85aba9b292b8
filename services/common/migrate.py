"""`python -m services.common.migrate SERVICE`: bring a service's database to the newest migration."""

from __future__ import annotations

import importlib
import sys

from services.common import logging as logs
from services.common import migrations, startup
from services.common.settings import load_or_exit


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m services.common.migrate SERVICE\n")
        return 2
    service = arguments[0]
    if not migrations.migrations_folder(service).is_dir():
        sys.stderr.write(f"{service}: no such service, or it has no migrations\n")
        return 2
    settings = load_or_exit(service, importlib.import_module(f"services.{service}.settings").load)
    logs.configure(service)
    try:
        migrations.migrate(service, settings.database_url, say=lambda what: _write(service, what))
    except migrations.NewerDatabase as error:
        _write(service, str(error))
        return 1
    except Exception as error:  # the operator needs the reason, not the trace
        _write(service, f"the database could not be migrated: {startup.in_a_line(service, error)}")
        return 1
    return 0


def _write(service: str, line: str) -> None:
    sys.stderr.write(f"{service}: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
